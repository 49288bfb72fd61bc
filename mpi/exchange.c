/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "exchange.h"

#include <inttypes.h>

#include "place.h"

/* Requests: rows and results have one for each of two chunks. */
enum { ROWS = 0, RESULTS = 2, CHOICES = 4, LAST = W4_MPI_REQUESTS - 1 };

int
w4_mpi_rows_from(const struct w4_mpi_call *call, size_t chunk, int rank)
{
    w4moe_mpi_workspace *ws = call->ws;
    return w4_mpi_header_of(ws, ws->header, rank)[W4_MPI_HEADER + chunk];
}

size_t
w4_mpi_all_rows(const struct w4_mpi_call *call, size_t chunk)
{
    size_t n = 0;
    for (int r = 0; r < call->mpi->n_ranks; r++) {
        n += (size_t)w4_mpi_rows_from(call, chunk, r);
    }
    return n;
}

size_t
w4_mpi_all_results(const struct w4_mpi_call *call, size_t chunk)
{
    const struct w4_mpi_counts *counts = &call->ws->moved[chunk % 2].results;
    size_t n = 0;
    for (int r = 0; r < call->mpi->n_ranks; r++) {
        n += (size_t)counts->receive[r];
    }
    return n;
}

/* ------------------------------------------------------------------ headers */

static void
write_headers(const struct w4_mpi_call *call, w4moe_status status)
{
    w4moe_mpi_workspace *ws = call->ws;
    size_t n_ranks = (size_t)ws->mpi->n_ranks;
    int on_input = (call->args.flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
    on_input = call->args.n_tokens != 0 ? on_input : -1;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        int32_t *header = w4_mpi_header_of(ws, ws->header_sent, r);
        header[W4_MPI_STATUS] = (int32_t)status;
        header[W4_MPI_TOKENS] = (int32_t)call->args.n_tokens;
        header[W4_MPI_TOP_K] = (int32_t)call->args.top_k;
        header[W4_MPI_DTYPE] = (int32_t)call->args.dtype;
        header[W4_MPI_EXACT] = call->exact;
        header[W4_MPI_ON_INPUT] = on_input;
        for (size_t c = 0; c < ws->max_chunks; c++) {
            header[W4_MPI_HEADER + c] = ws->n_rows[c * n_ranks + (size_t)r];
        }
    }
}

/* Whether all ranks mean the same call. */
static w4moe_status
compare_headers(const struct w4_mpi_call *call, int rank)
{
    static const char *const names[W4_MPI_HEADER] = {
            [W4_MPI_TOP_K] = "top_k",
            [W4_MPI_DTYPE] = "dtype",
            [W4_MPI_EXACT] = "the flag W4MOE_BATCH_INVARIANT",
    };
    w4moe_mpi_workspace *ws = call->ws;
    const int32_t *header = w4_mpi_header_of(ws, ws->header, rank);
    const int32_t *first = w4_mpi_header_of(ws, ws->header, 0);
    for (int i = W4_MPI_TOP_K; i <= W4_MPI_EXACT; i++) {
        if (header[i] != first[i]) {
            return w4_mpi_fail(call->mpi->ctx, W4MOE_INVALID,
                    "mpi_forward: %s is %" PRId32 " on rank 0, %" PRId32
                    " on rank %d",
                    names[i], first[i], header[i], rank);
        }
    }
    return W4MOE_OK;
}

/* Where weights multiply is the same for all tokens, and a matter of their
 * ranks: the others take it from them. */
static w4moe_status
take_on_input(struct w4_mpi_call *call)
{
    w4moe_mpi_workspace *ws = call->ws;
    int first = -1;
    for (int r = 0; r < call->mpi->n_ranks; r++) {
        const int32_t *header = w4_mpi_header_of(ws, ws->header, r);
        int32_t on_input = header[W4_MPI_ON_INPUT];
        if (on_input < 0) {
            continue;
        }
        first = first < 0 ? r : first;
        const int32_t *other = w4_mpi_header_of(ws, ws->header, first);
        if (on_input != other[W4_MPI_ON_INPUT]) {
            return w4_mpi_fail(call->mpi->ctx, W4MOE_INVALID,
                    "mpi_forward: the flag W4MOE_ROUTER_WEIGHT_ON_INPUT, or "
                    "that of the router, is %" PRId32 " on rank %d, %" PRId32
                    " on rank %d",
                    other[W4_MPI_ON_INPUT], first, on_input, r);
        }
        call->args.flags |= on_input ? W4MOE_ROUTER_WEIGHT_ON_INPUT : 0u;
    }
    return W4MOE_OK;
}

w4moe_status
w4_mpi_exchange_headers(struct w4_mpi_call *call, w4moe_status status)
{
    w4moe_mpi_workspace *ws = call->ws;
    const w4moe_mpi *mpi = call->mpi;
    int size = (int)w4_mpi_header_size(ws);
    write_headers(call, status);
    w4moe_status sent = w4_mpi_check(mpi->ctx,
            MPI_Alltoall(ws->header_sent, size, MPI_INT32_T, ws->header, size,
                    MPI_INT32_T, mpi->comm),
            "MPI_Alltoall");
    if (sent != W4MOE_OK) {
        return sent;
    }
    int failed = 0;
    int32_t most = 0;
    for (int r = 0; r < mpi->n_ranks; r++) {
        const int32_t *header = w4_mpi_header_of(ws, ws->header, r);
        failed |= header[W4_MPI_STATUS] != W4MOE_OK;
        most = most > header[W4_MPI_TOKENS] ? most : header[W4_MPI_TOKENS];
    }
    for (int r = 0; r < mpi->n_ranks && !failed; r++) {
        status = status == W4MOE_OK ? compare_headers(call, r) : status;
    }
    if (status == W4MOE_OK && !failed) {
        status = take_on_input(call);
    }
    call->n_chunks = ((size_t)most + ws->chunk_tokens - 1) / ws->chunk_tokens;
    /* Without failures the headers say so on every rank alike. */
    return failed || status != W4MOE_OK ? w4moe_mpi_agree(mpi, status)
                                        : W4MOE_OK;
}

