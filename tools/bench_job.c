/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What moe-bench does with its options; see bench_job.h. */
#include "bench_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "limits.h"
#include "text.h"

/* What is known of a run by the time it prints. */
struct state {
    const struct bench_job *job;
    const w4moe_ctx *ctx;
    struct bench_layer layer;
    int64_t layer_no;
    size_t top_k;
    struct limits limits;
};

static const char *
code_name(w4moe_code code)
{
    return code == W4MOE_CODE_E2M1 ? "mxfp4" : "int4";
}

static const char *
routing_name(enum bench_routing routing)
{
    return routing == BENCH_ROUTING_ONE ? "one" : "uniform";
}

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

static int
huge_pages(const struct state *s)
{
    return (s->job->layer_flags & W4MOE_LAYER_HUGE_PAGES) != 0;
}

static void
print_layer(const struct state *s)
{
    const struct bench_layer *layer = &s->layer;
    char bytes[TEXT_MAX];
    char activation[TEXT_MAX];
    char clean[TEXT_MAX];
    fputs(w4moe_ctx_describe(s->ctx), stdout);
    if (s->job->file_path != NULL) {
        printf("layer       %ld of %s\n", (long)s->layer_no,
                text_clean(clean, s->job->file_path));
    } else {
        printf("layer       random weights\n");
    }
    printf("code        %s\n", code_name(layer->code));
    printf("routing     %s\n", routing_name(s->job->routing));
    printf("shape       E %zu, k %zu, H %zu, I %zu, groups %zu and %zu, %s\n",
            layer->info.n_experts, s->top_k, layer->info.hidden_size,
            layer->info.intermediate_size, layer->w13_group_size,
            layer->w2_group_size,
            text_activation(activation, &layer->info.activation));
    printf("weights     order %s, scales %s, zero points %s, %s per "
           "expert%s\n",
            text_order(layer->order), w4moe_dtype_name(layer->scale_dtype),
            layer->zero_points ? "yes" : "no",
            text_bytes(bytes, layer->info.bytes_per_expert),
            huge_pages(s) ? ", huge pages" : "");
    printf("activations %s\n", w4moe_dtype_name(s->job->dtype));
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
layer_json(const struct state *s)
{
    const struct bench_layer *layer = &s->layer;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, "
                     "s:s, s:b, s:b, s:o, s:s}",
            "file", json_of_text(s->job->file_path), "layer",
            s->layer_no >= 0 ? json_of_uint((uint64_t)s->layer_no)
                             : json_null(),
            "experts", json_of_uint(layer->info.n_experts), "top_k",
            json_of_uint(s->top_k), "hidden_size",
            json_of_uint(layer->info.hidden_size), "intermediate_size",
            json_of_uint(layer->info.intermediate_size), "w13_group_size",
            json_of_uint(layer->w13_group_size), "w2_group_size",
            json_of_uint(layer->w2_group_size), "activation",
            json_of_activation(&layer->info.activation), "code",
            code_name(layer->code), "order", text_order(layer->order),
            "scale_dtype", w4moe_dtype_name(layer->scale_dtype), "zero_points",
            layer->zero_points, "huge_pages", huge_pages(s), "bytes_per_expert",
            json_of_uint(layer->info.bytes_per_expert), "dtype",
            w4moe_dtype_name(s->job->dtype));
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
    for (size_t i = 0; i < s->job->n_rows; i++) {
        struct bench_row row = {.n_tokens = s->job->tokens[i]};
        int code = bench_time(&row, s->ctx, &s->layer, s->top_k,
                s->job->routing, s->job->dtype, s->job->n_repeats);
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
    print_layer(s);
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
            W4MOE_VERSION, "context", json_of_text(w4moe_ctx_describe(s->ctx)),
            "layer", layer_json(s), "routing", routing_name(s->job->routing),
            "limits", limits_json(&s->limits), "rows", collected));
}

int
bench_job(const struct bench_job *job)
{
    struct tool_log log = {.quiet = 0};
    w4moe_ctx *ctx = NULL;
    struct state s = {.job = job, .layer_no = job->layer, .top_k = job->top_k};
    unsigned n_threads =
            job->n_threads > 0 ? job->n_threads : limits_default_threads();
    int code = tool_ctx_create(&ctx, &log, job->backend, n_threads);
    if (code != TOOL_OK) {
        return code;
    }
    s.ctx = ctx;
    code = job->file_path != NULL
                   ? bench_layer_load(&s.layer, &s.layer_no, &s.top_k, ctx,
                             job->file_path, job->layer_flags)
                   : bench_layer_make(
                             &s.layer, ctx, &job->shape, job->layer_flags);
    if (code == TOOL_OK && (s.top_k == 0 || s.top_k > s.layer.info.n_experts)) {
        code = tool_error("%zu experts per token of %zu", s.top_k,
                s.layer.info.n_experts);
    }
    if (code == TOOL_OK) {
        code = limits_measure(&s.limits, n_threads, huge_pages(&s));
    }
    if (code == TOOL_OK) {
        code = job->json ? print_json(&s) : print_table(&s);
    }
    bench_layer_free(&s.layer);
    w4moe_ctx_destroy(ctx);
    return code;
}
