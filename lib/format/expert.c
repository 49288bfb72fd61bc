/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* One expert of a source: the orders of its features, and packing it. */
#include <stdlib.h>
#include <string.h>

#include "format/source.h"

/* ------------------------------------------------------------------- orders */

w4moe_status
w4_orders_make(struct w4_err *err, struct w4_orders *orders,
        const struct w4_source *source)
{
    size_t hidden = source->w13.n_in;
    size_t n = 2 * hidden + source->w2.n_in;
    memset(orders, 0, sizeof(*orders));
    orders->memory = calloc(n, sizeof(int32_t));
    if (orders->memory == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "no memory for the order of %zu features", n);
    }
    orders->gate.features = orders->memory;
    orders->up.features = orders->gate.features + hidden;
    orders->inner.features = orders->up.features + hidden;
    return W4MOE_OK;
}

void
w4_orders_free(struct w4_orders *orders)
{
    free(orders->memory);
    memset(orders, 0, sizeof(*orders));
}

/* Whether the columns of a weight are in any order but their own. */
static int
has_order(const struct w4_weight *weight)
{
    return weight->g_idx != NULL || weight->packed_order != NULL;
}

/* Order of the columns of a weight. */
static w4moe_status
read_order(const w4moe_ctx *ctx, const struct w4_weight *weight,
        struct w4_order *order)
{
    order->columns = weight->g_idx != NULL ? order->features : NULL;
    if (weight->g_idx != NULL) {
        return w4moe_ct_order(ctx, order->features, weight->g_idx, weight->n_in,
                weight->group_size);
    }
    for (size_t k = 0; k < weight->n_in; k++) {
        order->features[k] = weight->packed_order != NULL
                                     ? weight->packed_order[k]
                                     : (int32_t)k;
    }
    return W4MOE_OK;
}

w4moe_status
w4_orders_read(const w4moe_ctx *ctx, struct w4_orders *orders,
        const struct w4_source *source, size_t i, size_t expert)
{
    const struct w4_weight *weights =
            w4_source_weight(source, i, expert, W4_GATE);
    w4moe_status status = read_order(ctx, &weights[W4_GATE], &orders->gate);
    if (status == W4MOE_OK) {
        status = read_order(ctx, &weights[W4_UP], &orders->up);
    }
    if (status == W4MOE_OK) {
        status = read_order(ctx, &weights[W4_DOWN], &orders->inner);
    }
    return status;
}

/* Permutations that w13 needs for the orders of an expert. */
static size_t
perms_needed(const struct w4_weight *weights, const struct w4_orders *orders)
{
    size_t n = weights[W4_GATE].n_in * sizeof(int32_t);
    if (!has_order(&weights[W4_GATE]) && !has_order(&weights[W4_UP])) {
        return 0;
    }
    return memcmp(orders->gate.features, orders->up.features, n) == 0 ? 1 : 2;
}

w4moe_status
w4_source_read_orders(const w4moe_ctx *ctx, struct w4_source *source)
{
    struct w4_orders orders;
    w4moe_status status = w4_orders_make(w4_ctx_err(ctx), &orders, source);
    for (size_t i = 0; i < source->n_layers && status == W4MOE_OK; i++) {
        for (size_t expert = 0;
                expert < source->config.n_experts && status == W4MOE_OK;
                expert++) {
            const struct w4_weight *weights =
                    w4_source_weight(source, i, expert, W4_GATE);
            if (!has_order(&weights[W4_GATE]) && !has_order(&weights[W4_UP]) &&
                    !has_order(&weights[W4_DOWN])) {
                continue;
            }
            status = w4_orders_read(ctx, &orders, source, i, expert);
            if (status == W4MOE_OK) {
                size_t n = perms_needed(weights, &orders);
                struct w4_source_layer *layer = &source->layers[i];
                layer->n_perms = n > layer->n_perms ? n : layer->n_perms;
            }
        }
    }
    w4_orders_free(&orders);
    return status;
}

/* ------------------------------------------------------------------ packing */

/* Packs one projection. */
static w4moe_status
pack_projection(const w4moe_ctx *ctx, const struct w4_weight *weight,
        const w4moe_matrix *matrix, size_t first_out,
        const int32_t *input_order, const int32_t *output_order,
        struct w4_rows *rows)
{
    struct w4_pack_target target = {
            .matrix = matrix,
            .first_out = first_out,
            .input_order = input_order,
            .output_order = output_order,
    };
    return w4_pack_weight(w4_ctx_err(ctx), &target, weight, rows);
}

static void
clear_bias(const w4moe_matrix *matrix)
{
    if (matrix->bias != NULL) {
        size_t size = w4moe_dtype_size(matrix->bias_dtype);
        memset(matrix->bias, 0, matrix->n_out * size);
    }
}

w4moe_status
w4_source_pack(const w4moe_ctx *ctx, const struct w4_source *source, size_t i,
        size_t expert, const w4moe_matrix *w13, const w4moe_matrix *w2,
        struct w4_orders *orders, struct w4_rows *rows)
{
    const struct w4_weight *weights =
            w4_source_weight(source, i, expert, W4_GATE);
    size_t hidden = w13->n_in;
    w4moe_status status = w4_orders_read(ctx, orders, source, i, expert);
    if (status != W4MOE_OK) {
        return status;
    }
    const int32_t *gate = orders->gate.columns;
    const int32_t *up = orders->up.columns;
    const int32_t *inner = orders->inner.columns;
    clear_bias(w13);
    clear_bias(w2);
    status = pack_projection(ctx, &weights[W4_GATE], w13, 0, gate, inner, rows);
    if (status == W4MOE_OK) {
        status = pack_projection(
                ctx, &weights[W4_UP], w13, w13->n_out / 2, up, inner, rows);
    }
    if (status == W4MOE_OK) {
        status = pack_projection(
                ctx, &weights[W4_DOWN], w2, 0, inner, NULL, rows);
    }
    if (status == W4MOE_OK && w13->perm != NULL) {
        memcpy(w13->perm, orders->gate.features,
                w13->n_perms * hidden * sizeof(*w13->perm));
    }
    return status;
}
