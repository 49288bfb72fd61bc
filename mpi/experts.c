/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The experts that are here, for what other ranks have sent. */
#include "exchange.h"
#include "place.h"

/* The choices of a rank's rows of a chunk: those of earlier chunks stand
 * before them. */
static const struct w4_mpi_choice *
choices_of(const struct w4_mpi_call *call, size_t chunk, int rank)
{
    const w4moe_mpi_workspace *ws = call->ws;
    const struct w4_mpi_choice *choices =
            ws->choices + ws->choices_counts.receive_place[rank];
    for (size_t c = 0; c < chunk; c++) {
        choices += (size_t)w4_mpi_rows_from(call, c, rank) * call->args.top_k;
    }
    return choices;
}

/* Choices of all rows of a chunk, and how many results each rank gets: one a
 * row. */
static void
take_rows(struct w4_mpi_call *call, size_t chunk, int *n_results)
{
    const w4moe_mpi_workspace *ws = call->ws;
    size_t at = 0;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        const struct w4_mpi_choice *choices = choices_of(call, chunk, r);
        n_results[r] = w4_mpi_rows_from(call, chunk, r);
        size_t n = (size_t)n_results[r] * call->args.top_k;
        for (size_t i = 0; i < n; i++, at++) {
            ws->host.local_ids[at] = choices[i].id;
            ws->host.local_weights[at] = choices[i].weight;
            call->times.n_slots +=
                    call->layer->owners[choices[i].id] == ws->mpi->rank;
        }
    }
}

/* The same for slots that are here: one result each. Returns how many. */
static size_t
take_slots(struct w4_mpi_call *call, size_t chunk, int *n_results)
{
    const w4moe_mpi_workspace *ws = call->ws;
    size_t k = call->args.top_k;
    size_t slot = 0;
    int32_t row = 0;
    for (int r = 0; r < ws->mpi->n_ranks; r++) {
        const struct w4_mpi_choice *choices = choices_of(call, chunk, r);
        size_t first = slot;
        size_t n = (size_t)w4_mpi_rows_from(call, chunk, r) * k;
        for (size_t i = 0; i < n; i++) {
            if (call->layer->owners[choices[i].id] == ws->mpi->rank) {
                ws->host.local_ids[slot] = choices[i].id;
                ws->host.local_weights[slot] = choices[i].weight;
                ws->host.slot_rows[slot] = row + (int32_t)(i / k);
                slot++;
            }
        }
        row += w4_mpi_rows_from(call, chunk, r);
        n_results[r] = (int)(slot - first);
    }
    call->times.n_slots += slot;
    return slot;
}

/* Takes n of those choices to the caller's place. */
static w4moe_status
place_choices(const struct w4_mpi_call *call, size_t n)
{
    const struct w4_mpi_place *host = &call->ws->host;
    const struct w4_mpi_place *place = call->place;
    w4moe_status status = w4_mpi_copy(call, place->local_ids, host->local_ids,
            n * sizeof(host->local_ids[0]));
    return status == W4MOE_OK ? w4_mpi_copy(call, place->local_weights,
                                        host->local_weights,
                                        n * sizeof(host->local_weights[0]))
                              : status;
}

/* A copy of its row for each slot. */
static w4moe_status
copy_slots(const struct w4_mpi_call *call, size_t chunk, size_t n_rows,
        size_t n_slots)
{
    const struct w4_mpi_place *place = call->place;
    const int32_t *slot_rows = call->ws->host.slot_rows;
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = place->slots,
            .out_dtype = call->args.dtype,
            .rows = w4_mpi_buffers_of(place, chunk)->rows,
            .row_dtype = call->args.dtype,
            .n_rows = n_rows,
            .row_ids = place->slot_rows,
            .n_tokens = n_slots,
            .k = 1,
            .n_columns = call->ws->hidden_size,
            .flags = w4_mpi_host_flag(call),
            .stream = call->stream,
    };
    w4moe_status status = w4_mpi_copy(
            call, place->slot_rows, slot_rows, n_slots * sizeof(slot_rows[0]));
    return status == W4MOE_OK ? w4moe_combine(call->mpi->ctx, &args) : status;
}

/* The experts that are here, in fp32. Rows are one for each of k choices, or
 * with k = 1 for each slot. */
static w4moe_status
run_experts(const struct w4_mpi_call *call, w4moe_workspace *local,
        const void *rows, float *results, size_t n_rows, size_t k)
{
    const w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = results,
            .x = rows,
            .dtype = call->args.dtype,
            .n_tokens = n_rows,
            .top_k = k,
            .ids = call->place->local_ids,
            .weights = call->place->local_weights,
            .expert_map = w4_mpi_expert_map(call),
            .n_experts_global = call->ws->n_experts,
            .flags = w4_mpi_host_flag(call) | W4MOE_NO_SHARED |
                     (call->args.flags & (W4MOE_ROUTER_WEIGHT_ON_INPUT |
                                                 W4MOE_BATCH_INVARIANT)),
            .stream = call->stream,
            .out_dtype = W4MOE_F32,
    };
    w4moe_status status = place_choices(call, n_rows * k);
    return status == W4MOE_OK ? w4moe_forward(call->layer->local, local, &args)
                              : status;
}

/* From rows to results, in the caller's place. */
static w4moe_status
compute(const struct w4_mpi_call *call, size_t chunk, size_t n_rows,
        size_t n_results)
{
    const struct w4_mpi_buffers *b = w4_mpi_buffers_of(call->place, chunk);
    const w4moe_mpi_workspace *ws = call->ws;
    if (!call->exact) {
        return run_experts(
                call, ws->local, b->rows, b->results, n_rows, call->args.top_k);
    }
    w4moe_status status = copy_slots(call, chunk, n_rows, n_results);
    return status == W4MOE_OK
                   ? run_experts(call, ws->local_slots, call->place->slots,
                             b->results, n_results, 1)
                   : status;
}

w4moe_status
w4_mpi_compute(struct w4_mpi_call *call, size_t chunk, int *n_results)
{
    const struct w4_mpi_buffers *mine = w4_mpi_buffers_of(call->place, chunk);
    const struct w4_mpi_buffers *b = w4_mpi_buffers_of(call->transport, chunk);
    size_t hidden = call->ws->hidden_size;
    size_t n_rows = w4_mpi_all_rows(call, chunk);
    size_t n = n_rows;
    call->times.n_rows += n_rows;
    if (call->exact) {
        n = take_slots(call, chunk, n_results);
    } else {
        take_rows(call, chunk, n_results);
    }
    w4moe_status status =
            w4_mpi_copy(call, mine->rows, b->rows, n_rows * hidden * 2);
    if (status == W4MOE_OK) {
        status = compute(call, chunk, n_rows, n);
    }
    return status == W4MOE_OK
                   ? w4_mpi_hand_over(call, b->results, mine->results,
                             n * hidden * sizeof(float))
                   : status;
}
