/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Which kernel does a product.
 *
 *   few slots:       no blocks; w13 one row a workgroup, w2 one token
 *   few per expert:  dot, 1, 2, 4 or 8 rows of a block
 *   many:            mma, 16, 32 or 64 rows
 */
#include "gpu.h"

/* Rows per expert from which on matrix instructions are faster. */
#ifdef W4_HIP_PLATFORM_NVIDIA
enum { MMA_FROM = 1 };
#else
enum { MMA_FROM = 12 };
#endif

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

/* Rows that a kernel of a family has in a block. */
static uint32_t
rows_of(enum w4_gpu_family family)
{
    static const uint32_t rows[W4_GPU_FAMILIES] = {
            1, 2, 4, 8, 1, 4, 1, 1, 1, 1, 16, 32, 64};
    return rows[family];
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
        return chunked && m->n_perms < 2 &&
               gpu->gemm[type_index(dtype)][code_index(m)][family] != NULL;
    default:
        return chunked && !gathers(m, aligned);
    }
}

/* The families of blocks, the most rows first. */
static const enum w4_gpu_family of_blocks[] = {W4_GPU_MMA64, W4_GPU_MMA32,
        W4_GPU_MMA16, W4_GPU_DOT8, W4_GPU_DOT4, W4_GPU_DOT4_GATHER, W4_GPU_DOT2,
        W4_GPU_DOT1, W4_GPU_DOT1_GATHER, W4_GPU_DOT1_ANY};

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
            found = rows_of(of_blocks[f]) == rows &&
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
    int wants_mma = invariant || per_expert >= MMA_FROM;
    uint32_t most = wants_mma ? 64 : 8;
    while (most > 1 && most / 2 >= per_expert) {
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
        uint32_t n = rows_of(of_blocks[f]);
        if (rows % n == 0 && can(gpu, of_blocks[f], m, aligned, dtype)) {
            return (struct w4_gpu_product){of_blocks[f], n};
        }
    }
    /* Not reached: one of the families of one row can do any. */
    return (struct w4_gpu_product){W4_GPU_DOT1_ANY, 1};
}

enum w4_gpu_family
w4_gpu_choose_token(const w4moe_matrix *m, int aligned)
{
    return !w4_gpu_matrix_chunked(m) ? W4_GPU_TOKEN_ANY
           : gathers(m, aligned)     ? W4_GPU_TOKEN_GATHER
                                     : W4_GPU_TOKEN;
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
    uint64_t y = gemm->b.n_tiles;
    /* Of a narrow tile the last pieces may be empty. */
    if (family == W4_GPU_DOT1) {
        y *= W4_GPU_DOT1_PIECES;
    } else if (family == W4_GPU_TOKEN) {
        y *= W4_GPU_TOKEN_PIECES;
    }
    unsigned threads = family >= W4_GPU_MMA16   ? W4_GPU_MMA_THREADS
                       : family >= W4_GPU_TOKEN ? W4_GPU_TOKEN_THREADS
                                                : W4_GPU_DOT_THREADS;
    return w4_gpu_launch(w4_ctx_err(ctx),
            gpu->gemm[type_index(dtype)][code_index(m)][family], n_blocks, y,
            threads, gemm, stream);
}
