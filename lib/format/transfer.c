/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the phases share: the arrays of an expert, and progress. */
#include "format/transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/size.h"

/* Bytes of one expert's arrays. */
static void
measure(uint64_t bytes[W4_N_ARRAYS], const w4moe_matrix *one,
        const size_t entries[W4_N_ARRAYS])
{
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, one);
    const uint64_t all[W4_N_ARRAYS] = {sizes.qweight, sizes.scales,
            sizes.qzeros, sizes.offsets, sizes.perm, sizes.bias};
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        bytes[a] = entries[a] != W4_NO_ENTRY ? all[a] : 0;
    }
}

/* Gives the arrays their places, one behind the other. */
static char *
place(w4moe_matrix *one, const uint64_t bytes[W4_N_ARRAYS], char *next)
{
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        if (bytes[a] != 0) {
            *w4_array_place(one, (enum w4_array)a) = next;
            next += (bytes[a] + 63) / 64 * 64;
        }
    }
    return next;
}

/* Room for rows of both matrices, in groups of any weight's length. */
static w4moe_status
make_rows(struct w4_err *err, struct w4_expert_buffer *buffer)
{
    size_t n_in = buffer->w13.n_in > buffer->w2.n_in ? buffer->w13.n_in
                                                     : buffer->w2.n_in;
    size_t group_size = buffer->w13.group_size < buffer->w2.group_size
                                ? buffer->w13.group_size
                                : buffer->w2.group_size;
    return w4_rows_make(
            err, &buffer->rows, n_in, w4_ceil_div(n_in, group_size));
}

w4moe_status
w4_expert_buffer_make(struct w4_err *err, struct w4_expert_buffer *buffer,
        const struct w4_source *source, const struct w4_plan_layer *layer)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->w13 = layer->w13;
    buffer->w2 = layer->w2;
    buffer->w13.n_experts = buffer->w2.n_experts = 1;
    measure(buffer->w13_bytes, &buffer->w13, layer->w13_entries);
    measure(buffer->w2_bytes, &buffer->w2, layer->w2_entries);
    uint64_t total = 0;
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        total += (buffer->w13_bytes[a] + 63) / 64 * 64 +
                 (buffer->w2_bytes[a] + 63) / 64 * 64;
    }
    if (total <= PTRDIFF_MAX) {
        buffer->memory = malloc((size_t)total);
    }
    if (buffer->memory == NULL) {
        return w4_fail(err, W4MOE_NOMEM,
                "no memory for an expert of %" PRIu64 " bytes", total);
    }
    char *next = place(&buffer->w13, buffer->w13_bytes, buffer->memory);
    place(&buffer->w2, buffer->w2_bytes, next);
    w4moe_status status = w4_orders_make(err, &buffer->orders, source);
    return status == W4MOE_OK ? make_rows(err, buffer) : status;
}

void
w4_expert_buffer_free(struct w4_expert_buffer *buffer)
{
    w4_orders_free(&buffer->orders);
    w4_rows_free(&buffer->rows);
    free(buffer->memory);
    memset(buffer, 0, sizeof(*buffer));
}

static int
is_caller_thread(void)
{
#ifdef _OPENMP
    return omp_get_thread_num() == 0;
#else
    return 1;
#endif
}

w4moe_status
w4_transfer_report(
        struct w4_transfer *transfer, const char *phase, uint32_t layer)
{
    if (transfer->progress == NULL || !is_caller_thread()) {
        return W4MOE_OK;
    }
    w4moe_progress progress = {
            .struct_size = sizeof(progress),
            .phase = phase,
            .bytes_done = transfer->bytes_done,
            .bytes_total = transfer->bytes_total,
            .layer = layer,
    };
    if (transfer->progress(transfer->progress_user, &progress) != 0) {
        return w4_fail(w4_ctx_err(transfer->ctx), W4MOE_CANCELLED,
                "stopped by the caller after %" PRIu64 " of %" PRIu64 " bytes",
                progress.bytes_done, progress.bytes_total);
    }
    return W4MOE_OK;
}
