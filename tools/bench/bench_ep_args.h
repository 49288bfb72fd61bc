/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Options of moe-bench about expert parallelism.
 */
#ifndef W4_TOOLS_BENCH_EP_ARGS_H
#define W4_TOOLS_BENCH_EP_ARGS_H

#include "args.h"

struct bench_ep_args {
    /** --ep: on the ranks of MPI; --ep-model: predict. Both: compare. */
    int ep;
    int model;
    /** 0: the library's. */
    uint32_t chunk_tokens;
    int exact;
    /** Numbers of ranks to predict for; values NULL: not said. */
    struct args_list ranks;
    /** Seconds, and bytes per second; 0: not said. */
    double latency;
    double gap;
    double bandwidth;
    /** NULL: none. */
    const char *plot;
    /** The last option that is for --ep or --ep-model, or for the latter only,
     * if any. */
    const char *needs_either;
    const char *needs_model;
};

/** Ids of options; BENCH_EP_FIRST is the first, BENCH_EP_END behind the
 * last. */
enum bench_ep_option {
    BENCH_EP_FIRST = 512,
    BENCH_EP_EP = BENCH_EP_FIRST,
    BENCH_EP_CHUNK,
    BENCH_EP_EXACT,
    BENCH_EP_MODEL,
    BENCH_EP_RANKS,
    BENCH_EP_LATENCY,
    BENCH_EP_GAP,
    BENCH_EP_BANDWIDTH,
    BENCH_EP_PLOT,
    BENCH_EP_END
};

/** Rows of getopt_long()'s table. */
#define BENCH_EP_LONG_OPTIONS                                                  \
    {"ep", no_argument, NULL, BENCH_EP_EP},                                    \
            {"ep-chunk", required_argument, NULL, BENCH_EP_CHUNK},             \
            {"ep-exact", no_argument, NULL, BENCH_EP_EXACT},                   \
            {"ep-model", no_argument, NULL, BENCH_EP_MODEL},                   \
            {"ep-ranks", required_argument, NULL, BENCH_EP_RANKS},             \
            {"latency", required_argument, NULL, BENCH_EP_LATENCY},            \
            {"gap", required_argument, NULL, BENCH_EP_GAP},                    \
            {"bandwidth", required_argument, NULL, BENCH_EP_BANDWIDTH},        \
    {                                                                          \
        "plot", required_argument, NULL, BENCH_EP_PLOT                         \
    }

/** Takes an option; value is its argument, or NULL. Prints what is wrong with
 * it. Returns an exit code. */
extern int bench_ep_take(
        struct bench_ep_args *args, enum bench_ep_option id, char *value);

/** Whether options go together; uniform: --routing is that. Returns an exit
 * code. */
extern int bench_ep_settle(struct bench_ep_args *args, int uniform);

extern void bench_ep_args_free(struct bench_ep_args *args);

#endif
