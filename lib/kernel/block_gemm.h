/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The two loops around the kernels: all blocks of slots times all tiles of
 * their experts, and the sum over the choices of a token. Arguments have been
 * checked by the callers.
 */
#ifndef W4_KERNEL_BLOCK_GEMM_H
#define W4_KERNEL_BLOCK_GEMM_H

#include "kernel/kernel.h"

/** Slots grouped by expert, as w4moe_align() makes them. */
struct w4_blocks {
    const int32_t *sorted_slots;
    /** Blocks whose expert is not in [0, E) are skipped. */
    const int32_t *expert_ids;
    size_t n_padded;
    size_t block_size;
    /** Values of sorted_slots outside [0, n_slots) are padding. */
    size_t n_slots;
};

/** One matrix times the rows of all slots. */
struct w4_block_gemm {
    const struct w4_kernels *kernels;
    int n_threads;
    const w4moe_matrix *matrix;
    struct w4_blocks blocks;

    /** Rows of dtype, a_stride elements apart; slot s reads row s / top_k. */
    const void *a;
    size_t a_stride;
    size_t top_k;
    w4moe_dtype dtype;

    /** Multiplies a slot's result (after the bias); NULL: 1. */
    const float *slot_weights;

    /** Row s of out, out_stride elements apart, is slot s: N columns of the
     * product in natural order, or, with an activation, its N / 2 (not gated:
     * N) results. */
    void *out;
    size_t out_stride;
    w4moe_dtype out_dtype;
    const w4moe_activation *activation;
};

/** Runs it with n_threads threads. Rows of slots in no block are not written.
 * Each slot stands in at most one block. */
extern void w4_block_gemm(const struct w4_block_gemm *job);

/** Sum over the slots of each token. */
struct w4_reduce {
    int n_threads;
    void *out;
    size_t out_stride;
    w4moe_dtype dtype;
    /** Add to what out holds. */
    int accumulate;
    /** [n_tokens * k][n_columns]. */
    const float *partial;
    /** Expert of each slot; slots whose expert is not in [0, n_experts) add
     * nothing, and their rows of partial are not read. */
    const int32_t *slot_experts;
    size_t n_experts;
    size_t n_tokens;
    size_t k;
    size_t n_columns;
};

extern void w4_reduce(const struct w4_reduce *job);

#endif
