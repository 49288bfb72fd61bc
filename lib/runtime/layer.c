/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers: what they are made of, and what is known of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/abi.h"
#include "kernel/kernel.h"
#include "route/router.h"
#include "runtime/backend.h"

/* What experts need of their two matrices together. */
static w4moe_status
check_shapes(struct w4_err *err, const struct w4_experts *experts,
        const w4moe_activation *activation, const char *which)
{
    const w4moe_matrix *w13 = &experts->w13;
    const w4moe_matrix *w2 = &experts->w2;
    const char *name = w4moe_activation_name(activation->kind);
    int gated = w4moe_activation_gated(activation->kind);
    if ((w13->gated != 0) != gated || w2->gated != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "activation %s is %sgated, but %sw13.gated is %d and "
                "%sw2.gated "
                "%d",
                name, gated ? "" : "not ", which, w13->gated, which, w2->gated);
    }
    if (w13->n_experts != w2->n_experts || w13->n_in != w2->n_out ||
            w13->n_out != w2->n_in * (gated ? 2u : 1u)) {
        return w4_fail(err, W4MOE_INVALID,
                "%sw13 is %zu experts of %zu x %zu, %sw2 %zu of %zu x %zu "
                "(outputs x inputs): they do not fit with %s",
                which, w13->n_experts, w13->n_out, w13->n_in, which,
                w2->n_experts, w2->n_out, w2->n_in, name);
    }
    return W4MOE_OK;
}

static w4moe_status
take_matrix(struct w4_err *err, w4moe_matrix *own, const w4moe_matrix *callers,
        const char *which, const char *name)
{
    char label[32];
    snprintf(label, sizeof(label), "%s%s", which, name);
    w4moe_status status =
            w4_struct_in(err, own, sizeof(*own), sizeof(*own), callers, label);
    return status == W4MOE_OK ? w4_matrix_check_data(err, own, label) : status;
}

/* Takes the two matrices of experts; `which` begins their names. */
static w4moe_status
take_experts(struct w4_err *err, struct w4_experts *experts,
        const w4moe_matrix *w13, const w4moe_matrix *w2,
        const w4moe_activation *activation, const char *which)
{
    w4moe_status status = take_matrix(err, &experts->w13, w13, which, "w13");
    if (status == W4MOE_OK) {
        status = take_matrix(err, &experts->w2, w2, which, "w2");
    }
    if (status == W4MOE_OK) {
        status = check_shapes(err, experts, activation, which);
    }
    if (status == W4MOE_OK) {
        w4_matrix_sizes(&experts->w13_sizes, &experts->w13);
        w4_matrix_sizes(&experts->w2_sizes, &experts->w2);
    }
    return status;
}

static w4moe_status
take_shared(w4moe_layer *layer, const w4moe_layer_desc *desc)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    if ((desc->shared_w13 == NULL) != (desc->shared_w2 == NULL) ||
            (desc->shared_w13 == NULL && desc->shared_gate != NULL)) {
        return w4_fail(err, W4MOE_INVALID,
                "layer: of shared experts only %s is given",
                desc->shared_w13 != NULL  ? "shared_w13"
                : desc->shared_w2 != NULL ? "shared_w2"
                                          : "shared_gate");
    }
    if (desc->shared_w13 == NULL) {
        return W4MOE_OK;
    }
    if (desc->shared_gate != NULL &&
            !w4_router_takes(desc->shared_gate_dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "layer: shared_gate of type %s (%d), not F32, F16 or BF16",
                w4moe_dtype_name(desc->shared_gate_dtype),
                (int)desc->shared_gate_dtype);
    }
    if (!isfinite(desc->shared_scale)) {
        return w4_fail(err, W4MOE_INVALID, "layer: shared_scale is %g",
                (double)desc->shared_scale);
    }
    w4moe_status status = take_experts(err, &layer->shared, desc->shared_w13,
            desc->shared_w2, &layer->activation, "shared_");
    size_t hidden = w4_layer_hidden(layer);
    if (status == W4MOE_OK && layer->shared.w13.n_in != hidden) {
        status = w4_fail(err, W4MOE_INVALID,
                "layer: the shared experts have %zu inputs, the others %zu",
                layer->shared.w13.n_in, hidden);
    }
    layer->shared_gate = desc->shared_gate;
    layer->shared_gate_dtype = desc->shared_gate_dtype;
    layer->shared_scale =
            desc->shared_scale != 0.0f ? desc->shared_scale : 1.0f;
    return status;
}

