/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Predictions for these ranks; see bench_ep_check.h. */
#include "bench_ep_check.h"

#include <stdlib.h>

#include "bench_ep_link.h"
#include "common.h"
#include "plan/plan_measure.h"

struct bench_ep_checker {
    const struct bench_ep_bench *bench;
    struct ep_link link;
    struct plan_bench plan;
};

static void
wait_for_all(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static const struct plan_team team = {
        .wait = wait_for_all,
        .largest = ep_ranks_largest,
        .together = ep_ranks_together,
};

/* What the job says goes before what was measured. */
static int
find_link(struct ep_link *link, const struct bench_ep_bench *bench)
{
    const struct bench_ep_args *args = &bench->run->job->ep;
    int code = bench_ep_link_measure(link, bench->ranks);
    if (args->latency > 0.0) {
        link->latency = args->latency;
    }
    if (args->gap > 0.0) {
        link->gap = args->gap;
    }
    if (args->bandwidth > 0.0) {
        link->bandwidth = args->bandwidth;
    }
    return code;
}

/* This rank's experts, which are from rank * E / R, rounded up, on. */
static void
find_experts(struct plan_bench *plan, const struct ep_ranks *ranks)
{
    size_t rank = (size_t)ranks->rank;
    size_t n_ranks = (size_t)ranks->n_ranks;
    size_t first = (rank * plan->n_experts + n_ranks - 1) / n_ranks;
    size_t end = ((rank + 1) * plan->n_experts + n_ranks - 1) / n_ranks;
    plan->first_expert = first;
    plan->n_here = end - first;
}

int
bench_ep_checker_create(
        struct bench_ep_checker **checker_p, const struct bench_ep_bench *bench)
{
    const struct bench_run *run = bench->run;
    struct bench_ep_checker *checker =
            tool_alloc(1, sizeof(*checker), "a prediction");
    int code = ep_ranks_together(checker != NULL ? TOOL_OK : TOOL_ERROR);
    if (code != TOOL_OK) {
        free(checker);
        return code;
    }
    *checker_p = checker;
    checker->bench = bench;
    checker->plan = (struct plan_bench){
            .ctx = run->ctx,
            .layer = w4moe_mpi_layer_local(bench->layer),
            .info = run->layer.info,
            .n_experts = run->n_experts,
            .top_k = run->top_k,
            .dtype = run->job->dtype,
            .exact = run->job->ep.exact,
            .n_repeats = run->job->n_repeats,
            .team = &team,
    };
    find_experts(&checker->plan, bench->ranks);
    return find_link(&checker->link, bench);
}

void
bench_ep_checker_destroy(struct bench_ep_checker *checker)
{
    free(checker);
}

const struct ep_link *
bench_ep_checker_link(const struct bench_ep_checker *checker)
{
    return checker != NULL ? &checker->link : NULL;
}

static int
predict(struct bench_ep_checker *checker, uint32_t n_tokens,
        struct ep_times *times, int *estimated)
{
    const struct bench_run *run = checker->bench->run;
    const struct ep_case what = {
            .n_ranks = (size_t)checker->bench->ranks->n_ranks,
            .n_experts = run->n_experts,
            .top_k = run->top_k,
            .hidden_size = run->layer.info.hidden_size,
            .n_tokens = n_tokens,
            .chunk_tokens = run->job->ep.chunk_tokens,
            .exact = run->job->ep.exact,
    };
    struct ep_plan plan;
    struct ep_costs full = {0};
    struct ep_costs last = {0};
    ep_plan_make(&plan, &what);
    /* Each prediction from measurements of its own time. */
    checker->plan.n_known = 0;
    int code = plan_measure(&checker->plan, &plan, &full, &last, estimated);
    if (code == TOOL_OK) {
        ep_predict(times, &what, &plan, &checker->link, &full, &last, 0.0);
    }
    return code;
}

static void
take_mean(struct ep_times *mean, const struct ep_times *a,
        const struct ep_times *b)
{
    mean->total = (a->total + b->total) / 2.0;
    mean->prepare = (a->prepare + b->prepare) / 2.0;
    mean->compute = (a->compute + b->compute) / 2.0;
    mean->pack = (a->pack + b->pack) / 2.0;
    mean->add = (a->add + b->add) / 2.0;
    mean->dispatch_wait = (a->dispatch_wait + b->dispatch_wait) / 2.0;
    mean->combine_wait = (a->combine_wait + b->combine_wait) / 2.0;
}

int
bench_ep_check(struct bench_ep_checker *checker,
        const struct bench_ep_bench *bench, struct bench_ep_row *row,
        struct bench_ep_check *check)
{
    struct ep_times before;
    struct ep_times after;
    int code = predict(checker, row->n_tokens, &before, &check->estimated);
    if (code == TOOL_OK) {
        code = bench_ep_time(row, bench);
    }
    if (code == TOOL_OK) {
        code = predict(checker, row->n_tokens, &after, &check->estimated);
    }
    if (code == TOOL_OK) {
        take_mean(&check->predicted, &before, &after);
    }
    return code;
}
