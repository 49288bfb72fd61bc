/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What moe-bench does with its options; see bench_job.h. */
#include "bench_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench_report.h"
#include "common.h"
#include "limits.h"

struct state {
    struct bench_run run;
    struct limits limits;
};

static double
read_share(const struct state *s, const struct bench_row *row)
{
    return row->bytes_rate / s->limits.read_rate;
}

static double
peak_share(const struct state *s, const struct bench_row *row)
{
    return row->flops_rate / s->limits.probes[s->limits.best].rate;
}

static void
print_limits(const struct state *s)
{
    char buffer[TEXT_MAX];
    char cache[TEXT_MAX];
    const struct limits *limits = &s->limits;
    printf("read limit  %.1f GB/s (%u threads, %s, %s; last-level cache "
           "%s)\n",
            limits->read_rate * 1e-9, limits->n_threads, limits->read_name,
            text_bytes(buffer, limits->buffer_bytes),
            limits->cache_bytes > 0 ? text_bytes(cache, limits->cache_bytes)
                                    : "not known");
    for (size_t i = 0; i < limits->n_probes; i++) {
        printf("dot limit   %.0f GFLOP/s %s%s\n", limits->probes[i].rate * 1e-9,
                limits->probes[i].name,
                i == limits->best ? " <- shares are of this" : "");
    }
}

static void
print_row(const struct state *s, const struct bench_row *row)
{
    printf("%8lu %12.4f %12.1f %10.2f %7.3f %10.1f %7.3f  %s\n",
            (unsigned long)row->n_tokens, 1e3 * row->seconds, row->tokens_rate,
            row->bytes_rate * 1e-9, read_share(s, row), row->flops_rate * 1e-9,
            peak_share(s, row), s->limits.probes[s->limits.best].name);
    fflush(stdout);
}

static json_t *
limits_json(const struct limits *limits)
{
    json_t *probes = json_array();
    for (size_t i = 0; i < limits->n_probes; i++) {
        json_array_append_new(probes,
                json_pack("{s:s, s:f}", "instruction", limits->probes[i].name,
                        "gflop_per_second", limits->probes[i].rate * 1e-9));
    }
    return json_pack("{s:o, s:o, s:o, s:s, s:f, s:s, s:f, s:o}", "threads",
            json_of_uint(limits->n_threads), "cache_bytes",
            json_of_uint(limits->cache_bytes), "buffer_bytes",
            json_of_uint(limits->buffer_bytes), "read_instruction",
            limits->read_name, "read_gb_per_second", limits->read_rate * 1e-9,
            "dot_instruction", limits->probes[limits->best].name,
            "dot_gflop_per_second", limits->probes[limits->best].rate * 1e-9,
            "dot_probes", probes);
}

static json_t *
row_json(const struct state *s, const struct bench_row *row)
{
    return json_pack("{s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "tokens",
            json_of_uint(row->n_tokens), "calls", json_of_uint(row->n_calls),
            "ms", 1e3 * row->seconds, "tokens_per_second", row->tokens_rate,
            "weight_bytes", row->bytes, "gb_per_second", row->bytes_rate * 1e-9,
            "share_of_read", read_share(s, row), "gflop_per_second",
            row->flops_rate * 1e-9, "share_of_dot", peak_share(s, row));
}

/* Times all rows; prints them as they come, or collects them. */
static int
rows(const struct state *s, json_t *collected)
{
    for (size_t i = 0; i < s->run.job->n_rows; i++) {
        struct bench_row row = {.n_tokens = s->run.job->tokens[i]};
        int code = bench_time(&row, s->run.ctx, &s->run.layer, s->run.top_k,
                s->run.job->routing, s->run.job->dtype, s->run.job->n_repeats);
        if (code != TOOL_OK) {
            return code;
        }
        if (collected != NULL) {
            json_array_append_new(collected, row_json(s, &row));
        } else {
            print_row(s, &row);
        }
    }
    return TOOL_OK;
}

static int
print_table(const struct state *s)
{
    bench_print_layer(&s->run);
    print_limits(s);
    printf("\n%8s %12s %12s %10s %7s %10s %7s  %s\n", "tokens", "ms",
            "tokens/s", "GB/s", "share", "GFLOP/s", "share", "of");
    fflush(stdout);
    return rows(s, NULL);
}

static int
print_json(const struct state *s)
{
    json_t *collected = json_array();
    if (collected == NULL) {
        return json_print(NULL);
    }
    int code = rows(s, collected);
    if (code != TOOL_OK) {
        json_decref(collected);
        return code;
    }
    return json_print(json_pack("{s:s, s:o, s:o, s:s, s:o, s:o}", "version",
            W4MOE_VERSION, "context",
            json_of_text(w4moe_ctx_describe(s->run.ctx)), "layer",
            bench_layer_json(&s->run), "routing",
            bench_routing_name(s->run.job->routing), "limits",
            limits_json(&s->limits), "rows", collected));
}

int
bench_job(const struct bench_job *job)
{
    struct tool_log log = {.quiet = 0};
    w4moe_ctx *ctx = NULL;
    struct state s = {
            .run = {.job = job, .layer_no = job->layer, .top_k = job->top_k}};
    unsigned n_threads =
            job->n_threads > 0 ? job->n_threads : limits_default_threads();
    int code = tool_ctx_create(&ctx, &log, job->backend, n_threads);
    if (code != TOOL_OK) {
        return code;
    }
    s.run.ctx = ctx;
    code = bench_get_layer(&s.run);
    if (code == TOOL_OK) {
        code = limits_measure(&s.limits, n_threads, bench_huge_pages(&s.run));
    }
    if (code == TOOL_OK) {
        code = job->json ? print_json(&s) : print_table(&s);
    }
    bench_layer_free(&s.run.layer);
    w4moe_ctx_destroy(ctx);
    return code;
}
