/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The device: failures, memory, launches. */
#include <inttypes.h>

#include "gpu.h"

w4moe_status
w4_gpu_check(struct w4_err *err, hipError_t error, const char *call)
{
    if (error == hipSuccess) {
        return W4MOE_OK;
    }
    w4moe_status status =
            error == hipErrorOutOfMemory ? W4MOE_NOMEM : W4MOE_DEVICE;
    return w4_fail(err, status, "%s: %s (%s)", call, hipGetErrorName(error),
            hipGetErrorString(error));
}

w4moe_status
w4_gpu_enter(struct w4_err *err, const struct w4_gpu *gpu, int *before)
{
    w4moe_status status =
            w4_gpu_check(err, hipGetDevice(before), "hipGetDevice");
    if (status == W4MOE_OK && *before != gpu->device) {
        status = w4_gpu_check(err, hipSetDevice(gpu->device), "hipSetDevice");
    }
    return status;
}

void
w4_gpu_leave(const struct w4_gpu *gpu, int before)
{
    if (before != gpu->device) {
        (void)hipSetDevice(before);
    }
}

/* An allocation of booked memory has succeeded, or is booked no longer. */
static w4moe_status
allocated(
        const w4moe_ctx *ctx, uint64_t size, hipError_t error, const char *call)
{
    w4moe_status status = w4_gpu_check(w4_ctx_err(ctx), error, call);
    if (status != W4MOE_OK) {
        w4_mem_unbook(w4_ctx_mem(ctx), size);
    }
    return status;
}

w4moe_status
w4_gpu_alloc(const w4moe_ctx *ctx, void **p, uint64_t size, const char *what)
{
    w4moe_status status =
            w4_mem_book(w4_ctx_mem(ctx), w4_ctx_err(ctx), size, what);
    return status == W4MOE_OK ? allocated(ctx, size, hipMalloc(p, (size_t)size),
                                        "hipMalloc")
                              : status;
}

w4moe_status
w4_gpu_alloc_pinned(
        const w4moe_ctx *ctx, void **p, uint64_t size, const char *what)
{
    w4moe_status status =
            w4_mem_book(w4_ctx_mem(ctx), w4_ctx_err(ctx), size, what);
    return status == W4MOE_OK ? allocated(ctx, size,
                                        hipHostMalloc(p, (size_t)size,
                                                hipHostMallocDefault),
                                        "hipHostMalloc")
                              : status;
}

void
w4_gpu_free(const w4moe_ctx *ctx, void *p, uint64_t size)
{
    if (p != NULL) {
        (void)hipFree(p);
        w4_mem_unbook(w4_ctx_mem(ctx), size);
    }
}

void
w4_gpu_free_pinned(const w4moe_ctx *ctx, void *p, uint64_t size)
{
    if (p != NULL) {
        (void)hipHostFree(p);
        w4_mem_unbook(w4_ctx_mem(ctx), size);
    }
}

/* ------------------------------------------------------ memory for callers */

static w4moe_status
alloc_of_device(const w4moe_ctx *ctx, void **memory_p, uint64_t n_bytes,
        w4moe_memory where)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    int before = 0;
    w4moe_status status = w4_gpu_enter(w4_ctx_err(ctx), gpu, &before);
    if (status != W4MOE_OK) {
        return status;
    }
    status = where == W4MOE_MEMORY_DEVICE
                     ? w4_gpu_alloc(ctx, memory_p, n_bytes, "memory")
                     : w4_gpu_alloc_pinned(ctx, memory_p, n_bytes, "memory");
    w4_gpu_leave(gpu, before);
    return status;
}

w4moe_status
w4_gpu_memory_alloc(const w4moe_ctx *ctx, void **memory_p, uint64_t n_bytes,
        w4moe_memory where)
{
    return where == W4MOE_MEMORY_HOST
                   ? w4_mem_alloc(w4_ctx_mem(ctx), w4_ctx_err(ctx), memory_p,
                             n_bytes, "memory")
                   : alloc_of_device(ctx, memory_p, n_bytes, where);
}

void
w4_gpu_memory_free(const w4moe_ctx *ctx, void *memory, uint64_t n_bytes,
        w4moe_memory where)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    int before = gpu->device;
    if (where == W4MOE_MEMORY_HOST) {
        w4_mem_free(w4_ctx_mem(ctx), memory, n_bytes);
        return;
    }
    /* Released in any case; a failure has nobody to go to. */
    (void)w4_gpu_enter(NULL, gpu, &before);
    if (where == W4MOE_MEMORY_DEVICE) {
        w4_gpu_free(ctx, memory, n_bytes);
    } else {
        w4_gpu_free_pinned(ctx, memory, n_bytes);
    }
    w4_gpu_leave(gpu, before);
}

w4moe_status
w4_gpu_memory_copy(const w4moe_ctx *ctx, void *to, const void *from,
        uint64_t n_bytes, void *stream)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    struct w4_err *err = w4_ctx_err(ctx);
    int before = 0;
    w4moe_status status = w4_gpu_enter(err, gpu, &before);
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_gpu_check(err,
            hipMemcpyAsync(to, from, (size_t)n_bytes, hipMemcpyDefault, stream),
            "hipMemcpyAsync");
    if (status == W4MOE_OK) {
        status = w4_gpu_check(
                err, hipStreamSynchronize(stream), "hipStreamSynchronize");
    }
    w4_gpu_leave(gpu, before);
    return status;
}

/* ---------------------------------------------------------------- launches */

w4moe_status
w4_gpu_launch(struct w4_err *err, hipFunction_t function, uint64_t x,
        uint64_t y, unsigned threads, void *argument, hipStream_t stream)
{
    if (x == 0 || y == 0) {
        return W4MOE_OK;
    }
    /* HIP counts threads of a dimension in 32 bits. */
    if (x > UINT32_MAX / threads || y > W4_GPU_GRID_Y) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend hip: a grid of %" PRIu64 " x %" PRIu64
                " workgroups is too large",
                x, y);
    }
    void *arguments[] = {argument};
    return w4_gpu_check(err,
            hipModuleLaunchKernel(function, (unsigned)x, (unsigned)y, 1,
                    threads, 1, 1, 0, stream, arguments, NULL),
            "hipModuleLaunchKernel");
}
