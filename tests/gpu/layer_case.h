/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Layers with all that they can have besides routed experts: shared ones, a
 * router with arrays, a part of the model's experts. Calls from host and from
 * device memory, and what float64 says of them.
 */
#ifndef LAYER_CASE_H
#define LAYER_CASE_H

#include "../../hip/hip_api.h"
#include "../kernel/forward_case.h"

/** Zero in a field means none of it. */
struct layer_what {
    /** The routed experts that are here, and the call. */
    struct forward_case routed;
    /** 0: those of the layer. */
    size_t first_expert;
    size_t n_global;
    /** Shared experts, and their I. */
    size_t n_shared;
    size_t shared_inter;
    /** Type of the gate; W4MOE_DTYPE_NONE: none. */
    w4moe_dtype gate_dtype;
    float shared_scale;
    /** Kind, groups and so on; its arrays are drawn where they have a type. */
    w4moe_router router;
    /** W4MOE_DTYPE_NONE: that of the call. */
    w4moe_dtype out_dtype;
};

struct layer_case {
    struct layer_what what;
    struct forward_problem p;
    struct oracle_matrix shared_w13;
    struct oracle_matrix shared_w2;
    void *gate;
    /** The router's arrays, as passed. */
    void *weight;
    void *bias;
    void *correction_bias;
    /** Packed matrices, routed and shared. */
    w4moe_matrix packed[4];
    w4moe_layer *layer;
    /** What a call counted, [n_global]; the guard behind must stay. */
    int32_t *counts;
};

/** Makes the layer and the call, whose ids are drawn from the global experts;
 * numbers of the router are such that logits are exact. */
extern void layer_case_open(
        struct layer_case *c, const w4moe_ctx *ctx, const struct layer_what *w);
extern void layer_case_close(struct layer_case *c);

/** The call's ids and weights from here on are those that the router chooses
 * by hidden states, in float64; the call itself does without. */
extern void layer_case_use_router(struct layer_case *c);

/** Makes the call with flags besides, from host or device memory. Returns the
 * rows, [T][H] of the output's type, for free(); counts are in c. */
extern void *layer_case_run(
        struct layer_case *c, const w4moe_ctx *ctx, unsigned flags, int host);

/** Fails the test unless rows and counts of a call with these flags are what
 * they have to be. */
extern void layer_case_judge(
        const struct layer_case *c, unsigned flags, const void *out);

/** Rows of two calls, and the same for the counts of the last. */
extern void layer_case_same(const struct layer_case *c, const void *a,
        const void *b, const char *what);

#endif
