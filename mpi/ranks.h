/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The ranks of a communicator, and how they agree.
 */
#ifndef W4_MPI_RANKS_H
#define W4_MPI_RANKS_H

#include <w4moe/mpi.h>

struct w4_mpi_progress;

struct w4moe_mpi {
    const w4moe_ctx *ctx;
    /** The library's own; its calls return errors. */
    MPI_Comm comm;
    int rank;
    int n_ranks;
    /** As the options say; 0: not said. */
    size_t chunk_tokens;
    /** Whether MPI takes pointers to device memory. */
    int device_aware;
    /** NULL: nobody; and whether the options leave it to the library. */
    struct w4_mpi_progress *progress;
    int progress_is_auto;
};

/** Records a failure, as w4moe_ctx_fail() does; returns status. */
extern w4moe_status w4_mpi_fail(
        const w4moe_ctx *ctx, w4moe_status status, const char *format, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 3, 4)))
#endif
        ;

/** OK, or the failure of the MPI function `call`: DEVICE. */
extern w4moe_status w4_mpi_check(
        const w4moe_ctx *ctx, int code, const char *call);

/** Takes a caller's struct in, whose first field is its struct_size, as the
 * library does: a longer one must have zeros where this version ends. Returns
 * OK, INVALID or UNSUPPORTED. */
extern w4moe_status w4_mpi_struct_in(const w4moe_ctx *ctx, void *own,
        size_t size, const void *callers, const char *what);

/** Collective, with every rank's status of what it did before: as
 * w4moe_mpi_agree(), and then INVALID unless n values are those of rank 0.
 * `names` are theirs. */
extern w4moe_status w4_mpi_same(const w4moe_mpi *mpi, w4moe_status status,
        const uint64_t *values, const char *const *names, int n);

enum { W4_MPI_VALUES_MAX = 8 };

/** Whether MPI takes pointers to device memory, as is said or as it says. */
extern int w4_mpi_find_aware(w4moe_mpi_device_aware said);

#endif
