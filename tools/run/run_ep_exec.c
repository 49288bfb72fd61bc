/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* In moe-run, in place of run_ep.c, which is in moe-run-ep. */
#include "ep_exec.h"
#include "run_ep.h"

int
run_ep(const struct run_job *job, char **argv)
{
    (void)job;
    return ep_exec(argv);
}
