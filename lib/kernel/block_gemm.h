/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The loops around the kernels: a matrix times the rows of all slots, block by
 * block; and the same with the sum over the choices of each token. Arguments
 * have been checked by the callers.
 *
 * Tiles of columns are cut into parts where there would be too few of them for
 * the threads. A column's result is the same however that is done.
 */
#ifndef W4_KERNEL_BLOCK_GEMM_H
#define W4_KERNEL_BLOCK_GEMM_H

#include "base/parallel.h"
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

/** One matrix times the rows of slots. */
struct w4_block_gemm {
    const struct w4_kernels *kernels;
    struct w4_team *team;
    const w4moe_matrix *matrix;
    struct w4_blocks blocks;

    /** Rows of dtype, a_stride elements apart; slot s reads row s / top_k. */
    const void *a;
    size_t a_stride;
    size_t top_k;
    w4moe_dtype dtype;

    /** Multiplies a slot's result (after the bias); NULL: 1. */
    const float *slot_weights;

    /** Rows of out_dtype, out_stride elements apart. */
    void *out;
    size_t out_stride;
    w4moe_dtype out_dtype;
};

/** Row s of out is slot s: N columns of the product in natural order, or, with
 * an activation (may be NULL), its N / 2 (not gated: N) results. Rows of slots
 * in no block are not written. Each slot stands in at most one block. */
extern void w4_block_gemm(
        const struct w4_block_gemm *job, const w4moe_activation *activation);

/** The sum over the slots of each token. */
struct w4_combine {
    /** Slot s belongs to token s / k. */
    size_t n_tokens;
    size_t k;
    /** A second product of as many columns, of which slot s belongs to token
     * s / more_k: added after the first. Its out is not used; NULL: none. */
    const struct w4_block_gemm *more;
    size_t more_k;
    /** Sums begin with what out holds. */
    int accumulate;
    /** Scratch, [n_tokens][N]. */
    float *sums;
};

/** Row t of out is the fp32 sum of the slots of token t in the order of their
 * blocks, rounded once; 0 if it has none. Matrices are not gated if there are
 * two. */
extern void w4_block_gemm_combined(
        const struct w4_block_gemm *job, const struct w4_combine *combine);

#endif
