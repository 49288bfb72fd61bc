/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a wave of the kernels split does: sums over a run of input features for
 * up to 8 rows and 4 neighbouring columns a lane, and the 4 opposite.
 */
#ifndef W4_HIP_SPLIT_RUN_H
#define W4_HIP_SPLIT_RUN_H

#include "blocks.h"

#ifdef GPU_HAS_PARTS

/** What a variant is made for.
 *   CODE    gpu_int4 or gpu_e2m1 of a type
 *   ROWS    rows of a block: 8, or 1
 *   HALVES  2: columns are of both halves of a tile; 1: of a matrix that is not
 *           gated
 *   GROUPS  waves that stand beside each other
 *   SHARES  waves that share the input features
 *   AHEAD   chunks on their way from memory */
template <class CODE_, int ROWS_, int HALVES_, int GROUPS_, int SHARES_,
        int AHEAD_>
struct split_variant {
    typedef CODE_ CODE;
    static constexpr int ROWS = ROWS_;
    static constexpr int HALVES = HALVES_;
    static constexpr int GROUPS = GROUPS_;
    static constexpr int SHARES = SHARES_;
    static constexpr int AHEAD = AHEAD_;
    static constexpr int WAVES = GROUPS * SHARES;
    static constexpr int THREADS = 32 * WAVES;
    /* Workgroups of a tile; columns of one, in each half. */
    static constexpr int PIECES = 4 / HALVES / GROUPS;
    static constexpr int COLUMNS = 32 * GROUPS;
    /* Products of a chunk: of 2 columns of each lane. */
    static constexpr int PARTS = 2 * HALVES;
    /* u32 of shared memory that a wave has: rows and words of the chunks that
     * are ahead, 16 bytes of each for a lane; then its sums. */
    static constexpr int CHUNK = (1 + HALVES) * 32 * 4;
    static constexpr int RING = AHEAD * CHUNK;
    static constexpr int SUMS = ROWS * HALVES * 32;
    static_assert(SUMS <= RING, "room for a wave's sums");
};

/** Chunks between two scalings, at most. */
enum { SPLIT_SEGMENT = 4 };

