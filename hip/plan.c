/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Which kernel does a product.
 *
 *   few slots:       no blocks; w13 one row a workgroup, w2 one token
 *   few per expert:  dot, 1, 2, 4 or 8 rows of a block
 *   many:            mma, 16, 32 or 64 rows
 *
 * Where there are matrix instructions for 8 rows (kernels split), those take
 * the place of dot.
 */
#include <inttypes.h>

#include "gpu.h"

/* Rows per expert from which on the kernels mma are faster than dot, and than
 * split. */
enum { MMA_FROM_DOT = 12, MMA_FROM_SPLIT = 9 };

/* Index of a type and of a code in struct w4_gpu. */
static int
type_index(w4moe_dtype dtype)
{
    return dtype == W4MOE_F16;
}

static int
code_index(const w4moe_matrix *m)
{
    return m->code == W4MOE_CODE_E2M1;
}

static int
gathers(const w4moe_matrix *m, int aligned)
{
    return m->perm != NULL || !aligned;
}

/* Rows, threads, pieces, everywhere. */
#define DOT(name, rows) [W4_GPU_##name] = {rows, W4_GPU_DOT_THREADS, 1, 1}
#define TOKEN(name) [W4_GPU_##name] = {1, W4_GPU_TOKEN_THREADS, 1, 1}
#define MMA(name, rows) [W4_GPU_##name] = {rows, W4_GPU_MMA_THREADS, 1, 0}
#define SPLIT(name, rows)                                                      \
    [W4_GPU_##name] = {rows, W4_GPU_##name##_THREADS, W4_GPU_##name##_PIECES, 0}

const struct w4_gpu_family_info w4_gpu_families[W4_GPU_FAMILIES] = {
        DOT(DOT1, 1),
        DOT(DOT2, 2),
        DOT(DOT4, 4),
        DOT(DOT8, 8),
        DOT(DOT1_GATHER, 1),
        DOT(DOT4_GATHER, 4),
        DOT(DOT1_ANY, 1),
        TOKEN(TOKEN),
        TOKEN(TOKEN_GATHER),
        TOKEN(TOKEN_ANY),
        MMA(MMA16, 16),
        MMA(MMA32, 32),
        MMA(MMA64, 64),
        SPLIT(SPLIT1, 1),
        SPLIT(SPLIT8, 8),
        SPLIT(SPLIT_TOKEN, 1),
};

static int
exists(const struct w4_gpu *gpu, enum w4_gpu_family family,
        const w4moe_matrix *m, w4moe_dtype dtype)
{
    return gpu->gemm[type_index(dtype)][code_index(m)][family] != NULL;
}

/* Whether a family can do a product. */
static int
can(const struct w4_gpu *gpu, enum w4_gpu_family family, const w4moe_matrix *m,
        int aligned, w4moe_dtype dtype)
{
    int chunked = w4_gpu_matrix_chunked(m);
    switch (family) {
    case W4_GPU_DOT1_ANY:
    case W4_GPU_TOKEN_ANY:
        return !chunked;
    case W4_GPU_DOT1_GATHER:
    case W4_GPU_DOT4_GATHER:
    case W4_GPU_TOKEN_GATHER:
        return chunked && gathers(m, aligned);
    case W4_GPU_MMA16:
    case W4_GPU_MMA32:
    case W4_GPU_MMA64:
        return chunked && m->n_perms < 2 && exists(gpu, family, m, dtype);
    case W4_GPU_SPLIT1:
    case W4_GPU_SPLIT8:
    case W4_GPU_SPLIT_TOKEN:
        return chunked && !gathers(m, aligned) && exists(gpu, family, m, dtype);
    default:
        return chunked && !gathers(m, aligned);
    }
}

/* The families of blocks, the most rows first. */
static const enum w4_gpu_family of_blocks[] = {W4_GPU_MMA64, W4_GPU_MMA32,
        W4_GPU_MMA16, W4_GPU_SPLIT8, W4_GPU_DOT8, W4_GPU_DOT4,
        W4_GPU_DOT4_GATHER, W4_GPU_DOT2, W4_GPU_SPLIT1, W4_GPU_DOT1,
        W4_GPU_DOT1_GATHER, W4_GPU_DOT1_ANY};

enum { N_OF_BLOCKS = sizeof(of_blocks) / sizeof(of_blocks[0]) };

/* Whether blocks of that many rows suit all matrices. */
static int
all_can(const struct w4_gpu *gpu, uint32_t rows,
        const w4moe_matrix *const *matrices, int n_matrices, int aligned,
        w4moe_dtype dtype)
{
    for (int i = 0; i < n_matrices; i++) {
        int found = 0;
        for (int f = 0; f < N_OF_BLOCKS && !found; f++) {
            /* Activated rows are always aligned. */
            found = w4_gpu_families[of_blocks[f]].rows == rows &&
                    can(gpu, of_blocks[f], matrices[i], aligned || i > 0,
                            dtype);
        }
        if (!found) {
            return 0;
        }
    }
    return 1;
}

uint32_t
w4_gpu_block_rows(const struct w4_gpu *gpu, const w4moe_matrix *const *matrices,
        int n_matrices, int aligned, w4moe_dtype dtype, uint64_t n_slots,
        int invariant)
{
    uint64_t n_experts = matrices[0]->n_experts;
    uint64_t per_expert = (n_slots + n_experts - 1) / n_experts;
    /* The sizes of one method all give the same bits. */
    int has_split = exists(gpu, W4_GPU_SPLIT8, matrices[0], dtype);
    int wants_mma = invariant ||
                    per_expert >= (has_split ? MMA_FROM_SPLIT : MMA_FROM_DOT);
    /* Fewer rows of split would not cost less. */
    uint32_t fewest = has_split ? 8 : 1;
    uint32_t most = wants_mma ? 64 : 8;
    /* Half of the experts have more rows than the mean; a block of mma that has
     * fewer costs less. */
    uint64_t wanted = wants_mma ? per_expert + per_expert / 4 + 1 : per_expert;
    while (most > fewest && most / 2 >= wanted) {
        most /= 2;
    }
    most = wants_mma && most < 16 ? 16 : most;
    for (uint32_t rows = most; rows > 1; rows /= 2) {
        if ((!invariant || rows >= 16) &&
                all_can(gpu, rows, matrices, n_matrices, aligned, dtype)) {
            return rows;
        }
    }
    return 1;
}

struct w4_gpu_product
w4_gpu_choose(const struct w4_gpu *gpu, const w4moe_matrix *m, int aligned,
        w4moe_dtype dtype, uint32_t rows)
{
    for (int f = 0; f < N_OF_BLOCKS; f++) {
        uint32_t n = w4_gpu_families[of_blocks[f]].rows;
        if (rows % n == 0 && can(gpu, of_blocks[f], m, aligned, dtype)) {
            return (struct w4_gpu_product){of_blocks[f], n};
        }
    }
    /* Not reached: one of the families of one row can do any. */
    return (struct w4_gpu_product){W4_GPU_DOT1_ANY, 1};
}

enum w4_gpu_family
w4_gpu_choose_token(const struct w4_gpu *gpu, const w4moe_matrix *m,
        int aligned, w4moe_dtype dtype)
{
    static const enum w4_gpu_family families[] = {
            W4_GPU_SPLIT_TOKEN, W4_GPU_TOKEN, W4_GPU_TOKEN_GATHER};
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (can(gpu, families[i], m, aligned, dtype)) {
            return families[i];
        }
    }
    return W4_GPU_TOKEN_ANY;
}

