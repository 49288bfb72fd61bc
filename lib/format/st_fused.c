/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Tensors that hold a matrix of all E experts:
 *
 *   blocks, scales   MXFP4 of GPT-OSS: U8 [E, N, K / 32, 16], [E, N, K / 32];
 *                    rows of gate and up alternate
 *   weight           16 or 32 bits: [E, N, K] or [E, K, N], gate and up are
 *                    halves or alternate, as config->fused tells
 *   bias             [E, N], in the order of the rows
 */
#include "format/st_fused.h"

#include <inttypes.h>
#include <stdio.h>

#include "format/expert_name.h"
#include "io/text.h"

/* Bytes of a block's codes; the highest rank of a tensor here. */
enum { BLOCK_BYTES = W4_MXFP4_GROUP / 2, RANK_MAX = 4 };

/* A matrix of all experts, and the weights that it holds of each. */
struct fused {
    struct w4_err *err;
    const struct w4_parts *parts;
    const struct w4_model_config *config;
    /* [n_experts][W4_N_PROJECTIONS] */
    struct w4_weight *weights;
    /* Projections: gate and up, or down alone. */
    int first;
    int last;
    /* Rows and columns of one expert: N, K. */
    size_t rows;
    size_t columns;
};

/* ------------------------------------------------------------------- shapes */

/* "[4, 192, 3, 16]" */
struct shape_text {
    char text[RANK_MAX * 24 + 8];
};

static struct shape_text
show_shape(const uint64_t *shape, uint32_t n_dims)
{
    struct shape_text shown = {"["};
    size_t n = 1;
    for (uint32_t d = 0; d < n_dims && d < RANK_MAX; d++) {
        n += (size_t)snprintf(shown.text + n, sizeof(shown.text) - n,
                "%s%" PRIu64, d == 0 ? "" : ", ", shape[d]);
    }
    snprintf(shown.text + n, sizeof(shown.text) - n, "%s]",
            n_dims > RANK_MAX ? ", ..." : "");
    return shown;
}

/* Checks the shape of a tensor, whose type the caller has looked at. */
static w4moe_status
check_shape(struct w4_err *err, const struct w4_tensor *tensor,
        const uint64_t *shape, uint32_t n_dims)
{
    int same = tensor->n_dims == n_dims;
    for (uint32_t d = 0; same && d < n_dims; d++) {
        same = tensor->shape[d] == shape[d];
    }
    return same ? W4MOE_OK
                : w4_fail(err, W4MOE_FORMAT, "tensor \"%s\" is %s, expected %s",
                          w4_show_string(tensor->name).text,
                          show_shape(tensor->shape, tensor->n_dims).text,
                          show_shape(shape, n_dims).text);
}

static w4moe_status
refuse_type(struct w4_err *err, const struct w4_tensor *tensor,
        const char *expected)
{
    return w4_fail(err, W4MOE_UNSUPPORTED,
            "tensor \"%s\" of all experts is %s, not %s",
            w4_show_string(tensor->name).text, tensor->dtype_name, expected);
}

/* Where the numbers of an expert begin; the shape has been checked, so that
 * they are as many for each. */
static const void *
part_of_expert(const struct w4_tensor *tensor, size_t n_experts, size_t expert)
{
    size_t bytes = (size_t)(tensor->n_bytes / n_experts);
    return (const char *)tensor->data + expert * bytes;
}

/* ------------------------------------------------------------------ weights */

/* One weight with its sizes, rows and bias. The rows of gate and up alternate,
 * or are the two halves. */
static struct w4_weight *
weight_at(
        const struct fused *fused, size_t expert, int projection, int alternate)
{
    const struct w4_tensor *bias = fused->parts->tensors[W4_PART_BIAS];
    struct w4_weight *weight =
            &fused->weights[expert * W4_N_PROJECTIONS + (size_t)projection];
    int down = projection == W4_DOWN;
    size_t first_up = alternate ? 1 : fused->rows / 2;
    weight->n_out = down ? fused->rows : fused->rows / 2;
    weight->n_in = fused->columns;
    weight->row_first = projection == W4_UP ? first_up : 0;
    weight->row_step = alternate && !down ? 2 : 1;
    weight->tensor_rows = fused->rows;
    if (bias != NULL) {
        weight->bias = part_of_expert(bias, fused->config->n_experts, expert);
        weight->bias_dtype = bias->dtype;
    }
    return weight;
}

static w4moe_status
check_bias(const struct fused *fused)
{
    const struct w4_tensor *bias = fused->parts->tensors[W4_PART_BIAS];
    const uint64_t shape[] = {fused->config->n_experts, fused->rows};
    if (bias == NULL) {
        return W4MOE_OK;
    }
    return w4_tensor_is_float(bias)
                   ? check_shape(fused->err, bias, shape, 2)
                   : refuse_type(fused->err, bias, "BF16, F16 or F32");
}

static w4moe_status
check_blocks(const struct fused *fused)
{
    const struct w4_tensor *blocks = fused->parts->tensors[W4_PART_BLOCKS];
    const struct w4_tensor *scales = fused->parts->tensors[W4_PART_SCALES];
    const uint64_t shape[RANK_MAX] = {fused->config->n_experts, fused->rows,
            fused->columns / W4_MXFP4_GROUP, BLOCK_BYTES};
    if (blocks->dtype != W4MOE_U8) {
        return refuse_type(fused->err, blocks, "U8");
    }
    if (!w4_tensor_is_e8m0(scales)) {
        return refuse_type(fused->err, scales, "U8 or F8_E8M0");
    }
    if (fused->columns % W4_MXFP4_GROUP != 0) {
        return w4_fail(fused->err, W4MOE_FORMAT,
                "tensor \"%s\": %zu columns are not in blocks of %d",
                w4_show_string(blocks->name).text, fused->columns,
                W4_MXFP4_GROUP);
    }
    w4moe_status status = check_shape(fused->err, blocks, shape, 4);
    return status == W4MOE_OK ? check_shape(fused->err, scales, shape, 3)
                              : status;
}

