/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Rows of hidden states times a matrix of floats, as routers and the gates of
 * shared experts have them. Arguments have been checked by the callers.
 */
#ifndef W4_KERNEL_LOGITS_H
#define W4_KERNEL_LOGITS_H

#include "base/parallel.h"
#include "kernel/kernel.h"

struct w4_logits_job {
    const struct w4_kernels *kernels;
    struct w4_team *team;

    /** [n_tokens][x_stride], W4MOE_BF16 or W4MOE_F16. */
    const void *x;
    size_t x_stride;
    w4moe_dtype dtype;
    size_t n_tokens;

    /** [n_out][n_in], W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    const void *weight;
    w4moe_dtype weight_dtype;
    /** [n_out], as well; NULL: none. */
    const void *bias;
    w4moe_dtype bias_dtype;
    size_t n_out;
    size_t n_in;

    /** [n_tokens][n_out] */
    float *out;
};

/** out[t][e] = sum over i of x[t][i] * weight[e][i], + bias[e]. The sum is fp32
 * in an order of the kernels' own, the same for all rows. */
extern void w4_logits(const struct w4_logits_job *job);

#endif
