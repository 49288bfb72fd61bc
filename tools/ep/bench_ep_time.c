/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Timing calls of all ranks; see bench_ep_time.h. */
#include "bench_ep_time.h"

#include <math.h>
#include <stdlib.h>

#include "common.h"

enum { CALLS_MAX = 20000, WARM_UP_CALLS = 2, CHUNK_MAX = 65536 };
static const double row_seconds = 0.5;

/* Waiting that is shorter than this, or than this part of a call, is not worth
 * a share. */
static const double noise_seconds = 10e-6;
static const double noise_share = 0.01;

/* What a rank tells of a call. */
enum told {
    TOLD_TOTAL,
    TOLD_PREPARE,
    TOLD_DISPATCH,
    TOLD_COMPUTE,
    TOLD_COMBINE,
    TOLD_ADD,
    TOLD_SLOTS,
    TOLD_DISPATCHED,
    TOLD_COMBINED,
    TOLD_N
};

/* What is kept of a call, on all ranks: the same of the slowest rank, but for
 * TOLD_SLOTS and what follows, which are of the rank that has most; and what
 * the call took in one chunk. */
enum kept { KEPT_ONE_CHUNK_WAIT = TOLD_N, KEPT_WAIT, KEPT_N };

/* One way to cut calls. */
struct cut {
    w4moe_mpi *mpi;
    w4moe_mpi_layer *layer;
    w4moe_mpi_workspace *ws;
};

/* Memory of a row. */
struct timing {
    const struct bench_ep_bench *bench;
    uint16_t *x;
    uint16_t *out;
    int32_t *ids;
    float *weights;
    int32_t *experts;
    /* [n_ranks][TOLD_N] */
    double *told;
    /* [KEPT_N][CALLS_MAX] */
    double *kept;
    w4moe_mpi_workspace *ws;
    /* With one chunk, if there are more otherwise. */
    struct cut one;
    w4moe_forward_args args;
};

static void
timing_free(struct timing *t)
{
    w4moe_mpi_workspace_destroy(t->ws);
    w4moe_mpi_workspace_destroy(t->one.ws);
    w4moe_mpi_layer_destroy(t->one.layer);
    w4moe_mpi_destroy(t->one.mpi);
    free(t->x);
    free(t->out);
    free(t->ids);
    free(t->weights);
    free(t->experts);
    free(t->told);
    free(t->kept);
}

static int
timing_new(struct timing *t, size_t n_tokens)
{
    const struct bench_run *run = t->bench->run;
    size_t hidden = run->layer.info.hidden_size;
    size_t k = run->top_k;
    size_t n_ranks = (size_t)t->bench->ranks->n_ranks;
    t->x = tool_alloc(n_tokens, hidden * sizeof(t->x[0]), "x");
    t->out = tool_alloc(n_tokens, hidden * sizeof(t->out[0]), "out");
    t->ids = tool_alloc(n_tokens, k * sizeof(t->ids[0]), "ids");
    t->weights = tool_alloc(n_tokens, k * sizeof(t->weights[0]), "weights");
    t->experts = tool_alloc(run->n_experts, sizeof(t->experts[0]), "experts");
    t->told = tool_alloc(n_ranks, TOLD_N * sizeof(double), "times");
    t->kept = tool_alloc(CALLS_MAX, KEPT_N * sizeof(double), "times");
    if (t->x == NULL || t->out == NULL || t->ids == NULL ||
            t->weights == NULL || t->experts == NULL || t->told == NULL ||
            t->kept == NULL) {
        return TOOL_ERROR;
    }
    bench_fill_x(t->x, n_tokens * hidden, run->job->dtype,
            7 + (uint64_t)(unsigned)t->bench->ranks->rank);
    bench_route_begin(t->experts, run->n_experts);
    for (size_t i = 0; i < n_tokens * k; i++) {
        t->weights[i] = 1.0f / (float)k;
    }
    t->args = (w4moe_forward_args){
            .struct_size = sizeof(t->args),
            .out = t->out,
            .x = t->x,
            .dtype = run->job->dtype,
            .n_tokens = n_tokens,
            .top_k = k,
            .ids = t->ids,
            .weights = t->weights,
            .flags = W4MOE_HOST_IO |
                     (run->job->ep.exact ? W4MOE_BATCH_INVARIANT : 0u),
    };
    return TOOL_OK;
}

