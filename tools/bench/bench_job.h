/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What moe-bench does with its options.
 */
#ifndef W4_TOOLS_BENCH_JOB_H
#define W4_TOOLS_BENCH_JOB_H

#include "bench_ep_args.h"
#include "bench_layer.h"
#include "bench_time.h"

/** The most that --repeat takes: bench_time() has room for as many times. */
enum { BENCH_REPEATS_MAX = 10000 };

struct bench_job {
    /** NULL: random weights of `shape`. */
    const char *file_path;
    /** Negative: the first of the file. */
    int64_t layer;
    struct bench_shape shape;
    /** For random weights. */
    size_t top_k;
    /** W4MOE_LAYER_HUGE_PAGES, W4MOE_LAYER_PREFAULT, or-ed. */
    unsigned layer_flags;
    const uint32_t *tokens;
    size_t n_rows;
    enum bench_routing routing;
    w4moe_dtype dtype;
    const char *backend;
    /** 0: the default. */
    uint32_t n_threads;
    uint32_t n_repeats;
    int json;
    struct bench_ep_args ep;
};

/** Measures and prints. Returns an exit code. */
extern int bench_job(const struct bench_job *job);

#endif
