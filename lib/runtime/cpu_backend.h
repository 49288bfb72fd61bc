/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The CPU backend: kernels of lib/kernel, weights used in place.
 */
#ifndef W4_RUNTIME_CPU_BACKEND_H
#define W4_RUNTIME_CPU_BACKEND_H

#include "kernel/block_gemm.h"
#include "runtime/backend.h"

/** The kernels that a context on this backend uses. */
extern const struct w4_kernels *w4_cpu_kernels(const w4moe_ctx *ctx);

/** See struct w4_backend_ops. */
extern w4moe_status w4_cpu_layer_open(w4moe_layer *layer, unsigned flags);
extern void w4_cpu_layer_close(w4moe_layer *layer);
extern w4moe_status w4_cpu_workspace_size(
        const w4moe_workspace *ws, uint64_t *bytes);
extern w4moe_status w4_cpu_workspace_open(
        w4moe_workspace *ws, const w4moe_layer *layer);
extern void w4_cpu_workspace_close(w4moe_workspace *ws);
extern w4moe_status w4_cpu_forward(const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args);
extern uint64_t w4_cpu_gemm_workspace(const w4moe_gemm_args *args);
extern w4moe_status w4_cpu_gemm(
        const w4moe_ctx *ctx, const w4moe_gemm_args *args);
extern w4moe_status w4_cpu_activate(const w4moe_ctx *ctx, void *out,
        size_t out_stride, const void *in, size_t in_stride, w4moe_dtype dtype,
        size_t n_rows, size_t n_out, const w4moe_activation *activation);
extern w4moe_status w4_cpu_choose(const w4moe_layer *layer, w4moe_workspace *ws,
        int32_t *ids, float *weights, const w4moe_forward_args *args);
extern w4moe_status w4_cpu_combine(
        const w4moe_ctx *ctx, const w4moe_combine_args *args);

#endif
