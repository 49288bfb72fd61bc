/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The ranks that moe-bench --ep runs on, and how they end together.
 */
#ifndef W4_TOOLS_BENCH_EP_RANKS_H
#define W4_TOOLS_BENCH_EP_RANKS_H

#include <w4moe/mpi.h>

struct bench_ep_ranks {
    int rank;
    int n_ranks;
};

/** Begins MPI, so that the library may have a thread in it. */
extern void bench_ep_begin(struct bench_ep_ranks *ranks);

/** What became of a step that ranks take apart: code, or TOOL_ERROR if only
 * others failed. Collective. */
extern int bench_ep_together(int code);

/** Prints the context's failure, unless it is that of another rank, which
 * prints it. Returns TOOL_ERROR. */
extern int bench_ep_failed(const struct bench_ep_ranks *ranks,
        const w4moe_ctx *ctx, w4moe_status status);

/** The largest of all ranks' numbers. Collective. */
extern double bench_ep_largest(double value);

/** This rank's part of the processors that it may use: each is divided by the
 * ranks of this machine that may use it, too. At least 1. Collective. */
extern unsigned bench_ep_threads(void);

#endif
