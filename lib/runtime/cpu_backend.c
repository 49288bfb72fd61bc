/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The CPU backend's entry: choice of the kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu_backend.h"

static w4moe_status
cpu_open(const w4moe_ctx *ctx, void **state_p, const w4moe_ctx_options *options)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (options->device != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "backend cpu has no device %u, only 0", options->device);
    }
    const struct w4_kernels *kernels;
    w4moe_status status =
            w4_kernels_pick(err, &kernels, secure_getenv("W4MOE_CPU"));
    if (status == W4MOE_OK) {
        *state_p = (void *)(uintptr_t)kernels;
    }
    return status;
}

static void
cpu_close(void *state)
{
    (void)state;
}

const struct w4_kernels *
w4_cpu_kernels(const w4moe_ctx *ctx)
{
    return ctx->backend->state;
}

static int
cpu_describe(const w4moe_ctx *ctx, char *text, size_t size)
{
    return snprintf(text, size,
            "backend cpu: in use, %d thread%s, kernels %s\n", ctx->n_threads,
            ctx->n_threads == 1 ? "" : "s", w4_cpu_kernels(ctx)->name);
}

static w4moe_status
cpu_memory_alloc(const w4moe_ctx *ctx, void **memory_p, uint64_t n_bytes,
        w4moe_memory where)
{
    (void)where;
    return w4_mem_alloc(
            w4_ctx_mem(ctx), w4_ctx_err(ctx), memory_p, n_bytes, "memory");
}

static void
cpu_memory_free(const w4moe_ctx *ctx, void *memory, uint64_t n_bytes,
        w4moe_memory where)
{
    (void)where;
    w4_mem_free(w4_ctx_mem(ctx), memory, n_bytes);
}

static w4moe_status
cpu_memory_copy(const w4moe_ctx *ctx, void *to, const void *from,
        uint64_t n_bytes, void *stream)
{
    if (stream != NULL) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "memory_copy: backend cpu has no streams");
    }
    memcpy(to, from, (size_t)n_bytes);
    return W4MOE_OK;
}

const struct w4_backend_ops w4_cpu_backend = {
        .name = "cpu",
        .open = cpu_open,
        .close = cpu_close,
        .describe = cpu_describe,
        .layer_open = w4_cpu_layer_open,
        .layer_close = w4_cpu_layer_close,
        .workspace_size = w4_cpu_workspace_size,
        .workspace_open = w4_cpu_workspace_open,
        .workspace_close = w4_cpu_workspace_close,
        .forward = w4_cpu_forward,
        .gemm_workspace = w4_cpu_gemm_workspace,
        .gemm = w4_cpu_gemm,
        .activate = w4_cpu_activate,
        .choose = w4_cpu_choose,
        .combine = w4_cpu_combine,
        .memory_alloc = cpu_memory_alloc,
        .memory_free = cpu_memory_free,
        .memory_copy = cpu_memory_copy,
};
