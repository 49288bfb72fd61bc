/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Forward on the device. Launches only: nothing is allocated or waited for,
 * unless the caller's arrays are host memory.
 */
#include <inttypes.h>

#include "gpu.h"

/* Slots up to which a workgroup looks its slot's expert up itself. */
enum { SLOTS_INLINE = 64 };

/* ------------------------------------------------------------------- calls */

/* One call: its arguments, all in device memory, and the workspace. */
struct call {
    const w4moe_layer *layer;
    const struct w4_gpu_layer *gpu;
    struct w4_err *err;
    w4moe_forward_args args;
    hipStream_t stream;
    uint32_t n_slots;
    int aligned;
    const struct w4_gpu_workspace *ws;
    struct w4_gpu_transfer transfer;
};

/* An array of the workspace. */
static void *
at(const struct call *call, uint64_t place)
{
    return call->ws->device + place;
}

/* ------------------------------------------------------------------ staging */

/* Rows of H elements of 2 bytes, of the call's tokens. */
static struct w4_gpu_rows
token_rows(const struct call *call, const void *first, size_t stride)
{
    return (struct w4_gpu_rows){
            .first = (char *)(uintptr_t)first,
            .n = call->args.n_tokens,
            .n_bytes = (uint64_t)w4_layer_hidden(call->layer) * 2,
            .stride = (uint64_t)stride * 2,
    };
}

/* Rows whose place is then that of their copy. */
static w4moe_status
stage_rows(struct call *call, const void **from, size_t *stride, uint64_t place)
{
    struct w4_gpu_rows rows = token_rows(call, *from, *stride);
    *from = at(call, place);
    *stride = w4_layer_hidden(call->layer);
    return w4_gpu_put(&call->transfer, at(call, place), &rows);
}

/* The same for an array, which may be NULL. */
static w4moe_status
stage(struct call *call, const void **from, uint64_t place, uint64_t size)
{
    struct w4_gpu_rows rows = {
            .first = (char *)(uintptr_t)*from,
            .n = 1,
            .n_bytes = size,
    };
    if (*from == NULL) {
        return W4MOE_OK;
    }
    *from = at(call, place);
    return w4_gpu_put(&call->transfer, at(call, place), &rows);
}

/* Whether there is room for what depends on the number of experts. */
static w4moe_status
check_staged(const struct call *call)
{
    const w4moe_forward_args *args = &call->args;
    if (args->expert_map != NULL &&
            args->n_experts_global > W4_GPU_EXPERTS_MAX) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: a map of %zu experts; from host memory at most %d",
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

/* x, and out if it is read. */
static w4moe_status
stage_tokens(struct call *call)
{
    w4moe_forward_args *args = &call->args;
    w4moe_status status =
            stage_rows(call, &args->x, &args->x_stride, call->ws->x);
    if (status == W4MOE_OK && (args->flags & W4MOE_ACCUMULATE) != 0) {
        const void *out = args->out;
        status = stage_rows(call, &out, &args->out_stride, call->ws->out);
    }
    args->out = at(call, call->ws->out);
    args->out_stride = w4_layer_hidden(call->layer);
    return status;
}

/* Replaces the caller's host arrays by copies in the workspace. */
static w4moe_status
stage_arguments(struct call *call)
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
    return status;
}

/* The result to where the caller wants it, who may read it after the call. */
static w4moe_status
return_rows(struct call *call, const w4moe_forward_args *callers)
{
    struct w4_gpu_rows rows =
            token_rows(call, callers->out, callers->out_stride);
    return w4_gpu_get(&call->transfer, &rows, call->args.out);
}

/* -------------------------------------------------------------------- steps */

static w4moe_status
check_router(const struct call *call)
{
    const w4moe_router *router = &call->layer->router;
    if (router->kind != W4MOE_ROUTER_SOFTMAX_TOPK ||
            call->args.router_logits == NULL) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "backend hip: router kind \"%s\"%s is not implemented",
                w4moe_router_name(router->kind),
                call->args.router_logits == NULL ? " from hidden states" : "");
    }
    return W4MOE_OK;
}

/* Ids and weights from logits. */
static w4moe_status
route(struct call *call)
{
    w4moe_forward_args *args = &call->args;
    const w4moe_router *router = &call->layer->router;
    struct w4_gpu_route p = {
            .ids = at(call, call->ws->ids),
            .weights = at(call, call->ws->weights),
            .logits = args->router_logits,
            .logits_type = args->logits_dtype,
            .n_tokens = (uint32_t)args->n_tokens,
            .n_experts = (uint32_t)args->n_experts_global,
            .top_k = (uint32_t)args->top_k,
            .renormalize = router->renormalize != 0,
            .scale = router->scale,
    };
    w4moe_status status = check_router(call);
    if (status != W4MOE_OK) {
        return status;
    }
    args->ids = p.ids;
    args->weights = p.weights;
    const uint32_t tokens = W4_GPU_THREADS / 32;
    return w4_gpu_launch(call->err, w4_gpu_of(call->layer->ctx)->route,
            (args->n_tokens + tokens - 1) / tokens, 1, W4_GPU_THREADS, &p,
            call->stream);
}

