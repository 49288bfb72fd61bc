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
 * Loads a layer of a container, with the experts and the router that it holds.
 * Without flags the CPU backend uses the mapping in place: the file must stay
 * open as long as the layer lives. With W4MOE_LAYER_COPY or
 * W4MOE_LAYER_HUGE_PAGES it may be closed before.
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

/**
 * The same with a part of the experts: those of the model from first_expert
 * on, n_experts of them. For a process that has a share of a layer.
 *
 * Returns: as w4moe_layer_load(); W4MOE_INVALID (no experts, or experts that
 *     the container does not hold).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_layer_load_experts(const w4moe_ctx *ctx,
        w4moe_layer **layer_p, const w4moe_file *file, uint32_t layer,
        size_t first_expert, size_t n_experts, unsigned flags) W4MOE_MUST_CHECK;

/**
 * The same with any experts: n_experts of the model's, by number, ascending.
 * Unless they follow each other, their weights are copied into memory of the
 * layer, whatever flags says; the router's arrays are not without
 * W4MOE_LAYER_COPY. Forward calls of such a layer need an expert_map, in which
 * experts[i] is i; its first_expert is 0.
 *
 * Returns: as w4moe_layer_load_experts(); W4MOE_INVALID (numbers that do not
 *     ascend).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_layer_load_list(const w4moe_ctx *ctx,
        w4moe_layer **layer_p, const w4moe_file *file, uint32_t layer,
        const int32_t *experts, size_t n_experts,
        unsigned flags) W4MOE_MUST_CHECK;

/** A layer from arrays in host memory. Zero in a field means default or
 * absent. */
typedef struct w4moe_layer_desc {
    /** sizeof(w4moe_layer_desc). */
    size_t struct_size;
    /** w13: N = 2I for gated activations (`gated` set), else I; K = H. */
    const w4moe_matrix *w13;
    /** w2: N = H, K = I. */
    const w4moe_matrix *w2;
    w4moe_activation activation;
    /** For forward calls without ids; kind 0: none. Its arrays are those of
     * all n_experts_global experts. */
    w4moe_router router;
    /** Expert 0 of the matrices is this one of the model's, of so many; 0
     * means those of w13. */
    size_t first_expert;
    size_t n_experts_global;
    /** Shared experts, which every token has besides its own: both matrices,
     * of as many experts as are shared, or none. I may be another than that of
     * w13 and w2. The activation is the same. */
    const w4moe_matrix *shared_w13;
    const w4moe_matrix *shared_w2;
    /** [shared experts][H]: the result of shared expert e counts sigmoid(x .
     * shared_gate[e]) times; NULL: once. W4MOE_F32, W4MOE_F16 or
     * W4MOE_BF16. */
    const void *shared_gate;
    w4moe_dtype shared_gate_dtype;
    /** Factor of the shared experts' results besides; 0 means 1. */
    float shared_scale;
} w4moe_layer_desc;

/**
 * Makes a layer from arrays in memory.
 *
 * Out: *layer_p; release it with w4moe_layer_destroy().
 * In: flags, of W4MOE_LAYER_*, or 0.
 * Returns: W4MOE_OK; W4MOE_INVALID (sizes that do not agree, named; an unknown
 *     flag); W4MOE_UNSUPPORTED (the backend cannot compute it; a type);
 *     W4MOE_NOMEM; W4MOE_IO (W4MOE_LAYER_PREFAULT, and an array is a mapped
 *     file that cannot be read).
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
    /** Without arrays. */
    w4moe_router router;
    /** Bytes of one expert's weights (both matrices, all arrays). */
    uint64_t bytes_per_expert;
    /** Bytes that the layer itself owns, beyond borrowed arrays. */
    uint64_t bytes_owned;
    /** Expert 0 of the layer is this one of the model's, of so many. */
    size_t first_expert;
    size_t n_experts_global;
    /** Shared experts and their I; 0 without. */
    size_t n_shared_experts;
    size_t shared_intermediate_size;
    /** Whether forward calls can start from hidden states alone. */
    int has_router_weight;
    /** Device of the context, an index among those of the backend. */
    unsigned device;
    /** Backend of the context: "cpu" or "hip". Lives as long as it. */
    const char *backend;
    /** The context that the layer was made with. */
    const w4moe_ctx *ctx;
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
     * activation, instead of that of w2 (Llama-4). Calls that the layer's
     * router chooses for have it if its weight_on_input says so. */
    W4MOE_ROUTER_WEIGHT_ON_INPUT = 1,
    /** Pointers are host memory whatever the backend; the CPU backend's always
     * are. */
    W4MOE_HOST_IO = 2,
    /** A token's result does not depend on the other tokens of the call. */
    W4MOE_BATCH_INVARIANT = 4,
    /** Add to what `out` holds, instead of replacing it: on the CPU the sum
     * begins with it. It is rounded once. */
    W4MOE_ACCUMULATE = 8,
    /** Leave the shared experts out: for all but one of the processes that
     * share a layer. */
    W4MOE_NO_SHARED = 16
};

