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

/** Experts that a router chooses from, at most. */
enum { W4MOE_ROUTE_EXPERTS_MAX = 4096 };

/**
 * Chooses k experts for each token. l is a logit, c what experts are chosen by:
 * the k largest c, in descending order, ties to the lower expert id; w the
 * weights of the chosen:
 *
 *   SOFTMAX_TOPK   c = l;              w = exp(l) / sum of exp(l) over all
 *   TOPK_SOFTMAX   c = l;              w = exp(l) / sum of exp(l) over chosen
 *   SIGMOID        c = s + bias;       w = s = 1 / (1 + exp(-l))
 *   SIGMOID_TOP1   c = l;              w = 1 / (1 + exp(-l))
 *   SQRT_SOFTPLUS  c = s + bias;       w = s = sqrt(log(1 + exp(l)))
 *
 * With `renormalize` each w is divided by the sum over the chosen (where that
 * is 0, all are 0); then each is multiplied by `scale`.
 *
 * With groups the experts stand in n_group runs of the same length. The value
 * of a group is the sum of its two largest c (of a group of one expert, that
 * one); experts are chosen only from the topk_group groups of the largest
 * values, ties to the lower group.
 *
 * c and w are computed in float64, w is rounded to fp32 once.
 *
 * Out: ids [T][k], weights [T][k].
 * In: logits [T][stride], of which the first n_experts of a row are used, of
 *     type dtype (W4MOE_F32, W4MOE_F16, W4MOE_BF16); router, of which weight
 *     and bias are not looked at. The arrays may be NULL if n_tokens is 0.
 * Units: stride in elements; 0 means n_experts.
 * Returns: W4MOE_OK; W4MOE_INVALID (NaN or +Inf among the logits, a row
 *     without any finite logit, a correction bias that is not finite; k of 0
 *     or greater than the experts that can be chosen; groups that do not
 *     divide the experts; a stride below n_experts; a scale that is not
 *     finite); W4MOE_UNSUPPORTED (router kind, dtype, more experts than
 *     W4MOE_ROUTE_EXPERTS_MAX; groups or a correction bias with a kind that
 *     has none).
 *     After an error ids and weights are undefined.
 * Threads: any; uses the context's. Allocates nothing.
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
