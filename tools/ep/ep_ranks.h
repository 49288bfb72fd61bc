/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The ranks that a tool runs on with --ep, and how they end together.
 */
#ifndef W4_TOOLS_EP_RANKS_H
#define W4_TOOLS_EP_RANKS_H

#include <w4moe/mpi.h>

struct ep_ranks {
    int rank;
    int n_ranks;
};

/** Begins MPI, so that the library may have a thread in it. Returns an exit
 * code. */
extern int ep_ranks_begin(struct ep_ranks *ranks);

/** What became of a step that ranks take apart: the largest of their exit
 * codes. Collective. */
extern int ep_ranks_together(int code);

/** Prints the context's failure, unless it is that of another rank, which
 * prints it. Returns TOOL_ERROR. */
extern int ep_ranks_failed(const struct ep_ranks *ranks, const w4moe_ctx *ctx,
        w4moe_status status);

/** The largest of all ranks' numbers. Collective. */
extern double ep_ranks_largest(double value);

/** This rank's part of the processors that it may use: each is divided by the
 * ranks of this machine that may use it, too. At least 1. Collective. */
extern unsigned ep_ranks_threads(void);

#endif