static w4moe_status
align(const struct call *call, uint32_t rows)
{
    const w4moe_forward_args *args = &call->args;
    uint32_t n_experts = (uint32_t)w4_layer_experts(call->layer);
    struct w4_gpu_align p = {
            .sorted_slots = at(call, call->ws->sorted_slots),
            .expert_ids = at(call, call->ws->expert_ids),
            .n_padded = at(call, call->ws->n_padded),
            .ids = args->ids,
            .expert_map = args->expert_map,
            .n_slots = call->n_slots,
            .n_experts = n_experts,
            .n_experts_global = (uint32_t)args->n_experts_global,
            .block_size = rows,
    };
    return w4_gpu_launch(call->err, w4_gpu_of(call->layer->ctx)->align,
            n_experts, 1, W4_GPU_ALIGN_THREADS, &p, call->stream);
}

/* What both products have in common. rows is 0 without blocks. */
static struct w4_gpu_gemm
product(const struct call *call, uint32_t rows)
{
    const w4moe_forward_args *args = &call->args;
    struct w4_gpu_gemm p = {
            .n_slots = call->n_slots,
            .ids = args->ids,
            .expert_map = args->expert_map,
            .n_experts_global = (uint32_t)args->n_experts_global,
            .block_size = w4_gpu_divisor(rows != 0 ? rows : 1),
    };
    if (rows != 0) {
        p.sorted_slots = at(call, call->ws->sorted_slots);
        p.expert_ids = at(call, call->ws->expert_ids);
        p.n_padded = at(call, call->ws->n_padded);
    }
    return p;
}

