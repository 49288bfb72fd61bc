/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "workspace.h"

#include <stdlib.h>
#include <string.h>

/* Rows that each expert should have of a chunk: with fewer of them its weights
 * are read too often for what is computed. And the fewest tokens. */
enum { ROWS_OF_EXPERT = 16, CHUNK_TOKENS_MIN = 16 };

/* -------------------------------------------------------------------- sizes */

/* Tokens of a chunk, if it is not said. One rank alone has nothing to wait
 * for. */
static size_t
choose_chunk(const w4moe_mpi_workspace *ws, uint64_t most_tokens)
{
    const w4moe_mpi *mpi = ws->mpi;
    uint64_t tokens = mpi->chunk_tokens;
    if (tokens == 0) {
        uint64_t slots = (uint64_t)ws->n_experts * ROWS_OF_EXPERT;
        tokens = slots / ws->top_k / (uint64_t)mpi->n_ranks;
        tokens = tokens < CHUNK_TOKENS_MIN ? CHUNK_TOKENS_MIN : tokens;
        tokens = mpi->n_ranks == 1 ? most_tokens : tokens;
    }
    tokens = tokens < most_tokens ? tokens : most_tokens;
    return tokens != 0 ? (size_t)tokens : 1;
}

/* Sets all sizes; what ranks have in common they have agreed on. */
static w4moe_status
set_sizes(w4moe_mpi_workspace *ws, uint64_t most_tokens)
{
    const w4moe_mpi *mpi = ws->mpi;
    size_t n_ranks = (size_t)mpi->n_ranks;
    ws->chunk_tokens = choose_chunk(ws, most_tokens);
    ws->max_chunks =
            (size_t)((most_tokens + ws->chunk_tokens - 1) / ws->chunk_tokens);
    if (ws->max_chunks == 0) {
        ws->max_chunks = 1; /* so that no array is empty */
    }
    ws->capacity = n_ranks * ws->chunk_tokens;
    ws->fan = ws->top_k < n_ranks ? ws->top_k : n_ranks;
    if (ws->total_tokens > INT32_MAX / ws->top_k ||
            ws->capacity > INT32_MAX / ws->top_k ||
            ws->max_tokens * ws->fan > INT32_MAX / ws->top_k) {
        return w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                "mpi_workspace: %llu tokens of all ranks, %zu of each in a "
                "chunk, %zu experts each (at most 2^31 - 1 slots)",
                (unsigned long long)ws->total_tokens, ws->chunk_tokens,
                ws->top_k);
    }
    return W4MOE_OK;
}

/* ------------------------------------------------------------------- memory */

/* Takes an array down, to be made of n times m times size bytes; these products
 * fit: numbers of slots are below 2^31. */
static void
want(w4moe_mpi_workspace *ws, void **place, uint64_t n, uint64_t m,
        uint64_t size, w4moe_memory where)
{
    ws->arrays[ws->n_arrays++] = (struct w4_mpi_array){
            .place = place,
            .n_bytes = n * m * size,
            .where = where,
    };
}

/* In host memory. */
static void
want_ints(w4moe_mpi_workspace *ws, int32_t **place, uint64_t n, uint64_t m)
{
    want(ws, (void **)place, n, m, sizeof(**place), W4MOE_MEMORY_HOST);
}

static void
want_counts(w4moe_mpi_workspace *ws, struct w4_mpi_counts *counts)
{
    int **places[] = {&counts->send, &counts->send_place, &counts->receive,
            &counts->receive_place};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        want(ws, (void **)places[i], (uint64_t)ws->mpi->n_ranks, 1, sizeof(int),
                W4MOE_MEMORY_HOST);
    }
}

static void
want_buffers(
        w4moe_mpi_workspace *ws, struct w4_mpi_buffers *b, w4moe_memory where)
{
    want(ws, &b->rows_sent, ws->chunk_tokens * ws->fan, ws->hidden_size, 2,
            where);
    want(ws, &b->rows, ws->capacity, ws->hidden_size, 2, where);
    want(ws, (void **)&b->results, ws->capacity * ws->top_k, ws->hidden_size, 4,
            where);
    want(ws, (void **)&b->results_back, ws->chunk_tokens * ws->top_k,
            ws->hidden_size, 4, where);
}

/* Small arrays in one kind of memory, rows in another. */
static void
want_place(w4moe_mpi_workspace *ws, struct w4_mpi_place *p, w4moe_memory small,
        w4moe_memory rows)
{
    uint64_t k = ws->top_k;
    want(ws, (void **)&p->row_tokens, ws->max_tokens, ws->fan, 4, small);
    want(ws, (void **)&p->result_rows, ws->max_tokens, k, 4, small);
    want(ws, (void **)&p->local_ids, ws->capacity, k, 4, small);
    want(ws, (void **)&p->local_weights, ws->capacity, k, 4, small);
    want(ws, (void **)&p->slot_rows, ws->capacity, k, 4, small);
    want(ws, (void **)&p->zeros, ws->chunk_tokens, 1, 4, small);
    want_buffers(ws, &p->buffers[0], rows);
    want(ws, &p->slots, ws->capacity * k, ws->hidden_size, 2, rows);
    want(ws, (void **)&p->sums, ws->n_shared != 0 ? ws->chunk_tokens : 0,
            ws->hidden_size, sizeof(float), rows);
}

