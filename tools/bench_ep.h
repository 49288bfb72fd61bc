/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * moe-bench --ep: a layer whose experts are spread over the ranks of MPI.
 */
#ifndef W4_TOOLS_BENCH_EP_H
#define W4_TOOLS_BENCH_EP_H

#include "bench_job.h"

/** Measures on all ranks; rank 0 prints. Begins and ends MPI. Returns an exit
 * code, which is TOOL_OK on all ranks or on none. Where MPI is not built in it
 * says so. */
extern int bench_ep(const struct bench_job *job);

#endif