static w4moe_status
resolve_blocks(const struct fused *fused)
{
    const struct w4_tensor *blocks = fused->parts->tensors[W4_PART_BLOCKS];
    const struct w4_tensor *scales = fused->parts->tensors[W4_PART_SCALES];
    size_t n_experts = fused->config->n_experts;
    w4moe_status status = w4_parts_need(
            fused->err, fused->parts, W4_PART_BLOCKS, W4_PART_SCALES);
    if (status == W4MOE_OK) {
        status = check_blocks(fused);
    }
    for (size_t e = 0; e < n_experts && status == W4MOE_OK; e++) {
        for (int p = fused->first; p <= fused->last; p++) {
            struct w4_weight *weight = weight_at(fused, e, p, 1);
            w4_mxfp4_set(weight, part_of_expert(blocks, n_experts, e),
                    part_of_expert(scales, n_experts, e));
            weight->name = scales->name;
        }
    }
    return status;
}

/* Weights of 16 or 32 bits. Nothing in a square tensor tells its rows from its
 * columns, so the model's type must. */
static w4moe_status
check_weight(const struct fused *fused)
{
    const struct w4_model_config *config = fused->config;
    const struct w4_tensor *tensor = fused->parts->tensors[W4_PART_WEIGHT];
    int by_rows = config->fused == W4_FUSED_ROWS;
    const uint64_t shape[3] = {config->n_experts,
            by_rows ? fused->rows : fused->columns,
            by_rows ? fused->columns : fused->rows};
    if (config->fused == W4_FUSED_NONE) {
        return w4_fail(fused->err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": how models of type \"%s\" put all experts "
                "in one tensor is not known",
                w4_show_string(tensor->name).text,
                w4_show_string(config->model_type).text);
    }
    return w4_tensor_is_float(tensor)
                   ? check_shape(fused->err, tensor, shape, 3)
                   : refuse_type(fused->err, tensor, "BF16, F16 or F32");
}

static w4moe_status
resolve_weight(const struct fused *fused)
{
    const struct w4_model_config *config = fused->config;
    const struct w4_tensor *tensor = fused->parts->tensors[W4_PART_WEIGHT];
    int by_rows = config->fused == W4_FUSED_ROWS;
    int alternate = config->fused == W4_FUSED_COLUMNS_INTERLEAVED;
    w4moe_status status = check_weight(fused);
    for (size_t e = 0; e < config->n_experts && status == W4MOE_OK; e++) {
        const void *data = part_of_expert(tensor, config->n_experts, e);
        for (int p = fused->first; p <= fused->last; p++) {
            struct w4_weight *weight = weight_at(fused, e, p, alternate);
            weight->name = tensor->name;
            w4_float_set(weight, data, tensor->dtype,
                    by_rows ? fused->columns : 1, by_rows ? 1 : fused->rows);
        }
    }
    return status;
}

/* --------------------------------------------------------------- one matrix */

static const struct w4_tensor *
any_part(const struct w4_parts *parts)
{
    int part = 0;
    while (part < W4_N_PARTS && parts->tensors[part] == NULL) {
        part++;
    }
    return part < W4_N_PARTS ? parts->tensors[part] : NULL;
}

/* By the part that holds the codes. */
static w4moe_status
resolve(const struct fused *fused)
{
    const struct w4_parts *parts = fused->parts;
    int is_blocks = parts->tensors[W4_PART_BLOCKS] != NULL;
    unsigned allowed = is_blocks ? 1u << W4_PART_BLOCKS | 1u << W4_PART_SCALES
                                 : 1u << W4_PART_WEIGHT;
    if (!is_blocks && parts->tensors[W4_PART_WEIGHT] == NULL) {
        return w4_fail(fused->err, W4MOE_FORMAT,
                "tensor \"%s\" of all experts: no blocks or weight beside it",
                w4_show_string(any_part(parts)->name).text);
    }
    w4moe_status status =
            w4_parts_only(fused->err, parts, allowed | 1u << W4_PART_BIAS,
                    is_blocks ? w4_scheme_mxfp4.name : w4_scheme_float.name);
    if (status == W4MOE_OK) {
        status = check_bias(fused);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    return is_blocks ? resolve_blocks(fused) : resolve_weight(fused);
}

w4moe_status
w4_fused_resolve(struct w4_err *err, struct w4_weight *weights,
        const struct w4_fused_parts *parts,
        const struct w4_model_config *config)
{
    const struct w4_tensor *gate_up = any_part(&parts->gate_up);
    const struct w4_tensor *down = any_part(&parts->down);
    if (gate_up == NULL && down == NULL) {
        return W4MOE_OK;
    }
    if (gate_up == NULL || down == NULL) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is of all experts, but no tensor has %s of all",
                w4_show_string((gate_up != NULL ? gate_up : down)->name).text,
                gate_up != NULL ? "down" : "gate and up");
    }
    struct fused fused = {
            .err = err,
            .parts = &parts->gate_up,
            .config = config,
            .weights = weights,
            .first = W4_GATE,
            .last = W4_UP,
            .rows = 2 * config->intermediate_size,
            .columns = config->hidden_size,
    };
    w4moe_status status = resolve(&fused);
    if (status == W4MOE_OK) {
        fused.parts = &parts->down;
        fused.first = fused.last = W4_DOWN;
        fused.rows = config->hidden_size;
        fused.columns = config->intermediate_size;
        status = resolve(&fused);
    }
    return status;
}
