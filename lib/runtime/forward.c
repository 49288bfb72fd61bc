/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The forward call: what can be checked before the backend takes over. */
#include "base/abi.h"
#include "base/size.h"
#include "route/router.h"
#include "runtime/backend.h"

static int
is_half(w4moe_dtype dtype)
{
    return dtype == W4MOE_BF16 || dtype == W4MOE_F16;
}

static w4moe_status
check_pointers(struct w4_err *err, const w4moe_layer *layer,
        const w4moe_forward_args *args)
{
    const char *missing = args->out == NULL ? "out"
                          : args->x == NULL ? "x"
                                            : NULL;
    if (missing != NULL) {
        return w4_fail(err, W4MOE_INVALID, "forward: %s is NULL", missing);
    }
    if ((args->ids == NULL) != (args->weights == NULL)) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: of ids and weights only %s is given",
                args->ids != NULL ? "ids" : "weights");
    }
    if (layer->is_list && args->expert_map == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: the layer's experts do not follow each other, and "
                "there is no expert_map");
    }
    return W4MOE_OK;
}

/* Where experts and weights come from, if they are not given. */
static w4moe_status
check_router(struct w4_err *err, const w4moe_layer *layer,
        const w4moe_workspace *ws, const w4moe_forward_args *args)
{
    const w4moe_router *router = &layer->router;
    int given = args->router_logits != NULL;
    if (args->ids != NULL) {
        return W4MOE_OK;
    }
    if (!given && router->weight == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: neither ids and weights nor router_logits are given, "
                "and the layer has no router weight");
    }
    if (args->n_experts_global != layer->n_experts_global &&
            (!given || router->correction_bias != NULL)) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: %zu experts globally, the layer's router has %zu",
                args->n_experts_global, layer->n_experts_global);
    }
    if (!given && args->n_experts_global > ws->n_logits) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: the workspace was made for logits of %zu experts; "
                "the layer's router has %zu",
                ws->n_logits, args->n_experts_global);
    }
    return w4_router_check_call(err, router, args->n_experts_global,
            args->top_k, given ? args->logits_dtype : W4MOE_F32);
}

static w4moe_status
check_shared(struct w4_err *err, const w4moe_layer *layer,
        const w4moe_workspace *ws, const w4moe_forward_args *args)
{
    size_t n = w4_layer_shared(layer);
    size_t intermediate = w4_layer_shared_intermediate(layer);
    if ((args->flags & W4MOE_NO_SHARED) == 0 &&
            (n > ws->n_shared || intermediate > ws->shared_intermediate)) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: the workspace was made for %zu shared experts of "
                "intermediate size %zu; the layer has %zu of %zu",
                ws->n_shared, ws->shared_intermediate, n, intermediate);
    }
    return W4MOE_OK;
}

static w4moe_status
check_sizes(struct w4_err *err, const w4moe_layer *layer,
        const w4moe_workspace *ws, const w4moe_forward_args *args)
{
    size_t hidden = w4_layer_hidden(layer);
    size_t experts = w4_layer_experts(layer);
    size_t intermediate = w4_layer_intermediate(layer);
    if (args->top_k == 0 || args->top_k > ws->top_k ||
            args->n_tokens > ws->max_tokens) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: %zu tokens of %zu experts each; the workspace is for "
                "%zu of %zu",
                args->n_tokens, args->top_k, ws->max_tokens, ws->top_k);
    }
    if (hidden > ws->hidden_size || intermediate > ws->intermediate_size ||
            experts > ws->n_experts || ws->ctx != layer->ctx) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: the workspace was made for %zu experts of hidden "
                "size %zu and intermediate size %zu; the layer has %zu, %zu, "
                "%zu%s",
                ws->n_experts, ws->hidden_size, ws->intermediate_size, experts,
                hidden, intermediate,
                ws->ctx != layer->ctx ? " and is of another context" : "");
    }
    if (args->x_stride < hidden || args->out_stride < hidden ||
            args->x_stride > PTRDIFF_MAX / 4 / args->n_tokens ||
            args->out_stride > PTRDIFF_MAX / 4 / args->n_tokens) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: x_stride %zu, out_stride %zu for rows of %zu",
                args->x_stride, args->out_stride, hidden);
    }
    if (args->n_experts_global > INT32_MAX ||
            (args->expert_map == NULL &&
                    args->n_experts_global != layer->n_experts_global)) {
        return w4_fail(err, W4MOE_INVALID,
                "forward: %zu experts globally, the layer's are of %zu, %s",
                args->n_experts_global, layer->n_experts_global,
                args->expert_map == NULL ? "no expert_map"
                                         : "with an expert_map");
    }
    return W4MOE_OK;
}

