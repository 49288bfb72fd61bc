/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Rows between host memory and the device, through pinned memory: from there
 * the device copies by itself, while the processor fills the next piece.
 */
#include <string.h>

#include "gpu.h"

/* Bytes that are on their way while others are gathered. */
enum { PIECE = W4_GPU_PINNED_MAX / 4 };

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Copies bytes begin to begin + n of packed rows: out of rows, or into them. */
static void
copy_part(const struct w4_gpu_rows *rows, char *packed, uint64_t begin,
        uint64_t n, int into_rows)
{
    uint64_t end = begin + n;
    while (begin < end) {
        uint64_t column = begin % rows->n_bytes;
        size_t size = (size_t)least(rows->n_bytes - column, end - begin);
        char *place = rows->first + begin / rows->n_bytes * rows->stride;
        if (into_rows) {
            memcpy(place + column, packed, size);
        } else {
            memcpy(packed, place + column, size);
        }
        packed += size;
        begin += size;
    }
}

static w4moe_status
copy(const struct w4_gpu_transfer *t, void *to, const void *from, uint64_t size,
        hipMemcpyKind kind)
{
    return w4_gpu_check(t->err,
            hipMemcpyAsync(to, from, (size_t)size, kind, t->stream),
            "hipMemcpyAsync");
}

/* Afterwards nothing needs what the pinned memory holds. */
static w4moe_status
wait(struct w4_gpu_transfer *t)
{
    t->n_used = 0;
    return w4_gpu_check(
            t->err, hipStreamSynchronize(t->stream), "hipStreamSynchronize");
}

w4moe_status
w4_gpu_put(
        struct w4_gpu_transfer *t, void *device, const struct w4_gpu_rows *rows)
{
    uint64_t total = rows->n * rows->n_bytes;
    w4moe_status status = W4MOE_OK;
    for (uint64_t done = 0; done < total && status == W4MOE_OK;) {
        if (t->n_used == t->size) {
            status = wait(t);
            continue;
        }
        uint64_t n = least(least(total - done, t->size - t->n_used), PIECE);
        char *piece = t->pinned + t->n_used;
        copy_part(rows, piece, done, n, 0);
        status =
                copy(t, (char *)device + done, piece, n, hipMemcpyHostToDevice);
        t->n_used += n;
        done += n;
    }
    return status;
}

w4moe_status
w4_gpu_get(struct w4_gpu_transfer *t, const struct w4_gpu_rows *rows,
        const void *device)
{
    uint64_t total = rows->n * rows->n_bytes;
    w4moe_status status = W4MOE_OK;
    for (uint64_t done = 0; done < total && status == W4MOE_OK;) {
        uint64_t n = least(total - done, t->size);
        status = copy(t, t->pinned, (const char *)device + done, n,
                hipMemcpyDeviceToHost);
        if (status == W4MOE_OK) {
            status = wait(t);
        }
        if (status == W4MOE_OK) {
            copy_part(rows, t->pinned, done, n, 1);
        }
        done += n;
    }
    return status;
}
