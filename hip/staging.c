/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A call's arrays from host memory to the device, and back. */
#include <inttypes.h>

#include "call.h"

/* Rows of H elements of the call's tokens. */
static struct w4_gpu_rows
token_rows(const struct w4_gpu_call *call, const void *first, size_t stride,
        w4moe_dtype dtype)
{
    uint64_t size = w4moe_dtype_size(dtype);
    return (struct w4_gpu_rows){
            .first = (char *)(uintptr_t)first,
            .n = call->args.n_tokens,
            .n_bytes = w4_layer_hidden(call->layer) * size,
            .stride = stride * size,
    };
}

/* Rows whose place is then that of their copy. */
static w4moe_status
stage_rows(struct w4_gpu_call *call, const void **from, size_t *stride,
        w4moe_dtype dtype, uint64_t place)
{
    struct w4_gpu_rows rows = token_rows(call, *from, *stride, dtype);
    *from = w4_gpu_at(call, place);
    *stride = w4_layer_hidden(call->layer);
    return w4_gpu_put(&call->transfer, w4_gpu_at(call, place), &rows);
}

/* The same for an array, which may be NULL. */
static w4moe_status
stage(struct w4_gpu_call *call, const void **from, uint64_t place,
        uint64_t size)
{
    struct w4_gpu_rows rows = {
            .first = (char *)(uintptr_t)*from,
            .n = 1,
            .n_bytes = size,
    };
    if (*from == NULL) {
        return W4MOE_OK;
    }
    *from = w4_gpu_at(call, place);
    return w4_gpu_put(&call->transfer, w4_gpu_at(call, place), &rows);
}

/* Whether there is room for what depends on the number of experts. */
static w4moe_status
check_staged(const struct w4_gpu_call *call)
{
    const w4moe_forward_args *args = &call->args;
    const char *what = args->expert_map != NULL      ? "a map"
                       : args->expert_counts != NULL ? "counts"
                                                     : NULL;
    if (what != NULL && args->n_experts_global > W4_GPU_EXPERTS_MAX) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: %s of %zu experts; from host memory at most %d", what,
                args->n_experts_global, W4_GPU_EXPERTS_MAX);
    }
    if (args->ids == NULL &&
            args->n_experts_global > call->ws->staged_experts) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: logits of %zu experts; from host memory this "
                "workspace takes those of %" PRIu64,
                args->n_experts_global, call->ws->staged_experts);
    }
    return W4MOE_OK;
}

/* x, and out if it is read; neither to choose by logits. */
static w4moe_status
stage_tokens(struct w4_gpu_call *call)
{
    w4moe_forward_args *args = &call->args;
    if (call->chosen_ids != NULL && args->router_logits != NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = stage_rows(
            call, &args->x, &args->x_stride, args->dtype, call->ws->x);
    if (status == W4MOE_OK && (args->flags & W4MOE_ACCUMULATE) != 0) {
        const void *out = args->out;
        status = stage_rows(
                call, &out, &args->out_stride, args->out_dtype, call->ws->out);
    }
    args->out = w4_gpu_at(call, call->ws->out);
    args->out_stride = w4_layer_hidden(call->layer);
    return status;
}

w4moe_status
w4_gpu_stage(struct w4_gpu_call *call)
{
    w4moe_forward_args *args = &call->args;
    const struct w4_gpu_workspace *own = call->ws;
    const void *ids = args->ids;
    const void *weights = args->weights;
    const void *map = args->expert_map;
    const void *logits = ids == NULL ? args->router_logits : NULL;
    uint64_t n_logits = (uint64_t)args->n_tokens * args->n_experts_global;
    w4moe_status status = check_staged(call);
    if (status == W4MOE_OK) {
        status = stage_tokens(call);
    }
    if (status == W4MOE_OK) {
        status = stage(call, &ids, own->ids, call->n_slots * UINT64_C(4));
    }
    if (status == W4MOE_OK) {
        status = stage(
                call, &weights, own->weights, call->n_slots * UINT64_C(4));
    }
    if (status == W4MOE_OK) {
        status = stage(call, &map, own->expert_map,
                args->n_experts_global * UINT64_C(4));
    }
    if (status == W4MOE_OK) {
        status = stage(call, &logits, own->logits,
                n_logits * w4moe_dtype_size(args->logits_dtype));
    }
    args->ids = ids;
    args->weights = weights;
    args->expert_map = map;
    args->router_logits = logits;
    if (args->expert_counts != NULL) {
        args->expert_counts = w4_gpu_at(call, own->counts);
    }
    return status;
}

w4moe_status
w4_gpu_return(struct w4_gpu_call *call, const w4moe_forward_args *callers)
{
    struct w4_gpu_rows rows = token_rows(
            call, callers->out, callers->out_stride, callers->out_dtype);
    struct w4_gpu_rows counts = {
            .first = (char *)callers->expert_counts,
            .n = callers->expert_counts != NULL,
            .n_bytes = call->args.n_experts_global * UINT64_C(4),
    };
    w4moe_status status = w4_gpu_get(&call->transfer, &rows, call->args.out);
    return status == W4MOE_OK ? w4_gpu_get(&call->transfer, &counts,
                                        call->args.expert_counts)
                              : status;
}

w4moe_status
w4_gpu_return_choice(struct w4_gpu_call *call)
{
    struct w4_gpu_rows ids = {
            .first = (char *)call->chosen_ids,
            .n = 1,
            .n_bytes = call->n_slots * UINT64_C(4),
    };
    struct w4_gpu_rows weights = ids;
    weights.first = (char *)call->chosen_weights;
    w4moe_status status = w4_gpu_get(&call->transfer, &ids, call->args.ids);
    return status == W4MOE_OK
                   ? w4_gpu_get(&call->transfer, &weights, call->args.weights)
                   : status;
}
