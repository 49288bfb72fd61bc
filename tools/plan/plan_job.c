/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Predictions for many ranks; see plan_job.h. */
#include "plan_job.h"

#include <stdlib.h>

#include "bench/limits.h"
#include "common.h"
#include "plan_measure.h"
#include "plan_plot.h"
#include "plan_report.h"

/* Without --ep-ranks: 1, 2, 4, ... */
enum { DEFAULT_RANKS = 11 };

struct state {
    struct bench_run run;
    struct ep_link link;
    struct plan_bench bench;
    uint32_t ranks[DEFAULT_RANKS];
    const uint32_t *n_ranks;
    size_t n_rows;
    struct plan_curve *curves;
};

/* Measures and predicts one number of ranks. */
static int
predict(struct state *s, uint32_t n_tokens, struct plan_row *row)
{
    const struct bench_ep_args *args = &s->run.job->ep;
    const struct ep_case what = {
            .n_ranks = row->n_ranks,
            .n_experts = s->run.n_experts,
            .top_k = s->run.top_k,
            .hidden_size = s->run.layer.info.hidden_size,
            .n_tokens = n_tokens,
            .chunk_tokens = args->chunk_tokens,
            .exact = args->exact,
    };
    struct ep_plan plan;
    struct ep_costs full = {0};
    struct ep_costs last = {0};
    ep_plan_make(&plan, &what);
    int code = plan_measure(&s->bench, &plan, &full, &last, &row->estimated);
    if (code == TOOL_OK) {
        ep_predict(&row->times, &what, &plan, &s->link, &full, &last, 0.0);
        row->n_chunks = plan.n_chunks;
        row->rate = (double)row->n_ranks * (double)n_tokens / row->times.total;
    }
    return code;
}

/* A curve; prints its rows as they come, unless as JSON. */
static int
predict_curve(struct state *s, struct plan_curve *curve)
{
    struct plan_row alone = {.n_ranks = 1};
    int prints = !s->run.job->json;
    if (prints) {
        plan_print_curve(curve->n_tokens);
    }
    int code = predict(s, curve->n_tokens, &alone);
    for (size_t i = 0; i < s->n_rows && code == TOOL_OK; i++) {
        struct plan_row *row = &curve->rows[i];
        row->n_ranks = s->n_ranks[i];
        code = predict(s, curve->n_tokens, row);
        row->efficiency = row->rate / (double)row->n_ranks / alone.rate;
        if (code == TOOL_OK && prints) {
            plan_print_row(curve->n_tokens, row);
        }
    }
    return code;
}

static int
predict_all(struct state *s)
{
    const struct bench_job *job = s->run.job;
    int code = TOOL_OK;
    if (!job->json) {
        plan_print_head(&s->run, &s->link);
    }
    for (size_t i = 0; i < job->n_rows && code == TOOL_OK; i++) {
        s->curves[i].n_tokens = job->tokens[i];
        s->curves[i].n_rows = s->n_rows;
        s->curves[i].rows =
                tool_alloc(s->n_rows, sizeof(s->curves[i].rows[0]), "rows");
        code = s->curves[i].rows != NULL ? predict_curve(s, &s->curves[i])
                                         : TOOL_ERROR;
    }
    if (code == TOOL_OK && job->ep.plot != NULL) {
        code = plan_plot_svg(job->ep.plot, s->curves, job->n_rows);
    }
    if (code != TOOL_OK) {
        return code;
    }
    if (job->json) {
        return json_print(plan_json(&s->run, &s->link, s->curves, job->n_rows));
    }
    plan_plot_text(s->curves, job->n_rows);
    return TOOL_OK;
}

/* What is measured: a layer of all experts. */
static int
make_bench(struct state *s)
{
    const struct bench_run *run = &s->run;
    const w4moe_layer_info *info = &run->layer.info;
    if (info->n_experts != info->n_experts_global) {
        return tool_error("--ep-model: %zu experts of %zu are here, all are "
                          "needed",
                info->n_experts, info->n_experts_global);
    }
    s->bench = (struct plan_bench){
            .ctx = run->ctx,
            .layer = run->layer.layer,
            .info = *info,
            .n_experts = run->n_experts,
            .top_k = run->top_k,
            .n_here = info->n_experts,
            .dtype = run->job->dtype,
            .exact = run->job->ep.exact,
            .n_repeats = run->job->n_repeats,
    };
    return TOOL_OK;
}

static void
take_ranks(struct state *s, const struct bench_ep_args *args)
{
    for (size_t i = 0; i < DEFAULT_RANKS; i++) {
        s->ranks[i] = (uint32_t)1 << i;
    }
    s->n_ranks = args->ranks.values != NULL ? args->ranks.values : s->ranks;
    s->n_rows = args->ranks.values != NULL ? args->ranks.n : DEFAULT_RANKS;
}

static int
run(struct state *s)
{
    const struct bench_job *job = s->run.job;
    take_ranks(s, &job->ep);
    s->link = (struct ep_link){
            .latency = job->ep.latency,
            .gap = job->ep.gap > 0.0 ? job->ep.gap : job->ep.latency,
            .bandwidth = job->ep.bandwidth,
    };
    int code = bench_get_layer(&s->run);
    if (code == TOOL_OK) {
        code = make_bench(s);
    }
    if (code != TOOL_OK) {
        return code;
    }
    s->curves = tool_alloc(job->n_rows, sizeof(s->curves[0]), "curves");
    code = s->curves != NULL ? predict_all(s) : TOOL_ERROR;
    for (size_t i = 0; s->curves != NULL && i < job->n_rows; i++) {
        free(s->curves[i].rows);
    }
    free(s->curves);
    return code;
}

int
plan_job(const struct bench_job *job)
{
    struct tool_log log = {.quiet = 0};
    w4moe_ctx *ctx = NULL;
    unsigned n_threads =
            job->n_threads > 0 ? job->n_threads : limits_default_threads();
    int code = tool_ctx_create(&ctx, &log, job->backend, n_threads);
    if (code != TOOL_OK) {
        return code;
    }
    struct state *s = tool_alloc(1, sizeof(*s), "a prediction");
    if (s == NULL) {
        w4moe_ctx_destroy(ctx);
        return TOOL_ERROR;
    }
    s->run = (struct bench_run){
            .job = job,
            .ctx = ctx,
            .layer_no = job->layer,
            .top_k = job->top_k,
    };
    code = run(s);
    bench_layer_free(&s->run.layer);
    free(s);
    w4moe_ctx_destroy(ctx);
    return code;
}
