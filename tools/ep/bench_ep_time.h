/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Timing w4moe_mpi_forward() with made-up routing.
 */
#ifndef W4_TOOLS_BENCH_EP_TIME_H
#define W4_TOOLS_BENCH_EP_TIME_H

#include "bench/bench_report.h"
#include "ep_ranks.h"

/** One row; medians over the calls. Times are those of the rank that took
 * longest in a call. */
struct bench_ep_row {
    /** Of each rank. */
    uint32_t n_tokens;
    size_t n_calls;
    size_t n_chunks;
    double seconds;
    double prepare;
    double dispatch;
    double compute;
    double combine;
    double add;
    /** Bytes to other ranks, of the rank that sends most. */
    double bytes_dispatched;
    double bytes_combined;
    /** Slots of the rank that has most, by the mean. */
    double imbalance;
    /** Seconds of waiting in one chunk, where nothing overlaps; and the part
     * of these that chunks hide. NAN: nothing to compare. */
    double one_chunk_wait;
    double hidden;
};

/** What a row is timed on. */
struct bench_ep_bench {
    const struct bench_run *run;
    const struct ep_ranks *ranks;
    const w4moe_mpi_layer *layer;
};

/** Times calls of row->n_tokens tokens on each rank, at least --repeat of them
 * and for about half a second. Sets the rest of row, the same on all ranks.
 * Returns an exit code. Collective. */
extern int bench_ep_time(
        struct bench_ep_row *row, const struct bench_ep_bench *bench);

#endif
