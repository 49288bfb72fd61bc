/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The scheme compressed-tensors: packing an expert, and reading its weights
 * back from the checkpoint by another way. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/half.h"
#include "base/size.h"
#include "format/ct_table.h"

/* ------------------------------------------------------------------- orders */

static int
is_identity(const int32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (order[i] != (int32_t)i) {
            return 0;
        }
    }
    return 1;
}

/* Order of the columns of a weight; the identity without g_idx. */
static w4moe_status
read_order(const w4moe_ctx *ctx, const struct w4_source *source, size_t i,
        size_t expert, enum w4_projection projection, int32_t *order)
{
    const struct w4_tensor *g_idx =
            w4_ct_weight_of(source, i, expert, projection)->parts[W4_CT_G_IDX];
    struct w4_ct_expected e = w4_ct_expected_of(source, projection);
    if (g_idx != NULL) {
        return w4moe_ct_order(ctx, order, g_idx->data, e.n_in, e.group_size);
    }
    for (size_t k = 0; k < e.n_in; k++) {
        order[k] = (int32_t)k;
    }
    return W4MOE_OK;
}

/* Room for the orders of one expert. */
struct orders {
    int32_t *gate;
    int32_t *up;
    int32_t *down;
};

/* Reads the orders of an expert, and raises *n_perms to the permutations that
 * they need. */
static w4moe_status
read_expert(const w4moe_ctx *ctx, const struct w4_source *source, size_t i,
        size_t expert, const struct orders *orders, size_t *n_perms)
{
    size_t n_in = source->w13.n_in;
    w4moe_status status =
            read_order(ctx, source, i, expert, W4_GATE, orders->gate);
    if (status == W4MOE_OK) {
        status = read_order(ctx, source, i, expert, W4_UP, orders->up);
    }
    if (status == W4MOE_OK) {
        status = read_order(ctx, source, i, expert, W4_DOWN, orders->down);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (memcmp(orders->gate, orders->up, n_in * sizeof(int32_t)) != 0) {
        *n_perms = 2;
    } else if (*n_perms == 0 && !is_identity(orders->gate, n_in)) {
        *n_perms = 1;
    }
    return W4MOE_OK;
}

/* Every g_idx is read now, so that a wrong one is known before anything is
 * written. */
static w4moe_status
read_perms(const w4moe_ctx *ctx, struct w4_source *source)
{
    size_t hidden = source->w13.n_in;
    size_t n = 2 * hidden + source->w2.n_in;
    int32_t *room = malloc(n * sizeof(*room));
    if (room == NULL) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_NOMEM,
                "no memory for the order of %zu features", n);
    }
    const struct orders orders = {room, room + hidden, room + 2 * hidden};
    w4moe_status status = W4MOE_OK;
    for (size_t i = 0; i < source->n_layers && status == W4MOE_OK; i++) {
        struct w4_source_layer *layer = &source->layers[i];
        for (size_t expert = 0;
                expert < source->config.n_experts && status == W4MOE_OK;
                expert++) {
            status = read_expert(
                    ctx, source, i, expert, &orders, &layer->n_perms);
        }
    }
    free(room);
    return status;
}

/* --------------------------------------------------------------- operations */

static w4moe_status
ct_intermediate_order(const w4moe_ctx *ctx, const struct w4_source *source,
        size_t i, size_t expert, int32_t *order)
{
    return read_order(ctx, source, i, expert, W4_DOWN, order);
}

/* Packs one projection. */
static w4moe_status
pack_weight(const w4moe_ctx *ctx, const struct w4_source *source,
        const struct w4_ct_weight *weight, w4moe_matrix *dst,
        enum w4_projection projection, const int32_t *input_order,
        const int32_t *output_order)
{
    struct w4_ct_expected e = w4_ct_expected_of(source, projection);
    const struct w4_tensor *zero_point = weight->parts[W4_CT_ZERO_POINT];
    w4moe_ct_weight src = {
            .struct_size = sizeof(src),
            .n_out = e.n_out,
            .n_in = e.n_in,
            .group_size = e.group_size,
            .packed = weight->parts[W4_CT_PACKED]->data,
            .scale = weight->parts[W4_CT_SCALE]->data,
            .scale_dtype = e.scale_dtype,
            .zero_point = zero_point != NULL ? zero_point->data : NULL,
            .input_order =
                    is_identity(input_order, e.n_in) ? NULL : input_order,
            .output_order = output_order,
    };
    size_t first = projection == W4_UP ? e.n_out : 0;
    return w4moe_pack_ct(ctx, dst, &src, 0, first);
}

