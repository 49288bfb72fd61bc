/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Ways through the backend: without blocks, dot products, matrices; the last
 * two with K and groups of any size. Each with its layer, problem, workspace.
 */
#ifndef HIP_WAYS_H
#define HIP_WAYS_H

#include "../kernel/forward_case.h"

struct hip_way {
    size_t hidden, inter, group;
    size_t n_experts, n_tokens, top_k;
    unsigned form;
};

enum { N_HIP_WAYS = 7 };
extern const struct hip_way hip_ways[N_HIP_WAYS];

/** A way that is open. */
struct hip_open_way {
    struct forward_problem p;
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_layer *layer;
    w4moe_workspace *ws;
    /** Not NULL: the logits, [T][E], that experts are chosen by. */
    float *logits;
};

extern void hip_way_open(struct hip_open_way *open, const w4moe_ctx *ctx,
        const struct hip_way *way, unsigned flags);

/** The problem's experts and weights come from logits from now on. */
extern void hip_way_use_logits(struct hip_open_way *open);

extern void hip_way_close(struct hip_open_way *open);

#endif
