/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Expert ids to blocks of slots by expert: a stable counting sort whose only
 * scratch are its outputs. It does not choose experts; that is topk.c. */
#include <inttypes.h>

#include <w4moe/route.h>

#include "base/ctx.h"
#include "base/size.h"

/* The most rows come about when as many experts as possible have one slot and
 * one of them has all that remain. */
static w4moe_status
measure(struct w4_err *err, size_t *n_rows, size_t n_slots, size_t n_experts,
        size_t block_size)
{
    if (n_experts == 0 || n_experts > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "n_experts is %zu, outside [1, 2^31 - 1]", n_experts);
    }
    if (block_size == 0) {
        return w4_fail(err, W4MOE_INVALID, "block_size is 0");
    }
    size_t n_used = n_slots < n_experts ? n_slots : n_experts;
    uint64_t n_blocks = n_used + (n_slots - n_used) / block_size;
    uint64_t rows;
    if (!w4_mul(&rows, n_blocks, block_size) || rows > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%zu slots of %zu experts in blocks of %zu may need more than "
                "2^31 - 1 rows",
                n_slots, n_experts, block_size);
    }
    *n_rows = (size_t)rows;
    return W4MOE_OK;
}

w4moe_status
w4moe_align_capacity(const w4moe_ctx *ctx, size_t *n_rows, size_t n_slots,
        size_t n_experts, size_t block_size)
{
    if (ctx == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    if (n_rows == NULL) {
        return w4_fail(err, W4MOE_INVALID, "n_rows is NULL");
    }
    return measure(err, n_rows, n_slots, n_experts, block_size);
}

/* Arrays without elements may be NULL, as an empty batch often has them. */
static w4moe_status
check_pointers(struct w4_err *err, const int32_t *sorted_slots,
        const int32_t *expert_ids, const int32_t *n_padded,
        const int32_t *first_slot, const int32_t *ids, size_t n_slots)
{
    const char *missing = NULL;
    if (n_slots != 0 && sorted_slots == NULL) {
        missing = "sorted_slots";
    } else if (n_slots != 0 && expert_ids == NULL) {
        missing = "expert_ids";
    } else if (n_padded == NULL) {
        missing = "n_padded";
    } else if (first_slot == NULL) {
        missing = "first_slot";
    } else if (n_slots != 0 && ids == NULL) {
        missing = "ids";
    }
    return missing != NULL ? w4_fail(err, W4MOE_INVALID, "%s is NULL", missing)
                           : W4MOE_OK;
}

static w4moe_status
check_map(struct w4_err *err, const int32_t *expert_map, size_t n_experts)
{
    for (size_t e = 0; expert_map != NULL && e < n_experts; e++) {
        if (expert_map[e] < -1) {
            return w4_fail(err, W4MOE_INVALID,
                    "expert_map[%zu] is %" PRId32 ", less than -1", e,
                    expert_map[e]);
        }
    }
    return W4MOE_OK;
}

/* Out: counts [n_experts], the slots of each expert. */
static w4moe_status
count(struct w4_err *err, int32_t *counts, const int32_t *ids, size_t n_slots,
        size_t n_experts)
{
    for (size_t e = 0; e < n_experts; e++) {
        counts[e] = 0;
    }
    for (size_t i = 0; i < n_slots; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= n_experts) {
            return w4_fail(err, W4MOE_INVALID,
                    "slot %zu: expert id %" PRId32 " is outside [0, %zu)", i,
                    ids[i], n_experts);
        }
        counts[ids[i]]++;
    }
    return W4MOE_OK;
}

/* Puts counted slots into their rows. next[e], the place after first_slot[e],
 * is in turn the number of slots of expert e, the row of its next slot, and
 * the end of its rows, which is first_slot[e + 1].
 * Returns: rows in use. */
static size_t
place(int32_t *sorted_slots, int32_t *expert_ids, int32_t *first_slot,
        const int32_t *ids, size_t n_slots, const int32_t *expert_map,
        size_t n_experts, size_t block_size)
{
    int32_t *next = first_slot + 1;
    size_t row = 0;
    size_t block = 0;
    for (size_t e = 0; e < n_experts; e++) {
        size_t n_blocks = w4_ceil_div((size_t)next[e], block_size);
        next[e] = (int32_t)row;
        row += n_blocks * block_size;
        for (size_t end = block + n_blocks; block < end; block++) {
            expert_ids[block] = expert_map != NULL ? expert_map[e] : (int32_t)e;
        }
    }
    for (size_t i = 0; i < n_slots; i++) {
        sorted_slots[next[ids[i]]++] = (int32_t)i;
    }
    first_slot[0] = 0;
    for (size_t e = 0; e < n_experts; e++) {
        size_t n_used = (size_t)(next[e] - first_slot[e]);
        size_t n_rows = w4_ceil_div(n_used, block_size) * block_size;
        for (size_t i = n_used; i < n_rows; i++) {
            sorted_slots[next[e]++] = (int32_t)n_slots;
        }
    }
    return row;
}

w4moe_status
w4moe_align(const w4moe_ctx *ctx, int32_t *sorted_slots, int32_t *expert_ids,
        int32_t *n_padded, int32_t *first_slot, const int32_t *ids,
        size_t n_slots, const int32_t *expert_map, size_t n_experts,
        size_t block_size)
{
    if (ctx == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_status status = check_pointers(
            err, sorted_slots, expert_ids, n_padded, first_slot, ids, n_slots);
    size_t capacity;
    if (status == W4MOE_OK) {
        status = measure(err, &capacity, n_slots, n_experts, block_size);
    }
    if (status == W4MOE_OK) {
        status = check_map(err, expert_map, n_experts);
    }
    if (status == W4MOE_OK) {
        status = count(err, first_slot + 1, ids, n_slots, n_experts);
    }
    if (status == W4MOE_OK) {
        *n_padded = (int32_t)place(sorted_slots, expert_ids, first_slot, ids,
                n_slots, expert_map, n_experts, block_size);
    }
    return status;
}
