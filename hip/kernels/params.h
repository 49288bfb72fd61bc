/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Arguments of the kernels, as the host side fills them in: plain structs, one
 * for each kernel. Pointers are in device memory; types are values of
 * w4moe_dtype; strides are in elements.
 */
#ifndef W4_HIP_PARAMS_H
#define W4_HIP_PARAMS_H

#include <stdint.h>

enum {
    /** Threads of a workgroup of the kernels dot and token: more hide the way
     * to memory, fewer have less to do besides. */
    W4_GPU_DOT_THREADS = 128,
    W4_GPU_TOKEN_THREADS = 256,
    /** Of the kernels split, and workgroups that share a tile there. */
    W4_GPU_SPLIT1_THREADS = 256,
    W4_GPU_SPLIT1_PIECES = 2,
    W4_GPU_SPLIT8_THREADS = 64,
    W4_GPU_SPLIT8_PIECES = 1,
    W4_GPU_SPLIT_TOKEN_THREADS = 512,
    W4_GPU_SPLIT_TOKEN_PIECES = 4,
    /** Of the kernels mma. */
    W4_GPU_MMA_THREADS = 128,
    /** Of the kernel align, and of the others. */
    W4_GPU_ALIGN_THREADS = 1024,
    W4_GPU_THREADS = 256,
    /** Tokens of a wave of the kernel logits. */
    W4_GPU_LOGITS_TOKENS = 4,
    /** Rows of weights of a wave there, where there are enough tokens to keep
     * the device busy all the same. */
    W4_GPU_LOGITS_ROWS = 4,
    W4_GPU_LOGITS_ROWS_FROM = 256,
    /** Experts per token that the router kernel can choose, shared ones, and
     * groups of experts. */
    W4_GPU_TOP_K_MAX = 64,
    W4_GPU_SHARED_MAX = 64,
    W4_GPU_GROUPS_MAX = 32,
    /** Experts of a layer. */
    W4_GPU_EXPERTS_MAX = 4096
};

/** struct w4_tile in 32 bits: places in the arrays of one expert. */
struct w4_gpu_place {
    uint32_t width;
    uint32_t half;
    uint32_t column;
    uint32_t column_up;
    uint32_t word;
    uint32_t word_stride;
    uint32_t up;
    uint32_t scale;
    uint32_t scale_stride;
    uint32_t zero;
    uint32_t zero_stride;
};

/** A divisor d of numbers n with n d < 2^32. */
struct w4_gpu_divisor {
    /** ceil(2^32 / d), 0 for d = 1. */
    uint32_t reciprocal;
    uint32_t d;
};

/** The same matrix of every expert, as w4moe_matrix. */
struct w4_gpu_matrix {
    const uint32_t *qweight;
    const void *scales;
    const uint32_t *qzeros;
    const void *offsets;
    const int32_t *perm;
    const void *bias;
    uint32_t n_experts;
    uint32_t n_out;
    uint32_t n_in;
    uint32_t gated;
    /** Chunks of a group: runs of 32 input features, or of 8 for the kernels
     * "any". */
    struct w4_gpu_divisor group;
    /** Of one expert: words, bytes of scales and of offsets, words of zero
     * points. */
    uint32_t expert_words;
    uint32_t expert_scale_bytes;
    uint32_t expert_offset_bytes;
    uint32_t expert_zeros;
    /** Tile 0, what to add for each tile after it, and the last tile. */
    struct w4_gpu_place tile;
    struct w4_gpu_place step;
    struct w4_gpu_place last_tile;
    uint32_t n_tiles;
    uint32_t scale_type;
    uint32_t offset_type;
    uint32_t bias_type;
    uint32_t n_perms;
};

/** As w4moe_activation; kind 0 is none. */
struct w4_gpu_activation {
    uint32_t kind;
    float limit;
    float alpha;
    float beta;
    float linear_beta;
};

/** Which of the global experts are here: those of the map, or without one those
 * from `first` on. Ids that are not in 0 .. n_global - 1 are left out. */
struct w4_gpu_local {
    const int32_t *map;
    uint32_t n_global;
    uint32_t first;
};

/** What becomes of the product of a row and an expert. */
enum w4_gpu_result {
    /** A row of out for each slot, of the activations' type. */
    W4_GPU_ROWS = 0,
    /** The activation of it, as such a row. */
    W4_GPU_ACTIVATED = 1,
    /** A row of out for each slot, fp32. */
    W4_GPU_SUMS = 2,
    /** A row of out for each token: the sum over its slots. Slots are not in
     * blocks then: a workgroup has a token. */
    W4_GPU_TOKENS = 3
};

