/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Checks of a compressed-tensors table. */
#include <inttypes.h>

#include "base/bytes.h"
#include "base/size.h"
#include "format/ct_table.h"

struct w4_ct_expected
w4_ct_expected_of(const struct w4_source *source, enum w4_projection projection)
{
    const w4moe_matrix *m = projection == W4_DOWN ? &source->w2 : &source->w13;
    struct w4_ct_expected e = {
            .n_out = projection == W4_DOWN ? m->n_out : m->n_out / 2,
            .n_in = m->n_in,
            .group_size = m->group_size,
            .scale_dtype = m->scale_dtype,
            .has_zero_points = source->has_zero_points,
    };
    return e;
}

static w4moe_status
check_tensor(struct w4_err *err, const struct w4_tensor *tensor,
        w4moe_dtype dtype, uint64_t rows, uint64_t columns)
{
    uint64_t second = tensor->n_dims > 1 ? tensor->shape[1] : 1;
    if (tensor->dtype != dtype || tensor->n_dims == 0 || tensor->n_dims > 2 ||
            tensor->shape[0] != rows || second != columns) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\" is %s of rank %" PRIu32 " [%" PRIu64
                ", %" PRIu64 "], expected %s [%" PRIu64 ", %" PRIu64 "]",
                tensor->name, tensor->dtype_name, tensor->n_dims,
                tensor->n_dims > 0 ? tensor->shape[0] : 1, second,
                w4moe_dtype_name(dtype), rows, columns);
    }
    return W4MOE_OK;
}

/* weight_shape holds the sizes before packing. */
static w4moe_status
check_shape(struct w4_err *err, const struct w4_tensor *tensor,
        const struct w4_ct_expected *e)
{
    if (tensor == NULL) {
        return W4MOE_OK;
    }
    if (tensor->n_bytes != 16 || tensor->dtype != W4MOE_I64) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\" is %s of %" PRIu64 " bytes, expected I64 "
                "[2]",
                tensor->name, tensor->dtype_name, tensor->n_bytes);
    }
    uint64_t rows = w4_load_le64(tensor->data);
    uint64_t columns = w4_load_le64((const char *)tensor->data + 8);
    if (rows != e->n_out || columns != e->n_in) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\" says [%" PRIu64 ", %" PRIu64
                "], expected [%zu, %zu]",
                tensor->name, rows, columns, e->n_out, e->n_in);
    }
    return W4MOE_OK;
}

static w4moe_status
check_weight(struct w4_err *err, const struct w4_ct_weight *weight,
        const struct w4_ct_expected *e)
{
    const struct w4_tensor *const *parts = weight->parts;
    if (parts[W4_CT_ZERO_POINT] != NULL && !e->has_zero_points) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\": zero points, but the first expert has none",
                parts[W4_CT_ZERO_POINT]->name);
    }
    uint64_t n_groups = w4_ceil_div(e->n_in, e->group_size);
    w4moe_status status = check_tensor(err, parts[W4_CT_PACKED], W4MOE_I32,
            e->n_out, e->n_in / W4_WORD_CODES);
    if (status == W4MOE_OK) {
        status = check_tensor(
                err, parts[W4_CT_SCALE], e->scale_dtype, e->n_out, n_groups);
    }
    if (status == W4MOE_OK && parts[W4_CT_ZERO_POINT] != NULL) {
        status = check_tensor(err, parts[W4_CT_ZERO_POINT], W4MOE_I32,
                w4_ceil_div(e->n_out, W4_WORD_ZEROS), n_groups);
    }
    if (status == W4MOE_OK && parts[W4_CT_G_IDX] != NULL) {
        status = check_tensor(err, parts[W4_CT_G_IDX], W4MOE_I32, e->n_in, 1);
    }
    return status == W4MOE_OK ? check_shape(err, parts[W4_CT_SHAPE], e)
                              : status;
}

/* Every expert has all it needs, of the expected shapes. */
static w4moe_status
check_weights(struct w4_err *err, const struct w4_source *source)
{
    for (size_t i = 0; i < source->n_layers; i++) {
        for (size_t expert = 0; expert < source->config.n_experts; expert++) {
            for (int p = 0; p < W4_N_PROJECTIONS; p++) {
                enum w4_projection projection = (enum w4_projection)p;
                const struct w4_ct_weight *weight =
                        w4_ct_weight_of(source, i, expert, projection);
                struct w4_ct_expected e = w4_ct_expected_of(source, projection);
                int part =
                        weight->parts[W4_CT_PACKED] == NULL  ? W4_CT_PACKED
                        : weight->parts[W4_CT_SCALE] == NULL ? W4_CT_SCALE
                        : e.has_zero_points &&
                                        weight->parts[W4_CT_ZERO_POINT] == NULL
                                ? W4_CT_ZERO_POINT
                                : W4_CT_N_PARTS;
                if (part != W4_CT_N_PARTS) {
                    return w4_fail(err, W4MOE_FORMAT,
                            "layer %" PRIu32 ", expert %zu, %s: no tensor %s",
                            source->layers[i].number, expert,
                            w4_projection_name(projection),
                            w4_ct_part_names[part]);
                }
                w4moe_status status = check_weight(err, weight, &e);
                if (status != W4MOE_OK) {
                    return status;
                }
            }
        }
    }
    return W4MOE_OK;
}

/* The matrices' descriptors, from the config and the first expert's scales. */
static w4moe_status
describe_matrices(struct w4_err *err, struct w4_source *source)
{
    const struct w4_model_config *config = &source->config;
    const struct w4_ct_weight *first = w4_ct_weight_of(source, 0, 0, W4_GATE);
    w4moe_matrix w13 = {
            .struct_size = sizeof(w13),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = 1,
            .n_out = 2 * config->intermediate_size,
            .n_in = config->hidden_size,
            .group_size = config->group_size,
            .gated = 1,
            .scale_dtype = first->parts[W4_CT_SCALE] != NULL
                                   ? first->parts[W4_CT_SCALE]->dtype
                                   : W4MOE_BF16,
    };
    w4moe_matrix w2 = w13;
    w2.n_out = config->hidden_size;
    w2.n_in = config->intermediate_size;
    w2.gated = 0;
    if (w13.group_size == 0 || w13.group_size > w13.n_in) {
        w13.group_size = w13.n_in;
    }
    if (w2.group_size == 0 || w2.group_size > w2.n_in) {
        w2.group_size = w2.n_in;
    }
    w4moe_status status = w4_matrix_check(err, &w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_matrix_check(err, &w2, "w2");
    }
    source->w13 = w13;
    source->w2 = w2;
    /* The tensors count; but where the config speaks of zero points, none must
     * be missing. */
    source->has_zero_points =
            first->parts[W4_CT_ZERO_POINT] != NULL || !config->symmetric;
    /* What is wrong is the checkpoint, not the caller's argument. */
    return status == W4MOE_INVALID ? W4MOE_FORMAT : status;
}

w4moe_status
w4_ct_table_check(struct w4_err *err, struct w4_source *source)
{
    w4moe_status status = describe_matrices(err, source);
    return status == W4MOE_OK ? check_weights(err, source) : status;
}
