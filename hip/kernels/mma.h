/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The kernels mma: 16, 32 or 64 rows of activations times a tile of their
 * expert by matrix instructions, for many rows per expert.
 *
 * A workgroup has a block of rows and a tile. Each of its 4 waves has all rows
 * and 32 columns: 16 of the first half of the tile and the 16 that stand
 * opposite in the second, which in a gated matrix are their partners. feed.h
 * brings rows and words, which are decoded into what the instructions take.
 * After each group, or 128 k, the sums are scaled and added up; zero points
 * come in there, by the rows' sums.
 *
 * grid: x tiles, y blocks. Groups and K are multiples of 32.
 */
#ifndef W4_HIP_MMA_H
#define W4_HIP_MMA_H

#include "feed.h"

enum {
    /* Chunks between two scalings, at most. */
    MMA_SEGMENT = 4,
    /* Of rows of results in shared memory. */
    MMA_OUT_STRIDE = W4_TILE_COLUMNS + 4
};

/** The sums of a wave for the first ROWS rows of a block of BLOCK_ROWS. */
template <class CODE_, int BLOCK_ROWS_, int ROWS_> struct mma_run {
    typedef CODE_ CODE;
    typedef typename CODE::type TYPE;
    static constexpr int BLOCK_ROWS = BLOCK_ROWS_;
    static constexpr int ROWS = ROWS_;
    static constexpr int PARTS = ROWS / 16;
    /* Parts whose results are in shared memory at a time. */
    static constexpr int OUT_PARTS = PARTS < 2 ? PARTS : 2;
    static constexpr int OUT_ROWS = OUT_PARTS * 16;

    const struct w4_gpu_gemm *p;
    struct w4_gpu_place tile;
    unsigned lane;
    unsigned wave;
    uint32_t expert;
    uint32_t n_chunks;
    /* Of the rows: without zero points or offsets not, if numbers() subtracts
     * 8 itself. */
    bool needs_sums;
    struct mma_feed<TYPE, ROWS> feed;

    /* The expert's arrays. */
    const char *scales;
    const char *offsets;
    const uint32_t *qzeros;
    uint32_t group;
    uint32_t group_end;
    /* Chunks that are summed up before they are scaled. */
    uint32_t segment;
    uint32_t segment_end;
    /* Of the lane's columns in both halves, which are neighbours: the first,
     * from the tile's first. */
    uint32_t offset[2];
    /* Of the next group: words in which scales stand. */
    uint32_t next_scale[2][GPU_ACC_COLUMNS];
    float scale[2][GPU_ACC_COLUMNS];
    float zero[2][GPU_ACC_COLUMNS];
    float add[2][GPU_ACC_COLUMNS];

    struct gpu_acc sum[PARTS];
    struct gpu_acc y[PARTS];

    GPU_INLINE void open(const struct w4_gpu_gemm *gemm, uint32_t block,
            uint32_t index, uint32_t *shared, float *sums)
    {
        p = gemm;
        lane = gpu_thread() % 32;
        wave = (unsigned)gpu_uniform((int)(gpu_thread() / 32));
        tile = gpu_tile_at(&p->b, index);
        n_chunks = p->b.n_in / 32;
        needs_sums = CODE::ZEROS &&
                     (CODE::NUMBER_BASE != -W4_ZERO_SYMMETRIC ||
                             p->b.qzeros != nullptr || p->b.offsets != nullptr);
        feed.set(p, shared, sums, needs_sums);
        feed.open(&tile, lane, wave);
        GPU_UNROLL
        for (int i = 0; i < feed.PIECES; i++) {
            uint32_t row = feed.piece_row(i);
            uint32_t slot = gpu_block_slot(p, block, BLOCK_ROWS, row);
            /* For none the first, which is one, for nobody. */
            slot = slot < p->n_slots ? slot
                                     : gpu_block_slot(p, block, BLOCK_ROWS, 0);
            feed.set_row(i, gpu_slot_row(p, slot));
        }
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            uint32_t c = wave * 16 + gpu_acc_column(lane, 0);
            uint32_t column = mma_column(p, &tile, c, h != 0);
            column = column < tile.width ? column : 0;
            offset[h] = gpu_tile_offset(&tile, column);
        }
    }

    GPU_INLINE void set_expert(uint32_t number)
    {
        const struct w4_gpu_matrix *m = &p->b;
        expert = number;
        feed.set_expert(gpu_expert_qweight(m, expert) + tile.word,
                m->perm == nullptr ? nullptr
                                   : m->perm + (uint64_t)expert * m->n_in);
        gpu_set_arrays(this, m, expert);
    }

    /* ------------------------------------------------------------ groups */

    /* A group's scales set out. */
    GPU_INLINE void load_group(uint32_t of_group)
    {
        uint32_t at = tile.scale + of_group * tile.scale_stride;
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            gpu_scale_words<GPU_ACC_COLUMNS>(
                    next_scale[h], scales, p->b.scale_type, at + offset[h]);
        }
    }

    /* They come to be used; those of the next group set out. */
    GPU_INLINE void open_group()
    {
        uint32_t at = tile.scale + group * tile.scale_stride;
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            gpu_scales_of_words<GPU_ACC_COLUMNS>(
                    scale[h], next_scale[h], p->b.scale_type, at + offset[h]);
            if (needs_sums) {
                open_zeros(h, at + offset[h]);
            }
        }
        if (group_end < n_chunks) {
            load_group(group + 1);
        }
    }

    GPU_INLINE void open_zeros(int h, uint32_t at)
    {
        uint32_t nibbles = 0;
        if (offsets != nullptr) {
            uint32_t words[GPU_ACC_COLUMNS];
            gpu_scale_words<GPU_ACC_COLUMNS>(
                    words, offsets, p->b.offset_type, at);
            gpu_scales_of_words<GPU_ACC_COLUMNS>(
                    add[h], words, p->b.offset_type, at);
        } else if (qzeros != nullptr) {
            nibbles = gpu_load1(qzeros + tile.zero + group * tile.zero_stride,
                              offset[h] / W4_WORD_ZEROS * 4) >>
                      4 * (offset[h] % W4_WORD_ZEROS);
        }
        GPU_UNROLL
        for (int c = 0; c < GPU_ACC_COLUMNS; c++) {
            float z = offsets != nullptr  ? 0.0f
                      : qzeros != nullptr ? gpu_zero(nibbles, c)
                                          : (float)W4_ZERO_SYMMETRIC;
            zero[h][c] = -(CODE::NUMBER_BASE + z);
        }
    }

    /* Adds the scaled sums of a segment to y. */
    GPU_INLINE void scale_sums()
    {
        GPU_UNROLL
        for (int m = 0; m < PARTS; m++) {
            if (needs_sums) {
                add_zeros(m);
            }
            GPU_UNROLL
            for (int i = 0; i < 16; i++) {
                y[m].v[i] = gpu_fma(scale[i / 8][gpu_acc_column_index(i)],
                        sum[m].v[i], y[m].v[i]);
                sum[m].v[i] = 0.0f;
            }
        }
    }

    /* Of the lane's rows of a part over a chunk. */
    GPU_INLINE void row_sums(
            float rows[GPU_ACC_ROWS], int m, uint32_t chunk) const
    {
        GPU_UNROLL
        for (int i = 0; i < 8; i++) {
            if (gpu_acc_column_index(i) == 0) {
                rows[gpu_acc_row_index(i)] =
                        feed.row_sum(chunk, 16 * m + gpu_acc_row(lane, i));
            }
        }
    }

    /* What zero points and offsets are to a part, by its rows' sums. */
    GPU_INLINE void add_zeros(int m)
    {
        float rows[GPU_ACC_ROWS];
        row_sums(rows, m, segment);
        for (uint32_t c = segment + 1; c < segment_end; c++) {
            float more[GPU_ACC_ROWS];
            row_sums(more, m, c);
            GPU_UNROLL
            for (int r = 0; r < GPU_ACC_ROWS; r++) {
                rows[r] += more[r];
            }
        }
        GPU_UNROLL
        for (int i = 0; i < 16; i++) {
            float row = rows[gpu_acc_row_index(i)];
            sum[m].v[i] = gpu_fma(
                    zero[i / 8][gpu_acc_column_index(i)], row, sum[m].v[i]);
        }
        if (offsets != nullptr) {
            GPU_UNROLL
            for (int i = 0; i < 16; i++) {
                y[m].v[i] = gpu_fma(add[i / 8][gpu_acc_column_index(i)],
                        rows[gpu_acc_row_index(i)], y[m].v[i]);
            }
        }
    }

    /* ------------------------------------------------------------- chunks */

    GPU_INLINE void multiply(uint32_t stage, int chunk)
    {
        uint32_t words[MMA_WORDS];
        feed.words(words, stage, chunk);
        GPU_UNROLL
        for (int s = 0; s < GPU_K_STEPS; s++) {
            struct gpu_a rows[PARTS];
            GPU_UNROLL
            for (int m = 0; m < PARTS; m++) {
                rows[m] = feed.rows(stage, chunk, m, s);
            }
            GPU_UNROLL
            for (int n = 0; n < GPU_N_STEPS; n++) {
                uint32_t b[4 * GPU_STEP_WORDS];
                GPU_UNROLL
                for (int i = 0; i < GPU_STEP_WORDS; i++) {
                    int j = (s * GPU_N_STEPS + n) * GPU_STEP_WORDS + i;
                    CODE::numbers(b + 4 * i, words[j]);
                }
                GPU_UNROLL
                for (int m = 0; m < PARTS; m++) {
                    TYPE::mma(&sum[m], &rows[m], b, n);
                }
            }
        }
    }

    GPU_INLINE void run()
    {
        GPU_UNROLL
        for (int m = 0; m < PARTS; m++) {
            GPU_UNROLL
            for (int i = 0; i < 16; i++) {
                sum[m].v[i] = y[m].v[i] = 0.0f;
            }
        }
        group = 0;
        group_end = p->b.group.d;
        open_segment(0);
        load_group(0);
        feed.start();
        open_group();
        for (uint32_t stage = 0; stage * GPU_STAGE < n_chunks; stage++) {
            feed.enter(stage);
            GPU_UNROLL_STAGE
            for (int c = 0; c < GPU_STAGE; c++) {
                /* What is beyond K is 0. */
                multiply(stage, c);
                feed.pass_chunk();
                if (stage * GPU_STAGE + c + 1 == segment_end) {
                    end_segment();
                }
            }
            feed.leave(stage);
        }
    }

    /* From a chunk on. */
    GPU_INLINE void open_segment(uint32_t chunk)
    {
        segment = chunk;
        segment_end = chunk + MMA_SEGMENT;
        segment_end = segment_end < group_end ? segment_end : group_end;
        segment_end = segment_end < n_chunks ? segment_end : n_chunks;
    }

    /* What is due at its end: scaling, the next group. */
    GPU_INLINE void end_segment()
    {
        scale_sums();
        uint32_t chunk = segment_end;
        if (chunk == group_end && chunk < n_chunks) {
            group++;
            group_end += p->b.group.d;
            open_group();
        }
        open_segment(chunk);
    }

    /* ------------------------------------------------------------ results */

    /* Through shared memory, so that neighbouring threads write neighbouring
     * elements. */
    GPU_INLINE void finish(uint32_t block, float *out)
    {
        GPU_UNROLL
        for (int m = 0; m < PARTS; m += OUT_PARTS) {
            gpu_barrier();
            GPU_UNROLL
            for (int part = 0; part < OUT_PARTS; part++) {
                put_part(out, m, part);
            }
            gpu_barrier();
            if (gpu_is_plain(p)) {
                finish_rows(block, m, out);
            } else {
                finish_columns(block, m, out);
            }
        }
    }

    GPU_INLINE void put_part(float *out, int m, int part)
    {
        GPU_UNROLL
        for (int i = 0; i < 16; i++) {
            uint32_t row = 16 * part + gpu_acc_row(lane, i);
            uint32_t c = 32 * wave + gpu_acc_column(lane, i);
            out[row * MMA_OUT_STRIDE + c] = y[m + part].v[i];
        }
    }

    /* Slot of a row of `out`, whose first is of part m; n_slots or more for
     * none. */
    GPU_INLINE uint32_t slot_of(uint32_t block, int m, uint32_t row) const
    {
        return gpu_block_slot(p, block, BLOCK_ROWS, 16 * m + row);
    }

    /* Column c of the first half; the one opposite is 16 beyond it. */
    static GPU_INLINE const float *pair_at(
            const float *out, uint32_t row, uint32_t c)
    {
        return out + row * MMA_OUT_STRIDE + c / 16 * 32 + c % 16;
    }

    /* 4 columns at a time, if gpu_is_plain(). */
    GPU_INLINE void finish_rows(uint32_t block, int m, const float *out)
    {
        constexpr uint32_t width = W4_TILE_PAIRS / 4;
        for (uint32_t i = gpu_thread(); i < OUT_ROWS * width;
                i += W4_GPU_MMA_THREADS) {
            uint32_t slot = slot_of(block, m, i / width);
            if (slot >= p->n_slots) {
                continue;
            }
            uint32_t c = i % width * 4;
            const float *from = pair_at(out, i / width, c);
            float x[4];
            float up[4];
            GPU_UNROLL
            for (int j = 0; j < 4; j++) {
                x[j] = from[j];
                up[j] = from[16 + j];
            }
            gpu_finish4<TYPE>(p, &tile, c, x, up, slot);
        }
    }

    /* With all that there may be, column by column. */
    GPU_INLINE void finish_columns(uint32_t block, int m, const float *out)
    {
        constexpr uint32_t width = W4_TILE_PAIRS;
        for (uint32_t i = gpu_thread(); i < OUT_ROWS * width;
                i += W4_GPU_MMA_THREADS) {
            uint32_t slot = slot_of(block, m, i / width);
            if (slot < p->n_slots) {
                const float *pair = pair_at(out, i / width, i % width);
                gpu_finish_pair<TYPE>(
                        p, &tile, expert, i % width, pair[0], pair[16], slot);
            }
        }
    }
};

