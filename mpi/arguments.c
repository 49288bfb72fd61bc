/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What a rank does before it hears of others: checks, and choices. */
#include <string.h>

#include "place.h"

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
            ws->n_shared < layer->info.n_shared_experts ||
            ws->shared_intermediate < layer->info.shared_intermediate_size) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: the workspace was made for %zu of %zu experts of "
                "hidden size %zu, %zu shared ones of %zu; the layer has %zu of "
                "%zu, %zu, %zu, %zu%s",
                ws->n_here, ws->n_experts, ws->hidden_size, ws->n_shared,
                ws->shared_intermediate, layer->n_here, layer->n_experts,
                layer->info.hidden_size, layer->info.n_shared_experts,
                layer->info.shared_intermediate_size,
                ws->mpi != call->mpi ? " and is of other ranks" : "");
    }
    if (args->top_k == 0 || args->top_k > ws->top_k ||
            args->n_tokens > ws->max_tokens) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_forward: %zu tokens of %zu experts each; the workspace is "
                "for %zu of %zu",
                args->n_tokens, args->top_k, ws->max_tokens, ws->top_k);
    }
    size_t most = PTRDIFF_MAX / 4 / (args->n_tokens + 1);
    if (args->x_stride < ws->hidden_size ||
            args->out_stride < ws->hidden_size || args->x_stride > most ||
            args->out_stride > most) {
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
    if (args->stream != NULL && strcmp(call->layer->info.backend, "cpu") == 0) {
        return w4_mpi_fail(
                ctx, W4MOE_INVALID, "mpi_forward: backend cpu has no streams");
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
    w4moe_forward_args *own = &call->args;
    w4moe_status status = w4_mpi_struct_in(
            call->mpi->ctx, own, sizeof(*own), args, "w4moe_forward_args");
    if (status != W4MOE_OK) {
        return status;
    }
    own->x_stride = own->x_stride != 0 ? own->x_stride : hidden;
    own->out_stride = own->out_stride != 0 ? own->out_stride : hidden;
    if (own->out_dtype == W4MOE_DTYPE_NONE) {
        own->out_dtype = own->dtype;
    }
    if (own->n_tokens == 0) {
        /* It is as the ranks with tokens say. */
        own->flags &= ~(unsigned)W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    call->exact = (own->flags & W4MOE_BATCH_INVARIANT) != 0;
    status = check_sizes(call);
    if (status == W4MOE_OK) {
        status = check_kinds(call);
    }
    w4_mpi_find_places(call);
    return status == W4MOE_OK ? check_pointers(call) : status;
}

/* ------------------------------------------------------------------ choices */

/* Takes n of the choices' ids and weights to host memory, from slot `first`
 * on. */
static w4moe_status
fetch_choices(const struct w4_mpi_call *call, size_t first, const int32_t *ids,
        const float *weights, size_t n)
{
    w4moe_mpi_workspace *ws = call->ws;
    w4moe_status status =
            w4_mpi_copy(call, ws->ids + first, ids, n * sizeof(ids[0]));
    return status == W4MOE_OK ? w4_mpi_copy(call, ws->weights + first, weights,
                                        n * sizeof(weights[0]))
                              : status;
}

/* Chooses experts for n tokens from token t on. */
static w4moe_status
choose_some(const struct w4_mpi_call *call, size_t t, size_t n)
{
    w4moe_mpi_workspace *ws = call->ws;
    const w4moe_forward_args *args = &call->args;
    size_t first = t * args->top_k;
    int on_device = w4_mpi_on_device(call);
    int32_t *ids = on_device ? call->place->local_ids : ws->ids + first;
    float *weights =
            on_device ? call->place->local_weights : ws->weights + first;
    w4moe_forward_args part = {
            .struct_size = sizeof(part),
            .x = w4_mpi_rows(args->x, t, args->x_stride, args->dtype),
            .x_stride = args->x_stride,
            .dtype = args->dtype,
            .n_tokens = n,
            .top_k = args->top_k,
            .logits_dtype = args->logits_dtype,
            .flags = w4_mpi_host_flag(call),
            .stream = call->stream,
    };
    if (args->router_logits != NULL) {
        part.router_logits = w4_mpi_rows(
                args->router_logits, t, ws->n_experts, args->logits_dtype);
    }
    w4moe_status status =
            w4moe_choose(call->layer->local, ws->local, ids, weights, &part);
    return status == W4MOE_OK
                   ? fetch_choices(call, first, ids, weights, n * args->top_k)
                   : status;
}

/* Chooses experts, as many tokens at a time as the local workspace takes. */
static w4moe_status
choose(struct w4_mpi_call *call)
{
    w4moe_mpi_workspace *ws = call->ws;
    size_t n_tokens = call->args.n_tokens;
    w4moe_status status = W4MOE_OK;
    for (size_t t = 0; t < n_tokens && status == W4MOE_OK; t += ws->capacity) {
        size_t left = n_tokens - t;
        status =
                choose_some(call, t, left < ws->capacity ? left : ws->capacity);
    }
    call->args.ids = ws->ids;
    call->args.weights = ws->weights;
    if (call->layer->info.router.weight_on_input) {
        call->args.flags |= W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    return status;
}

/* Has the choices in host memory. */
static w4moe_status
take_choices(struct w4_mpi_call *call)
{
    w4moe_forward_args *args = &call->args;
    if (args->n_tokens == 0) {
        return W4MOE_OK;
    }
    if (args->ids == NULL) {
        return choose(call);
    }
    if (!w4_mpi_on_device(call)) {
        return W4MOE_OK;
    }
    w4moe_status status = fetch_choices(
            call, 0, args->ids, args->weights, args->n_tokens * args->top_k);
    args->ids = call->ws->ids;
    args->weights = call->ws->weights;
    return status;
}

static w4moe_status
count_experts(const struct w4_mpi_call *call)
{
    int32_t *callers = call->args.expert_counts;
    int32_t *counts =
            w4_mpi_on_device(call) ? call->ws->expert_counts : callers;
    size_t n_bytes = call->ws->n_experts * sizeof(counts[0]);
    if (callers == NULL || call->args.n_tokens == 0) {
        return W4MOE_OK;
    }
    memset(counts, 0, n_bytes);
    size_t n_slots = call->args.n_tokens * call->args.top_k;
    for (size_t slot = 0; slot < n_slots; slot++) {
        counts[call->args.ids[slot]]++;
    }
    return w4_mpi_copy(call, callers, counts, n_bytes);
}

/* Takes the plan to the caller's place. */
static w4moe_status
place_plan(const struct w4_mpi_call *call)
{
    const w4moe_mpi_workspace *ws = call->ws;
    size_t n_tokens = call->args.n_tokens;
    w4moe_status status = w4_mpi_copy(call, call->place->row_tokens,
            ws->host.row_tokens, n_tokens * ws->fan * sizeof(int32_t));
    return status == W4MOE_OK
                   ? w4_mpi_copy(call, call->place->result_rows,
                             ws->host.result_rows,
                             n_tokens * call->args.top_k * sizeof(int32_t))
                   : status;
}

w4moe_status
w4_mpi_prepare(struct w4_mpi_call *call, const w4moe_forward_args *args)
{
    w4moe_status status = take_arguments(call, args);
    if (status == W4MOE_OK) {
        status = take_choices(call);
    }
    if (status == W4MOE_OK) {
        status = w4_mpi_plan(call);
    }
    if (status == W4MOE_OK) {
        status = place_plan(call);
    }
    return status == W4MOE_OK ? count_experts(call) : status;
}
