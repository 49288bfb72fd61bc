/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What moe-run does with its options.
 */
#ifndef W4_TOOLS_RUN_JOB_H
#define W4_TOOLS_RUN_JOB_H

#include <w4moe.h>

struct run_ep;
struct run_ep_calls;

struct run_job {
    const char *file_path;
    const char *input_path;
    /** "" for none. */
    const char *prefix;
    /** May be NULL. */
    const char *output_path;
    const char *expect_path;
    const char *backend;
    uint32_t layer;
    uint32_t n_threads;
    /** 0: once, without timing. */
    uint32_t n_repeats;
    double max_ratio;
    w4moe_dtype dtype;
    /** Part of the experts; 0: all that the container holds. */
    size_t first_expert;
    size_t n_experts;
    int weight_on_input;
    /** Spread the experts over the ranks of an MPI job. */
    int ep;
    /** Say how often each expert was chosen. */
    int counts;
    /** Say what computes. */
    int verbose;
    /** W4MOE_LAYER_HUGE_PAGES, W4MOE_LAYER_PREFAULT, or-ed. */
    unsigned layer_flags;
};

/** Runs the layer, compares and writes. The output is written only if all else
 * went well. By the ranks of ep, or in this process alone: calls and ep are
 * NULL. Returns an exit code. */
extern int run_job(const struct run_job *job, const struct run_ep_calls *calls,
        struct run_ep *ep);

#endif
