/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Memory of a call: what goes to other ranks and what comes from them. A call
 * is cut into chunks of chunk_tokens tokens of each rank; two chunks are on
 * their way at a time, and each has one of two sets of buffers.
 */
#ifndef W4_MPI_WORKSPACE_H
#define W4_MPI_WORKSPACE_H

#include "layer.h"

/** A choice of a token, as it is sent. */
struct w4_mpi_choice {
    int32_t id;
    float weight;
};

/** What a rank tells each other one first: W4_MPI_HEADER numbers, and how many
 * rows each of the chunks has for it. */
enum w4_mpi_header {
    W4_MPI_STATUS,
    W4_MPI_TOKENS,
    W4_MPI_TOP_K,
    W4_MPI_DTYPE,
    W4_MPI_EXACT,
    /** Whether weights multiply inputs; -1 on a rank without tokens. */
    W4_MPI_ON_INPUT,
    W4_MPI_HEADER
};

/** Counts and places, in rows, of what goes to and comes from each rank:
 * arguments of MPI_Ialltoallv(), which stay as they are until it is done. Four
 * arrays of n_ranks. */
struct w4_mpi_counts {
    int *send;
    int *send_place;
    int *receive;
    int *receive_place;
};

/** What a chunk that is on its way moves. */
struct w4_mpi_moved {
    struct w4_mpi_counts rows;
    struct w4_mpi_counts results;
};

/** Buffers of such a chunk. */
struct w4_mpi_buffers {
    /** Rows of x: to be computed elsewhere; to be computed here. */
    void *rows_sent;
    void *rows;
    /** Results in fp32: of `rows`, or of their slots; of what was sent. */
    float *results;
    float *results_back;
};

/** What there is in host memory, and once more in a device's. */
struct w4_mpi_place {
    /** Of two chunks; the same for both where MPI has no part in it. */
    struct w4_mpi_buffers buffers[2];
    /** Which token each row that is sent is of: by chunk, rank, token. */
    int32_t *row_tokens;
    /** [max_tokens][top_k]: rows of a chunk's results that are a token's, in
     * the order of adding; -1 after the last. */
    int32_t *result_rows;
    /** What the local layer is called with: choices of rows or of slots; with
     * slots, whose rows they are, and copies of these. */
    int32_t *local_ids;
    float *local_weights;
    int32_t *slot_rows;
    void *slots;
    /** [chunk_tokens] zeros, which are ids and weights, too. */
    int32_t *zeros;
    /** With shared experts, sums of a chunk's tokens. */
    float *sums;
};

/** An array of a workspace. */
struct w4_mpi_array {
    void **place;
    uint64_t n_bytes;
    w4moe_memory where;
};

enum { W4_MPI_ARRAYS_MAX = 96 };

struct w4moe_mpi_workspace {
    const w4moe_mpi *mpi;
    /** The layer that it was made with has these sizes. */
    size_t n_experts;
    size_t n_here;
    size_t hidden_size;
    size_t n_shared;
    size_t shared_intermediate;
    /** Of this rank; of all together. */
    size_t max_tokens;
    uint64_t total_tokens;
    size_t top_k;
    size_t chunk_tokens;
    size_t max_chunks;
    /** Rows that a chunk brings at most; ranks that a token goes to at most. */
    size_t capacity;
    size_t fan;

    /** Workspaces of the local layer: for rows of top_k choices, and for rows
     * of one. */
    w4moe_workspace *local;
    w4moe_workspace *local_slots;

    /** Rows of x, choices, and rows of results. */
    MPI_Datatype row_type;
    MPI_Datatype choice_type;
    MPI_Datatype result_type;

    /** [n_ranks][W4_MPI_HEADER + max_chunks] */
    int32_t *header_sent;
    int32_t *header;
    /** [max_chunks][n_ranks]: rows and slots of this rank's tokens at each. */
    int32_t *n_rows;
    int32_t *n_slots;
    /** This rank's choices, if the caller does not give them in host memory,
     * [max_tokens][top_k]; and how often each expert was chosen, [E]. */
    int32_t *ids;
    float *weights;
    int32_t *expert_counts;
    /** Choices of rows: to other ranks (by rank, chunk, token), and from
     * them. */
    struct w4_mpi_choice *choices_sent;
    struct w4_mpi_choice *choices;
    struct w4_mpi_counts choices_counts;
    /** Scratch of planning: [n_ranks] each, and top_k. */
    int32_t *rank_token;
    int32_t *rank_row;
    int32_t *next_choice;
    int32_t *order;

    /** Of two chunks. */
    struct w4_mpi_moved moved[2];
    /** [n_ranks]: results of a chunk for each. */
    int *n_results;

    struct w4_mpi_place host;
    /** NULLs where the backend is "cpu". */
    struct w4_mpi_place device;

    struct w4_mpi_array arrays[W4_MPI_ARRAYS_MAX];
    int n_arrays;
};

/** Numbers of a header. */
static inline size_t
w4_mpi_header_size(const w4moe_mpi_workspace *ws)
{
    return W4_MPI_HEADER + ws->max_chunks;
}

/** The header from a rank, or to it, in an array of them. */
static inline int32_t *
w4_mpi_header_of(const w4moe_mpi_workspace *ws, int32_t *headers, int rank)
{
    return headers + (size_t)rank * w4_mpi_header_size(ws);
}

#endif
