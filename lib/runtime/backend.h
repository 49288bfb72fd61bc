/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the runtime asks of a backend, and the objects they share.
 *
 * The public functions check what can be checked without touching a backend's
 * memory (NULLs, sizes, types) and then call one of these.
 */
#ifndef W4_RUNTIME_BACKEND_H
#define W4_RUNTIME_BACKEND_H

#include <w4moe.h>

#include "base/ctx.h"
#include "format/matrix.h"

struct w4_backend_ops {
    const char *name;

    /** Makes the backend; *state_p is its own. ctx has errors, memory and
     * threads already. Returns OK, UNSUPPORTED, INVALID, DEVICE or NOMEM. */
    w4moe_status (*open)(const w4moe_ctx *ctx, void **state_p,
            const w4moe_ctx_options *options);
    void (*close)(void *state);
    /** Adds its line to the description of the context, like snprintf(). */
    int (*describe)(const w4moe_ctx *ctx, char *text, size_t size);

    /** Bytes of a workspace; sizes are in ws already. Returns OK or INVALID
     * (too large). */
    w4moe_status (*workspace_size)(const w4moe_workspace *ws, uint64_t *bytes);

    /** Checked arguments; n_tokens > 0. */
    w4moe_status (*forward)(const w4moe_layer *layer, w4moe_workspace *ws,
            const w4moe_forward_args *args);
    w4moe_status (*gemm)(const w4moe_ctx *ctx, const w4moe_gemm_args *args);
    w4moe_status (*activate)(const w4moe_ctx *ctx, void *out, size_t out_stride,
            const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
            size_t n_out, const w4moe_activation *activation);
};

/** The backend of a context. */
struct w4_backend {
    const struct w4_backend_ops *ops;
    void *state;
};

extern const struct w4_backend_ops w4_cpu_backend;

struct w4moe_layer {
    const w4moe_ctx *ctx;
    w4moe_matrix w13;
    w4moe_matrix w2;
    /** With defaults filled in. */
    w4moe_activation activation;
    w4moe_router router;
    /** Copies of the arrays, if the layer owns them. */
    void *owned;
    uint64_t n_owned;
};

struct w4moe_workspace {
    const w4moe_ctx *ctx;
    /** What it was made for. */
    size_t max_tokens;
    size_t top_k;
    size_t n_experts;
    size_t hidden_size;
    size_t intermediate_size;
    void *memory;
    uint64_t n_bytes;
};

/** E, H, I of a layer. */
static inline size_t
w4_layer_experts(const w4moe_layer *layer)
{
    return layer->w13.n_experts;
}

static inline size_t
w4_layer_hidden(const w4moe_layer *layer)
{
    return layer->w13.n_in;
}

static inline size_t
w4_layer_intermediate(const w4moe_layer *layer)
{
    return layer->w2.n_in;
}

#endif