/* Which of the model's experts are here, and who chooses among them. */
static w4moe_status
take_router(w4moe_layer *layer, const w4moe_layer_desc *desc)
{
    static const w4moe_router none = {.struct_size = sizeof(none)};
    struct w4_err *err = w4_ctx_err(layer->ctx);
    size_t n_here = w4_layer_experts(layer);
    size_t n_global =
            desc->n_experts_global != 0 ? desc->n_experts_global : n_here;
    if (n_global > INT32_MAX || desc->first_expert > n_global ||
            n_here > n_global - desc->first_expert) {
        return w4_fail(err, W4MOE_INVALID,
                "layer: %zu experts from %zu on, of %zu", n_here,
                desc->first_expert, n_global);
    }
    layer->first_expert = desc->first_expert;
    layer->n_experts_global = n_global;
    int is_none = desc->router.struct_size == 0 &&
                  desc->router.kind == W4MOE_ROUTER_NONE;
    w4moe_status status = w4_router_check(
            err, &layer->router, is_none ? &none : &desc->router);
    int has_arrays = layer->router.weight != NULL ||
                     layer->router.correction_bias != NULL;
    if (status == W4MOE_OK && has_arrays &&
            n_global > W4MOE_ROUTE_EXPERTS_MAX) {
        status = w4_fail(err, W4MOE_UNSUPPORTED,
                "layer: a router of %zu experts, at most %d", n_global,
                W4MOE_ROUTE_EXPERTS_MAX);
    }
    return status;
}

static w4moe_status
take_all(w4moe_layer *layer, const w4moe_layer_desc *desc)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_status status =
            w4_activation_check(err, &layer->activation, &desc->activation);
    if (status == W4MOE_OK) {
        status = take_experts(err, &layer->routed, desc->w13, desc->w2,
                &layer->activation, "");
    }
    if (status == W4MOE_OK) {
        status = take_router(layer, desc);
    }
    return status == W4MOE_OK ? take_shared(layer, desc) : status;
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
    status = take_all(layer, &own);
    if (status == W4MOE_OK) {
        status = ctx->backend->ops->layer_open(layer, flags);
    }
    if (status != W4MOE_OK) {
        free(layer);
        return status;
    }
    *layer_p = layer;
    return W4MOE_OK;
}

void
w4moe_layer_destroy(w4moe_layer *layer)
{
    if (layer != NULL) {
        layer->ctx->backend->ops->layer_close(layer);
        w4_mem_free(w4_ctx_mem(layer->ctx), layer->gathered, layer->n_gathered);
        free(layer);
    }
}

/* Bytes of all arrays of experts. */
static uint64_t
experts_bytes(const struct w4_experts *experts)
{
    struct w4_experts copy = *experts;
    struct w4_array arrays[W4_EXPERTS_ARRAYS];
    int n = w4_experts_arrays(arrays, &copy);
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
            .bytes_per_expert =
                    experts_bytes(&layer->routed) / w4_layer_experts(layer),
            .bytes_owned = layer->n_owned + layer->n_gathered,
            .first_expert = layer->first_expert,
            .n_experts_global = layer->n_experts_global,
            .n_shared_experts = w4_layer_shared(layer),
            .shared_intermediate_size = w4_layer_shared_intermediate(layer),
            .has_router_weight = layer->router.weight != NULL,
            .device = layer->ctx->device,
            .backend = layer->ctx->backend->ops->name,
            .ctx = layer->ctx,
    };
    w4_router_drop_arrays(&result.router);
    return w4_struct_out(w4_ctx_err(layer->ctx), info, &result, sizeof(result),
            sizeof(result), "w4moe_layer_info");
}
