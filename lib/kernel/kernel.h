/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Contract of the CPU kernels: each operation, its shapes and who guarantees
 * what. A kernel trusts its caller; the checks are in the public functions.
 *
 * Every operation has a reference in plain C (*_ref.c) and may have variants
 * for instruction sets beside it, which compute the same to within the
 * accuracy contract of w4moe(7). dispatch.c is the one list of them.
 */
#ifndef W4_KERNEL_KERNEL_H
#define W4_KERNEL_KERNEL_H

#include <w4moe/format.h>

#include "base/err.h"
#include "format/matrix.h"

/** Rows that one call of tile_gemm takes at most; also the largest block. */
enum { W4_ROWS_MAX = 64 };

/**
 * tile_gemm: rows of activations times one tile of one expert.
 *
 *   acc[r][c] = sum over packed positions p = 0 .. K - 1, in a fixed order, of
 *               rows[r][perm(p)] * w(p, c)          c = 0 .. tile->width - 1
 *
 * acc [n_rows][W4_TILE_COLUMNS] is written, fp32; columns beyond the width are
 * undefined. rows: n_rows pointers to K elements of dtype (W4MOE_BF16 or
 * W4MOE_F16), 2-byte aligned. 1 <= n_rows <= W4_ROWS_MAX. perm is that of the
 * column's half. The result of a row does not depend on the other rows or on
 * n_rows. No bias.
 */
struct w4_tile_gemm {
    float *acc;
    const void *const *rows;
    size_t n_rows;
    w4moe_dtype dtype;
    const w4moe_matrix *matrix;
    const struct w4_expert *expert;
    const struct w4_tile *tile;
};

typedef void w4_tile_gemm_fn(const struct w4_tile_gemm *args);

/**
 * act: activation of one row.
 *
 *   out[i] = round(act(gate[i], up[i]))          i = 0 .. n - 1
 *
 * gate and up are fp32 (up is NULL for kinds that are not gated); out is of
 * dtype W4MOE_BF16, W4MOE_F16 or W4MOE_F32. The activation has its defaults
 * filled in (w4_activation_check).
 */
typedef void w4_act_fn(void *out, w4moe_dtype dtype, const float *gate,
        const float *up, size_t n, const w4moe_activation *activation);

/**
 * dot_rows: a row of activations times rows of floats.
 *
 *   out[r] = sum over i of x[i] * rows[r][i]     r = 0 .. n_rows - 1
 *
 * x: n elements of dtype (W4MOE_BF16 or W4MOE_F16). rows: [n_rows][n] of
 * rows_dtype (W4MOE_F32, W4MOE_F16 or W4MOE_BF16). n is a multiple of 8. The
 * sum of a row is fp32 in a fixed order, and does not depend on the others.
 */
struct w4_dot_rows {
    float *out;
    const void *x;
    w4moe_dtype dtype;
    const void *rows;
    w4moe_dtype rows_dtype;
    size_t n_rows;
    size_t n;
};

typedef void w4_dot_rows_fn(const struct w4_dot_rows *args);

/** One variant of all operations. */
struct w4_kernels {
    /** As in W4MOE_CPU, for example "ref". */
    const char *name;
    w4_tile_gemm_fn *tile_gemm;
    w4_act_fn *act;
    w4_dot_rows_fn *dot_rows;
};

/** Chooses kernels: those named, or for NULL or "" the best that this processor
 * runs. Returns OK or UNSUPPORTED (the text lists the names). */
extern w4moe_status w4_kernels_pick(struct w4_err *err,
        const struct w4_kernels **kernels_p, const char *name);

extern w4_tile_gemm_fn w4_tile_gemm_ref;
extern w4_tile_gemm_fn w4_tile_gemm_avx2;
extern w4_tile_gemm_fn w4_tile_gemm_avx512;
extern w4_tile_gemm_fn w4_tile_gemm_avx512bf16;
extern w4_tile_gemm_fn w4_tile_gemm_neon;
extern w4_act_fn w4_act_ref;
extern w4_act_fn w4_act_avx2;
extern w4_act_fn w4_act_avx512;
extern w4_act_fn w4_act_neon;
extern w4_dot_rows_fn w4_dot_rows_ref;
extern w4_dot_rows_fn w4_dot_rows_avx2;
extern w4_dot_rows_fn w4_dot_rows_avx512;
extern w4_dot_rows_fn w4_dot_rows_neon;

/** Checks a caller's activation and fills in the defaults. Returns OK, INVALID
 * or UNSUPPORTED. */
extern w4moe_status w4_activation_check(struct w4_err *err,
        w4moe_activation *own, const w4moe_activation *callers);

#endif