/** The sums of one wave for one expert. */
template <class V> struct split_run {
    typedef typename V::CODE CODE;
    typedef typename CODE::type TYPE;

    const struct w4_gpu_gemm *p;
    struct w4_gpu_place tile;
    unsigned lane;
    /* The lane's first columns, from the first of the tile's arrays. */
    uint32_t offset[V::HALVES];
    /* The expert's arrays. */
    const uint32_t *qweight;
    const char *scales;
    const char *offsets;
    const uint32_t *qzeros;
    /* The lane's row, if it has one. */
    const uint32_t *a;
    bool has_row;
    /* What the lane copies of words: 4 columns of a row, 8 lanes a row, so that
     * neighbours copy what stands side by side. */
    uint32_t copy_offset[V::HALVES];
    /* In the wave's part of shared memory: the lane's 16 bytes of its row,
     * where it copies words to, where it finds its own. */
    gpu_shared_place row_place;
    gpu_shared_place copy_place;
    gpu_shared_place words_place;

    /* Chunks: the next one, the next to be asked for, the first that is not the
     * wave's, the first of the next group. */
    uint32_t chunk;
    uint32_t next;
    uint32_t end;
    uint32_t group;
    uint32_t group_end;
    uint32_t segment_end;

    const char *next_words[V::HALVES];
    const char *next_x;
    uint32_t chunk_bytes;
    /* Of the group: as they came. Zero points without qzeros. */
    uint32_t scale_words[V::HALVES][4];
    uint32_t zero_bits[V::HALVES];
    float zero;

    struct gpu_part sum[V::PARTS];
    struct gpu_part row_sum;
    struct gpu_part y[V::PARTS];

    /* Where 16 bytes of words stand in a chunk: what 8 lanes read together is
     * in different banks. */
    static GPU_INLINE uint32_t words_at(uint32_t row, uint32_t line)
    {
        return (32 + row * 8 + (line ^ 2 * row)) * 4;
    }

    GPU_INLINE void set_ring(uint32_t *ring)
    {
        row_place = gpu_place_of(ring + lane * 4);
        copy_place = gpu_place_of(ring + words_at(lane / 8, lane % 8));
        words_place = gpu_place_of(
                ring + words_at(gpu_part_word(lane), gpu_part_line(lane)));
    }

    /* The next chunk sets out, if there is one. */
    GPU_INLINE void load()
    {
        if (next < end) {
            uint32_t to = next % V::AHEAD * V::CHUNK;
            gpu_copy4_async(gpu_place_at(row_place, to), next_x, has_row);
            next_x += 64;
            GPU_UNROLL
            for (int h = 0; h < V::HALVES; h++) {
                gpu_copy4_async(gpu_place_at(copy_place, to + h * 128),
                        next_words[h], true);
                next_words[h] += chunk_bytes;
            }
        }
        next++;
        gpu_copies_end();
    }

    GPU_INLINE void load_group()
    {
        uint32_t at = tile.scale + group * tile.scale_stride;
        GPU_UNROLL
        for (int h = 0; h < V::HALVES; h++) {
            gpu_scale_words<4>(
                    scale_words[h], scales, p->b.scale_type, at + offset[h]);
            if (CODE::ZEROS && qzeros != nullptr) {
                zero_bits[h] =
                        gpu_load1(qzeros + tile.zero + group * tile.zero_stride,
                                offset[h] / W4_WORD_ZEROS * 4);
            }
        }
    }

    GPU_INLINE void clear_sums()
    {
        GPU_UNROLL
        for (int i = 0; i < 4; i++) {
            GPU_UNROLL
            for (int n = 0; n < V::PARTS; n++) {
                sum[n].v[i] = 0.0f;
            }
            row_sum.v[i] = 0.0f;
        }
    }

    /* Subtracts what stands beside codes, and zero points, by the row's sums:
     * those cost less than a subtraction for each code. */
    GPU_INLINE void subtract_zeros()
    {
        if (qzeros != nullptr) {
            GPU_UNROLL
            for (int j = 0; j < 4 * V::PARTS; j++) {
                uint32_t nibbles =
                        zero_bits[j / 8] >> 4 * (offset[j / 8] % W4_WORD_ZEROS);
                float *s = &sum[j / 4].v[j % 4];
                *s = gpu_fma(-(CODE::RAW_BASE + gpu_zero(nibbles, j / 2 % 4)),
                        row_sum.v[j % 2], *s);
            }
            return;
        }
        GPU_UNROLL
        for (int j = 0; j < 4 * V::PARTS; j++) {
            float *s = &sum[j / 4].v[j % 4];
            *s = gpu_fma(-(CODE::RAW_BASE + zero), row_sum.v[j % 2], *s);
        }
    }

    /* Adds the scaled sums to y. */
    GPU_INLINE void end_segment()
    {
        if (CODE::ZEROS) {
            subtract_zeros();
        }
        GPU_UNROLL
        for (int h = 0; h < V::HALVES; h++) {
            float scale[4];
            gpu_scales_of_words<4>(scale, scale_words[h], p->b.scale_type,
                    tile.scale + group * tile.scale_stride + offset[h]);
            GPU_UNROLL
            for (int j = 0; j < 8; j++) {
                float *total = &y[2 * h + j / 4].v[j % 4];
                *total = gpu_fma(
                        scale[j / 2], sum[2 * h + j / 4].v[j % 4], *total);
            }
        }
        if (CODE::ZEROS && offsets != nullptr) {
            add_offsets();
        }
        clear_sums();
    }

    GPU_INLINE void add_offsets()
    {
        GPU_UNROLL
        for (int h = 0; h < V::HALVES; h++) {
            float add[4];
            gpu_load_scales4(add, offsets, p->b.offset_type,
                    tile.scale + group * tile.scale_stride + offset[h]);
            GPU_UNROLL
            for (int j = 0; j < 8; j++) {
                float *total = &y[2 * h + j / 4].v[j % 4];
                *total = gpu_fma(add[j / 2], row_sum.v[j % 2], *total);
            }
        }
    }

    GPU_INLINE void multiply()
    {
        uint32_t from = chunk % V::AHEAD * V::CHUNK;
        struct gpu_u4 x = gpu_get4(gpu_place_at(row_place, from));
        struct gpu_u4 words[V::HALVES];
        GPU_UNROLL
        for (int h = 0; h < V::HALVES; h++) {
            words[h] = gpu_get4(gpu_place_at(words_place, from + h * 128));
        }
        GPU_UNROLL
        for (int n = 0; n < V::PARTS; n++) {
            uint32_t b[8];
            GPU_UNROLL
            for (int i = 0; i < 2; i++) {
                CODE::raw(b + 4 * i, words[n / 2].v[n % 2 * 2 + i]);
            }
            TYPE::mma_part(&sum[n], b, x.v);
        }
        if (CODE::ZEROS) {
            uint32_t ones[8];
            GPU_UNROLL
            for (int i = 0; i < 8; i++) {
                ones[i] = TYPE::PAIR_OF_ONES;
            }
            TYPE::mma_part(&row_sum, ones, x.v);
        }
    }

    GPU_INLINE void set_segment_end()
    {
        segment_end = chunk + SPLIT_SEGMENT;
        segment_end = segment_end < group_end ? segment_end : group_end;
        segment_end = segment_end < end ? segment_end : end;
    }

    GPU_INLINE void open(uint32_t first, uint32_t stop)
    {
        chunk = next = first;
        end = stop;
        chunk_bytes = 4 * tile.word_stride * 4;
        next_x = (const char *)(a + first * 16 + gpu_part_word(lane) * 4);
        uint64_t words = (uint64_t)(first * 4 + lane / 8) * tile.word_stride;
        GPU_UNROLL
        for (int h = 0; h < V::HALVES; h++) {
            next_words[h] = (const char *)(qweight + tile.word +
                                           copy_offset[h] + words);
        }
        /* All lanes are done with what was there. */
        gpu_wave_barrier();
        GPU_UNROLL
        for (int i = 0; i < V::AHEAD - 1; i++) {
            load();
        }
        group = gpu_divide(first, p->b.group);
        group_end = (group + 1) * p->b.group.d;
        zero = offsets != nullptr ? 0.0f : (float)W4_ZERO_SYMMETRIC;
        load_group();
        clear_sums();
        GPU_UNROLL
        for (int j = 0; j < 4 * V::PARTS; j++) {
            y[j / 4].v[j % 4] = 0.0f;
        }
        set_segment_end();
    }

    /* The chunks first .. stop - 1; sets y. */
    GPU_INLINE void run(uint32_t first, uint32_t stop)
    {
        open(first, stop);
        while (chunk < end) {
            gpu_copies_wait<V::AHEAD - 2>();
            /* The chunk has come for all lanes, and they are done with the one
             * before, whose place is free. */
            gpu_wave_barrier();
            load();
            multiply();
            chunk++;
            if (chunk == segment_end) {
                end_segment();
                if (chunk == group_end && chunk < end) {
                    group++;
                    group_end += p->b.group.d;
                    load_group();
                }
                set_segment_end();
            }
        }
    }
};

#endif /* GPU_HAS_PARTS */

#endif
