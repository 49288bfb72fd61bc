/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Predictions for the ranks that are here, to stand beside what they take.
 */
#ifndef W4_TOOLS_BENCH_EP_CHECK_H
#define W4_TOOLS_BENCH_EP_CHECK_H

#include "bench_ep_report.h"

struct bench_ep_checker;

/** Measures latency, gap and bandwidth of the communicator, but for what the
 * job says of them. Out: *checker_p, the same on all ranks, for
 * bench_ep_checker_destroy(). Returns an exit code. Collective. */
extern int bench_ep_checker_create(struct bench_ep_checker **checker_p,
        const struct bench_ep_bench *bench);

/** Releases it; may be NULL. */
extern void bench_ep_checker_destroy(struct bench_ep_checker *checker);

/** The link as it was measured. */
extern const struct ep_link *bench_ep_checker_link(
        const struct bench_ep_checker *checker);

/** Times a row, as bench_ep_time(), and predicts it. Computing and copying are
 * measured on all ranks at once, before the calls and after them, so that other
 * work of the machine does the same to both: the prediction is the mean of two.
 * Returns an exit code. Collective. */
extern int bench_ep_check(struct bench_ep_checker *checker,
        const struct bench_ep_bench *bench, struct bench_ep_row *row,
        struct bench_ep_check *check);

#endif
