/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What rank 0 of moe-bench --ep prints.
 */
#ifndef W4_TOOLS_BENCH_EP_REPORT_H
#define W4_TOOLS_BENCH_EP_REPORT_H

#include "bench_ep_time.h"
#include "plan/ep_model.h"

/** A row that was predicted, too. */
struct bench_ep_check {
    struct ep_times predicted;
    /** Whether computing was measured on fewer rows than it has. */
    int estimated;
};

struct bench_ep_report {
    const struct bench_run *run;
    const struct ep_ranks *ranks;
    unsigned n_threads;
    /** NULL without --ep-model. */
    const struct ep_link *link;
};

/** Prints what is known before the rows, and the head of the table. */
extern void bench_ep_print_head(const struct bench_ep_report *report);

/** Prints a row; check may be NULL. */
extern void bench_ep_print_row(const struct bench_ep_report *report,
        const struct bench_ep_row *row, const struct bench_ep_check *check);

/** The same as JSON; NULL without memory. rows becomes part of it. */
extern json_t *bench_ep_json(
        const struct bench_ep_report *report, json_t *rows);
extern json_t *bench_ep_row_json(const struct bench_ep_report *report,
        const struct bench_ep_row *row, const struct bench_ep_check *check);

#endif
