/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Routing: from router logits to expert ids and weights, and from ids to
 * blocks of slots by expert.
 *
 * Included by <w4moe.h>. These functions work on host memory.
 */
#ifndef W4MOE_ROUTE_H
#define W4MOE_ROUTE_H

#include <w4moe/base.h>
#include <w4moe/format.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Chooses k experts for each token.
 *
 * Kind SOFTMAX_TOPK: p = softmax(logits) over all experts; the k largest p,
 * in descending order, ties to the lower expert id; with `renormalize` each
 * is divided by their sum; then multiplied by `scale`. Computed in fp32.
 *
 * Out: ids [T][k], weights [T][k].
 * In: logits [T][stride], of which the first n_experts of a row are used, of
 *     type dtype (W4MOE_F32, W4MOE_F16, W4MOE_BF16); router. The arrays may
 *     be NULL if n_tokens is 0.
 * Units: stride in elements; 0 means n_experts.
 * Returns: W4MOE_OK; W4MOE_INVALID (NaN or +Inf among the logits, a row
 *     without any finite logit; k of 0 or greater than n_experts; a stride
 *     below n_experts; a scale that is not finite); W4MOE_UNSUPPORTED (router
 *     kind, dtype, more than one group with SOFTMAX_TOPK).
 *     After an error ids and weights are undefined.
 * Threads: any; uses the context's.
 */
extern W4MOE_API w4moe_status w4moe_route(const w4moe_ctx *ctx, int32_t *ids,
        float *weights, const void *logits, w4moe_dtype dtype, size_t stride,
        size_t n_tokens, size_t n_experts, size_t top_k,
        const w4moe_router *router) W4MOE_MUST_CHECK;

/**
 * Upper bound of the rows that w4moe_align() writes for n_slots slots; divided
 * by block_size it is the upper bound of the blocks.
 *
 * Out: *n_rows, a multiple of block_size.
 * Returns: W4MOE_OK; W4MOE_INVALID (block_size 0, or more than 2^31 - 1 rows).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_align_capacity(const w4moe_ctx *ctx,
        size_t *n_rows, size_t n_slots, size_t n_experts,
        size_t block_size) W4MOE_MUST_CHECK;

/**
 * Groups slots by expert into blocks of block_size rows.
 *
 * Experts come in ascending order of their global id, and inside an expert the
 * slots keep their order. The last block of an expert is padded with the value
 * n_slots. An expert without slots has no block.
 *
 * Out: sorted_slots [capacity], written up to *n_padded;
 *     expert_ids [capacity / block_size], written up to *n_padded / block_size:
 *     the local expert of each block, expert_map[global] (-1: not here), or the
 *     global id without a map;
 *     *n_padded, rows in use;
 *     first_slot [n_experts + 1]: the rows of global expert e are sorted_slots
 *     [first_slot[e], first_slot[e + 1]), padding included.
 * In: ids [n_slots], each in [0, n_experts); expert_map [n_experts], values of
 *     -1 and up, may be NULL.
 *     The arrays of slots may be NULL if n_slots is 0.
 * Returns: W4MOE_OK; W4MOE_INVALID (an id or map entry out of range, named
 *     with its place; block_size 0; a capacity beyond 2^31 - 1 rows). After an
 *     error the outputs are undefined.
 * Threads: any. Allocates nothing.
 */
extern W4MOE_API w4moe_status w4moe_align(const w4moe_ctx *ctx,
        int32_t *sorted_slots, int32_t *expert_ids, int32_t *n_padded,
        int32_t *first_slot, const int32_t *ids, size_t n_slots,
        const int32_t *expert_map, size_t n_experts,
        size_t block_size) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
