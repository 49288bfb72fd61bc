/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The CPU backend's entry: choice of the kernels. */
#include <stdio.h>
#include <stdlib.h>

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
};