static void
want_places(w4moe_mpi_workspace *ws, int has_device)
{
    want_place(ws, &ws->host, W4MOE_MEMORY_HOST, W4MOE_MEMORY_PINNED);
    want_buffers(ws, &ws->host.buffers[1], W4MOE_MEMORY_PINNED);
    if (has_device) {
        want_place(ws, &ws->device, W4MOE_MEMORY_DEVICE, W4MOE_MEMORY_DEVICE);
    }
    if (has_device && ws->mpi->device_aware) {
        want_buffers(ws, &ws->device.buffers[1], W4MOE_MEMORY_DEVICE);
    }
}

static void
want_all(w4moe_mpi_workspace *ws, int has_device)
{
    uint64_t n_ranks = (uint64_t)ws->mpi->n_ranks;
    uint64_t k = ws->top_k;
    want_ints(ws, &ws->header_sent, n_ranks, w4_mpi_header_size(ws));
    want_ints(ws, &ws->header, n_ranks, w4_mpi_header_size(ws));
    want_ints(ws, &ws->n_rows, n_ranks, ws->max_chunks);
    want_ints(ws, &ws->n_slots, n_ranks, ws->max_chunks);
    want_ints(ws, &ws->ids, ws->max_tokens, k);
    want(ws, (void **)&ws->weights, ws->max_tokens, k, sizeof(float),
            W4MOE_MEMORY_HOST);
    want_ints(ws, &ws->expert_counts, ws->n_experts, 1);
    want(ws, (void **)&ws->choices_sent, ws->max_tokens * ws->fan, k,
            sizeof(struct w4_mpi_choice), W4MOE_MEMORY_HOST);
    want(ws, (void **)&ws->choices, ws->total_tokens, k,
            sizeof(struct w4_mpi_choice), W4MOE_MEMORY_HOST);
    want_counts(ws, &ws->choices_counts);
    want_ints(ws, &ws->rank_token, n_ranks, 1);
    want_ints(ws, &ws->rank_row, n_ranks, 1);
    want_ints(ws, &ws->next_choice, n_ranks, 1);
    want_ints(ws, &ws->order, k, 1);
    want_ints(ws, &ws->n_results, n_ranks, 1);
    for (int i = 0; i < 2; i++) {
        want_counts(ws, &ws->moved[i].rows);
        want_counts(ws, &ws->moved[i].results);
    }
    want_places(ws, has_device);
}

/* What has a value from the beginning. */
static w4moe_status
set_arrays(w4moe_mpi_workspace *ws, int has_device)
{
    size_t n_bytes = ws->chunk_tokens * sizeof(ws->host.zeros[0]);
    memset(ws->host.zeros, 0, n_bytes);
    if (!has_device) {
        return W4MOE_OK;
    }
    if (!ws->mpi->device_aware) {
        ws->device.buffers[1] = ws->device.buffers[0];
    }
    return w4moe_memory_copy(
            ws->mpi->ctx, ws->device.zeros, ws->host.zeros, n_bytes, NULL);
}

static w4moe_status
make_arrays(w4moe_mpi_workspace *ws, const w4moe_layer_info *info)
{
    w4moe_status status = W4MOE_OK;
    int has_device = strcmp(info->backend, "cpu") != 0;
    want_all(ws, has_device);
    for (int i = 0; i < ws->n_arrays && status == W4MOE_OK; i++) {
        const struct w4_mpi_array *a = &ws->arrays[i];
        status = w4moe_memory_alloc(
                ws->mpi->ctx, a->place, a->n_bytes, a->where);
    }
    return status == W4MOE_OK ? set_arrays(ws, has_device) : status;
}

static w4moe_status
make_local(w4moe_mpi_workspace *ws, const w4moe_layer *local)
{
    w4moe_status status =
            w4moe_workspace_create(local, &ws->local, ws->capacity, ws->top_k);
    if (status == W4MOE_OK) {
        status = w4moe_workspace_create(
                local, &ws->local_slots, ws->capacity * ws->top_k, 1);
    }
    return status;
}

/* -------------------------------------------------------------------- types */

static w4moe_status
make_type(const w4moe_mpi *mpi, MPI_Datatype *type, uint64_t n_bytes)
{
    if (n_bytes > INT32_MAX) {
        return w4_mpi_fail(mpi->ctx, W4MOE_UNSUPPORTED,
                "mpi_workspace: rows of %llu bytes",
                (unsigned long long)n_bytes);
    }
    w4moe_status status = w4_mpi_check(mpi->ctx,
            MPI_Type_contiguous((int)n_bytes, MPI_BYTE, type),
            "MPI_Type_contiguous");
    return status == W4MOE_OK ? w4_mpi_check(mpi->ctx, MPI_Type_commit(type),
                                        "MPI_Type_commit")
                              : status;
}

