/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One forward call made from a few numbers: layer, tokens, choices, guarded
 * output, and what the oracle says of it. For tests of w4moe_forward() only.
 */
#ifndef W4_TESTS_FORWARD_CASE_H
#define W4_TESTS_FORWARD_CASE_H

#include "weight_form.h"

/** What to compute. Zero in a field means none of it. */
struct forward_case {
    uint64_t seed;
    size_t n_experts;
    size_t hidden;
    size_t inter;
    size_t w13_group;
    size_t w2_group;
    w4moe_activation_kind kind;
    /** Form of the weights of both matrices: an enum weight_form. */
    unsigned form;
    /** Numbers of the layer of which everything in fp32 is exact (needs kind
     * relu2_no_mul, and sizes of 16). */
    int exact;
    w4moe_dtype dtype;
    size_t n_tokens;
    size_t top_k;
    unsigned flags;
    /** Elements between the rows of x and of out. */
    size_t x_pad;
    size_t out_pad;
    /** Not NULL: how many slots each expert gets, [E], n_tokens * top_k
     * together; without it each slot has a random one. */
    const unsigned *rows;
};

/** The call: everything is set but the layer's objects and out. */
struct forward_problem {
    struct forward_case what;
    /** Begins messages; may be NULL. */
    const char *label;
    /** Besides the contract: see oracle_score. */
    double noise;
    struct oracle_matrix w13;
    struct oracle_matrix w2;
    w4moe_activation activation;
    /** [T][H], and as it is passed. */
    double *x;
    void *x_rows;
    /** [T][H], what out holds before. */
    double *before;
    size_t x_stride;
    size_t out_stride;
    int32_t *ids;
    float *weights;
    w4moe_forward_args args;
};

extern void forward_make(
        struct forward_problem *p, const struct forward_case *what);
extern void forward_free(struct forward_problem *p);

/** Stores p->x again in the rows that are passed, after a change. */
extern void forward_store_rows(struct forward_problem *p);

/** A layer of packed matrices, with a softmax router. Ends the test if that
 * fails. */
extern w4moe_layer *forward_create(const w4moe_ctx *ctx,
        const struct forward_problem *p, const w4moe_matrix *w13,
        const w4moe_matrix *w2, unsigned flags);

/** Makes a layer of the problem's matrices in new, packed arrays (w13, w2). */
extern w4moe_layer *forward_layer(const w4moe_ctx *ctx,
        const struct forward_problem *p, w4moe_matrix *w13, w4moe_matrix *w2,
        w4moe_order order, unsigned flags);

/** A call with an output between guards, to be made with w4moe_forward() any
 * number of times. */
struct forward_call {
    const struct forward_problem *p;
    w4moe_forward_args args;
    unsigned char *guarded;
    /** A copy of the rows of x. */
    unsigned char *x;
    w4moe_workspace *ws;
    int owns_ws;
};

/** ws NULL: one of its own. */
extern void forward_open(struct forward_call *call, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p);

/** Fails the test if x or something beside the rows of out was written.
 * Returns: [T][H] of the dtype, for free(). */
extern void *forward_close(struct forward_call *call);

/** All of that with one call; fails the test if it fails.
 * Returns: [T][H] of the dtype, for free(). */
extern void *forward_run(const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p);

/** forward_layer() and forward_run(), and everything released. */
extern void *forward_once(const w4moe_ctx *ctx, const struct forward_problem *p,
        w4moe_order order);

/** What the oracle says: exact and ideal, [T][H]. */
extern void forward_expect(
        double *exact, double *ideal, const struct forward_problem *p);

/** Fails the test unless the accuracy contract holds, with exact numbers to
 * the bit. */
extern void forward_judge_by(const struct forward_problem *p,
        const double *exact, const double *ideal, const void *out);

/** forward_expect() and forward_judge_by(). */
extern void forward_judge(const struct forward_problem *p, const void *out);

/** Fails the test unless two results have the same bytes. */
extern void forward_same(const struct forward_problem *p, const void *out,
        const void *other, const char *what);

#endif
