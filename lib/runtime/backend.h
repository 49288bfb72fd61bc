/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the runtime asks of a backend, and the objects they share.
 *
 * The public functions check what can be checked without touching a backend's
 * memory (NULLs, sizes, types) and then call one of these.
 *
 * A backend is built in (the CPU's), or a module that is loaded when it is
 * asked for. Of lib/ a module includes base/, format/layout.h, format/matrix.h
 * and this header, and is linked with libw4base.la, its own copy: what changes
 * stands in the structs that are passed.
 */
#ifndef W4_RUNTIME_BACKEND_H
#define W4_RUNTIME_BACKEND_H

#include <w4moe.h>

#include "base/ctx.h"
#include "format/matrix.h"

/** Number of the interface between library and modules. Raise it when a struct
 * or the meaning of a function changes in this header, in lib/base/, in
 * format/matrix.h or in the public headers: a module that was built with
 * another number is refused. */
enum { W4_BACKEND_ABI = 4 };

/** All functions are there. */
struct w4_backend_ops {
    const char *name;

    /** Makes the backend; *state_p is its own. ctx has errors, memory and
     * threads already. Returns OK, UNSUPPORTED, INVALID, DEVICE or NOMEM. */
    w4moe_status (*open)(const w4moe_ctx *ctx, void **state_p,
            const w4moe_ctx_options *options);
    void (*close)(void *state);
    /** Writes its line of the description of the context, "backend NAME: in
     * use, ..." with a newline, like snprintf(). */
    int (*describe)(const w4moe_ctx *ctx, char *text, size_t size);

    /** Brings the weights to where forward reads them. Everything in layer is
     * set and checked; the matrices point to host memory, which stays as it is
     * while the layer lives unless flags, of W4MOE_LAYER_*, say otherwise. It
     * may replace those pointers by others of its own, and sets n_owned. After
     * a failure it leaves nothing behind. Returns OK, UNSUPPORTED, NOMEM, IO
     * or DEVICE. */
    w4moe_status (*layer_open)(w4moe_layer *layer, unsigned flags);
    /** Releases what layer_open made. */
    void (*layer_close)(w4moe_layer *layer);

    /** Bytes of a workspace; sizes are in ws already. Returns OK or INVALID
     * (too large). */
    w4moe_status (*workspace_size)(const w4moe_workspace *ws, uint64_t *bytes);
    /** Makes the memory of ws, of which everything else is set. It serves any
     * layer of the context that is not larger than `layer`. After a failure it
     * leaves nothing behind. Returns OK, NOMEM or DEVICE. */
    w4moe_status (*workspace_open)(
            w4moe_workspace *ws, const w4moe_layer *layer);
    /** Releases it. */
    void (*workspace_close)(w4moe_workspace *ws);

    /** Checked arguments, but for what their arrays hold; n_tokens > 0. */
    w4moe_status (*forward)(const w4moe_layer *layer, w4moe_workspace *ws,
            const w4moe_forward_args *args);
    /** Bytes of workspace that gemm needs for checked arguments; fits. */
    uint64_t (*gemm_workspace)(const w4moe_gemm_args *args);
    /** Checked arguments, but for what their arrays and those of the matrix
     * hold, all of which are in the backend's memory. */
    w4moe_status (*gemm)(const w4moe_ctx *ctx, const w4moe_gemm_args *args);
    w4moe_status (*activate)(const w4moe_ctx *ctx, void *out, size_t out_stride,
            const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
            size_t n_out, const w4moe_activation *activation);
    /** Checked as for forward, with ids NULL. */
    w4moe_status (*choose)(const w4moe_layer *layer, w4moe_workspace *ws,
            int32_t *ids, float *weights, const w4moe_forward_args *args);
    /** Checked arguments, but for what arrays hold; in the backend's memory.
     * With W4MOE_HOST_IO the library does it. */
    w4moe_status (*combine)(
            const w4moe_ctx *ctx, const w4moe_combine_args *args);
    /** n_bytes > 0; where is checked. Returns OK, NOMEM or DEVICE. */
    w4moe_status (*memory_alloc)(const w4moe_ctx *ctx, void **memory_p,
            uint64_t n_bytes, w4moe_memory where);
    void (*memory_free)(const w4moe_ctx *ctx, void *memory, uint64_t n_bytes,
            w4moe_memory where);
    w4moe_status (*memory_copy)(const w4moe_ctx *ctx, void *to,
            const void *from, uint64_t n_bytes, void *stream);
};

/** What a module says of itself. `abi` stays the first field for ever. */
struct w4_backend_module {
    /** W4_BACKEND_ABI of the headers that the module was built with. */
    uint32_t abi;
    /** That of ops. */
    const char *name;
    const struct w4_backend_ops *ops;
};

/** The one symbol that a module exports, a function of this type with this
 * name. */
typedef const struct w4_backend_module *w4_backend_module_fn(void);
#define W4_BACKEND_MODULE_SYMBOL "w4moe_backend_module"

/** The backend of a context. */
struct w4_backend {
    const struct w4_backend_ops *ops;
    void *state;
    /** What dlopen() gave; NULL if it is built in. */
    void *module;
};

extern const struct w4_backend_ops w4_cpu_backend;

/** Experts: their two matrices, and the sizes of those's arrays. */
struct w4_experts {
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_matrix_sizes w13_sizes;
    w4moe_matrix_sizes w2_sizes;
};

struct w4moe_layer {
    const w4moe_ctx *ctx;
    /** Those that the router chooses from, as far as they are here. */
    struct w4_experts routed;
    /** Those that every token has; n_experts is 0 without. */
    struct w4_experts shared;
    /** [shared experts][H], may be NULL. */
    const void *shared_gate;
    w4moe_dtype shared_gate_dtype;
    float shared_scale;
    /** With defaults filled in. */
    w4moe_activation activation;
    /** Checked: w4_router_check(). */
    w4moe_router router;
    size_t first_expert;
    size_t n_experts_global;
    /** Copies of the arrays, if the CPU's layer owns them. */
    void *owned;
    /** Bytes that the layer owns, wherever. */
    uint64_t n_owned;
    /** For backends with memory of their own. */
    void *device;
    /** Its experts do not follow each other: a call needs a map. */
    int is_list;
    /** Where their arrays were gathered, if the backend borrows them; not the
     * backend's business. */
    void *gathered;
    uint64_t n_gathered;
};

struct w4moe_workspace {
    const w4moe_ctx *ctx;
    /** What it was made for. */
    size_t max_tokens;
    size_t top_k;
    size_t n_experts;
    /** Experts of the model's layer. */
    size_t n_experts_global;
    size_t hidden_size;
    size_t intermediate_size;
    /** Shared experts and their I; 0 without. */
    size_t n_shared;
    size_t shared_intermediate;
    /** Experts whose logits the router's weight makes; 0 without one. */
    size_t n_logits;
    /** As the backend says. */
    uint64_t n_bytes;
    /** The backend's. */
    void *memory;
};

/** E, H, I of a layer. */
static inline size_t
w4_layer_experts(const w4moe_layer *layer)
{
    return layer->routed.w13.n_experts;
}

static inline size_t
w4_layer_hidden(const w4moe_layer *layer)
{
    return layer->routed.w13.n_in;
}

static inline size_t
w4_layer_intermediate(const w4moe_layer *layer)
{
    return layer->routed.w2.n_in;
}

/** Shared experts, and their I. */
static inline size_t
w4_layer_shared(const w4moe_layer *layer)
{
    return layer->shared.w13.n_experts;
}

static inline size_t
w4_layer_shared_intermediate(const w4moe_layer *layer)
{
    return layer->shared.w2.n_in;
}

/** An array of a matrix: where its pointer stands, and its bytes. */
struct w4_array {
    void **place;
    uint64_t size;
};

enum {
    W4_MATRIX_ARRAYS = 6,
    W4_EXPERTS_ARRAYS = 2 * W4_MATRIX_ARRAYS,
    W4_ROUTER_ARRAYS = 3,
    /** Of routed and shared experts, the router and the shared gate. */
    W4_LAYER_ARRAYS = 2 * W4_EXPERTS_ARRAYS + W4_ROUTER_ARRAYS + 1
};

/** The arrays of a matrix that are there; returns how many. */
static inline int
w4_matrix_arrays(struct w4_array arrays[W4_MATRIX_ARRAYS], w4moe_matrix *m,
        const w4moe_matrix_sizes *sizes)
{
    const struct w4_array all[W4_MATRIX_ARRAYS] = {
            {(void **)&m->qweight, sizes->qweight},
            {&m->scales, sizes->scales},
            {(void **)&m->qzeros, sizes->qzeros},
            {&m->offsets, sizes->offsets},
            {(void **)&m->perm, sizes->perm},
            {&m->bias, sizes->bias},
    };
    int n = 0;
    for (int i = 0; i < W4_MATRIX_ARRAYS; i++) {
        if (*all[i].place != NULL) {
            arrays[n++] = all[i];
        }
    }
    return n;
}

/** Those of experts, w13's first; returns how many. */
static inline int
w4_experts_arrays(
        struct w4_array arrays[W4_EXPERTS_ARRAYS], struct w4_experts *experts)
{
    int n = w4_matrix_arrays(arrays, &experts->w13, &experts->w13_sizes);
    return n + w4_matrix_arrays(arrays + n, &experts->w2, &experts->w2_sizes);
}

/** Those of a router of n_global experts; returns how many. */
static inline int
w4_router_arrays(struct w4_array arrays[W4_ROUTER_ARRAYS], w4moe_router *router,
        uint64_t n_global, uint64_t hidden)
{
    const struct w4_array all[W4_ROUTER_ARRAYS] = {
            {(void **)(uintptr_t)&router->weight,
                    n_global * hidden * w4moe_dtype_size(router->weight_dtype)},
            {(void **)(uintptr_t)&router->bias,
                    n_global * w4moe_dtype_size(router->bias_dtype)},
            {(void **)(uintptr_t)&router->correction_bias,
                    n_global * w4moe_dtype_size(router->correction_bias_dtype)},
    };
    int n = 0;
    for (int i = 0; i < W4_ROUTER_ARRAYS; i++) {
        if (*all[i].place != NULL) {
            arrays[n++] = all[i];
        }
    }
    return n;
}

/** All arrays of a layer; returns how many. */
static inline int
w4_layer_arrays(struct w4_array arrays[W4_LAYER_ARRAYS], w4moe_layer *layer)
{
    uint64_t hidden = w4_layer_hidden(layer);
    int n = w4_experts_arrays(arrays, &layer->routed);
    if (w4_layer_shared(layer) != 0) {
        n += w4_experts_arrays(arrays + n, &layer->shared);
    }
    n += w4_router_arrays(
            arrays + n, &layer->router, layer->n_experts_global, hidden);
    if (layer->shared_gate != NULL) {
        arrays[n++] = (struct w4_array){
                .place = (void **)(uintptr_t)&layer->shared_gate,
                .size = w4_layer_shared(layer) * hidden *
                        w4moe_dtype_size(layer->shared_gate_dtype),
        };
    }
    return n;
}

#endif
