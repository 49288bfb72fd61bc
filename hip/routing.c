/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Routing on the device: which experts a token has, and slots by expert. */
#include <inttypes.h>

#include "base/router_kinds.h"
#include "call.h"

static const struct w4_gpu *
gpu_of(const struct w4_gpu_call *call)
{
    return w4_gpu_of(call->layer->ctx);
}

/* ------------------------------------------------------------------ logits */

/* What the router's weight makes of x. */
static struct w4_gpu_dots
router_dots(const struct w4_gpu_call *call)
{
    const w4moe_router *router = &call->gpu->router;
    return (struct w4_gpu_dots){
            .out = w4_gpu_at(call, call->ws->logits),
            .weight = router->weight,
            .bias = router->bias,
            .weight_type = router->weight_dtype,
            .bias_type = router->bias_dtype,
            .n_rows = (uint32_t)call->args.n_experts_global,
    };
}

/* Factors of the shared experts' results. */
static struct w4_gpu_dots
gate_dots(const struct w4_gpu_call *call)
{
    return (struct w4_gpu_dots){
            .out = w4_gpu_at(call, call->ws->gates),
            .weight = call->gpu->shared_gate,
            .weight_type = call->layer->shared_gate_dtype,
            .n_rows = call->n_shared,
            .is_gate = 1,
            .factor = call->layer->shared_scale,
    };
}

/* Logits from hidden states, and the shared experts' gates, where there are
 * such. */
static w4moe_status
make_logits(struct w4_gpu_call *call)
{
    w4moe_forward_args *args = &call->args;
    const uint32_t waves = W4_GPU_THREADS / 32;
    struct w4_gpu_logits p = {
            .x = args->x,
            .x_stride = args->x_stride,
            .x_type = args->dtype,
            .aligned = call->aligned != 0,
            .n_tokens = (uint32_t)args->n_tokens,
            .n_columns = (uint32_t)w4_layer_hidden(call->layer),
            .wave_rows = args->n_tokens < W4_GPU_LOGITS_ROWS_FROM
                                 ? 1
                                 : W4_GPU_LOGITS_ROWS,
    };
    if (args->ids == NULL && args->router_logits == NULL) {
        p.router = router_dots(call);
        args->router_logits = p.router.out;
        args->logits_dtype = W4MOE_F32;
    }
    if (call->n_shared != 0 && call->gpu->shared_gate != NULL) {
        p.gate = gate_dots(call);
    }
    uint32_t n_waves = (p.router.n_rows + p.wave_rows - 1) / p.wave_rows +
                       (p.gate.n_rows + p.wave_rows - 1) / p.wave_rows;
    return w4_gpu_launch(call->err, gpu_of(call)->logits,
            (args->n_tokens + W4_GPU_LOGITS_TOKENS - 1) / W4_GPU_LOGITS_TOKENS,
            (n_waves + waves - 1) / waves, W4_GPU_THREADS, &p, call->stream);
}

/* ------------------------------------------------------------------- route */

/* What only this backend refuses. */
static w4moe_status
check_router(const struct w4_gpu_call *call)
{
    const w4moe_router *router = &call->layer->router;
    if (router->n_group > W4_GPU_GROUPS_MAX) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: a router of %u groups; backend hip takes %d",
                (unsigned)router->n_group, W4_GPU_GROUPS_MAX);
    }
    if (w4_router_has_scores(router->kind) &&
            call->args.n_experts_global > call->ws->staged_experts) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: scores of %zu experts; this workspace takes those "
                "of %" PRIu64,
                call->args.n_experts_global, call->ws->staged_experts);
    }
    return W4MOE_OK;
}

/* Ids and weights from logits; at once to where the caller wants them, if that
 * is device memory. */
