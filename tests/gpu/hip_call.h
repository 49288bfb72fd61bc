/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Calls of forward_case.h and gemm_case.h with all arrays in device memory.
 */
#ifndef HIP_CALL_H
#define HIP_CALL_H

#include "../../hip/hip_api.h"
#include "../kernel/forward_case.h"
#include "../kernel/gemm_case.h"

enum { HIP_CALL_ARRAYS = 16 };

/** Device memory of a call. */
struct hip_arrays {
    void *p[HIP_CALL_ARRAYS];
    int n;
};

/** A call of w4moe_forward(), to be made any number of times with args. */
struct hip_forward {
    w4moe_forward_args args;
    struct forward_call host;
    struct hip_arrays arrays;
    void *guarded;
    size_t guarded_size;
};

/** As forward_open(). */
extern void hip_forward_open(struct hip_forward *call, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p);

/** Sets out to what it was before the call, for another one. */
extern void hip_forward_again(const struct hip_forward *call);

/** Waits for the device; then as forward_close(). */
extern void *hip_forward_close(struct hip_forward *call);

/** All of that with one call on a stream. */
extern void *hip_forward_run(const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p,
        hipStream_t stream);

/** As gemm_run(), with the matrix and everything else on the device. */
extern void *hip_gemm_run(const w4moe_ctx *ctx, const struct gemm_problem *p,
        const w4moe_matrix *b, hipStream_t stream);

#endif
