/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What moe-bench --ep-model prints.
 */
#ifndef W4_TOOLS_PLAN_REPORT_H
#define W4_TOOLS_PLAN_REPORT_H

#include "bench/bench_report.h"
#include "ep_model.h"

/** A prediction for a number of ranks. */
struct plan_row {
    size_t n_ranks;
    size_t n_chunks;
    struct ep_times times;
    /** Tokens of all ranks per second; of one rank, by that of one alone. */
    double rate;
    double efficiency;
    /** Whether computing was extrapolated. */
    int estimated;
};

/** Those of a number of tokens of each rank. */
struct plan_curve {
    uint32_t n_tokens;
    struct plan_row *rows;
    size_t n_rows;
};

/** Prints what is known before the rows. */
extern void plan_print_head(
        const struct bench_run *run, const struct ep_link *link);

/** Prints the head of a curve's table, and a row. */
extern void plan_print_curve(uint32_t n_tokens);
extern void plan_print_row(uint32_t n_tokens, const struct plan_row *row);

/** All of it as JSON; NULL without memory. */
extern json_t *plan_json(const struct bench_run *run,
        const struct ep_link *link, const struct plan_curve *curves, size_t n);

#endif