/* The same layer, in one chunk and with nobody who drives MPI. */
static w4moe_status
make_one_chunk(struct timing *t)
{
    const struct bench_run *run = t->bench->run;
    const w4moe_mpi_options options = {
            .struct_size = sizeof(options),
            .chunk_tokens = t->args.n_tokens,
            .progress = W4MOE_MPI_PROGRESS_NONE,
    };
    w4moe_status status =
            w4moe_mpi_create(run->ctx, &t->one.mpi, MPI_COMM_WORLD, &options);
    if (status == W4MOE_OK) {
        status = w4moe_mpi_layer_create(t->one.mpi, &t->one.layer,
                w4moe_mpi_layer_local(t->bench->layer), NULL);
    }
    if (status == W4MOE_OK) {
        status = w4moe_mpi_workspace_create(
                t->one.layer, &t->one.ws, t->args.n_tokens, t->args.top_k);
    }
    return status;
}

/* A call; what all ranks tell of it is in t->told then. Returns which rank
 * took longest, or -1 after printing why there is none. */
static int
call(struct timing *t, const w4moe_mpi_layer *layer, w4moe_mpi_workspace *ws,
        size_t *n_chunks)
{
    w4moe_mpi_times times = {.struct_size = sizeof(times)};
    MPI_Barrier(MPI_COMM_WORLD);
    w4moe_status status = w4moe_mpi_forward(layer, ws, &t->args, &times);
    if (status != W4MOE_OK) {
        (void)ep_ranks_failed(t->bench->ranks, t->bench->run->ctx, status);
        return -1;
    }
    const double mine[TOLD_N] = {
            [TOLD_TOTAL] = times.total,
            [TOLD_PREPARE] = times.prepare,
            [TOLD_DISPATCH] = times.dispatch,
            [TOLD_COMPUTE] = times.compute,
            [TOLD_COMBINE] = times.combine,
            [TOLD_ADD] = times.add,
            [TOLD_SLOTS] = (double)times.n_slots,
            [TOLD_DISPATCHED] = (double)times.bytes_dispatched,
            [TOLD_COMBINED] = (double)times.bytes_combined,
    };
    MPI_Allgather(mine, TOLD_N, MPI_DOUBLE, t->told, TOLD_N, MPI_DOUBLE,
            MPI_COMM_WORLD);
    *n_chunks = times.n_chunks;
    int slowest = 0;
    for (int r = 1; r < t->bench->ranks->n_ranks; r++) {
        if (t->told[r * TOLD_N + TOLD_TOTAL] >
                t->told[slowest * TOLD_N + TOLD_TOTAL]) {
            slowest = r;
        }
    }
    return slowest;
}

static void
keep(struct timing *t, size_t n, int which, double value)
{
    t->kept[(size_t)which * CALLS_MAX + n] = value;
}

static double
wait_of(const struct timing *t, int rank)
{
    const double *told = t->told + (size_t)rank * TOLD_N;
    return told[TOLD_DISPATCH] + told[TOLD_COMBINE];
}

/* Keeps what ranks have told of a call. */
static void
keep_call(struct timing *t, size_t n, int slowest)
{
    size_t n_ranks = (size_t)t->bench->ranks->n_ranks;
    for (int i = 0; i < TOLD_N; i++) {
        double most = 0.0;
        for (size_t r = 0; r < n_ranks; r++) {
            double told = t->told[r * TOLD_N + (size_t)i];
            most = told > most ? told : most;
        }
        keep(t, n, i, i >= TOLD_SLOTS ? most : t->told[slowest * TOLD_N + i]);
    }
    keep(t, n, KEPT_WAIT, wait_of(t, slowest));
}