/** Arguments of w4moe_forward(). Zero means default or absent. */
typedef struct w4moe_forward_args {
    /** sizeof(w4moe_forward_args). */
    size_t struct_size;

    /** Output, [T][out_stride], of type out_dtype. May be x if ACCUMULATE is
     * not set and types and strides agree. */
    void *out;
    /** Distance of rows in elements; 0 means H. */
    size_t out_stride;

    /** Hidden states, [T][x_stride], of type dtype. */
    const void *x;
    /** Distance of rows in elements; 0 means H. */
    size_t x_stride;
    /** W4MOE_BF16 or W4MOE_F16, of x, of what is between the two products, and
     * of out unless out_dtype says otherwise. */
    w4moe_dtype dtype;

    /** Tokens; 0 is allowed and does nothing. */
    size_t n_tokens;
    /** Experts per token. */
    size_t top_k;

    /** Experts and weights by slot, [T][k] each, or both NULL to have them
     * chosen by the layer's router. Ids are global: in [0,
     * n_experts_global). */
    const int32_t *ids;
    const float *weights;

    /** Router logits, [T][n_experts_global], used if ids is NULL. If they are
     * NULL, too, the router's weight makes them of x, in fp32; the layer must
     * have one. */
    const void *router_logits;
    /** W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    w4moe_dtype logits_dtype;

    /** Local expert of each global one, -1 where another process has it,
     * [n_experts_global]; NULL: those from the layer's first_expert on are
     * here, in order. */
    const int32_t *expert_map;
    /** Experts that ids count; 0 means the layer's n_experts_global. Another
     * number needs an expert_map, and a router without arrays. */
    size_t n_experts_global;

    /** Flags, or-ed. */
    unsigned flags;
    /** Stream of the backend; the CPU backend has none: NULL. */
    void *stream;

    /** Output, [n_experts_global]: slots of the call that chose each global
     * expert, wherever it is; NULL: not wanted. For statistics of load. */
    int32_t *expert_counts;

    /** dtype, or W4MOE_DTYPE_NONE for the same; or W4MOE_F32: the sums as they
     * are, not rounded, for callers that add up the parts of several
     * processes. On the CPU a sum that is continued from call to call by
     * W4MOE_ACCUMULATE, over parts of a layer in ascending order and with
     * shared experts in the last, has the bits of one call over the whole
     * layer. */
    w4moe_dtype out_dtype;
} w4moe_forward_args;

/**
 * Computes the layer:
 *
 *   out[t] = sum_j weight[t][j] * w2_e(activation(w13_e(x[t])))
 *            + sum_s gate[t][s] * shared_w2_s(activation(shared_w13_s(x[t])))
 *
 * with e = ids[t][j]. Sums are fp32, over the token's experts in a fixed order:
 * ascending by their number in the layer on the CPU, as its choices come on a
 * GPU; then the shared ones. There are two roundings, after the activation to
 * dtype and at the output to out_dtype. The same input gives the same bits,
 * whatever the number of threads. Slots of experts that are elsewhere add
 * nothing. Nothing is allocated.
 *
 * A GPU does not look at ids before it uses them: slots whose ids are out of
 * range add nothing there and are not counted, and logits that are NaN make the
 * token's result NaN.
 *
 * In/out: ws, made for at least these sizes.
 * Returns: W4MOE_OK; W4MOE_INVALID (an id out of range, sizes beyond the
 *     workspace, NULLs; logits that w4moe_route() refuses; the values are in
 *     the text); W4MOE_UNSUPPORTED (a dtype, a router kind, a flag);
 *     W4MOE_DEVICE.
 * Threads: any, each with its own workspace and out.
 */
extern W4MOE_API w4moe_status w4moe_forward(const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args) W4MOE_MUST_CHECK;

/**
 * The experts and weights that w4moe_forward() chooses with these arguments, of
 * which ids, weights, out and expert_counts are not used and must be NULL.
 *
 * Out: ids and weights, [T][k] each, in the memory that x is in.
 * In/out: ws, as for w4moe_forward().
 * Returns: as w4moe_forward().
 * Threads: any, each with its own workspace.
 */
extern W4MOE_API w4moe_status w4moe_choose(const w4moe_layer *layer,
        w4moe_workspace *ws, int32_t *ids, float *weights,
        const w4moe_forward_args *args) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
