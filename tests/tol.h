/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The limits that tests of numbers accept, each with its derivation. All are
 * upper bounds that are met if the error is less or equal; whether a result is
 * a number at all is compared before, exactly.
 */
#ifndef W4_TESTS_TOL_H
#define W4_TESTS_TOL_H

/**
 * ||got - exact|| <= TOL_RATIO * ||ideal - exact||, in L2 over a call: the
 * accuracy contract of w4moe(7).
 *
 * `ideal` is float64 with only the roundings to 16 bits that the contract
 * allows: after the activation and at the output, or at the output of
 * w4moe_gemm(). Such a rounding has an rms of about 2^-9.5 (bf16) or 2^-12.5
 * (fp16) of the result. What a right implementation adds is the noise of fp32
 * sums, which are a random walk of at most 2 K steps of half a unit in the
 * last place: sqrt(32768) * 2^-25 < 2^-17 for K = 16384. It is independent, so
 * it makes a ratio of sqrt(1 + (2^-17 / 2^-12.5)^2) < 1.001 for fp16 and less
 * for bf16. One more rounding to 16 bits anywhere makes sqrt(3 / 2) = 1.22 in
 * a forward call and sqrt(2) = 1.41 in w4moe_gemm(). 1.10 stands between.
 */
#define TOL_RATIO 1.10

/**
 * Where the weights are 0 by cancellation (every code equal to its zero point),
 * results are exact and `ideal` has no error at all, but a kernel that takes
 * the zero points off a whole sum,
 *
 *   s (sum a (q + bias) - (z + bias) sum a)
 *
 * has the noise of these two sums. It is accepted besides, as an rms over the
 * results: 2^-17 (see above) of the sums, which are at most 136 / 4.6 < 32
 * times larger than ordinary results (codes less their zero point have an rms
 * of 4.6; codes for bf16 products have a bias of 128). Numbers of the tests
 * make ordinary results of about 1.
 */
#define TOL_CANCELLED 0x1p-12

/** Half a unit in the last place of fp32, relative: one rounding. */
#define TOL_HALF_ULP 0x1p-24

/**
 * Activation: |got - exact| <= rounding of the output type
 *     + TOL_ACT_STEPS * 2^-24 * |exact|            products and quotients
 *     + |t| * 2^-24 * |exact|                      argument of exp()
 *     + TOL_ACT_CANCEL * 2^-24 * |x| * |up|        gelu and gelu_tanh
 *     + TOL_ACT_FLOOR * (1 + min(|x|, 128)) * (1 + |up|)
 *
 * Steps: the longest chain of operations whose relative errors add up is
 * beta tanh(g / beta) sigmoid(g) lb tanh(u / lb): 2 quotients as arguments
 * (tanh does not enlarge a relative error), 2 tanhf() and 1 expf() of 2 units
 * in the last place (4 roundings) each, 1 sum, 1 quotient, 4 products: 20.
 *
 * Argument: t is the argument of exp() where that is positive; its rounding,
 * |t| 2^-24 absolute, is a relative error of exp() and at most that of
 * 1 / (1 + exp()). Below 0 the 1 hides it: |t| exp(t) < 0.4.
 *
 * Cancel: 1 + erf() and 1 + tanh() lose relative accuracy where they are near
 * 0. Their absolute error is at most 2 half units of erff() or tanhf() near 1
 * (4 for 2 units in the last place), 1 of the sum, and that of the argument z,
 * with 6 roundings: max(z tanh'(z)) = 0.45 times 6, less for erf. In all 8,
 * which x / 2 makes 4 |x|.
 *
 * Floor: exp() overflows above 128 ln 2, where 1 / (1 + exp()) is below
 * 2^-128 and is taken as 0; |x| is below 128 where that is not the truth for
 * fp32 anyway. Below 2^-126 fp32 numbers have fixed steps.
 */
#define TOL_ACT_STEPS 20.0
#define TOL_ACT_CANCEL 4.0
#define TOL_ACT_FLOOR 0x1p-126

/**
 * The act kernel with fp32 output, whose promises are in w4moe_activate(3) and
 * lib/kernel/act/act_simd.h: units in the last place of the result, and half
 * units for each of the sigmoid's rounded argument.
 *
 * Subnormal: a quotient by beta or linear_beta that is below 2^-126 is off by
 * up to 2^-150, times 8 at most in the tests.
 */
#define TOL_ACT_ULP 8.0
#define TOL_ACT_ARGUMENT 4.0
#define TOL_ACT_SUBNORMAL 0x1p-146

/**
 * Router weights that are computed in float64 and rounded to fp32 once,
 * relative: half a unit in the last place, and what float64 adds.
 */
#define TOL_ROUTE_64 0x1p-22

#endif