static int
on_input(const struct call *call)
{
    return (call->args.flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
}

/* w13 and the activation. */
static w4moe_status
multiply_w13(const struct call *call, uint32_t rows)
{
    const w4moe_forward_args *args = &call->args;
    const w4moe_layer *layer = call->layer;
    const struct w4_gpu *gpu = w4_gpu_of(layer->ctx);
    struct w4_gpu_gemm p = product(call, rows);
    p.b = call->gpu->w13;
    p.a = args->x;
    p.a_stride = args->x_stride;
    p.top_k = w4_gpu_divisor((uint32_t)args->top_k);
    p.gather = !call->aligned || p.b.perm != NULL;
    p.result = W4_GPU_ACTIVATED;
    p.slot_weights = on_input(call) ? args->weights : NULL;
    p.out = at(call, call->ws->activated);
    p.out_stride = w4_layer_intermediate(layer);
    w4_gpu_activation_set(&p.activation, &layer->activation);
    struct w4_gpu_product use = w4_gpu_choose(gpu, &layer->routed.w13,
            call->aligned, args->dtype, rows != 0 ? rows : 1);
    uint64_t n_blocks = rows == 0 ? call->n_slots
                                  : w4_gpu_blocks_max(call->n_slots,
                                            w4_layer_experts(layer), rows);
    return w4_gpu_multiply(layer->ctx, use.family, &layer->routed.w13, &p,
            args->dtype, n_blocks, call->stream);
}

/* w2, with its result as said; out and the kernel are the caller's. */
static struct w4_gpu_gemm
product_w2(const struct call *call, uint32_t rows)
{
    struct w4_gpu_gemm p = product(call, rows);
    p.b = call->gpu->w2;
    p.a = at(call, call->ws->activated);
    p.a_stride = w4_layer_intermediate(call->layer);
    p.top_k = w4_gpu_divisor(1);
    p.gather = p.b.perm != NULL;
    p.slot_weights = on_input(call) ? NULL : call->args.weights;
    return p;
}

/* w2 with the sum over each token's slots, at once. */
static w4moe_status
multiply_w2_tokens(const struct call *call)
{
    const w4moe_forward_args *args = &call->args;
    const w4moe_layer *layer = call->layer;
    struct w4_gpu_gemm p = product_w2(call, 0);
    p.result = W4_GPU_TOKENS;
    p.out = args->out;
    p.out_stride = args->out_stride;
    p.choices = (uint32_t)args->top_k;
    p.accumulate = (args->flags & W4MOE_ACCUMULATE) != 0;
    return w4_gpu_multiply(layer->ctx,
            w4_gpu_choose_token(
                    w4_gpu_of(layer->ctx), &layer->routed.w2, 1, args->dtype),
            &layer->routed.w2, &p, args->dtype, args->n_tokens, call->stream);
}

/* w2 slot by slot, then the sums. */
static w4moe_status
multiply_w2_slots(const struct call *call, uint32_t rows)
{
    const w4moe_forward_args *args = &call->args;
    const w4moe_layer *layer = call->layer;
    const struct w4_gpu *gpu = w4_gpu_of(layer->ctx);
    size_t hidden = w4_layer_hidden(layer);
    struct w4_gpu_gemm p = product_w2(call, rows);
    p.result = W4_GPU_SUMS;
    p.out = at(call, call->ws->sums);
    p.out_stride = hidden;
    struct w4_gpu_product use =
            w4_gpu_choose(gpu, &layer->routed.w2, 1, args->dtype, rows);
    w4moe_status status = w4_gpu_multiply(layer->ctx, use.family,
            &layer->routed.w2, &p, args->dtype,
            w4_gpu_blocks_max(call->n_slots, w4_layer_experts(layer), rows),
            call->stream);
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_gpu_reduce reduce = {
            .out = args->out,
            .out_stride = args->out_stride,
            .sums = p.out,
            .ids = args->ids,
            .expert_map = args->expert_map,
            .n_experts = (uint32_t)w4_layer_experts(layer),
            .n_experts_global = (uint32_t)args->n_experts_global,
            .choices = (uint32_t)args->top_k,
            .n_columns = (uint32_t)hidden,
            .type = args->dtype,
            .accumulate = (args->flags & W4MOE_ACCUMULATE) != 0,
    };
    return w4_gpu_launch(call->err, gpu->reduce, args->n_tokens,
            (hidden + 4 * W4_GPU_THREADS - 1) / (4 * W4_GPU_THREADS),
            W4_GPU_THREADS, &reduce, call->stream);
}

static w4moe_status
compute(struct call *call)
{
    const w4moe_layer *layer = call->layer;
    w4moe_forward_args *args = &call->args;
    int invariant = (args->flags & W4MOE_BATCH_INVARIANT) != 0;
    uint32_t rows = 0;
    w4moe_status status = W4MOE_OK;
    if (args->ids == NULL) {
        status = route(call);
    }
    if (status == W4MOE_OK && (call->n_slots > SLOTS_INLINE || invariant)) {
        const w4moe_matrix *const matrices[] = {
                &layer->routed.w13, &layer->routed.w2};
        rows = w4_gpu_block_rows(w4_gpu_of(layer->ctx), matrices, 2,
                call->aligned, args->dtype, call->n_slots, invariant);
        status = align(call, rows);
    }
    if (status == W4MOE_OK) {
        status = multiply_w13(call, rows);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    return rows == 0 ? multiply_w2_tokens(call) : multiply_w2_slots(call, rows);
}

/* What this backend does not compute yet. */
static w4moe_status
check_supported(const struct call *call)
{
    const w4moe_layer *layer = call->layer;
    const w4moe_forward_args *args = &call->args;
    const char *what = NULL;
    if (w4_layer_shared(layer) != 0) {
        what = "shared experts";
    } else if (args->expert_counts != NULL) {
        what = "expert_counts";
    } else if (args->expert_map == NULL &&
               layer->n_experts_global != w4_layer_experts(layer)) {
        what = "a part of the experts without an expert_map";
    }
    return what == NULL ? W4MOE_OK
                        : w4_fail(call->err, W4MOE_UNSUPPORTED,
                                  "backend hip: %s: not implemented", what);
}

/* Kernels count slots in 26 bits: see struct w4_gpu_divisor. */
static w4moe_status
check_sizes(const struct call *call)
{
    const w4moe_forward_args *args = &call->args;
    if ((uint64_t)args->n_tokens * args->top_k > UINT32_MAX / 64 ||
            args->top_k > W4_GPU_TOP_K_MAX) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: %zu tokens of %zu experts each; backend hip takes "
                "%d slots, and %d experts of a token",
                args->n_tokens, args->top_k, (int)(UINT32_MAX / 64),
                W4_GPU_TOP_K_MAX);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gpu_forward(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    const struct w4_gpu *gpu = w4_gpu_of(layer->ctx);
    const struct w4_gpu_workspace *own = ws->memory;
    struct call call = {
            .layer = layer,
            .gpu = layer->device,
            .err = w4_ctx_err(layer->ctx),
            .args = *args,
            .stream = args->stream,
            .ws = own,
            .transfer = {.err = w4_ctx_err(layer->ctx),
                    .stream = args->stream,
                    .pinned = own->pinned,
                    .size = own->n_pinned},
    };
    int host = (args->flags & W4MOE_HOST_IO) != 0;
    int before = 0;
    w4moe_status status = check_supported(&call);
    if (status == W4MOE_OK) {
        status = check_sizes(&call);
    }
    if (status == W4MOE_OK) {
        status = w4_gpu_enter(call.err, gpu, &before);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    call.n_slots = (uint32_t)(args->n_tokens * args->top_k);
    if (host) {
        status = stage_arguments(&call);
    }
    call.aligned =
            (uintptr_t)call.args.x % 16 == 0 && call.args.x_stride % 8 == 0;
    if (status == W4MOE_OK) {
        status = compute(&call);
    }
    if (status == W4MOE_OK && host) {
        status = return_rows(&call, args);
    }
    if (status != W4MOE_OK && host) {
        /* The pinned memory is the next call's. */
        (void)hipStreamSynchronize(call.stream);
    }
    w4_gpu_leave(gpu, before);
    return status;
}