/** u32 that a workgroup shares: stages, or results. */
template <class RUN> struct mma_shared {
    static constexpr int STAGES = decltype(RUN::feed)::SIZE;
    static constexpr int RESULTS = RUN::OUT_ROWS * MMA_OUT_STRIDE;
    static constexpr int SIZE = STAGES > RESULTS ? STAGES : RESULTS;
};

/** The first rows of a block, as many as RUN has; others are none. */
template <class RUN>
GPU_INLINE void
mma_rows(const struct w4_gpu_gemm *p, uint32_t block, uint32_t expert,
        uint32_t *shared, float *sums)
{
    RUN run;
    run.open(gpu_again(p), block, gpu_block_x(), shared, sums);
    run.set_expert(expert);
    run.run();
    run.p = gpu_again(p);
    run.finish(block, (float *)shared);
}

/** Whether a block has rows beyond the first 16. */
template <int ROWS>
GPU_INLINE bool
mma_has_more_rows(const struct w4_gpu_gemm *p, uint32_t block)
{
    bool found = false;
    for (uint32_t row = 16 + gpu_thread() % 32; row < ROWS; row += 32) {
        found = found || gpu_block_slot(p, block, ROWS, row) < p->n_slots;
    }
    return gpu_ballot(found) != 0;
}