/** The kernels dot, split and mma: rows of activations times their experts. */
struct w4_gpu_gemm {
    struct w4_gpu_matrix b;
    /** Block, or token, of the launch's first row of the grid. */
    uint32_t first_block;
    /** Rows; slot s has row s / top_k. */
    const void *a;
    uint64_t a_stride;
    struct w4_gpu_divisor top_k;
    uint32_t n_slots;
    /** Whether rows of a may begin anywhere, or there is a permutation. */
    uint32_t gather;
    /** Blocks of slots by expert, as w4moe_align() writes them; or NULL: each
     * slot is a block. */
    const int32_t *sorted_slots;
    const int32_t *expert_ids;
    const int32_t *n_padded;
    /** Rows of an expert id; a multiple of those of the kernel. */
    struct w4_gpu_divisor block_size;
    /** Without blocks: global expert of each slot; NULL: slot s has expert s %
     * n_shared, of those here. */
    const int32_t *ids;
    struct w4_gpu_local local;
    struct w4_gpu_divisor n_shared;
    /** enum w4_gpu_result. */
    uint32_t result;
    /** Factor of each slot; NULL: 1. */
    const float *slot_weights;
    void *out;
    uint64_t out_stride;
    /** W4_GPU_TOKENS: slots of a token; whether to add to what out holds;
     * W4MOE_F32, or else out is of the activations' type. */
    uint32_t choices;
    uint32_t accumulate;
    uint32_t out_type;
    struct w4_gpu_activation activation;
};

/** The kernel route: see w4moe_route(). */
struct w4_gpu_route {
    int32_t *ids;
    float *weights;
    const void *logits;
    /** [n_experts], may be NULL. */
    const void *correction_bias;
    /** Scratch, [n_tokens][n_experts], of kinds that choose by scores. */
    uint64_t *keys;
    /** A value of w4moe_router_kind. */
    uint32_t kind;
    uint32_t logits_type;
    uint32_t correction_bias_type;
    uint32_t n_tokens;
    uint32_t n_experts;
    uint32_t top_k;
    /** At most W4_GPU_GROUPS_MAX; 0: none. */
    uint32_t n_group;
    uint32_t topk_group;
    uint32_t renormalize;
    float scale;
};

/** Rows of weights that tokens are multiplied by: out[t][r] = bias[r] + x[t] .
 * weight[r], or factor sigmoid(x[t] . weight[r]) with is_gate. */
struct w4_gpu_dots {
    float *out;
    const void *weight;
    /** May be NULL. */
    const void *bias;
    uint32_t weight_type;
    uint32_t bias_type;
    uint32_t n_rows;
    uint32_t is_gate;
    float factor;
};

/** The kernel logits: two lists of rows, either of which may be empty. */
struct w4_gpu_logits {
    const void *x;
    uint64_t x_stride;
    /** W4MOE_BF16 or W4MOE_F16. */
    uint32_t x_type;
    /** Whether rows of x begin at multiples of 16 bytes. Those of weights
     * do. */
    uint32_t aligned;
    uint32_t n_tokens;
    /** A multiple of 8. */
    uint32_t n_columns;
    /** Rows of a wave: 1 or W4_GPU_LOGITS_ROWS. */
    uint32_t wave_rows;
    struct w4_gpu_dots router;
    struct w4_gpu_dots gate;
};

/** The kernel align: see w4moe_align(). Slots of experts that are not here
 * have no block. */
struct w4_gpu_align {
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t *n_padded;
    const int32_t *ids;
    struct w4_gpu_local local;
    uint32_t n_slots;
    uint32_t n_experts;
    uint32_t block_size;
};

/** The kernel spread: the same of slots t * n_experts + e for every token t and
 * expert e. */
struct w4_gpu_spread {
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t *n_padded;
    uint32_t n_tokens;
    uint32_t n_experts;
    uint32_t block_size;
};

/** The kernel count: how many of the ids are e, for each e below n_experts. */
struct w4_gpu_count {
    int32_t *counts;
    const int32_t *ids;
    uint32_t n_slots;
    uint32_t n_experts;
};

/** The kernel reduce: out[t] = sum_j sums[t * choices + j], and then those of
 * shared experts, each times its factor, rounded. */
struct w4_gpu_reduce {
    void *out;
    uint64_t out_stride;
    const float *sums;
    /** To leave out the slots of experts that are not here. */
    const int32_t *ids;
    struct w4_gpu_local local;
    uint32_t n_experts;
    uint32_t choices;
    /** A multiple of 4. */
    uint32_t n_columns;
    /** W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    uint32_t type;
    /** Whether the sum begins with what out holds. */
    uint32_t accumulate;
    /** Shared experts. */
    uint32_t n_shared;
    const float *shared_sums;
    /** Of each of their slots; NULL: shared_factor of all. */
    const float *shared_factors;
    float shared_factor;
};

/** The kernel combine: see w4moe_combine(). Types are W4MOE_F32, W4MOE_F16 or
 * W4MOE_BF16. */
struct w4_gpu_combine {
    void *out;
    uint64_t out_stride;
    const void *rows;
    uint64_t row_stride;
    /** [n_tokens][k]; those that are not in 0 .. n_rows - 1 add nothing. NULL:
     * t * k + j. */
    const int32_t *row_ids;
    uint32_t n_rows;
    uint32_t k;
    uint32_t n_columns;
    uint32_t out_type;
    uint32_t row_type;
    uint32_t accumulate;
};

/** The kernel activate: rows of fp32, fp16 or bf16. */
struct w4_gpu_activate {
    void *out;
    uint64_t out_stride;
    const void *in;
    uint64_t in_stride;
    uint32_t n_columns;
    uint32_t type;
    uint32_t gated;
    struct w4_gpu_activation activation;
};

/** The kernel clear: rows of zeros. */
struct w4_gpu_clear {
    void *out;
    uint64_t out_stride;
    uint32_t n_columns;
    uint32_t type;
};

#endif
