/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What a rank does before it hears of others: checks, and choices. */
#include <string.h>

#include "call.h"

/* ---------------------------------------------------------------- arguments */

static w4moe_status
check_sizes(const struct w4_mpi_call *call)
{
    const w4moe_mpi_workspace *ws = call->ws;
    const w4moe_mpi_layer *layer = call->layer;
    const w4moe_forward_args *args = &call->args;
    const w4moe_ctx *ctx = call->mpi->ctx;
    if (ws->mpi != call->mpi || ws->n_experts != layer->n_experts ||
            ws->n_here < layer->n_here ||
            ws->hidden_size != layer->info.hidden_size ||
            ws->n_shared < layer->info.n_shared_experts) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: the workspace was made for %zu of %zu experts of "
                "hidden size %zu; the layer has %zu of %zu, %zu%s",
                ws->n_here, ws->n_experts, ws->hidden_size, layer->n_here,
                layer->n_experts, layer->info.hidden_size,
                ws->mpi != call->mpi ? " and is of other ranks" : "");
    }
    if (args->top_k == 0 || args->top_k > ws->top_k ||
            args->n_tokens > ws->max_tokens) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: %zu tokens of %zu experts each; the workspace is "
                "for %zu of %zu",
                args->n_tokens, args->top_k, ws->max_tokens, ws->top_k);
    }
    if (args->x_stride < ws->hidden_size ||
            args->out_stride < ws->hidden_size) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: x_stride %zu, out_stride %zu for rows of %zu",
                args->x_stride, args->out_stride, ws->hidden_size);
    }
    return W4MOE_OK;
}

static w4moe_status
check_kinds(const struct w4_mpi_call *call)
{
    const w4moe_forward_args *args = &call->args;
    const w4moe_ctx *ctx = call->mpi->ctx;
    const unsigned known = W4MOE_ROUTER_WEIGHT_ON_INPUT | W4MOE_HOST_IO |
                           W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE |
                           W4MOE_NO_SHARED;
    if ((args->dtype != W4MOE_BF16 && args->dtype != W4MOE_F16) ||
            (args->out_dtype != args->dtype && args->out_dtype != W4MOE_F32) ||
            (args->flags & ~known) != 0) {
        return w4_mpi_fail(ctx, W4MOE_UNSUPPORTED,
                "mpi_forward: activations of type %s (BF16 or F16), output of "
                "type %s (the same, or F32), flags %#x",
                w4moe_dtype_name(args->dtype),
                w4moe_dtype_name(args->out_dtype), args->flags);
    }
    if ((args->flags & W4MOE_HOST_IO) == 0 &&
            strcmp(call->layer->info.backend, "cpu") != 0) {
        return w4_mpi_fail(ctx, W4MOE_UNSUPPORTED,
                "mpi_forward: pointers in memory of backend %s; set "
                "W4MOE_HOST_IO and give host memory",
                call->layer->info.backend);
    }
    if (args->expert_map != NULL || args->n_experts_global != 0) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: an expert_map, or n_experts_global, which are "
                "the layer's");
    }
    return W4MOE_OK;
}

static w4moe_status
check_pointers(const struct w4_mpi_call *call)
{
    const w4moe_forward_args *args = &call->args;
    if (args->n_tokens == 0) {
        return W4MOE_OK;
    }
    if (args->x == NULL || args->out == NULL ||
            (args->ids == NULL) != (args->weights == NULL)) {
        return w4_mpi_fail(call->mpi->ctx, W4MOE_INVALID, "mpi_forward: %s",
                args->x == NULL     ? "x is NULL"
                : args->out == NULL ? "out is NULL"
                : args->ids == NULL ? "of ids and weights only weights is given"
                                    : "of ids and weights only ids is given");
    }
    return W4MOE_OK;
}

/* Takes the caller's arguments, with defaults. */
static w4moe_status
take_arguments(struct w4_mpi_call *call, const w4moe_forward_args *args)
{
    size_t hidden = call->ws->hidden_size;
    if (args == NULL || args->struct_size != sizeof(*args)) {
        return w4_mpi_fail(call->mpi->ctx, W4MOE_INVALID,
                "w4moe_forward_args: struct_size %zu, not %zu",
                args != NULL ? args->struct_size : 0, sizeof(*args));
    }
    call->args = *args;
    call->args.x_stride = args->x_stride != 0 ? args->x_stride : hidden;
    call->args.out_stride = args->out_stride != 0 ? args->out_stride : hidden;
    if (args->out_dtype == W4MOE_DTYPE_NONE) {
        call->args.out_dtype = args->dtype;
    }
    call->exact = (args->flags & W4MOE_BATCH_INVARIANT) != 0;
    w4moe_status status = check_sizes(call);
    if (status == W4MOE_OK) {
        status = check_kinds(call);
    }
    return status == W4MOE_OK ? check_pointers(call) : status;
}

/* ------------------------------------------------------------------ choices */

/* Chooses experts, as many tokens at a time as the local workspace takes. */
static w4moe_status
choose(struct w4_mpi_call *call)
{
    w4moe_mpi_workspace *ws = call->ws;
    const w4moe_forward_args *args = &call->args;
    size_t k = args->top_k;
    w4moe_status status = W4MOE_OK;
    for (size_t t = 0; t < args->n_tokens && status == W4MOE_OK;
            t += ws->capacity) {
        size_t left = args->n_tokens - t;
        w4moe_forward_args part = {
                .struct_size = sizeof(part),
                .x = w4_mpi_rows(args->x, t, args->x_stride, args->dtype),
                .x_stride = args->x_stride,
                .dtype = args->dtype,
                .n_tokens = left < ws->capacity ? left : ws->capacity,
                .top_k = k,
                .logits_dtype = args->logits_dtype,
                .flags = W4MOE_HOST_IO,
        };
        if (args->router_logits != NULL) {
            part.router_logits = w4_mpi_rows(
                    args->router_logits, t, ws->n_experts, args->logits_dtype);
        }
        status = w4moe_choose(call->layer->local, ws->local, ws->ids + t * k,
                ws->weights + t * k, &part);
    }
    call->args.ids = ws->ids;
    call->args.weights = ws->weights;
    if (call->layer->info.router.weight_on_input) {
        call->args.flags |= W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    return status;
}

static void
count_experts(const struct w4_mpi_call *call)
{
    int32_t *counts = call->args.expert_counts;
    if (counts == NULL) {
        return;
    }
    memset(counts, 0, call->ws->n_experts * sizeof(counts[0]));
    size_t n_slots = call->args.n_tokens * call->args.top_k;
    for (size_t slot = 0; slot < n_slots; slot++) {
        counts[call->args.ids[slot]]++;
    }
}

w4moe_status
w4_mpi_prepare(struct w4_mpi_call *call, const w4moe_forward_args *args)
{
    w4moe_status status = take_arguments(call, args);
    if (status == W4MOE_OK && call->args.n_tokens != 0 &&
            call->args.ids == NULL) {
        status = choose(call);
    }
    if (status == W4MOE_OK) {
        status = w4_mpi_plan(call);
    }
    if (status == W4MOE_OK) {
        count_experts(call);
    }
    return status;
}
