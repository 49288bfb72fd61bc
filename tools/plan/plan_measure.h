/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * How long the steps of a call take that one rank does by itself, for
 * ep_predict(): computing its experts, copying rows, adding up results.
 */
#ifndef W4_TOOLS_PLAN_MEASURE_H
#define W4_TOOLS_PLAN_MEASURE_H

#include <w4moe.h>

#include "ep_model.h"

/** Several processes that measure at once, as they will compute at once. */
struct plan_team {
    /** Waits for the others. */
    void (*wait)(void);
    /** The largest of all processes' numbers. */
    double (*largest)(double value);
    /** An exit code for all of them. */
    int (*together)(int code);
};

enum { PLAN_KNOWN_MAX = 1024 };

struct plan_bench {
    const w4moe_ctx *ctx;
    const w4moe_layer *layer;
    w4moe_layer_info info;
    /** Of the model. */
    size_t n_experts;
    size_t top_k;
    /** What the layer is used for: these experts of the model. Blocks to be
     * measured that are smaller are taken from them in turn. */
    size_t first_expert;
    size_t n_here;
    w4moe_dtype dtype;
    int exact;
    uint32_t n_repeats;
    /** NULL: this process alone. */
    const struct plan_team *team;
    /** Of a team: how often each does a step before it waits for the others, as
     * a call has chunks: a rank may be late with one and early with the
     * next. */
    size_t in_row;
    /** What was measured already. */
    struct plan_known {
        int what;
        size_t a;
        size_t b;
        double seconds;
    } known[PLAN_KNOWN_MAX];
    size_t n_known;
};

/** Measures the chunks of a plan. *estimated: whether computing was measured
 * on fewer rows than there are, and extrapolated. Returns an exit code, after
 * printing why. */
extern int plan_measure(struct plan_bench *bench, const struct ep_plan *plan,
        struct ep_costs *full, struct ep_costs *last, int *estimated);

#endif
