/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The yardstick of a comparison: the layer in float64, and the same with just
 * the two roundings that a 16-bit layer cannot avoid. Written without a look
 * at the library's kernels; only w4moe_dequantize() is shared with them.
 */
#ifndef W4_TOOLS_IDEAL_H
#define W4_TOOLS_IDEAL_H

#include <w4moe.h>

/** A forward call with packed rows. */
struct ideal_call {
    const w4moe_matrix *w13;
    const w4moe_matrix *w2;
    const w4moe_activation *activation;
    /** W4MOE_BF16 or W4MOE_F16, of x, and the type to round to. */
    w4moe_dtype dtype;
    /** [T][H]. */
    const uint16_t *x;
    size_t n_tokens;
    size_t top_k;
    /** [T][k] each. An id is an expert of the matrices, or -1: that slot adds
     * nothing. */
    const int32_t *ids;
    const float *weights;
    /** Not 0: the weights multiply the output of w13. */
    int weight_on_input;
};

/**
 * Computes the layer twice.
 *
 * Out: exact [T][H]: float64 throughout. ideal [T][H]: rounded after the
 *     activation and at the output. Both cleared by the caller.
 * Returns: an exit code, after printing why.
 */
extern int ideal_compute(double *exact, double *ideal, const w4moe_ctx *ctx,
        const struct ideal_call *call);

/** The value of W4MOE_BF16 or W4MOE_F16 nearest to value, ties to even, in
 * one rounding; infinite where that type has nothing large enough. */
extern double ideal_round(double value, w4moe_dtype dtype);

/** An activation of up to two inputs, in float64; up is not used by kinds that
 * are not gated. The formulas stand in <w4moe/kernel.h>. */
extern double ideal_activate(
        const w4moe_activation *activation, double gate, double up);

#endif
