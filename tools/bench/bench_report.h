/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What moe-bench says of a run before its numbers: the backend, the layer.
 */
#ifndef W4_TOOLS_BENCH_REPORT_H
#define W4_TOOLS_BENCH_REPORT_H

#include "bench_job.h"
#include "text.h"

/** What is known of a run by the time it prints. */
struct bench_run {
    const struct bench_job *job;
    const w4moe_ctx *ctx;
    struct bench_layer layer;
    int64_t layer_no;
    size_t top_k;
    /** Of the layer, whoever has them. */
    size_t n_experts;
};

/** Loads or makes the layer of the job, whole, and checks top_k. Returns an
 * exit code. */
extern int bench_get_layer(struct bench_run *run);

/** Whether top_k is possible. Returns an exit code. */
extern int bench_check_top_k(const struct bench_run *run);

extern const char *bench_routing_name(enum bench_routing routing);

extern int bench_huge_pages(const struct bench_run *run);

/** Prints the first lines, up to the type of the activations. */
extern void bench_print_layer(const struct bench_run *run);

/** The same of the layer as JSON; NULL without memory. */
extern json_t *bench_layer_json(const struct bench_run *run);

#endif