static w4moe_status
make_types(w4moe_mpi_workspace *ws)
{
    uint64_t hidden = ws->hidden_size;
    w4moe_status status = make_type(ws->mpi, &ws->row_type, hidden * 2);
    if (status == W4MOE_OK) {
        status = make_type(
                ws->mpi, &ws->choice_type, sizeof(struct w4_mpi_choice));
    }
    if (status == W4MOE_OK) {
        status = make_type(ws->mpi, &ws->result_type, hidden * sizeof(float));
    }
    return status;
}

static void
free_type(MPI_Datatype *type)
{
    if (*type != MPI_DATATYPE_NULL) {
        (void)MPI_Type_free(type);
    }
}

/* -------------------------------------------------------------- both ways */

/* The most tokens of a rank, and those of all. Collective. */
static w4moe_status
count_tokens(w4moe_mpi_workspace *ws, uint64_t *most)
{
    const w4moe_mpi *mpi = ws->mpi;
    uint64_t mine = ws->max_tokens;
    w4moe_status status = w4_mpi_check(mpi->ctx,
            MPI_Allreduce(&mine, most, 1, MPI_UINT64_T, MPI_MAX, mpi->comm),
            "MPI_Allreduce");
    return status == W4MOE_OK
                   ? w4_mpi_check(mpi->ctx,
                             MPI_Allreduce(&mine, &ws->total_tokens, 1,
                                     MPI_UINT64_T, MPI_SUM, mpi->comm),
                             "MPI_Allreduce")
                   : status;
}

static w4moe_status
begin(const w4moe_mpi_layer *layer, w4moe_mpi_workspace **ws_p,
        size_t max_tokens, size_t top_k)
{
    const w4moe_ctx *ctx = layer->mpi->ctx;
    if (top_k == 0 || top_k > INT32_MAX || max_tokens > INT32_MAX) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "mpi_workspace for %zu tokens of %zu experts each (at least 1 "
                "expert, at most 2^31 - 1 slots)",
                max_tokens, top_k);
    }
    w4moe_mpi_workspace *ws = calloc(1, sizeof(*ws));
    if (ws == NULL) {
        return w4_mpi_fail(ctx, W4MOE_NOMEM, "no memory for a workspace");
    }
    *ws = (w4moe_mpi_workspace){
            .mpi = layer->mpi,
            .n_experts = layer->n_experts,
            .n_here = layer->n_here,
            .hidden_size = layer->info.hidden_size,
            .n_shared = layer->info.n_shared_experts,
            .shared_intermediate = layer->info.shared_intermediate_size,
            .max_tokens = max_tokens,
            .top_k = top_k,
            .row_type = MPI_DATATYPE_NULL,
            .choice_type = MPI_DATATYPE_NULL,
            .result_type = MPI_DATATYPE_NULL,
    };
    *ws_p = ws;
    return W4MOE_OK;
}

w4moe_status
w4moe_mpi_workspace_create(const w4moe_mpi_layer *layer,
        w4moe_mpi_workspace **ws_p, size_t max_tokens, size_t top_k)
{
    static const char *const names[] = {"mpi_workspace: top_k"};
    if (layer == NULL || ws_p == NULL) {
        return w4moe_ctx_fail(layer != NULL ? layer->mpi->ctx : NULL,
                W4MOE_INVALID, "mpi_workspace: layer or ws_p is NULL");
    }
    const w4moe_mpi *mpi = layer->mpi;
    w4moe_mpi_workspace *ws = NULL;
    uint64_t most_tokens = 0;
    const uint64_t values[] = {top_k};
    w4moe_status status = begin(layer, &ws, max_tokens, top_k);
    status = w4_mpi_same(mpi, status, values, names, 1);
    if (status == W4MOE_OK) {
        status = count_tokens(ws, &most_tokens);
    }
    if (status != W4MOE_OK) {
        w4moe_mpi_workspace_destroy(ws);
        return status;
    }
    status = set_sizes(ws, most_tokens);
    if (status == W4MOE_OK) {
        status = make_types(ws);
    }
    if (status == W4MOE_OK) {
        status = make_arrays(ws, &layer->info);
    }
    if (status == W4MOE_OK) {
        status = make_local(ws, layer->local);
    }
    status = w4moe_mpi_agree(mpi, status);
    if (status != W4MOE_OK) {
        w4moe_mpi_workspace_destroy(ws);
        return status;
    }
    *ws_p = ws;
    return W4MOE_OK;
}

void
w4moe_mpi_workspace_destroy(w4moe_mpi_workspace *ws)
{
    if (ws == NULL) {
        return;
    }
    for (int i = 0; i < ws->n_arrays; i++) {
        const struct w4_mpi_array *a = &ws->arrays[i];
        w4moe_memory_free(ws->mpi->ctx, *a->place, a->n_bytes, a->where);
    }
    free_type(&ws->row_type);
    free_type(&ws->choice_type);
    free_type(&ws->result_type);
    w4moe_workspace_destroy(ws->local);
    w4moe_workspace_destroy(ws->local_slots);
    free(ws);
}
