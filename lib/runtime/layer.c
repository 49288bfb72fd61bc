/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers: from a container or from matrices in memory. */
#include <stdlib.h>

#include "base/abi.h"
#include "kernel/kernel.h"
#include "runtime/backend.h"

/* What a layer needs of its two matrices together. */
static w4moe_status
check_shapes(struct w4_err *err, const w4moe_layer *layer)
{
    const w4moe_matrix *w13 = &layer->w13;
    const w4moe_matrix *w2 = &layer->w2;
    const char *name = w4moe_activation_name(layer->activation.kind);
    int gated = w4moe_activation_gated(layer->activation.kind);
    if ((w13->gated != 0) != gated || w2->gated != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "activation %s is %sgated, but w13.gated is %d and w2.gated %d",
                name, gated ? "" : "not ", w13->gated, w2->gated);
    }
    if (w13->n_experts != w2->n_experts || w13->n_in != w2->n_out ||
            w13->n_out != w2->n_in * (gated ? 2u : 1u)) {
        return w4_fail(err, W4MOE_INVALID,
                "w13 is %zu experts of %zu x %zu, w2 %zu of %zu x %zu (outputs "
                "x inputs): they do not fit with %s",
                w13->n_experts, w13->n_out, w13->n_in, w2->n_experts, w2->n_out,
                w2->n_in, name);
    }
    return W4MOE_OK;
}

/* Checks a layer whose fields are set but for the activation. */
static w4moe_status
check_layer(w4moe_layer *layer, const w4moe_activation *activation)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_status status = w4_matrix_check_data(err, &layer->w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_matrix_check_data(err, &layer->w2, "w2");
    }
    if (status == W4MOE_OK) {
        status = w4_activation_check(err, &layer->activation, activation);
    }
    return status == W4MOE_OK ? check_shapes(err, layer) : status;
}

w4moe_status
w4moe_layer_create(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_layer_desc *desc, unsigned flags)
{
    const unsigned known =
            W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES | W4MOE_LAYER_PREFAULT;
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_layer_desc own;
    w4moe_status status = w4_struct_in(
            err, &own, sizeof(own), sizeof(own), desc, "w4moe_layer_desc");
    if (status != W4MOE_OK) {
        return status;
    }
    if (ctx == NULL || layer_p == NULL || (flags & ~known) != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "layer: ctx %s, layer_p %s, flags %#x",
                ctx == NULL ? "NULL" : "given",
                layer_p == NULL ? "NULL" : "given", flags);
    }
    w4moe_layer *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a layer");
    }
    layer->ctx = ctx;
    layer->router = own.router;
    if (layer->router.struct_size == 0 &&
            layer->router.kind == W4MOE_ROUTER_NONE) {
        layer->router.struct_size = sizeof(layer->router);
    }
    status = w4_struct_in(err, &layer->w13, sizeof(layer->w13),
            sizeof(layer->w13), own.w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_struct_in(err, &layer->w2, sizeof(layer->w2),
                sizeof(layer->w2), own.w2, "w2");
    }
    if (status == W4MOE_OK) {
        status = check_layer(layer, &own.activation);
    }
    if (status == W4MOE_OK) {
        w4_matrix_sizes(&layer->w13_sizes, &layer->w13);
        w4_matrix_sizes(&layer->w2_sizes, &layer->w2);
        status = ctx->backend->ops->layer_open(layer, flags);
    }
    if (status != W4MOE_OK) {
        free(layer);
        return status;
    }
    *layer_p = layer;
    return W4MOE_OK;
}

w4moe_status
w4moe_layer_load(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_file *file, uint32_t layer, unsigned flags)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (ctx == NULL || layer_p == NULL || file == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "layer_load: ctx %s, layer_p %s, file %s",
                ctx == NULL ? "NULL" : "given",
                layer_p == NULL ? "NULL" : "given",
                file == NULL ? "NULL" : "given");
    }
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    w4moe_matrix w2 = {.struct_size = sizeof(w2)};
    w4moe_status status = w4moe_file_get_info(file, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &w13, layer, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &w2, layer, W4MOE_W2);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = info.activation,
            .router = info.router,
    };
    return w4moe_layer_create(ctx, layer_p, &desc, flags);
}

void
w4moe_layer_destroy(w4moe_layer *layer)
{
    if (layer != NULL) {
        layer->ctx->backend->ops->layer_close(layer);
        free(layer);
    }
}

/* Bytes of all arrays. */
static uint64_t
layer_bytes(const w4moe_layer *layer)
{
    w4moe_layer copy = *layer;
    struct w4_array arrays[W4_LAYER_ARRAYS];
    int n = w4_layer_arrays(arrays, &copy);
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += arrays[i].size;
    }
    return bytes;
}

w4moe_status
w4moe_layer_get_info(const w4moe_layer *layer, w4moe_layer_info *info)
{
    if (layer == NULL) {
        return W4MOE_INVALID;
    }
    w4moe_layer_info result = {
            .struct_size = sizeof(result),
            .n_experts = w4_layer_experts(layer),
            .hidden_size = w4_layer_hidden(layer),
            .intermediate_size = w4_layer_intermediate(layer),
            .activation = layer->activation,
            .router = layer->router,
            .bytes_per_expert = layer_bytes(layer) / w4_layer_experts(layer),
            .bytes_owned = layer->n_owned,
    };
    return w4_struct_out(w4_ctx_err(layer->ctx), info, &result, sizeof(result),
            sizeof(result), "w4moe_layer_info");
}
