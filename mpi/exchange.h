/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What goes between ranks in a call: headers, choices, rows, results. Each
 * function is made by all ranks in the same order.
 */
#ifndef W4_MPI_EXCHANGE_H
#define W4_MPI_EXCHANGE_H

#include "call.h"

/** Tells every rank this one's status, sizes and counts, and hears theirs.
 * Sets n_chunks. Returns OK if all can go on; else the same kind of failure on
 * all ranks, as w4moe_mpi_agree(). */
extern w4moe_status w4_mpi_exchange_headers(
        struct w4_mpi_call *call, w4moe_status status);

/** Starts sending choices; waits for them. */
extern w4moe_status w4_mpi_send_choices(struct w4_mpi_call *call);
extern w4moe_status w4_mpi_wait_choices(struct w4_mpi_call *call);

/** Starts sending the rows of a chunk, which are in the transport's buffers;
 * waits for those of the others. */
extern w4moe_status w4_mpi_send_rows(struct w4_mpi_call *call, size_t chunk);
extern w4moe_status w4_mpi_wait_rows(struct w4_mpi_call *call, size_t chunk);

/** Starts sending the results of a chunk, which are in the transport's buffers,
 * n[rank] of them to each; waits for this rank's own. */
extern w4moe_status w4_mpi_send_results(
        struct w4_mpi_call *call, size_t chunk, const int *n);
extern w4moe_status w4_mpi_wait_results(struct w4_mpi_call *call, size_t chunk);

/** Starts telling whether this rank has failed meanwhile; waits for what the
 * others say. */
extern w4moe_status w4_mpi_send_last(
        struct w4_mpi_call *call, int *failed, w4moe_status status);
extern w4moe_status w4_mpi_wait_last(
        struct w4_mpi_call *call, const int *failed, w4moe_status status);

/** Rows of a chunk from a rank. */
extern int w4_mpi_rows_from(
        const struct w4_mpi_call *call, size_t chunk, int rank);

/** Rows of a chunk from all ranks; and results that come back. */
extern size_t w4_mpi_all_rows(const struct w4_mpi_call *call, size_t chunk);
extern size_t w4_mpi_all_results(const struct w4_mpi_call *call, size_t chunk);

#endif