template <class CODE, int ROWS>
GPU_INLINE void
mma_block(const struct w4_gpu_gemm *p, uint32_t *shared, float *sums)
{
    uint32_t block = gpu_block(p);
    int32_t found = gpu_block_expert(p, block, ROWS);
    if (found < 0) {
        return;
    }
    uint32_t expert = (uint32_t)gpu_uniform(found);
    /* Often the last block of an expert has few rows. */
    if (ROWS > 16 && !mma_has_more_rows<ROWS>(p, block)) {
        mma_rows<mma_run<CODE, ROWS, 16>>(p, block, expert, shared, sums);
    } else {
        mma_rows<mma_run<CODE, ROWS, ROWS>>(p, block, expert, shared, sums);
    }
}

#define MMA_KERNEL(name, CODE, ROWS)                                           \
    GPU_KERNEL(W4_GPU_MMA_THREADS, name, w4_gpu_gemm, p)                       \
    {                                                                          \
        typedef mma_shared<mma_run<CODE, ROWS, ROWS>> memory;                  \
        GPU_SHARED(uint32_t, shared, memory::SIZE);                            \
        GPU_SHARED(float, sums, MMA_SUMS *ROWS);                               \
        mma_block<CODE, ROWS>(&p, shared, sums);                               \
    }

/** All variants of a code. */
#define MMA_KERNELS(suffix, CODE)                                              \
    MMA_KERNEL(w4_mma16_##suffix, CODE, 16)                                    \
    MMA_KERNEL(w4_mma32_##suffix, CODE, 32)                                    \
    MMA_KERNEL(w4_mma64_##suffix, CODE, 64)

#endif
