/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Predictions; see plan_job.h. */
#include "plan_job.h"

#include "common.h"

int
plan_job(const struct bench_job *job)
{
    (void)job;
    return tool_error("--ep-model: not in this version");
}
