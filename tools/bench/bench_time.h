/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Timing forward calls with made-up routing.
 */
#ifndef W4_TOOLS_BENCH_TIME_H
#define W4_TOOLS_BENCH_TIME_H

#include "bench_layer.h"
#include "bench_route.h"

/** One row of moe-bench's table; medians over the calls. */
struct bench_row {
    uint32_t n_tokens;
    size_t n_calls;
    double seconds;
    double tokens_rate;
    /** Weight bytes of the distinct experts of a call, and these by time. */
    double bytes;
    double bytes_rate;
    /** Operations of a call by time; a multiply-add is two. */
    double flops_rate;
};

/** Times calls of row->n_tokens tokens, at least n_repeats of them and for
 * about half a second, each with new experts. Sets the rest of row. Returns an
 * exit code. */
extern int bench_time(struct bench_row *row, const w4moe_ctx *ctx,
        const struct bench_layer *layer, size_t top_k,
        enum bench_routing routing, w4moe_dtype dtype, uint32_t n_repeats);

#endif
