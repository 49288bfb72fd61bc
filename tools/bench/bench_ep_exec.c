/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* In moe-bench, in place of bench_ep.c, which is in moe-bench-ep. */
#include "bench_ep.h"
#include "ep_exec.h"

int
bench_ep(const struct bench_job *job, char **argv)
{
    (void)job;
    return ep_exec(argv);
}
