/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the parts of moe-run share while it runs.
 */
#ifndef W4_TOOLS_RUN_STATE_H
#define W4_TOOLS_RUN_STATE_H

#include "run_input.h"
#include "run_job.h"

/** Everything that is open during a job. */
struct run_state {
    const struct run_job *job;
    w4moe_ctx *ctx;
    w4moe_file *file;
    w4moe_layer *layer;
    w4moe_workspace *ws;
    w4moe_layer_info info;
    /** The ranks, of which each has a part of the layer, and what they can
     * do; NULL: this process has it all. */
    struct run_ep *ep;
    const struct run_ep_calls *calls;
    struct run_input input;
    /** As the job says, or the container. */
    int weight_on_input;
    /** Elements of x and of out. */
    size_t n_values;
    uint16_t *out;
    /** Slots by expert; NULL if they are not wanted. */
    int32_t *counts;
    /** NULL without --expect. */
    double *expected;
};

/** Compares the result with the expected one, prints a line, and judges.
 * Returns an exit code. */
extern int run_compare(struct run_state *s);

#endif