static w4moe_status
ct_pack(const w4moe_ctx *ctx, const struct w4_source *source, size_t i,
        size_t expert, w4moe_matrix *w13, w4moe_matrix *w2)
{
    size_t hidden = source->w13.n_in;
    size_t intermediate = source->w2.n_in;
    int32_t *gate = malloc((2 * hidden + intermediate) * sizeof(*gate));
    if (gate == NULL) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_NOMEM,
                "no memory for the order of %zu features", hidden);
    }
    int32_t *up = gate + hidden;
    int32_t *inner = up + hidden;
    w4moe_status status = read_order(ctx, source, i, expert, W4_GATE, gate);
    if (status == W4MOE_OK) {
        status = read_order(ctx, source, i, expert, W4_UP, up);
    }
    if (status == W4MOE_OK) {
        status = read_order(ctx, source, i, expert, W4_DOWN, inner);
    }
    const struct w4_ct_weight *weights =
            w4_ct_weight_of(source, i, expert, W4_GATE);
    if (status == W4MOE_OK) {
        status = pack_weight(
                ctx, source, &weights[W4_GATE], w13, W4_GATE, gate, inner);
    }
    if (status == W4MOE_OK) {
        status = pack_weight(
                ctx, source, &weights[W4_UP], w13, W4_UP, up, inner);
    }
    if (status == W4MOE_OK) {
        status = pack_weight(
                ctx, source, &weights[W4_DOWN], w2, W4_DOWN, inner, NULL);
    }
    if (status == W4MOE_OK && w13->perm != NULL) {
        memcpy(w13->perm, gate, w13->n_perms * hidden * sizeof(*gate));
    }
    free(gate);
    return status;
}

/* Zero point and scale of row n in a group, as the checkpoint has them. */
static void
read_group(const struct w4_ct_weight *weight, const struct w4_ct_expected *e,
        size_t n, size_t group, int *zero, float *scale)
{
    size_t n_groups = w4_ceil_div(e->n_in, e->group_size);
    const struct w4_tensor *zeros = weight->parts[W4_CT_ZERO_POINT];
    *zero = 8;
    if (zeros != NULL) {
        const char *words = zeros->data;
        uint32_t word = w4_load_le32(words + 4 * (n / 8 * n_groups + group));
        *zero = (int)(word >> 4 * (n % 8) & 15u);
    }
    size_t size = w4moe_dtype_size(e->scale_dtype);
    const char *scales = weight->parts[W4_CT_SCALE]->data;
    uint32_t value = 0;
    memcpy(&value, scales + (n * n_groups + group) * size, size);
    w4_swap_le(&value, size, 1);
    *scale = w4_load_float(&value, e->scale_dtype, 0);
}

/* Whether a weight's columns have groups of their own. */
static int
has_order(const struct w4_tensor *g_idx, size_t n_in)
{
    for (size_t k = 0; g_idx != NULL && k < n_in; k++) {
        if (w4_load_le32((const char *)g_idx->data + 4 * k) == UINT32_MAX) {
            return 0;
        }
    }
    return g_idx != NULL;
}

/* Straight from the definition: (code - zero) * scale, group by g_idx. */
static void
ct_read_row(const struct w4_source *source, size_t i, size_t expert,
        enum w4_projection projection, size_t n, float *row)
{
    const struct w4_ct_weight *weight =
            w4_ct_weight_of(source, i, expert, projection);
    struct w4_ct_expected e = w4_ct_expected_of(source, projection);
    const struct w4_tensor *g_idx = weight->parts[W4_CT_G_IDX];
    const unsigned char *codes = weight->parts[W4_CT_PACKED]->data;
    int ordered = has_order(g_idx, e.n_in);
    size_t step = ordered ? 1 : e.group_size;
    int zero;
    float scale;
    codes += n * (e.n_in / 2);
    for (size_t first = 0; first < e.n_in; first += step) {
        size_t group =
                ordered ? w4_load_le32((const char *)g_idx->data + 4 * first)
                        : first / e.group_size;
        size_t end = first + step < e.n_in ? first + step : e.n_in;
        read_group(weight, &e, n, group, &zero, &scale);
        for (size_t k = first; k < end; k++) {
            int code = codes[k / 2] >> 4 * (k % 2) & 15;
            row[k] = (float)(code - zero) * scale;
        }
    }
}

static const struct w4_source_ops ct_ops = {
        .pack = ct_pack,
        .read_row = ct_read_row,
        .intermediate_order = ct_intermediate_order,
        .close = w4_ct_table_free,
};

w4moe_status
w4_ct_source_open(const w4moe_ctx *ctx, struct w4_source *source)
{
    struct w4_err *err = w4_ctx_err(ctx);
    source->ops = &ct_ops;
    source->scheme = "compressed-tensors";
    w4moe_status status = w4_ct_table_build(err, source);
    if (status == W4MOE_OK) {
        status = w4_ct_table_check(err, source);
    }
    return status == W4MOE_OK ? read_perms(ctx, source) : status;
}
