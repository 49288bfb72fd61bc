/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a wave of the kernels dot does: sums over a run of input features for
 * the rows of a block and 4 neighbouring columns a lane.
 */
#ifndef W4_HIP_DOT_RUN_H
#define W4_HIP_DOT_RUN_H

#include "blocks.h"

/** What a variant is made for.
 *   CODE    gpu_int4 or gpu_e2m1 of a type
 *   ROWS    rows of a block
 *   CHUNK   word rows after which a group may end: 4, or 1
 *   GATHER  rows of activations have any alignment, or a permutation
 *   THREADS of a workgroup */
template <class CODE_, int ROWS_, int CHUNK_, bool GATHER_, int THREADS_>
struct dot_variant {
    typedef CODE_ CODE;
    static constexpr int ROWS = ROWS_;
    static constexpr int CHUNK = CHUNK_;
    static constexpr bool GATHER = GATHER_;
    static constexpr int THREADS = THREADS_;
    static constexpr int WAVES = THREADS / 32;
    /* Chunks on their way from memory. */
    static constexpr int AHEAD = 2;
    /* Activations through the scalar unit, which has registers for 2 rows. */
    static constexpr bool UNIFORM = ROWS <= 2 && !GATHER;
    /* Activations of one word row at a time: of many rows there are too many.
     * With GATHER all are there to be added up. */
    static constexpr bool X_LATE =
            !UNIFORM && ROWS > 1 && !(GATHER && CODE::ZEROS);
    static constexpr int SHARED = WAVES * ROWS * W4_TILE_COLUMNS;
};

/** Chunks whose sums of activations the lanes of a wave have at a time. */
enum { DOT_SUMS = 8 };

