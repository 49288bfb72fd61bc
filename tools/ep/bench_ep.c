/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* moe-bench on ranks; see bench_ep.h. Each rank makes or loads its part of the
 * layer; the ranks agree after every step that they do apart. */
#include "bench/bench_ep.h"

#include "bench_ep_check.h"
#include "bench_ep_report.h"
#include "common.h"

struct state {
    const struct bench_job *job;
    struct ep_ranks ranks;
    struct bench_run run;
    unsigned n_threads;
    w4moe_mpi *mpi;
    w4moe_mpi_layer *layer;
    struct bench_ep_bench bench;
    /** NULL without --ep-model. */
    struct bench_ep_checker *checker;
};

/* ------------------------------------------------------------------- layer */

/* This rank's share of made-up experts, as the library spreads them: expert e
 * is rank e * R / E's. A rank without any has one that nobody asks for. */
static int
make_layer(struct state *s)
{
    struct bench_shape shape = s->job->shape;
    size_t n_ranks = (size_t)s->ranks.n_ranks;
    size_t rank = (size_t)s->ranks.rank;
    size_t n = shape.n_experts;
    size_t first = (rank * n + n_ranks - 1) / n_ranks;
    size_t end = ((rank + 1) * n + n_ranks - 1) / n_ranks;
    shape.n_experts_global = n;
    shape.n_experts = end > first ? end - first : 1;
    shape.first_expert = first < n ? first : n - 1;
    int code = bench_layer_make(
            &s->run.layer, s->run.ctx, &shape, s->job->layer_flags);
    code = ep_ranks_together(code);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status =
            w4moe_mpi_layer_create(s->mpi, &s->layer, s->run.layer.layer, NULL);
    return status == W4MOE_OK ? TOOL_OK
                              : ep_ranks_failed(&s->ranks, s->run.ctx, status);
}

static int
load_layer(struct state *s)
{
    struct bench_run *run = &s->run;
    int code = bench_layer_open(&run->layer, &run->layer_no, &run->top_k,
            run->ctx, s->job->file_path);
    code = ep_ranks_together(code);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status =
            w4moe_mpi_layer_load(s->mpi, &s->layer, run->layer.file,
                    (uint32_t)run->layer_no, NULL, s->job->layer_flags);
    if (status != W4MOE_OK) {
        return ep_ranks_failed(&s->ranks, run->ctx, status);
    }
    return ep_ranks_together(bench_layer_describe(&run->layer, run->ctx,
            w4moe_mpi_layer_local(s->layer), run->layer_no));
}

/* -------------------------------------------------------------------- rows */

/* A row; rank 0 prints it, or collects it. */
static int
one_row(struct state *s, const struct bench_ep_report *report,
        struct bench_ep_row *row, json_t *collected)
{
    struct bench_ep_check predicted = {0};
    const struct bench_ep_check *check = s->checker != NULL ? &predicted : NULL;
    int code = s->checker != NULL
                       ? bench_ep_check(s->checker, &s->bench, row, &predicted)
                       : bench_ep_time(row, &s->bench);
    if (code != TOOL_OK || s->ranks.rank != 0) {
        return code;
    }
    if (collected != NULL) {
        json_array_append_new(collected, bench_ep_row_json(report, row, check));
    } else {
        bench_ep_print_row(report, row, check);
    }
    return TOOL_OK;
}

/* All rows; rank 0 prints them, as they come or as JSON. */
static int
measure(struct state *s)
{
    const struct bench_ep_report report = {
            .run = &s->run,
            .ranks = &s->ranks,
            .n_threads = s->n_threads,
            .link = bench_ep_checker_link(s->checker),
    };
    int first = s->ranks.rank == 0;
    json_t *collected = NULL;
    int code = TOOL_OK;
    if (first && s->job->json) {
        collected = json_array();
    } else if (first) {
        bench_ep_print_head(&report);
    }
    for (size_t i = 0; i < s->job->n_rows && code == TOOL_OK; i++) {
        struct bench_ep_row row = {.n_tokens = s->job->tokens[i]};
        code = one_row(s, &report, &row, collected);
    }
    if (collected != NULL && code == TOOL_OK) {
        return json_print(bench_ep_json(&report, collected));
    }
    json_decref(collected);
    return code;
}

static int
run(struct state *s)
{
    const w4moe_mpi_options options = {
            .struct_size = sizeof(options),
            .chunk_tokens = s->job->ep.chunk_tokens,
    };
    w4moe_status status =
            w4moe_mpi_create(s->run.ctx, &s->mpi, MPI_COMM_WORLD, &options);
    if (status != W4MOE_OK) {
        return ep_ranks_failed(&s->ranks, s->run.ctx, status);
    }
    int code = s->job->file_path != NULL ? load_layer(s) : make_layer(s);
    if (code != TOOL_OK) {
        return code;
    }
    s->run.n_experts = s->run.layer.info.n_experts_global;
    s->bench = (struct bench_ep_bench){
            .run = &s->run,
            .ranks = &s->ranks,
            .layer = s->layer,
    };
    code = ep_ranks_together(bench_check_top_k(&s->run));
    if (code == TOOL_OK && s->job->ep.model) {
        code = bench_ep_checker_create(&s->checker, &s->bench);
    }
    return code == TOOL_OK ? measure(s) : code;
}

int
bench_ep(const struct bench_job *job, char **argv)
{
    struct tool_log log = {.quiet = 0};
    w4moe_ctx *ctx = NULL;
    struct state s = {
            .job = job,
            .run = {.job = job, .layer_no = job->layer, .top_k = job->top_k},
    };
    (void)argv;
    if (ep_ranks_begin(&s.ranks) != TOOL_OK) {
        return TOOL_ERROR;
    }
    unsigned share = ep_ranks_threads();
    s.n_threads = job->n_threads > 0 ? job->n_threads : share;
    int code = tool_ctx_create(&ctx, &log, job->backend, s.n_threads);
    code = ep_ranks_together(code);
    s.run.ctx = ctx;
    if (code == TOOL_OK) {
        code = ep_ranks_together(run(&s));
    }
    bench_ep_checker_destroy(s.checker);
    w4moe_mpi_layer_destroy(s.layer);
    bench_layer_free(&s.run.layer);
    if (s.mpi != NULL) {
        w4moe_mpi_destroy(s.mpi);
    }
    w4moe_ctx_destroy(ctx);
    MPI_Finalize();
    return code;
}