uint64_t
w4_gpu_blocks_max(uint64_t n_slots, uint64_t n_experts, uint32_t rows)
{
    uint64_t experts = n_slots < n_experts ? n_slots : n_experts;
    return (n_slots + experts * (rows - 1)) / rows;
}

w4moe_status
w4_gpu_multiply(const w4moe_ctx *ctx, enum w4_gpu_family family,
        const w4moe_matrix *m, struct w4_gpu_gemm *gemm, w4moe_dtype dtype,
        uint64_t n_blocks, hipStream_t stream)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    const struct w4_gpu_family_info *info = &w4_gpu_families[family];
    /* Kernels count in units of 16 bytes in rows. */
    uint64_t n_rows = gemm->n_slots / gemm->top_k.d;
    if (n_rows != 0 && gemm->a_stride / 8 > UINT32_MAX / n_rows) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_UNSUPPORTED,
                "backend hip: %" PRIu64 " rows of activations, %" PRIu64
                " elements apart, are more than it can address",
                n_rows, gemm->a_stride);
    }
    hipFunction_t function =
            gpu->gemm[type_index(dtype)][code_index(m)][family];
    uint64_t x = (uint64_t)gemm->b.n_tiles * info->pieces;
    w4moe_status status = W4MOE_OK;
    for (uint64_t first = 0; first < n_blocks && status == W4MOE_OK;
            first += W4_GPU_GRID_Y) {
        uint64_t n = n_blocks - first;
        gemm->first_block = (uint32_t)first;
        status = w4_gpu_launch(w4_ctx_err(ctx), function, x,
                n < W4_GPU_GRID_Y ? n : W4_GPU_GRID_Y, info->threads, gemm,
                stream);
    }
    return status;
}
