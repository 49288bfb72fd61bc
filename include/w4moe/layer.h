/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A mixture-of-experts layer: load, workspace, forward.
 *
 * Included by <w4moe.h>.
 */
#ifndef W4MOE_LAYER_H
#define W4MOE_LAYER_H

#include <w4moe/base.h>
#include <w4moe/format.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The weights of one layer on one backend. Opaque; may be shared by threads
 * through const pointers. */
typedef struct w4moe_layer w4moe_layer;

/** Memory for one forward call at a time. Opaque. */
typedef struct w4moe_workspace w4moe_workspace;

/** Flags of w4moe_layer_load() and w4moe_layer_create(), or-ed. None of them
 * changes a result. They are about the CPU backend: one whose device has memory
 * of its own copies the weights there whatever they say. */
enum {
    /** Copy the weights into memory of the layer, so that the file may be
     * closed, or the caller's arrays may go. Without it the CPU backend
     * borrows them: the mapping of the file, or the arrays. */
    W4MOE_LAYER_COPY = 1,
    /** Copy the weights into memory for which the system is asked for huge
     * pages, whether W4MOE_LAYER_COPY is set or not. Saves misses of the
     * translation of addresses when weights are streamed. Where there are no
     * huge pages it is plain memory. Counts in steps of 2 MiB. */
    W4MOE_LAYER_HUGE_PAGES = 2,
    /** Read all pages of the weights in before returning, so that no forward
     * call waits for the disk, unless the system has dropped a page again
     * since. Copies are read in anyway. */
    W4MOE_LAYER_PREFAULT = 4
};

/**
 * Loads a layer of a container. Without flags the CPU backend uses the mapping
 * in place: the file must stay open as long as the layer lives. With
 * W4MOE_LAYER_COPY or W4MOE_LAYER_HUGE_PAGES it may be closed before.
 *
 * Out: *layer_p; release it with w4moe_layer_destroy().
 * In: layer, its number in the model; flags, of W4MOE_LAYER_*, or 0.
 * Returns: W4MOE_OK; W4MOE_INVALID (no such layer, an unknown flag);
 *     W4MOE_UNSUPPORTED (the backend cannot compute it); W4MOE_NOMEM;
 *     W4MOE_IO (W4MOE_LAYER_PREFAULT, and the file cannot be read).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_layer_load(const w4moe_ctx *ctx,
        w4moe_layer **layer_p, const w4moe_file *file, uint32_t layer,
        unsigned flags) W4MOE_MUST_CHECK;

/** A layer from matrices in host memory. */
typedef struct w4moe_layer_desc {
    /** sizeof(w4moe_layer_desc). */
    size_t struct_size;
    /** w13: N = 2I for gated activations (`gated` set), else I; K = H. */
    const w4moe_matrix *w13;
    /** w2: N = H, K = I. */
    const w4moe_matrix *w2;
    w4moe_activation activation;
    /** For forward calls with router logits; kind 0: none. */
    w4moe_router router;
} w4moe_layer_desc;

/**
 * Makes a layer from matrices in memory.
 *
 * Out: *layer_p; release it with w4moe_layer_destroy().
 * In: flags, of W4MOE_LAYER_*, or 0.
 * Returns: W4MOE_OK; W4MOE_INVALID (sizes that do not agree, named; an unknown
 *     flag); W4MOE_UNSUPPORTED; W4MOE_NOMEM; W4MOE_IO (W4MOE_LAYER_PREFAULT,
 *     and an array is a mapped file that cannot be read).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_layer_create(const w4moe_ctx *ctx,
        w4moe_layer **layer_p, const w4moe_layer_desc *desc,
        unsigned flags) W4MOE_MUST_CHECK;

/** Releases a layer; may be NULL. Its workspaces must be gone already. */
extern W4MOE_API void w4moe_layer_destroy(w4moe_layer *layer);

/** Facts about a layer. */
typedef struct w4moe_layer_info {
    /** sizeof(w4moe_layer_info). */
    size_t struct_size;
    /** E, H, I. */
    size_t n_experts;
    size_t hidden_size;
    size_t intermediate_size;
    w4moe_activation activation;
    w4moe_router router;
    /** Bytes of one expert's weights (both matrices, all arrays). */
    uint64_t bytes_per_expert;
    /** Bytes that the layer itself owns, beyond borrowed arrays. */
    uint64_t bytes_owned;
} w4moe_layer_info;

