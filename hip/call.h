/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A forward call on the device, and its steps before the products.
 */
#ifndef W4_HIP_CALL_H
#define W4_HIP_CALL_H

#include "gpu.h"

/** One call: its arguments, all in device memory, and the workspace. */
struct w4_gpu_call {
    const w4moe_layer *layer;
    const struct w4_gpu_layer *gpu;
    struct w4_err *err;
    w4moe_forward_args args;
    /** Where the caller of w4moe_choose() wants them; NULL in a forward
     * call. */
    int32_t *chosen_ids;
    float *chosen_weights;
    hipStream_t stream;
    /** Of routed experts. */
    uint32_t n_slots;
    /** Shared experts that take part. */
    uint32_t n_shared;
    /** Whether rows of x begin at multiples of 16 bytes. */
    int aligned;
    const struct w4_gpu_workspace *ws;
    struct w4_gpu_transfer transfer;
};

/** Whether pointers of the caller are host memory. */
static inline int
w4_gpu_from_host(const struct w4_gpu_call *call)
{
    return (call->args.flags & W4MOE_HOST_IO) != 0;
}

/** An array of the workspace. */
static inline void *
w4_gpu_at(const struct w4_gpu_call *call, uint64_t place)
{
    return call->ws->device + place;
}

/** Which experts of the ids are here. */
static inline struct w4_gpu_local
w4_gpu_local_of(const struct w4_gpu_call *call)
{
    return (struct w4_gpu_local){
            .map = call->args.expert_map,
            .n_global = (uint32_t)call->args.n_experts_global,
            .first = (uint32_t)call->layer->first_expert,
    };
}

/* ----------------------------------------------------------------- staging */

/** Replaces the caller's host arrays by copies in the workspace. */
extern w4moe_status w4_gpu_stage(struct w4_gpu_call *call);

/** The results to where the caller wants them, who may read them after the
 * call. */
extern w4moe_status w4_gpu_return(
        struct w4_gpu_call *call, const w4moe_forward_args *callers);

/** The same for what w4moe_choose() gives. */
extern w4moe_status w4_gpu_return_choice(struct w4_gpu_call *call);

/* ----------------------------------------------------------------- routing */

/** Sets ids and weights, and the factors of shared experts, where the caller
 * has not; counts the slots of experts if that is wanted. */
extern w4moe_status w4_gpu_route_tokens(struct w4_gpu_call *call);

/** Blocks of `rows` slots each, of routed and of shared experts. */
extern w4moe_status w4_gpu_align_slots(
        const struct w4_gpu_call *call, uint32_t rows);
extern w4moe_status w4_gpu_spread_slots(
        const struct w4_gpu_call *call, uint32_t rows);

#endif
