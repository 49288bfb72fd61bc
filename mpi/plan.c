/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Two passes over the tokens: the first counts, the second gives places. A
 * token's slots are taken by ascending expert, those of one expert as they
 * stand, which is the order in which w4moe_forward() adds on the CPU.
 */
#include "call.h"

#include <inttypes.h>
#include <string.h>

size_t
w4_mpi_chunk_tokens(const struct w4_mpi_call *call, size_t chunk, size_t *first)
{
    size_t each = call->ws->chunk_tokens;
    size_t n_tokens = call->args.n_tokens;
    *first = chunk * each < n_tokens ? chunk * each : n_tokens;
    return n_tokens - *first < each ? n_tokens - *first : each;
}

/* What a chunk has for each rank. */
static int32_t *
of_chunk(const w4moe_mpi_workspace *ws, int32_t *counts, size_t chunk)
{
    return counts + chunk * (size_t)ws->mpi->n_ranks;
}

/* ----------------------------------------------------------------- counting */

static w4moe_status
count_token(const struct w4_mpi_call *call, size_t t)
{
    w4moe_mpi_workspace *ws = call->ws;
    int32_t *n_rows = of_chunk(ws, ws->n_rows, t / ws->chunk_tokens);
    int32_t *n_slots = of_chunk(ws, ws->n_slots, t / ws->chunk_tokens);
    for (size_t j = 0; j < call->args.top_k; j++) {
        int32_t id = call->args.ids[t * call->args.top_k + j];
        if (id < 0 || (size_t)id >= ws->n_experts) {
            return w4_mpi_fail(call->mpi->ctx, W4MOE_INVALID,
                    "mpi_forward: expert id %" PRId32
                    " of token %zu, choice %zu is not in 0 .. %zu",
                    id, t, j, ws->n_experts - 1);
        }
        int32_t rank = call->layer->owners[id];
        n_slots[rank]++;
        if (ws->rank_token[rank] != (int32_t)t) {
            ws->rank_token[rank] = (int32_t)t;
            n_rows[rank]++;
        }
    }
    return W4MOE_OK;
}

static void
forget_tokens(w4moe_mpi_workspace *ws)
{
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        ws->rank_token[r] = -1;
    }
}

/* ----------------------------------------------------------------- placing */

/* Next places of each rank in a chunk: of rows, from the chunk's first on, and
 * of slots. They stand where the counts will not be needed. */
struct places {
    int32_t *rows;
    int32_t *slots;
};

/* Sorts a token's slots by expert. */
static void
sort_slots(const struct w4_mpi_call *call, const int32_t *ids)
{
    int32_t *order = call->ws->order;
    for (size_t j = 0; j < call->args.top_k; j++) {
        size_t at = j;
        for (; at > 0 && ids[order[at - 1]] > ids[j]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = (int32_t)j;
    }
}

static void
write_choices(
        const struct w4_mpi_call *call, size_t t, struct w4_mpi_choice *choices)
{
    size_t k = call->args.top_k;
    for (size_t i = 0; i < k; i++) {
        size_t slot = t * k + (size_t)call->ws->order[i];
        choices[i].id = call->args.ids[slot];
        choices[i].weight = call->args.weights[slot];
    }
}

/* The row of a token at a rank, which is made when it is first asked for. */
static int32_t
row_at(const struct w4_mpi_call *call, size_t t, int32_t rank,
        const struct places *next, size_t first_row)
{
    w4moe_mpi_workspace *ws = call->ws;
    if (ws->rank_token[rank] != (int32_t)t) {
        ws->rank_token[rank] = (int32_t)t;
        ws->rank_row[rank] = next->rows[rank]++;
        ws->host.row_tokens[first_row + (size_t)ws->rank_row[rank]] =
                (int32_t)t;
        size_t choice = (size_t)ws->next_choice[rank]++;
        write_choices(call, t, ws->choices_sent + choice * call->args.top_k);
    }
    return ws->rank_row[rank];
}

/* Puts a row where it belongs among those of a token, which ascend; rows that
 * are there already are no more. */
static void
add_row(int32_t *rows, size_t *n, int32_t row)
{
    size_t at = *n;
    for (size_t i = 0; i < *n; i++) {
        if (rows[i] == row) {
            return;
        }
    }
    for (; at > 0 && rows[at - 1] > row; at--) {
        rows[at] = rows[at - 1];
    }
    rows[at] = row;
    (*n)++;
}

static void
place_token(const struct w4_mpi_call *call, size_t t, const struct places *next,
        size_t first_row)
{
    w4moe_mpi_workspace *ws = call->ws;
    size_t k = call->args.top_k;
    const int32_t *ids = call->args.ids + t * k;
    int32_t *results = ws->host.result_rows + t * k;
    size_t n_results = 0;
    sort_slots(call, ids);
    for (size_t i = 0; i < k; i++) {
        int32_t rank = call->layer->owners[ids[ws->order[i]]];
        int32_t row = row_at(call, t, rank, next, first_row);
        if (call->exact) {
            results[n_results++] = next->slots[rank]++;
        } else {
            add_row(results, &n_results, row);
        }
    }
    while (n_results < k) {
        results[n_results++] = -1;
    }
}

/* Places of the tokens of a chunk; rows stand rank by rank, and so do the
 * results that come back. */
static size_t
place_chunk(const struct w4_mpi_call *call, size_t chunk, size_t first_row)
{
    w4moe_mpi_workspace *ws = call->ws;
    const int32_t *n_rows = of_chunk(ws, ws->n_rows, chunk);
    const int32_t *n_slots = of_chunk(ws, ws->n_slots, chunk);
    const struct places next = {
            .rows = ws->moved[0].rows.send_place,
            .slots = ws->moved[0].rows.receive_place,
    };
    int32_t row = 0;
    int32_t slot = 0;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        next.rows[r] = row;
        next.slots[r] = slot;
        row += n_rows[r];
        slot += n_slots[r];
    }
    size_t first;
    size_t n_tokens = w4_mpi_chunk_tokens(call, chunk, &first);
    for (size_t t = first; t < first + n_tokens; t++) {
        place_token(call, t, &next, first_row);
    }
    return (size_t)row;
}

w4moe_status
w4_mpi_plan(const struct w4_mpi_call *call)
{
    w4moe_mpi_workspace *ws = call->ws;
    size_t n_ranks = (size_t)ws->mpi->n_ranks;
    size_t n = ws->max_chunks * n_ranks;
    size_t n_chunks =
            (call->args.n_tokens + ws->chunk_tokens - 1) / ws->chunk_tokens;
    w4moe_status status = W4MOE_OK;
    memset(ws->n_rows, 0, n * sizeof(ws->n_rows[0]));
    memset(ws->n_slots, 0, n * sizeof(ws->n_slots[0]));
    forget_tokens(ws);
    for (size_t t = 0; t < call->args.n_tokens && status == W4MOE_OK; t++) {
        status = count_token(call, t);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    int32_t choice = 0;
    for (size_t r = 0; r < n_ranks; r++) {
        ws->next_choice[r] = choice;
        for (size_t chunk = 0; chunk < n_chunks; chunk++) {
            choice += ws->n_rows[chunk * n_ranks + r];
        }
    }
    forget_tokens(ws);
    size_t first_row = 0;
    for (size_t chunk = 0; chunk < n_chunks; chunk++) {
        first_row += place_chunk(call, chunk, first_row);
    }
    return W4MOE_OK;
}
