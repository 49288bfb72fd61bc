/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * moe-bench --ep-model: how long a call on many ranks will take.
 */
#ifndef W4_TOOLS_PLAN_JOB_H
#define W4_TOOLS_PLAN_JOB_H

#include "bench/bench_job.h"

/** Measures what one rank computes, predicts, and prints. Returns an exit
 * code. */
extern int plan_job(const struct bench_job *job);

#endif