static w4moe_status
route(struct w4_gpu_call *call)
{
    w4moe_forward_args *args = &call->args;
    const w4moe_router *router = &call->gpu->router;
    int own = call->chosen_ids == NULL || w4_gpu_from_host(call);
    struct w4_gpu_route p = {
            .ids = own ? w4_gpu_at(call, call->ws->ids) : call->chosen_ids,
            .weights = own ? w4_gpu_at(call, call->ws->weights)
                           : call->chosen_weights,
            .logits = args->router_logits,
            .correction_bias = router->correction_bias,
            .keys = w4_gpu_at(call, call->ws->keys),
            .kind = router->kind,
            .logits_type = args->logits_dtype,
            .correction_bias_type = router->correction_bias_dtype,
            .n_tokens = (uint32_t)args->n_tokens,
            .n_experts = (uint32_t)args->n_experts_global,
            .top_k = (uint32_t)args->top_k,
            .n_group = router->n_group,
            .topk_group = router->topk_group,
            .renormalize = router->renormalize != 0,
            .scale = router->scale,
    };
    const uint32_t tokens = W4_GPU_THREADS / 32;
    args->ids = p.ids;
    args->weights = p.weights;
    return w4_gpu_launch(call->err, gpu_of(call)->route,
            (args->n_tokens + tokens - 1) / tokens, 1, W4_GPU_THREADS, &p,
            call->stream);
}

static w4moe_status
count(const struct w4_gpu_call *call)
{
    const w4moe_forward_args *args = &call->args;
    struct w4_gpu_count p = {
            .counts = args->expert_counts,
            .ids = args->ids,
            .n_slots = call->n_slots,
            .n_experts = (uint32_t)args->n_experts_global,
    };
    return w4_gpu_launch(call->err, gpu_of(call)->count,
            (args->n_experts_global + W4_GPU_ALIGN_THREADS - 1) /
                    W4_GPU_ALIGN_THREADS,
            1, W4_GPU_ALIGN_THREADS, &p, call->stream);
}

w4moe_status
w4_gpu_route_tokens(struct w4_gpu_call *call)
{
    int has_ids = call->args.ids != NULL;
    w4moe_status status = has_ids ? W4MOE_OK : check_router(call);
    if (status == W4MOE_OK) {
        status = make_logits(call);
    }
    if (status == W4MOE_OK && !has_ids) {
        status = route(call);
    }
    if (status == W4MOE_OK && call->args.expert_counts != NULL) {
        status = count(call);
    }
    return status;
}

/* ------------------------------------------------------------------ blocks */

w4moe_status
w4_gpu_align_slots(const struct w4_gpu_call *call, uint32_t rows)
{
    const struct w4_gpu_slots *slots = &call->ws->routed;
    uint32_t n_experts = (uint32_t)w4_layer_experts(call->layer);
    struct w4_gpu_align p = {
            .sorted_slots = w4_gpu_at(call, slots->sorted_slots),
            .expert_ids = w4_gpu_at(call, slots->expert_ids),
            .n_padded = w4_gpu_at(call, slots->n_padded),
            .ids = call->args.ids,
            .local = w4_gpu_local_of(call),
            .n_slots = call->n_slots,
            .n_experts = n_experts,
            .block_size = rows,
    };
    return w4_gpu_launch(call->err, gpu_of(call)->align, n_experts, 1,
            W4_GPU_ALIGN_THREADS, &p, call->stream);
}

w4moe_status
w4_gpu_spread_slots(const struct w4_gpu_call *call, uint32_t rows)
{
    const struct w4_gpu_slots *slots = &call->ws->shared;
    struct w4_gpu_spread p = {
            .sorted_slots = w4_gpu_at(call, slots->sorted_slots),
            .expert_ids = w4_gpu_at(call, slots->expert_ids),
            .n_padded = w4_gpu_at(call, slots->n_padded),
            .n_tokens = (uint32_t)call->args.n_tokens,
            .n_experts = call->n_shared,
            .block_size = rows,
    };
    uint64_t padded = (call->args.n_tokens + rows - 1) / rows * rows;
    return w4_gpu_launch(call->err, gpu_of(call)->spread,
            (padded + W4_GPU_THREADS - 1) / W4_GPU_THREADS, call->n_shared,
            W4_GPU_THREADS, &p, call->stream);
}