/** The sums of one wave for one expert. */
template <class V> struct dot_run {
    typedef typename V::CODE CODE;
    typedef typename CODE::type TYPE;
    static constexpr uint32_t CHUNK_PAIRS = 4 * V::CHUNK;

    const struct w4_gpu_gemm *p;
    struct w4_gpu_place tile;
    unsigned lane;
    /* The lane's first column, from the first of the tile's arrays; its words
     * of a chunk, in bytes from the chunk's first. */
    uint32_t offset;
    uint32_t word_bytes[V::CHUNK];
    /* The expert's arrays. */
    const uint32_t *qweight;
    const char *scales;
    const char *offsets;
    const uint32_t *qzeros;
    uint32_t second_perm;
    const int32_t *perm;
    const uint32_t *a[V::ROWS];
    /* The same from the first of the chunks that are due on. */
    const uint32_t *next_x[V::ROWS];

    /* The run's chunks: its first one, how many; how many are left of the
     * group. */
    uint32_t first;
    uint32_t n;
    uint32_t left;
    uint32_t group;

    struct gpu_u4 ring[V::AHEAD][V::CHUNK];
    const char *next_words;
    uint32_t chunk_bytes;
    float scale[4];
    /* -(base + zero), as the pairs of both kinds have it. */
    float low_zero[4];
    float high_zero[4];
    float even_sums[V::ROWS];
    float odd_sums[V::ROWS];
    /* Of the group's activations. */
    float even_sum[V::ROWS];
    float odd_sum[V::ROWS];
    float y[V::ROWS][4];

    /* Chunk i + ahead of the run, or the last again: no branch, no register to
     * keep. */
    GPU_INLINE void load(int slot, uint32_t i, int ahead)
    {
        GPU_UNROLL
        for (int step = 0; step < V::CHUNK; step++) {
            ring[slot][step] = gpu_load4(next_words, word_bytes[step]);
        }
        next_words += (int32_t)i < (int32_t)n - ahead - 1 ? chunk_bytes : 0;
    }

    /* 8 activations: those of a step of chunk i, which is in that slot. */
    GPU_INLINE struct gpu_u4 activations(
            int r, uint32_t i, int slot, int step) const
    {
        if (V::UNIFORM) {
            uint32_t row = slot * V::CHUNK + step;
            return gpu_uniform_load4(next_x[r] + 4 * row, 0);
        }
        uint32_t row = (first + i) * V::CHUNK + step;
        return V::GATHER ? gpu_gather(a[r], perm, 8 * row)
                         : gpu_read4(a[r], 16 * row);
    }

    /* Adds 8 activations to sums of the even pairs and the odd ones; to the
     * first alone, if they need not be apart. */
    GPU_INLINE static void add_up(float *even, float *odd, struct gpu_u4 x)
    {
        GPU_UNROLL
        for (int i = 0; i < 4; i++) {
            float *sum = CODE::HIGH_PAIRS && i % 2 == 1 ? odd : even;
            *sum = TYPE::dot(TYPE::PAIR_OF_ONES, x.v[i], *sum);
        }
    }

    /* Sums of the chunks from i on, one in each 4 lanes. */
    GPU_INLINE void sum_chunks(uint32_t i)
    {
        uint32_t row = 4 * (first + i) + lane;
        uint32_t row_last = 4 * (first + n) - 1;
        row = row < row_last ? row : row_last;
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            even_sums[r] = odd_sums[r] = 0.0f;
            add_up(&even_sums[r], &odd_sums[r], gpu_read4(a[r], 16 * row));
            even_sums[r] += gpu_shuffle_xor<1>(even_sums[r]);
            even_sums[r] += gpu_shuffle_xor<2>(even_sums[r]);
            if (CODE::HIGH_PAIRS) {
                odd_sums[r] += gpu_shuffle_xor<1>(odd_sums[r]);
                odd_sums[r] += gpu_shuffle_xor<2>(odd_sums[r]);
            }
        }
    }

    /* Sums of a chunk's activations. */
    GPU_INLINE void chunk_sums(float even[V::ROWS], float odd[V::ROWS],
            uint32_t i, const struct gpu_u4 x[V::ROWS][V::CHUNK])
    {
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            even[r] = odd[r] = 0.0f;
            if (V::GATHER) {
                GPU_UNROLL
                for (int step = 0; step < V::CHUNK; step++) {
                    add_up(&even[r], &odd[r], x[r][step]);
                }
                continue;
            }
            even[r] =
                    gpu_from_bits(gpu_broadcast(gpu_bits(even_sums[r]), 4 * i));
            if (CODE::HIGH_PAIRS) {
                odd[r] = gpu_from_bits(
                        gpu_broadcast(gpu_bits(odd_sums[r]), 4 * i));
            }
        }
    }

    /* Neighbouring columns of a row in neighbouring registers, where two dot
     * products can be an instruction then: the sums, again and again, since
     * the compiler would take partners from anywhere else. */
    template <class T> GPU_INLINE static void pair_up(T *of_4_columns)
    {
#ifdef GPU_DOTS_PAIR
        if (V::UNIFORM && TYPE::DOTS_PAIR) {
            gpu_side_by_side(&of_4_columns[0], &of_4_columns[1]);
            gpu_side_by_side(&of_4_columns[2], &of_4_columns[3]);
        }
#else
        (void)of_4_columns;
#endif
    }

    GPU_INLINE static void pair_up_sums(
            float low[V::ROWS][4], float high[V::ROWS][4])
    {
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            pair_up(low[r]);
            if (CODE::HIGH_PAIRS) {
                pair_up(high[r]);
            }
        }
    }

    /* Of many rows one pair after another: what dot products need besides, if
     * they are made of other instructions, would be made of all at once. */
    GPU_INLINE static void hold_x(
            struct gpu_u4 x[V::ROWS][V::CHUNK], int step, int j)
    {
#ifdef GPU_HAS_HOLD
        GPU_UNROLL
        for (int r = 0; V::X_LATE && r < V::ROWS; r++) {
            gpu_hold(&x[r][step].v[j]);
        }
#else
        (void)x;
        (void)step;
        (void)j;
#endif
    }

    GPU_INLINE static void hold_sums(float low[V::ROWS][4])
    {
#ifdef GPU_HAS_HOLD
        GPU_UNROLL
        for (int i = 0; V::X_LATE && i < 4 * V::ROWS; i++) {
            gpu_hold(&low[i / 4][i % 4]);
        }
#else
        (void)low;
#endif
    }

    /* Scales and zero points of a group. */
    GPU_INLINE void open_group()
    {
        uint32_t at = tile.scale + group * tile.scale_stride + offset;
        gpu_load_scales4(scale, scales, p->b.scale_type, at);
        if (CODE::HIGH_PAIRS) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                scale[c] *= 0.25f;
            }
        }
        if (CODE::ZEROS && qzeros != nullptr) {
            uint32_t nibbles = gpu_load_zeros4(
                    qzeros + tile.zero + group * tile.zero_stride, offset);
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                set_zero(c, gpu_zero(nibbles, c));
            }
        }
    }

    GPU_INLINE void set_zero(int c, float zero)
    {
        low_zero[c] = -(CODE::BASE + (CODE::HIGH_PAIRS ? 4.0f : 1.0f) * zero);
        high_zero[c] = -(CODE::BASE + 64.0f * zero);
    }

    /* Adds what a group's offsets come to. */
    GPU_INLINE void add_offsets()
    {
        float add[4];
        gpu_load_scales4(add, offsets, p->b.offset_type,
                tile.scale + group * tile.scale_stride + offset);
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                y[r][c] = gpu_fma(add[c], even_sum[r] + odd_sum[r], y[r][c]);
            }
            even_sum[r] = odd_sum[r] = 0.0f;
        }
    }

    /* Chunk i, whose words are in that slot. */
    GPU_INLINE void multiply(int slot, uint32_t i)
    {
        struct gpu_u4 x[V::ROWS][V::CHUNK];
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            GPU_UNROLL
            for (int step = 0; step < V::CHUNK; step++) {
                if (!V::X_LATE) {
                    x[r][step] = activations(r, i, slot, step);
                }
            }
        }
        float even[V::ROWS];
        float odd[V::ROWS];
        if (CODE::ZEROS) {
            chunk_sums(even, odd, i % DOT_SUMS, x);
        }
        float low[V::ROWS][4];
        float high[V::ROWS][4];
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            if (CODE::ZEROS) {
                even_sum[r] += even[r];
                odd_sum[r] += CODE::HIGH_PAIRS ? odd[r] : 0.0f;
            }
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                low[r][c] = CODE::ZEROS ? low_zero[c] * even[r] : 0.0f;
                high[r][c] = CODE::HIGH_PAIRS ? high_zero[c] * odd[r] : 0.0f;
            }
        }
        pair_up_sums(low, high);
        GPU_UNROLL
        for (int step = 0; step < V::CHUNK; step++) {
            if (V::X_LATE) {
                gpu_keep_order();
                GPU_UNROLL
                for (int r = 0; r < V::ROWS; r++) {
                    x[r][step] = activations(r, i, slot, step);
                }
            }
            /* By pairs, then columns. */
            uint32_t b[4][4];
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                uint32_t pairs[4];
                CODE::pairs(pairs, ring[slot][step].v[c]);
                GPU_UNROLL
                for (int j = 0; j < 4; j++) {
                    b[j][c] = pairs[j];
                }
            }
            /* Neighbours are of different sums. */
            GPU_UNROLL
            for (int j = 0; j < 4; j++) {
                pair_up(b[j]);
                hold_x(x, step, j);
                GPU_UNROLL
                for (int i = 0; i < 4 * V::ROWS; i++) {
                    int r = i / 4;
                    int c = i % 4;
                    float *sum = CODE::HIGH_PAIRS && j % 2 == 1 ? &high[r][c]
                                                                : &low[r][c];
                    *sum = TYPE::dot(b[j][c], x[r][step].v[j], *sum);
                }
                pair_up_sums(low, high);
                hold_sums(low);
            }
        }
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                float q = CODE::HIGH_PAIRS
                                  ? gpu_fma(high[r][c], 0.0625f, low[r][c])
                                  : low[r][c];
                y[r][c] = gpu_fma(scale[c], q, y[r][c]);
            }
        }
    }

    /* After chunk i, the last one of a group. */
    GPU_INLINE void next_group(uint32_t i)
    {
        if (CODE::ZEROS && offsets != nullptr) {
            add_offsets();
        }
        if (i + 1 < n) {
            group++;
            left = p->b.group.d;
            open_group();
        }
    }

    /* The chunks from_chunk .. end - 1, at least one; sets y. */
    GPU_INLINE void run(uint32_t from_chunk, uint32_t end)
    {
        first = from_chunk;
        n = end - first;
        chunk_bytes = V::CHUNK * tile.word_stride * 4;
        next_words = (const char *)(qweight + tile.word) +
                     (uint64_t)first * chunk_bytes;
        group = gpu_divide(first, p->b.group);
        left = (group + 1) * p->b.group.d - first;
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            next_x[r] = a[r] + first * CHUNK_PAIRS;
            even_sum[r] = odd_sum[r] = 0.0f;
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                y[r][c] = 0.0f;
            }
        }
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            set_zero(c, offsets != nullptr ? 0.0f : (float)W4_ZERO_SYMMETRIC);
        }
        open_group();
        GPU_UNROLL
        for (int slot = 0; slot < V::AHEAD; slot++) {
            load(slot, 0, slot);
        }
        /* One way out of the loop: compilers add flags for more. */
        for (uint32_t i = 0; i < n; i += V::AHEAD) {
            if (CODE::ZEROS && !V::GATHER && i % DOT_SUMS == 0) {
                sum_chunks(i);
            }
            GPU_UNROLL
            for (int slot = 0; slot < V::AHEAD; slot++) {
                if (slot > 0 && i + slot >= n) {
                    continue;
                }
                multiply(slot, i + slot);
                gpu_keep_order();
                load(slot, i, slot + V::AHEAD);
                left--;
                if (left == 0) {
                    next_group(i + slot);
                }
            }
            GPU_UNROLL
            for (int r = 0; r < V::ROWS; r++) {
                next_x[r] += V::AHEAD * CHUNK_PAIRS;
            }
        }
        if (CODE::ZEROS && offsets != nullptr) {
            add_offsets();
        }
    }
};

#endif
