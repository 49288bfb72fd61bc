/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A second opinion on everything that the kernels and the runtime compute, in
 * float64, for tests.
 *
 * It shares no code with the library: numbers, layout and formulas are written
 * anew from w4moe-format(5), w4moe_activate(3) and w4moe_forward(3). Matrices
 * begin as plain arrays in natural order and are packed by oracle_pack(). It
 * is slow and is not for production; it does not route (tests/unit/test_route.c
 * has a model of that).
 *
 * Failures inside the oracle (no memory, a spec that makes no sense) end the
 * program.
 */
#ifndef W4_TESTS_ORACLE_H
#define W4_TESTS_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include <w4moe.h>

/* --------------------------------------------------------- random numbers */

/** SplitMix64; the seed is the state. */
struct oracle_rng {
    uint64_t state;
};

extern uint64_t oracle_bits(struct oracle_rng *rng);

/** Uniform in 0 .. n - 1. */
extern size_t oracle_below(struct oracle_rng *rng, size_t n);

/** Uniform in [low, high). */
extern double oracle_uniform(struct oracle_rng *rng, double low, double high);

/** Deals n places in random order: rows[e] of them get e, for every e below
 * n_experts. The rows are n together. */
extern void oracle_deal(struct oracle_rng *rng, int32_t *places, size_t n,
        const unsigned *rows, size_t n_experts);

/* ---------------------------------------------------------------- numbers */

/** Memory for n elements, zeroed; never NULL. For free(). */
extern void *oracle_alloc(size_t n, size_t size);

/** Element i of an array of F32, F16, BF16 or F8_E8M0. */
extern double oracle_load(const void *array, w4moe_dtype dtype, size_t i);

/** Stores an element, rounded from double in one step, to nearest, ties to
 * even. With F8_E8M0 v must be a power of two. */
extern void oracle_store(void *array, w4moe_dtype dtype, size_t i, double v);

/** The number that oracle_store() would leave. */
extern double oracle_round(w4moe_dtype dtype, double v);

/** Sum of squared errors of two results, got and ideal, against the exact. */
struct oracle_score {
    double got;
    double ideal;
    /** Results compared, and those that are NaN, Inf or finite where the ideal
     * is another of these. */
    size_t n;
    size_t n_wrong;
    /** An rms error of the results that is accepted besides. */
    double noise;
};

/** Adds a row of n results. NaN and Inf are compared with those of ideal (a
 * NaN is a NaN, an Inf has its sign) and are not part of the sums. */
extern void oracle_score_row(struct oracle_score *score, const void *got,
        w4moe_dtype dtype, const double *exact, const double *ideal, size_t n);

/** ||got - exact|| / ||ideal - exact||; 0 if both are 0. */
extern double oracle_ratio(const struct oracle_score *score);

/** Whether all classes agree and the ratio is at most TOL_RATIO, but for the
 * noise. */
extern int oracle_accept(const struct oracle_score *score);

/* --------------------------------------------------------------- matrices */

/** What matrix to make. */
struct oracle_spec {
    uint64_t seed;
    size_t n_experts;
    size_t n_out;
    size_t n_in;
    size_t group_size;
    int gated;
    w4moe_code code;
    w4moe_dtype scale_dtype;
    /** Zero points of 0 to 15 instead of 8. */
    int zeros;
    /** Offsets of this type; W4MOE_DTYPE_NONE: none. */
    w4moe_dtype offset_dtype;
    size_t n_perms;
    /** Bias of this type; W4MOE_DTYPE_NONE: none. */
    w4moe_dtype bias_dtype;
    /** Scales that are powers of two, and offsets and bias in eighths: sums
     * with small whole activations are exact in fp32. Without it, numbers of
     * such size that products of activations of about 1 are about 1. */
    int exact;
};

/** A matrix in plain, natural order. Arrays may be changed before
 * oracle_finish() and oracle_pack(). */
struct oracle_matrix {
    struct oracle_spec spec;
    size_t n_groups;
    /** [E][N][K], by input feature; 0..15. */
    uint8_t *codes;
    /** [E][N][G], by group; zeros are all 8 if the spec has none. */
    uint8_t *zeros;
    double *scales;
    double *offsets;
    /** [E][n_perms][K]; NULL without. */
    int32_t *perm;
    /** [E][N]; 0 without. */
    double *bias;
    /** [E][N][K], by input feature: oracle_finish(). */
    double *weights;
};

/** Draws the arrays, and calls oracle_finish(). */
extern void oracle_make(
        struct oracle_matrix *m, const struct oracle_spec *spec);

/** Sets the weights from the other arrays. */
extern void oracle_finish(struct oracle_matrix *m);

extern void oracle_free(struct oracle_matrix *m);

/** Packs into new arrays, of exactly the size they need. */
extern void oracle_pack(
        w4moe_matrix *packed, const struct oracle_matrix *m, w4moe_order order);

extern void oracle_pack_free(w4moe_matrix *packed);

/** y[n] = sum_i a[i] * w[expert][n][i] + bias[expert][n]. */
extern void oracle_product(double *y, const struct oracle_matrix *m,
        size_t expert, const double *a);

/* ------------------------------------------------------------------ layer */

/** An activation of one gate and up (up is not looked at if not gated). */
extern double oracle_activation(
        const w4moe_activation *activation, double gate, double up);

/** A forward call; arguments as those of w4moe_forward(). */
struct oracle_call {
    const struct oracle_matrix *w13;
    const struct oracle_matrix *w2;
    w4moe_activation activation;
    w4moe_dtype dtype;
    /** Of the output; W4MOE_DTYPE_NONE: dtype. */
    w4moe_dtype out_dtype;
    /** [T][H], the values of x. */
    const double *x;
    size_t n_tokens;
    size_t top_k;
    const int32_t *ids;
    const float *weights;
    const int32_t *expert_map;
    unsigned flags;
    /** [T][H], the values of out before, with W4MOE_ACCUMULATE. */
    const double *before;
    /** Shared experts, and how many times each counts, [T][S]; or NULL. */
    const struct oracle_matrix *shared_w13;
    const struct oracle_matrix *shared_w2;
    const double *shared_weights;
};

/** Out: exact [T][H], float64 throughout; ideal [T][H], the same with two
 * roundings, after the activation to dtype and at the output to out_dtype. */
extern void oracle_forward(
        double *exact, double *ideal, const struct oracle_call *call);

#endif