/* New experts: with --routing=one the same on all ranks. */
static void
route(struct timing *t, struct random_state *state)
{
    const struct bench_run *run = t->bench->run;
    bench_route(run->job->routing, t->ids, t->experts, state, t->args.n_tokens,
            run->n_experts, t->args.top_k);
}

/* Makes all calls; sets n_calls and n_chunks. */
static int
time_calls(struct timing *t, struct bench_ep_row *row)
{
    const struct bench_job *job = t->bench->run->job;
    struct random_state state = {1};
    double total = 0.0;
    size_t n = 0;
    size_t ignored;
    if (job->routing == BENCH_ROUTING_UNIFORM) {
        state.counter += (uint64_t)(unsigned)t->bench->ranks->rank << 32;
    }
    for (uint64_t number = 1;
            n < job->n_repeats || (n < CALLS_MAX && total < row_seconds);
            number++) {
        route(t, &state);
        int slowest = call(t, t->bench->layer, t->ws, &row->n_chunks);
        if (slowest < 0) {
            return TOOL_ERROR;
        }
        keep_call(t, n, slowest);
        if (number == 1 && row->n_chunks > 1 && row->n_tokens <= CHUNK_MAX) {
            w4moe_status status = make_one_chunk(t);
            if (status != W4MOE_OK) {
                return ep_ranks_failed(
                        t->bench->ranks, t->bench->run->ctx, status);
            }
        }
        if (t->one.ws != NULL) {
            slowest = call(t, t->one.layer, t->one.ws, &ignored);
            if (slowest < 0) {
                return TOOL_ERROR;
            }
            keep(t, n, KEPT_ONE_CHUNK_WAIT, wait_of(t, slowest));
        }
        if (number > WARM_UP_CALLS) {
            total += t->kept[(size_t)TOLD_TOTAL * CALLS_MAX + n];
            n++;
        }
    }
    row->n_calls = n;
    return TOOL_OK;
}

static double
median(struct timing *t, int which, size_t n)
{
    return tool_median(t->kept + (size_t)which * CALLS_MAX, n);
}

static void
finish_row(struct timing *t, struct bench_ep_row *row)
{
    size_t n = row->n_calls;
    row->seconds = median(t, TOLD_TOTAL, n);
    row->prepare = median(t, TOLD_PREPARE, n);
    row->dispatch = median(t, TOLD_DISPATCH, n);
    row->compute = median(t, TOLD_COMPUTE, n);
    row->combine = median(t, TOLD_COMBINE, n);
    row->add = median(t, TOLD_ADD, n);
    row->bytes_dispatched = median(t, TOLD_DISPATCHED, n);
    row->bytes_combined = median(t, TOLD_COMBINED, n);
    row->imbalance = median(t, TOLD_SLOTS, n) /
                     (double)(t->args.n_tokens * t->args.top_k);
    row->hidden = NAN;
    row->one_chunk_wait = NAN;
    if (t->one.ws == NULL) {
        return;
    }
    row->one_chunk_wait = median(t, KEPT_ONE_CHUNK_WAIT, n);
    if (row->one_chunk_wait > noise_seconds &&
            row->one_chunk_wait > noise_share * row->seconds) {
        row->hidden = 1.0 - median(t, KEPT_WAIT, n) / row->one_chunk_wait;
    }
}

int
bench_ep_time(struct bench_ep_row *row, const struct bench_ep_bench *bench)
{
    struct timing t = {.bench = bench};
    int code = ep_ranks_together(timing_new(&t, row->n_tokens));
    if (code == TOOL_OK) {
        w4moe_status status = w4moe_mpi_workspace_create(
                bench->layer, &t.ws, t.args.n_tokens, t.args.top_k);
        code = status == W4MOE_OK
                       ? TOOL_OK
                       : ep_ranks_failed(bench->ranks, bench->run->ctx, status);
    }
    if (code == TOOL_OK) {
        code = time_calls(&t, row);
    }
    if (code == TOOL_OK) {
        finish_row(&t, row);
    }
    timing_free(&t);
    return code;
}
