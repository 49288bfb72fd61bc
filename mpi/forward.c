/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * A call: chunk by chunk rows go out, are computed, and their results come
 * back; while one chunk is computed, rows of the next and results of the last
 * are on their way.
 */
#include <string.h>

#include "exchange.h"
#include "place.h"
#include "progress.h"

/* The time since *last, which becomes now. */
static double
lap(double *last)
{
    double now = MPI_Wtime();
    double seconds = now - *last;
    *last = now;
    return seconds;
}

/* How far a call is. */
struct state {
    struct w4_mpi_call *call;
    /** Of the next chunk to send, in row_tokens. */
    size_t first_row;
    /** Of what this rank computes: the others go on. */
    w4moe_status local;
    /** Whether any rank has failed in that. */
    int failed;
    double last;
    /** Results for each rank. */
    int *n_results;
};

/* Takes the status of what only this rank does. */
static void
note(struct state *s, w4moe_status status)
{
    s->local = s->local == W4MOE_OK ? status : s->local;
}

/* Copies the rows of a chunk to where they are sent from, and sends them. */
static w4moe_status
dispatch(struct state *s, size_t chunk)
{
    const w4moe_mpi_workspace *ws = s->call->ws;
    const int32_t *n_rows = ws->n_rows + chunk * (size_t)ws->mpi->n_ranks;
    size_t n = 0;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        n += (size_t)n_rows[r];
    }
    note(s, w4_mpi_gather(s->call, chunk, s->first_row, n));
    s->first_row += n;
    return w4_mpi_send_rows(s->call, chunk);
}

/* MPI's own failure while the thread drove it. */
static w4moe_status
end_progress(const struct w4_mpi_call *call)
{
    return w4_mpi_check(
            call->mpi->ctx, w4_mpi_progress_end(call->progress), "MPI_Testall");
}

static void
begin_progress(struct w4_mpi_call *call)
{
    w4_mpi_progress_begin(call->progress, call->requests, W4_MPI_REQUESTS);
}

/* Waits for the results of a chunk and adds them up. */
static w4moe_status
finish_chunk(struct state *s, size_t chunk)
{
    struct w4_mpi_call *call = s->call;
    w4moe_status status = w4_mpi_wait_results(call, chunk);
    call->times.combine += lap(&s->last);
    if (status != W4MOE_OK) {
        return status;
    }
    begin_progress(call);
    w4moe_status added = w4_mpi_add(call, chunk);
    status = end_progress(call);
    note(s, added);
    call->times.add += lap(&s->last);
    return status;
}

/* Computes a chunk, and sends its results. */
static w4moe_status
compute_chunk(struct state *s, size_t chunk)
{
    struct w4_mpi_call *call = s->call;
    w4moe_status status = w4_mpi_wait_rows(call, chunk);
    call->times.dispatch += lap(&s->last);
    if (status != W4MOE_OK) {
        return status;
    }
    begin_progress(call);
    w4moe_status computed = w4_mpi_compute(call, chunk, s->n_results);
    status = end_progress(call);
    note(s, computed);
    call->times.compute += lap(&s->last);
    return status == W4MOE_OK ? w4_mpi_send_results(call, chunk, s->n_results)
                              : status;
}

/* Begins: choices, and the first chunk's rows. */
static w4moe_status
begin(struct state *s)
{
    w4moe_status status = w4_mpi_send_choices(s->call);
    if (status == W4MOE_OK) {
        status = dispatch(s, 0);
    }
    return status == W4MOE_OK ? w4_mpi_wait_choices(s->call) : status;
}

/* On the CPU nothing is left that could fail when all is computed; the last
 * word may be on its way while that is added up. It is the last message either
 * way, whatever other ranks do. */
static int
can_adding_fail(const struct w4_mpi_call *call)
{
    return strcmp(call->layer->info.backend, "cpu") != 0;
}

static w4moe_status
run_chunks(struct state *s)
{
    struct w4_mpi_call *call = s->call;
    int adding_fails = can_adding_fail(call);
    w4moe_status status = begin(s);
    for (size_t c = 0; c < call->n_chunks && status == W4MOE_OK; c++) {
        int is_last = c + 1 == call->n_chunks;
        if (!is_last) {
            status = dispatch(s, c + 1);
        }
        if (status == W4MOE_OK) {
            status = compute_chunk(s, c);
        }
        if (status == W4MOE_OK && is_last && !adding_fails) {
            status = w4_mpi_send_last(call, &s->failed, s->local);
        }
        if (status == W4MOE_OK && c > 0) {
            status = finish_chunk(s, c - 1);
        }
    }
    if (status == W4MOE_OK) {
        status = finish_chunk(s, call->n_chunks - 1);
    }
    if (status == W4MOE_OK && adding_fails) {
        status = w4_mpi_send_last(call, &s->failed, s->local);
    }
    return status == W4MOE_OK ? w4_mpi_wait_last(call, &s->failed, s->local)
                              : status;
}

/* Gives as much of the times as the caller's struct has room for. */
static void
give_times(const w4moe_mpi_times *times, w4moe_mpi_times *callers)
{
    size_t size = callers->struct_size;
    size_t n = size < sizeof(*times) ? size : sizeof(*times);
    memcpy(callers, times, n);
    callers->struct_size = size;
}

w4moe_status
w4moe_mpi_forward(const w4moe_mpi_layer *layer, w4moe_mpi_workspace *ws,
        const w4moe_forward_args *args, w4moe_mpi_times *times)
{
    if (layer == NULL || ws == NULL) {
        return w4moe_ctx_fail(layer != NULL ? layer->mpi->ctx : NULL,
                W4MOE_INVALID, "mpi_forward: layer or ws is NULL");
    }
    struct w4_mpi_call call = {.mpi = layer->mpi, .layer = layer, .ws = ws};
    struct state s = {.call = &call, .n_results = ws->n_results};
    for (int i = 0; i < W4_MPI_REQUESTS; i++) {
        call.requests[i] = MPI_REQUEST_NULL;
    }
    double start = MPI_Wtime();
    s.last = start;
    w4moe_status status = w4_mpi_prepare(&call, args);
    if (status == W4MOE_OK && times != NULL &&
            times->struct_size < sizeof(times->struct_size)) {
        status = w4_mpi_fail(layer->mpi->ctx, W4MOE_INVALID,
                "w4moe_mpi_times: struct_size %zu", times->struct_size);
    }
    status = w4_mpi_exchange_headers(&call, status);
    call.times.prepare = lap(&s.last);
    if (status == W4MOE_OK && call.n_chunks != 0) {
        status = run_chunks(&s);
    }
    if (status == W4MOE_OK && s.local != W4MOE_OK) {
        status = s.local;
    }
    call.times.n_chunks = call.n_chunks;
    call.times.total = MPI_Wtime() - start;
    if (status == W4MOE_OK && times != NULL) {
        give_times(&call.times, times);
    }
    return status;
}
