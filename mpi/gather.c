/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The rows of a chunk, from the caller's memory to where MPI takes them. */
#include <string.h>

#include "place.h"

static void
gather_on_host(
        const struct w4_mpi_call *call, char *to, size_t first, size_t n_rows)
{
    size_t row_size = call->ws->hidden_size * 2;
    const int32_t *tokens = call->ws->host.row_tokens + first;
    for (size_t row = 0; row < n_rows; row++) {
        memcpy(to + row * row_size,
                w4_mpi_rows(call->args.x, (size_t)tokens[row],
                        call->args.x_stride, call->args.dtype),
                row_size);
    }
}

static w4moe_status
gather_on_device(
        const struct w4_mpi_call *call, void *to, size_t first, size_t n_rows)
{
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = to,
            .out_dtype = call->args.dtype,
            .rows = call->args.x,
            .row_stride = call->args.x_stride,
            .row_dtype = call->args.dtype,
            .n_rows = call->args.n_tokens,
            .row_ids = call->place->row_tokens + first,
            .n_tokens = n_rows,
            .k = 1,
            .n_columns = call->ws->hidden_size,
            .stream = call->stream,
    };
    return w4moe_combine(call->mpi->ctx, &args);
}

w4moe_status
w4_mpi_gather(const struct w4_mpi_call *call, size_t chunk, size_t first_row,
        size_t n_rows)
{
    void *to = w4_mpi_buffers_of(call->place, chunk)->rows_sent;
    w4moe_status status = W4MOE_OK;
    if (n_rows != 0 && w4_mpi_on_device(call)) {
        status = gather_on_device(call, to, first_row, n_rows);
    } else if (n_rows != 0) {
        gather_on_host(call, to, first_row, n_rows);
    }
    return status == W4MOE_OK
                   ? w4_mpi_hand_over(call,
                             w4_mpi_buffers_of(call->transport, chunk)
                                     ->rows_sent,
                             to, n_rows * call->ws->hidden_size * 2)
                   : status;
}