/* --------------------------------------------------------------- all to all */

/* Places of counts that follow each other. */
static void
set_places(int *places, const int *counts, int n)
{
    int place = 0;
    for (int r = 0; r < n; r++) {
        places[r] = place;
        place += counts[r];
    }
}

static w4moe_status
send_all(struct w4_mpi_call *call, struct w4_mpi_counts *counts,
        const void *sent, void *received, MPI_Datatype type, int request)
{
    const w4moe_mpi *mpi = call->mpi;
    set_places(counts->send_place, counts->send, mpi->n_ranks);
    set_places(counts->receive_place, counts->receive, mpi->n_ranks);
    return w4_mpi_check(mpi->ctx,
            MPI_Ialltoallv(sent, counts->send, counts->send_place, type,
                    received, counts->receive, counts->receive_place, type,
                    mpi->comm, &call->requests[request]),
            "MPI_Ialltoallv");
}

static w4moe_status
wait_for(struct w4_mpi_call *call, int request)
{
    return w4_mpi_check(call->mpi->ctx,
            MPI_Wait(&call->requests[request], MPI_STATUS_IGNORE), "MPI_Wait");
}

/* What went to other ranks. */
static uint64_t
sent_to_others(const struct w4_mpi_call *call, const int *counts)
{
    uint64_t n = 0;
    for (int r = 0; r < call->mpi->n_ranks; r++) {
        n += r != call->mpi->rank ? (uint64_t)counts[r] : 0;
    }
    return n;
}

w4moe_status
w4_mpi_send_choices(struct w4_mpi_call *call)
{
    w4moe_mpi_workspace *ws = call->ws;
    struct w4_mpi_counts *counts = &ws->choices_counts;
    size_t n_ranks = (size_t)ws->mpi->n_ranks;
    int k = (int)call->args.top_k;
    for (size_t r = 0; r < n_ranks; r++) {
        counts->send[r] = 0;
        counts->receive[r] = 0;
        for (size_t c = 0; c < call->n_chunks; c++) {
            counts->send[r] += k * ws->n_rows[c * n_ranks + r];
            counts->receive[r] += k * w4_mpi_rows_from(call, c, (int)r);
        }
    }
    call->times.bytes_dispatched +=
            sent_to_others(call, counts->send) * sizeof(struct w4_mpi_choice);
    return send_all(call, counts, ws->choices_sent, ws->choices,
            ws->choice_type, CHOICES);
}

w4moe_status
w4_mpi_wait_choices(struct w4_mpi_call *call)
{
    return wait_for(call, CHOICES);
}

w4moe_status
w4_mpi_send_rows(struct w4_mpi_call *call, size_t chunk)
{
    w4moe_mpi_workspace *ws = call->ws;
    const struct w4_mpi_buffers *b = w4_mpi_buffers_of(call->transport, chunk);
    struct w4_mpi_counts *counts = &ws->moved[chunk % 2].rows;
    const int32_t *n_rows = ws->n_rows + chunk * (size_t)ws->mpi->n_ranks;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        counts->send[r] = n_rows[r];
        counts->receive[r] = w4_mpi_rows_from(call, chunk, r);
    }
    call->times.bytes_dispatched +=
            sent_to_others(call, counts->send) * ws->hidden_size * 2;
    return send_all(call, counts, b->rows_sent, b->rows, ws->row_type,
            ROWS + (int)(chunk % 2));
}

w4moe_status
w4_mpi_wait_rows(struct w4_mpi_call *call, size_t chunk)
{
    return wait_for(call, ROWS + (int)(chunk % 2));
}

w4moe_status
w4_mpi_send_results(struct w4_mpi_call *call, size_t chunk, const int *n)
{
    w4moe_mpi_workspace *ws = call->ws;
    const struct w4_mpi_buffers *b = w4_mpi_buffers_of(call->transport, chunk);
    struct w4_mpi_counts *counts = &ws->moved[chunk % 2].results;
    size_t first = chunk * (size_t)ws->mpi->n_ranks;
    const int32_t *back = (call->exact ? ws->n_slots : ws->n_rows) + first;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        counts->send[r] = n[r];
        counts->receive[r] = back[r];
    }
    call->times.bytes_combined +=
            sent_to_others(call, n) * ws->hidden_size * sizeof(float);
    return send_all(call, counts, b->results, b->results_back, ws->result_type,
            RESULTS + (int)(chunk % 2));
}

w4moe_status
w4_mpi_wait_results(struct w4_mpi_call *call, size_t chunk)
{
    return wait_for(call, RESULTS + (int)(chunk % 2));
}

w4moe_status
w4_mpi_send_last(struct w4_mpi_call *call, int *failed, w4moe_status status)
{
    const w4moe_mpi *mpi = call->mpi;
    *failed = status != W4MOE_OK;
    return w4_mpi_check(mpi->ctx,
            MPI_Iallreduce(MPI_IN_PLACE, failed, 1, MPI_INT, MPI_MAX, mpi->comm,
                    &call->requests[LAST]),
            "MPI_Iallreduce");
}

w4moe_status
w4_mpi_wait_last(
        struct w4_mpi_call *call, const int *failed, w4moe_status status)
{
    w4moe_status sent = wait_for(call, LAST);
    if (sent != W4MOE_OK || !*failed) {
        return sent;
    }
    return w4moe_mpi_agree(call->mpi, status);
}
