/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A thread that drives MPI while another computes: many MPI libraries move
 * large messages only while they are called.
 */
#ifndef W4_MPI_PROGRESS_H
#define W4_MPI_PROGRESS_H

#include "ranks.h"

/** Starts the thread, which sleeps. Returns OK or NOMEM. */
extern w4moe_status w4_mpi_progress_create(
        const w4moe_ctx *ctx, struct w4_mpi_progress **progress_p);

/** Ends it; may be NULL. */
extern void w4_mpi_progress_destroy(struct w4_mpi_progress *progress);

/** Requests at a time, at most. */
enum { W4_MPI_PROGRESS_MAX = 8 };

/** The thread tests these requests from time to time, until all are done or
 * w4_mpi_progress_end() has returned. The caller leaves MPI alone until
 * then. progress may be NULL. */
extern void w4_mpi_progress_begin(
        struct w4_mpi_progress *progress, MPI_Request *requests, int n);

/** Returns what MPI said: MPI_SUCCESS, or the code of a failure. */
extern int w4_mpi_progress_end(struct w4_mpi_progress *progress);

#endif