static w4moe_status
check_types(struct w4_err *err, const w4moe_forward_args *args)
{
    unsigned known = W4MOE_ROUTER_WEIGHT_ON_INPUT | W4MOE_HOST_IO |
                     W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE | W4MOE_NO_SHARED;
    if (!is_half(args->dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "forward: activations of type %s (BF16 or F16)",
                w4moe_dtype_name(args->dtype));
    }
    if (args->out_dtype != args->dtype && args->out_dtype != W4MOE_F32) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "forward: activations of type %s, output of type %s (the same, "
                "or F32)",
                w4moe_dtype_name(args->dtype),
                w4moe_dtype_name(args->out_dtype));
    }
    if ((args->flags & ~known) != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "forward: unknown flags %#x",
                args->flags & ~known);
    }
    return W4MOE_OK;
}

/* Takes the arguments of a call in, with defaults. n_tokens is 0 in *own if
 * there is nothing to do. */
static w4moe_status
take_arguments(const w4moe_layer *layer, const w4moe_workspace *ws,
        w4moe_forward_args *own, const w4moe_forward_args *args)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_status status = w4_struct_in(
            err, own, sizeof(*own), sizeof(*own), args, "w4moe_forward_args");
    if (status != W4MOE_OK || own->n_tokens == 0) {
        return status;
    }
    if (ws == NULL) {
        return w4_fail(err, W4MOE_INVALID, "forward: the workspace is NULL");
    }
    size_t hidden = w4_layer_hidden(layer);
    own->x_stride = own->x_stride != 0 ? own->x_stride : hidden;
    own->out_stride = own->out_stride != 0 ? own->out_stride : hidden;
    if (own->out_dtype == W4MOE_DTYPE_NONE) {
        own->out_dtype = own->dtype;
    }
    if (own->ids == NULL && layer->router.weight_on_input) {
        own->flags |= W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    if (own->n_experts_global == 0) {
        own->n_experts_global = layer->n_experts_global;
    }
    return W4MOE_OK;
}

/* Checks what forward calls and choices have in common. */
static w4moe_status
check_call(const w4moe_layer *layer, const w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_status status = check_types(err, args);
    if (status == W4MOE_OK) {
        status = check_sizes(err, layer, ws, args);
    }
    return status == W4MOE_OK ? check_router(err, layer, ws, args) : status;
}

w4moe_status
w4moe_forward(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    if (layer == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_forward_args own;
    w4moe_status status = take_arguments(layer, ws, &own, args);
    if (status != W4MOE_OK || own.n_tokens == 0) {
        return status;
    }
    status = check_pointers(err, layer, &own);
    if (status == W4MOE_OK) {
        status = check_call(layer, ws, &own);
    }
    if (status == W4MOE_OK) {
        status = check_shared(err, layer, ws, &own);
    }
    return status == W4MOE_OK
                   ? layer->ctx->backend->ops->forward(layer, ws, &own)
                   : status;
}

w4moe_status
w4moe_choose(const w4moe_layer *layer, w4moe_workspace *ws, int32_t *ids,
        float *weights, const w4moe_forward_args *args)
{
    if (layer == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_forward_args own;
    w4moe_status status = take_arguments(layer, ws, &own, args);
    if (status != W4MOE_OK || own.n_tokens == 0) {
        return status;
    }
    if (ids == NULL || weights == NULL || own.x == NULL) {
        return w4_fail(err, W4MOE_INVALID, "choose: %s is NULL",
                ids == NULL       ? "ids"
                : weights == NULL ? "weights"
                                  : "x");
    }
    if (own.ids != NULL || own.weights != NULL || own.out != NULL ||
            own.expert_counts != NULL) {
        return w4_fail(err, W4MOE_INVALID, "choose: args has %s",
                own.ids != NULL       ? "ids"
                : own.weights != NULL ? "weights"
                : own.out != NULL     ? "out"
                                      : "expert_counts");
    }
    status = check_call(layer, ws, &own);
    return status == W4MOE_OK ? layer->ctx->backend->ops->choose(
                                        layer, ws, ids, weights, &own)
                              : status;
}
