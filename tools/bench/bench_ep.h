/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * moe-bench --ep: a layer whose experts are spread over the ranks of MPI.
 */
#ifndef W4_TOOLS_BENCH_EP_H
#define W4_TOOLS_BENCH_EP_H

#include "bench_job.h"

/** Measures on all ranks; rank 0 prints. Begins and ends MPI. Returns an exit
 * code, which is TOOL_OK on all ranks or on none.
 *
 * moe-bench, which has no MPI, turns into moe-bench-ep and gives it argv, its
 * command line; if that cannot be, it says so. moe-bench-ep is moe-bench in all
 * else, too: without --ep, which is how only people start it, it measures
 * alone. */
extern int bench_ep(const struct bench_job *job, char **argv);

#endif
