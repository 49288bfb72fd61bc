/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A layer with all that layers may have: a router with arrays, shared experts
 * with gates; and a call of 19 tokens of 3 of 6 experts (H 80, I 72).
 */
#ifndef W4_TESTS_WHOLE_LAYER_H
#define W4_TESTS_WHOLE_LAYER_H

#include "forward_case.h"

enum {
    WHOLE_E = 6,
    WHOLE_T = 19,
    WHOLE_K = 3,
    WHOLE_HIDDEN = 80,
    WHOLE_S_MAX = 2
};

/** Types of a router's arrays. */
extern const w4moe_dtype whole_floats[3];

/** The case to vary, with one of the forms of weights. */
extern struct forward_case whole_usual(uint64_t seed);

/** A problem, its layer's arrays, and what else a layer may have. */
struct whole {
    struct forward_problem p;
    /** Shared experts: those of another problem. */
    struct forward_problem shared;
    w4moe_matrix w13, w2, shared_w13, shared_w2;
    w4moe_layer_desc desc;
    /** Arrays of routers and gates, and their values. */
    uint32_t weight[WHOLE_E * WHOLE_HIDDEN], bias[WHOLE_E], correction[WHOLE_E],
            gate[WHOLE_S_MAX * WHOLE_HIDDEN];
    double weight_values[WHOLE_E * WHOLE_HIDDEN], bias_values[WHOLE_E];
    double gate_values[WHOLE_S_MAX * WHOLE_HIDDEN];
    double shared_weights[WHOLE_T * WHOLE_S_MAX];
};

/** Experts alone; the second releases all of it. */
extern void whole_open(
        struct whole *w, const struct forward_case *what, w4moe_order order);
extern void whole_close(struct whole *w);

/** Adds a router with a weight and a bias, and what else its kind may have. */
extern void whole_add_router(
        struct whole *w, w4moe_router_kind kind, w4moe_dtype dtype);

/** What the router's weight makes of x, [T][E], rounded to fp32. */
extern void whole_logits(float *logits, const struct whole *w);

/** Adds shared experts that count once; with a gate (W4MOE_DTYPE_NONE: none)
 * and a scale, as that says. */
extern void whole_add_shared(
        struct whole *w, size_t n_shared, size_t inter, w4moe_order order);
extern void whole_add_gate(struct whole *w, w4moe_dtype dtype, float scale);

/** The layer; fails the test if there is none. */
extern w4moe_layer *whole_create(
        const struct whole *w, const w4moe_ctx *ctx, unsigned flags);

/** One call of a new layer: forward_run(). */
extern void *whole_run(
        const struct whole *w, const w4moe_ctx *ctx, unsigned flags);

#endif
