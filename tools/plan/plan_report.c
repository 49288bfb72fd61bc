/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Tables and JSON of predictions; see plan_report.h. */
#include "plan_report.h"

#include <stdio.h>

/* Seconds of a rank's copying, and of its waiting for others. */
static double
copying(const struct ep_times *times)
{
    return times->pack + times->add;
}

static double
exposed(const struct ep_times *times)
{
    return times->prepare + times->dispatch_wait + times->combine_wait;
}

void
plan_print_head(const struct bench_run *run, const struct ep_link *link)
{
    const struct bench_ep_args *args = &run->job->ep;
    char chunk[TEXT_MAX] = "by the library";
    bench_print_layer(run);
    if (args->chunk_tokens != 0) {
        snprintf(chunk, sizeof(chunk), "of %lu tokens",
                (unsigned long)args->chunk_tokens);
    }
    printf("link        latency %.2f us, gap %.2f us, %.2f GB/s\n",
            link->latency * 1e6, link->gap * 1e6, link->bandwidth * 1e-9);
    printf("chunks      %s; %s come back\n", chunk,
            args->exact ? "slots" : "sums");
    fflush(stdout);
}

void
plan_print_curve(uint32_t n_tokens)
{
    printf("\npredicted for %lu tokens of each rank\n",
            (unsigned long)n_tokens);
    printf("%6s %10s %11s %11s %9s %11s %13s %11s\n", "ranks", "tokens", "ms",
            "compute", "copy", "exposed", "tokens/s", "efficiency");
}

void
plan_print_row(uint32_t n_tokens, const struct plan_row *row)
{
    const struct ep_times *times = &row->times;
    printf("%6zu %10.0f %11.4f %11.4f %9.4f %11.4f %13.1f %11.3f%s\n",
            row->n_ranks, (double)row->n_ranks * n_tokens, 1e3 * times->total,
            1e3 * times->compute, 1e3 * copying(times), 1e3 * exposed(times),
            row->rate, row->efficiency, row->estimated ? " ~" : "");
    fflush(stdout);
}

static json_t *
row_json(uint32_t n_tokens, const struct plan_row *row)
{
    const struct ep_times *times = &row->times;
    json_t *root = json_pack("{s:o, s:o, s:o, s:f, s:f, s:f, s:f, s:f}",
            "ranks", json_of_uint(row->n_ranks), "tokens",
            json_of_uint((uint64_t)row->n_ranks * n_tokens), "chunks",
            json_of_uint(row->n_chunks), "ms", 1e3 * times->total, "compute_ms",
            1e3 * times->compute, "copy_ms", 1e3 * copying(times), "exposed_ms",
            1e3 * exposed(times), "tokens_per_second", row->rate);
    return json_join(
            root, json_pack("{s:f, s:b}", "efficiency", row->efficiency,
                          "extrapolated", row->estimated));
}

static json_t *
curve_json(const struct plan_curve *curve)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < curve->n_rows; i++) {
        json_array_append_new(rows, row_json(curve->n_tokens, &curve->rows[i]));
    }
    return json_pack("{s:o, s:o}", "tokens_per_rank",
            json_of_uint(curve->n_tokens), "rows", rows);
}

json_t *
plan_json(const struct bench_run *run, const struct ep_link *link,
        const struct plan_curve *curves, size_t n)
{
    const struct bench_ep_args *args = &run->job->ep;
    json_t *collected = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(collected, curve_json(&curves[i]));
    }
    return json_pack("{s:s, s:o, s:o, s:{s:f, s:f, s:f}, s:o, s:b, s:o}",
            "version", W4MOE_VERSION, "context",
            json_of_text(w4moe_ctx_describe(run->ctx)), "layer",
            bench_layer_json(run), "link", "latency_us", link->latency * 1e6,
            "gap_us", link->gap * 1e6, "gb_per_second", link->bandwidth * 1e-9,
            "chunk_tokens",
            args->chunk_tokens != 0 ? json_of_uint(args->chunk_tokens)
                                    : json_null(),
            "exact", args->exact, "predictions", collected);
}
