/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "place.h"

#include <string.h>

void
w4_mpi_find_places(struct w4_mpi_call *call)
{
    const w4moe_mpi *mpi = call->mpi;
    w4moe_mpi_workspace *ws = call->ws;
    int on_device = strcmp(call->layer->info.backend, "cpu") != 0 &&
                    (call->args.flags & W4MOE_HOST_IO) == 0;
    int by_device = on_device && mpi->device_aware;
    call->place = on_device ? &ws->device : &ws->host;
    call->transport = by_device ? &ws->device : &ws->host;
    call->stream = on_device ? call->args.stream : NULL;
    /* A thread in which no device was chosen is not to touch device memory,
     * unless the caller says so. */
    call->progress = by_device && mpi->progress_is_auto ? NULL : mpi->progress;
}

const int32_t *
w4_mpi_expert_map(const struct w4_mpi_call *call)
{
    return w4_mpi_on_device(call) ? call->layer->device_maps
                                  : call->layer->expert_map;
}

const int32_t *
w4_mpi_nowhere(const struct w4_mpi_call *call)
{
    return w4_mpi_on_device(call)
                   ? call->layer->device_maps + call->layer->n_experts
                   : call->layer->nowhere;
}

w4moe_status
w4_mpi_copy(const struct w4_mpi_call *call, void *to, const void *from,
        uint64_t n_bytes)
{
    return to == from ? W4MOE_OK
                      : w4moe_memory_copy(call->mpi->ctx, to, from, n_bytes,
                                call->stream);
}

w4moe_status
w4_mpi_hand_over(const struct w4_mpi_call *call, void *to, const void *from,
        uint64_t n_bytes)
{
    w4moe_mpi_workspace *ws = call->ws;
    if (call->place != call->transport || !w4_mpi_on_device(call)) {
        return w4_mpi_copy(call, to, from, n_bytes);
    }
    /* A copy is what waits; also where there is nothing to send, for MPI gets
     * other buffers next, which the stream may still read. */
    return w4_mpi_copy(
            call, ws->host.zeros, ws->device.zeros, sizeof(ws->host.zeros[0]));
}