/**
 * Facts about a layer.
 *
 * Out: *info (struct_size set by the caller).
 * Returns: W4MOE_OK; W4MOE_INVALID (struct_size).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_layer_get_info(
        const w4moe_layer *layer, w4moe_layer_info *info) W4MOE_MUST_CHECK;

/**
 * Bytes that a workspace for calls of up to max_tokens tokens and top_k
 * experts each would take.
 *
 * Out: *n_bytes.
 * Returns: W4MOE_OK; W4MOE_INVALID (a 0, or a product too large).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_workspace_size(const w4moe_layer *layer,
        uint64_t *n_bytes, size_t max_tokens, size_t top_k) W4MOE_MUST_CHECK;

/**
 * Makes a workspace. It fits any layer of the same context whose sizes are not
 * larger.
 *
 * Out: *ws_p; release it with w4moe_workspace_destroy().
 * Returns: W4MOE_OK; W4MOE_INVALID; W4MOE_NOMEM.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_workspace_create(const w4moe_layer *layer,
        w4moe_workspace **ws_p, size_t max_tokens,
        size_t top_k) W4MOE_MUST_CHECK;

/** Releases a workspace; may be NULL. */
extern W4MOE_API void w4moe_workspace_destroy(w4moe_workspace *ws);

/** Flags of w4moe_forward(). */
enum {
    /** The router's weight multiplies the output of w13, before the
     * activation, instead of that of w2 (Llama-4). */
    W4MOE_ROUTER_WEIGHT_ON_INPUT = 1,
    /** Pointers are host memory whatever the backend; the CPU backend's always
     * are. */
    W4MOE_HOST_IO = 2,
    /** A token's result does not depend on the other tokens of the call. */
    W4MOE_BATCH_INVARIANT = 4,
    /** Add to what `out` holds, instead of replacing it. The sum is rounded
     * once. */
    W4MOE_ACCUMULATE = 8
};

/** Arguments of w4moe_forward(). Zero means default or absent. */
typedef struct w4moe_forward_args {
    /** sizeof(w4moe_forward_args). */
    size_t struct_size;

    /** Output, [T][out_stride], of type dtype. May be x if ACCUMULATE is not
     * set and the strides agree. */
    void *out;
    /** Distance of rows in elements; 0 means H. */
    size_t out_stride;

    /** Hidden states, [T][x_stride], of type dtype. */
    const void *x;
    /** Distance of rows in elements; 0 means H. */
    size_t x_stride;
    /** W4MOE_BF16 or W4MOE_F16, of x and out. */
    w4moe_dtype dtype;

    /** Tokens; 0 is allowed and does nothing. */
    size_t n_tokens;
    /** Experts per token. */
    size_t top_k;

    /** Experts and weights by slot, [T][k] each, or both NULL to use
     * router_logits. Ids are global: in [0, n_experts_global). */
    const int32_t *ids;
    const float *weights;

    /** Router logits, [T][n_experts_global], used if ids is NULL; the layer
     * must have a router. */
    const void *router_logits;
    /** W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    w4moe_dtype logits_dtype;

    /** Local expert of each global one, -1 where another rank has it,
     * [n_experts_global]; NULL: all experts are here, in order. */
    const int32_t *expert_map;
    /** Experts that ids count; 0 means the layer's own number. */
    size_t n_experts_global;

    /** Flags, or-ed. */
    unsigned flags;
    /** Stream of the backend; the CPU backend has none: NULL. */
    void *stream;
} w4moe_forward_args;

/**
 * Computes the layer:
 *
 *   out[t] = sum_j weight[t][j] * w2_e(activation(w13_e(x[t]))), e = ids[t][j]
 *
 * Sums are fp32, over the token's experts in a fixed order: ascending by their
 * number in the layer on the CPU, as its choices come on a GPU. There are two
 * roundings to dtype, after the activation and at the output. The same input
 * gives the same bits, whatever the number of threads. Slots of experts that
 * the map says are elsewhere add nothing. Nothing is allocated.
 *
 * A GPU does not look at ids before it uses them: slots whose ids are out of
 * range add nothing there, and logits that are NaN make the token's result NaN.
 *
 * In/out: ws, made for at least these sizes.
 * Returns: W4MOE_OK; W4MOE_INVALID (an id out of range, sizes beyond the
 *     workspace, NULLs; the values are in the text); W4MOE_UNSUPPORTED (a
 *     dtype, a router kind, a flag); W4MOE_DEVICE.
 * Threads: any, each with its own workspace and out.
 */
extern W4MOE_API w4moe_status w4moe_forward(const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
