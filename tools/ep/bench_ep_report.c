/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What rank 0 prints; see bench_ep_report.h. */
#include "bench_ep_report.h"

#include <math.h>
#include <stdio.h>

/* ------------------------------------------------------------------- table */

static void
print_link(const struct ep_link *link)
{
    printf("link        latency %.2f us, gap %.2f us, %.2f GB/s\n",
            link->latency * 1e6, link->gap * 1e6, link->bandwidth * 1e-9);
}

void
bench_ep_print_head(const struct bench_ep_report *report)
{
    const struct bench_ep_args *args = &report->run->job->ep;
    char chunk[TEXT_MAX] = "by the library";
    bench_print_layer(report->run);
    if (args->chunk_tokens != 0) {
        snprintf(chunk, sizeof(chunk), "of %lu tokens",
                (unsigned long)args->chunk_tokens);
    }
    printf("ranks       %d, of %u threads; chunks %s; %s come back\n",
            report->ranks->n_ranks, report->n_threads, chunk,
            args->exact ? "slots" : "sums");
    if (report->link != NULL) {
        print_link(report->link);
    }
    printf("\n%8s %10s %11s %8s %9s %8s %8s %7s %6s %9s %6s %6s\n", "tokens",
            "ms", "tokens/s", "prepare", "dispatch", "compute", "combine",
            "add", "chunks", "MB", "imbal", "hidden");
    fflush(stdout);
}

/* What of a call was predicted, in the row's columns. */
static void
print_check(const struct bench_ep_row *row, const struct bench_ep_check *check)
{
    const struct ep_times *times = &check->predicted;
    printf("%8s %10.4f %11s %8.3f %9.3f %8.3f %8.3f %7.3f  ratio %.2f%s\n",
            "model", 1e3 * times->total, "", 1e3 * times->prepare,
            1e3 * (times->pack + times->dispatch_wait), 1e3 * times->compute,
            1e3 * times->combine_wait, 1e3 * times->add,
            times->total / row->seconds,
            check->estimated ? ", extrapolated" : "");
}

/* Tokens of all ranks in a second. */
static double
rate(int n_ranks, const struct bench_ep_row *row)
{
    return n_ranks * (double)row->n_tokens / row->seconds;
}

void
bench_ep_print_row(const struct bench_ep_report *report,
        const struct bench_ep_row *row, const struct bench_ep_check *check)
{
    char hidden[TEXT_MAX] = "-";
    if (!isnan(row->hidden)) {
        snprintf(hidden, sizeof(hidden), "%.2f", row->hidden);
    }
    printf("%8lu %10.4f %11.1f %8.3f %9.3f %8.3f %8.3f %7.3f %6zu %9.3f "
           "%6.2f %6s\n",
            (unsigned long)row->n_tokens, 1e3 * row->seconds,
            rate(report->ranks->n_ranks, row), 1e3 * row->prepare,
            1e3 * row->dispatch, 1e3 * row->compute, 1e3 * row->combine,
            1e3 * row->add, row->n_chunks,
            1e-6 * (row->bytes_dispatched + row->bytes_combined),
            row->imbalance, hidden);
    if (check != NULL) {
        print_check(row, check);
    }
    fflush(stdout);
}

/* -------------------------------------------------------------------- JSON */

/* A number, or null. */
static json_t *
number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *
bench_ep_json(const struct bench_ep_report *report, json_t *rows)
{
    const struct bench_run *run = report->run;
    const struct bench_ep_args *args = &run->job->ep;
    const struct ep_link *link = report->link;
    json_t *root = json_pack("{s:s, s:o, s:o, s:s, s:i, s:o, s:o, s:b, s:o}",
            "version", W4MOE_VERSION, "context",
            json_of_text(w4moe_ctx_describe(run->ctx)), "layer",
            bench_layer_json(run), "routing",
            bench_routing_name(run->job->routing), "ranks",
            report->ranks->n_ranks, "threads_per_rank",
            json_of_uint(report->n_threads), "chunk_tokens",
            args->chunk_tokens != 0 ? json_of_uint(args->chunk_tokens)
                                    : json_null(),
            "exact", args->exact, "rows", rows);
    return link == NULL
                   ? root
                   : json_join(root,
                             json_pack("{s:{s:f, s:f, s:o}}", "link",
                                     "latency_us", link->latency * 1e6,
                                     "gap_us", link->gap * 1e6, "gb_per_second",
                                     number(link->bandwidth * 1e-9)));
}

static json_t *
check_json(const struct bench_ep_row *row, const struct bench_ep_check *check)
{
    const struct ep_times *times = &check->predicted;
    return json_pack("{s:{s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:f}}",
            "predicted", "ms", 1e3 * times->total, "prepare_ms",
            1e3 * times->prepare, "dispatch_ms",
            1e3 * (times->pack + times->dispatch_wait), "compute_ms",
            1e3 * times->compute, "combine_ms", 1e3 * times->combine_wait,
            "add_ms", 1e3 * times->add, "extrapolated", check->estimated,
            "ratio", times->total / row->seconds);
}

json_t *
bench_ep_row_json(const struct bench_ep_report *report,
        const struct bench_ep_row *row, const struct bench_ep_check *check)
{
    json_t *root = json_pack("{s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
            "tokens", json_of_uint(row->n_tokens), "calls",
            json_of_uint(row->n_calls), "ms", 1e3 * row->seconds,
            "tokens_per_second", rate(report->ranks->n_ranks, row),
            "prepare_ms", 1e3 * row->prepare, "dispatch_ms",
            1e3 * row->dispatch, "compute_ms", 1e3 * row->compute, "combine_ms",
            1e3 * row->combine, "add_ms", 1e3 * row->add);
    root = json_join(root,
            json_pack("{s:o, s:f, s:f, s:f, s:o, s:o}", "chunks",
                    json_of_uint(row->n_chunks), "bytes_dispatched",
                    row->bytes_dispatched, "bytes_combined",
                    row->bytes_combined, "imbalance", row->imbalance,
                    "one_chunk_wait_ms", number(1e3 * row->one_chunk_wait),
                    "hidden", number(row->hidden)));
    return check != NULL ? json_join(root, check_json(row, check)) : root;
}
