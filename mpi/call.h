/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A call on this rank, and the steps of it that need no other rank.
 */
#ifndef W4_MPI_CALL_H
#define W4_MPI_CALL_H

#include "workspace.h"

/** Rows and results of two chunks, choices, and the last status. */
enum { W4_MPI_REQUESTS = 6 };

struct w4_mpi_call {
    const w4moe_mpi *mpi;
    const w4moe_mpi_layer *layer;
    w4moe_mpi_workspace *ws;
    /** With ids and weights, in host memory, and strides. */
    w4moe_forward_args args;
    /** Where the caller's arrays are, and local calls work; where MPI takes and
     * puts rows and results; the stream of that work. See place.h. */
    const struct w4_mpi_place *place;
    const struct w4_mpi_place *transport;
    void *stream;
    /** NULL: nobody. */
    struct w4_mpi_progress *progress;
    /** Each slot's result comes back, not sums of them. */
    int exact;
    /** Of the rank that has the most. */
    size_t n_chunks;
    MPI_Request requests[W4_MPI_REQUESTS];
    w4moe_mpi_times times;
};

/** Rows of an array, from row `first` on. */
static inline const void *
w4_mpi_rows(const void *rows, size_t first, size_t stride, w4moe_dtype dtype)
{
    return (const char *)rows + first * stride * w4moe_dtype_size(dtype);
}

/** Tokens of this rank in a chunk, from the first on. */
extern size_t w4_mpi_chunk_tokens(
        const struct w4_mpi_call *call, size_t chunk, size_t *first);

/** Checks arguments, chooses experts if that is wanted, and makes the plan. */
extern w4moe_status w4_mpi_prepare(
        struct w4_mpi_call *call, const w4moe_forward_args *args);

/** Which rows of this rank's tokens go where, and which of the results that
 * come back are whose: fills the workspace's n_rows, n_slots, choices_sent, and
 * in host memory row_tokens and result_rows. Returns OK, or INVALID for an id
 * out of range. */
extern w4moe_status w4_mpi_plan(const struct w4_mpi_call *call);

/** Copies the n_rows rows of a chunk that are sent, from row_tokens[first_row]
 * on, to the transport's buffers. */
extern w4moe_status w4_mpi_gather(const struct w4_mpi_call *call, size_t chunk,
        size_t first_row, size_t n_rows);

/** Computes the rows of a chunk that have come, and sets how many results each
 * rank gets; these are in the transport's buffers then. */
extern w4moe_status w4_mpi_compute(
        struct w4_mpi_call *call, size_t chunk, int *n_results);

/** Adds up the results of a chunk, which have come back. */
extern w4moe_status w4_mpi_add(const struct w4_mpi_call *call, size_t chunk);

#endif
