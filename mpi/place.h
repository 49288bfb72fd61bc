/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Where a call's arrays are. Two places matter: the caller's, where rows are
 * gathered, computed and added up; and the transport's, from and to which MPI
 * moves them. Each is the workspace's host or device memory:
 *
 *   caller  transport
 *   host    host
 *   device  host       copies between them, of pinned memory
 *   device  device     MPI is device-aware
 *
 * Plans and choices are made in host memory. Where two places are the same
 * their pointers are, too, and copies between them are nothing.
 */
#ifndef W4_MPI_PLACE_H
#define W4_MPI_PLACE_H

#include "call.h"

/** Sets both, by the call's flags. */
extern void w4_mpi_find_places(struct w4_mpi_call *call);

static inline int
w4_mpi_on_device(const struct w4_mpi_call *call)
{
    return call->place == &call->ws->device;
}

/** For calls that work in the caller's place: W4MOE_HOST_IO or 0. */
static inline unsigned
w4_mpi_host_flag(const struct w4_mpi_call *call)
{
    return w4_mpi_on_device(call) ? 0 : W4MOE_HOST_IO;
}

/** The layer's maps in the caller's place. */
extern const int32_t *w4_mpi_expert_map(const struct w4_mpi_call *call);
extern const int32_t *w4_mpi_nowhere(const struct w4_mpi_call *call);

static inline const struct w4_mpi_buffers *
w4_mpi_buffers_of(const struct w4_mpi_place *place, size_t chunk)
{
    return &place->buffers[chunk % 2];
}

/** Copies after what the stream has to do, and waits; does nothing if `to` is
 * `from`. */
extern w4moe_status w4_mpi_copy(const struct w4_mpi_call *call, void *to,
        const void *from, uint64_t n_bytes);

/** The same from the caller's place to the transport's, so that MPI may have
 * it: where they are one, waits for the stream, if there is one. */
extern w4moe_status w4_mpi_hand_over(const struct w4_mpi_call *call, void *to,
        const void *from, uint64_t n_bytes);

#endif
