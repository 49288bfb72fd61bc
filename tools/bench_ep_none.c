/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* In place of bench_ep.c where there is no MPI. */
#include "bench_ep.h"
#include "common.h"

int
bench_ep(const struct bench_job *job)
{
    (void)job;
    return tool_error("--ep: built without MPI");
}
