/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The kernels mma: 16, 32 or 64 rows of activations times a tile of their
 * expert by matrix instructions, for many rows per expert.
 *
 * A workgroup has a block of rows and a tile. Each of its 4 waves has all rows
 * and 32 columns: 16 of the first half of the tile and the 16 that stand
 * opposite in the second, which in a gated matrix are their partners. Rows come
 * to shared memory in stages, words straight to registers, where they are
 * decoded into what the instructions take. After each group, or 128 k, the sums
 * are scaled and added up; zero points come in there, by the rows' sums.
 *
 * grid: x blocks, y tiles. Groups and K are multiples of 32.
 */
#ifndef W4_HIP_MMA_H
#define W4_HIP_MMA_H

#include "blocks.h"

enum {
    MMA_WAVES = W4_GPU_MMA_THREADS / 32,
    /* u32 (pairs of k) of a chunk; pieces of 16 bytes that it consists of. */
    MMA_CHUNK_PAIRS = 16,
    MMA_CHUNK_PIECES = 4,
    MMA_STAGE_PIECES = GPU_STAGE * MMA_CHUNK_PIECES,
    /* Distance of rows in shared memory: in different banks. */
    MMA_STRIDE = GPU_STAGE * MMA_CHUNK_PAIRS + GPU_ROW_PAD,
    /* Chunks between two scalings, at most; whose rows' sums are kept. */
    MMA_SEGMENT = 4,
    MMA_SUMS = 16,
    /* Of rows of results there. */
    MMA_OUT_STRIDE = W4_TILE_COLUMNS + 4,
    /* Words of a chunk that a lane has. */
    MMA_WORDS = GPU_K_STEPS * GPU_N_STEPS * GPU_STEP_WORDS
};

/** What a workgroup shares. */
template <int ROWS> struct mma_shared {
    /* u32 of `a`: two stages of rows, or results. */
    static constexpr int STAGES = 2 * ROWS * MMA_STRIDE;
    static constexpr int RESULTS = (ROWS < 32 ? ROWS : 32) * MMA_OUT_STRIDE;
    static constexpr int SIZE = STAGES > RESULTS ? STAGES : RESULTS;

    uint32_t (*a)[ROWS * MMA_STRIDE];
    float (*sums)[ROWS];
};

template <class CODE_, int ROWS_> struct mma_run {
    typedef CODE_ CODE;
    typedef typename CODE::type TYPE;
    static constexpr int ROWS = ROWS_;
    static constexpr int PARTS = ROWS / 16;
    /* Pieces of a stage that a thread brings. */
    static constexpr int PIECES =
            (ROWS * MMA_STAGE_PIECES + W4_GPU_MMA_THREADS - 1) /
            W4_GPU_MMA_THREADS;
    static_assert(ROWS * MMA_STAGE_PIECES % W4_GPU_MMA_THREADS == 0,
            "threads bring whole pieces");

    const struct w4_gpu_gemm *p;
    struct w4_gpu_place tile;
    struct mma_shared<ROWS> shared;
    unsigned lane;
    unsigned wave;
    uint32_t expert;
    uint32_t n_chunks;
    /* Of the rows: without zero points or offsets not, if numbers() subtracts
     * 8 itself. */
    bool needs_sums;

    /* The thread's rows of activations, one for each piece. */
    uint32_t a[PIECES];
    const int32_t *perm;
    struct gpu_u4 piece[PIECES];

    const uint32_t *qweight;
    const char *scales;
    const char *offsets;
    const uint32_t *qzeros;
    uint32_t word_bytes[MMA_WORDS];
    uint32_t words[GPU_WORDS_AHEAD][MMA_WORDS];
    uint32_t words_chunk;
    const uint32_t *next_words;

    uint32_t group;
    uint32_t group_end;
    uint32_t segment;
    /* Of the lane's columns in both halves: from the tile's first. */
    uint32_t offset[2][GPU_ACC_COLUMNS];
    uint32_t next_scale[2][GPU_ACC_COLUMNS];
    float scale[2][GPU_ACC_COLUMNS];
    float zero[2][GPU_ACC_COLUMNS];
    float add[2][GPU_ACC_COLUMNS];

    struct gpu_acc sum[PARTS];
    struct gpu_acc y[PARTS];

    /* Column of the tile that is column c, 0 .. 31, of the wave; width or more:
     * none. */
    GPU_INLINE uint32_t column(uint32_t c) const
    {
        uint32_t first = wave * 16 + c % 16;
        if (p->b.gated) {
            return first >= tile.half ? tile.width
                   : c < 16           ? first
                                      : first + tile.half;
        }
        return c < 16 ? first : first + W4_TILE_PAIRS;
    }

    /* Its place; of a column that is none, of the first. */
    GPU_INLINE uint32_t column_offset(uint32_t c) const
    {
        uint32_t at = column(c);
        return gpu_tile_offset(&tile, at < tile.width ? at : 0);
    }

    GPU_INLINE void open(
            const struct w4_gpu_gemm *gemm, uint32_t block, uint32_t index)
    {
        p = gemm;
        lane = gpu_thread() % 32;
        wave = (unsigned)gpu_uniform((int)(gpu_thread() / 32));
        tile = gpu_tile_at(&p->b, index);
        n_chunks = p->b.n_in / 32;
        needs_sums = CODE::ZEROS &&
                     (CODE::NUMBER_BASE != -W4_ZERO_SYMMETRIC ||
                             p->b.qzeros != nullptr || p->b.offsets != nullptr);
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            uint32_t row = piece_row(i);
            a[i] = gpu_slot_row(p, gpu_block_slot(p, block, ROWS, row));
        }
        GPU_UNROLL
        for (int i = 0; i < 16; i++) {
            offset[i / 8][gpu_acc_column_index(i)] =
                    column_offset(gpu_acc_column(lane, i));
        }
        GPU_UNROLL
        for (int j = 0; j < MMA_WORDS; j++) {
            uint32_t c = gpu_word_column(lane, word_n(j), word_i(j));
            uint32_t row = gpu_word_row(lane, word_s(j), word_i(j));
            word_bytes[j] = (column_offset(c) + row * tile.word_stride) * 4;
        }
    }

    GPU_INLINE void set_expert(uint32_t number)
    {
        const struct w4_gpu_matrix *m = &p->b;
        expert = number;
        qweight = m->qweight + (uint64_t)expert * m->expert_words + tile.word;
        scales = (const char *)m->scales +
                 (uint64_t)expert * m->expert_scale_bytes;
        offsets = m->offsets == nullptr
                          ? nullptr
                          : (const char *)m->offsets +
                                    (uint64_t)expert * m->expert_offset_bytes;
        qzeros = m->qzeros == nullptr
                         ? nullptr
                         : m->qzeros + (uint64_t)expert * m->expert_zeros;
        perm = m->perm == nullptr ? nullptr
                                  : m->perm + (uint64_t)expert * m->n_in;
    }

    /* ------------------------------------------------------------- words */

    /* Word j of a lane: step (s, n), word i. */
    static GPU_INLINE uint32_t word_i(uint32_t j)
    {
        return j % GPU_STEP_WORDS;
    }

    static GPU_INLINE uint32_t word_n(uint32_t j)
    {
        return j / GPU_STEP_WORDS % GPU_N_STEPS;
    }

    static GPU_INLINE uint32_t word_s(uint32_t j)
    {
        return j / (GPU_STEP_WORDS * GPU_N_STEPS);
    }

    /* The words of the next chunk, or of the last again. */
    GPU_INLINE void load_words(int slot)
    {
        const uint32_t *from = next_words;
        if (GPU_WORD_PAIRS) {
            GPU_UNROLL
            for (int j = 0; j < MMA_WORDS; j += 2) {
                struct gpu_u2 v = gpu_load2(from, word_bytes[j]);
                words[slot][j] = v.v[0];
                words[slot][j + 1] = v.v[1];
            }
        } else {
            GPU_UNROLL
            for (int j = 0; j < MMA_WORDS; j++) {
                words[slot][j] = gpu_load1(from, word_bytes[j]);
            }
        }
        words_chunk++;
        next_words += words_chunk < n_chunks
                              ? MMA_CHUNK_PIECES * tile.word_stride
                              : 0;
    }

    /* -------------------------------------------------------------- rows */

    static GPU_INLINE uint32_t piece_row(int i)
    {
        return (gpu_thread() + i * W4_GPU_MMA_THREADS) / MMA_STAGE_PIECES;
    }

    static GPU_INLINE uint32_t piece_column(int i)
    {
        return (gpu_thread() + i * W4_GPU_MMA_THREADS) % MMA_STAGE_PIECES;
    }

    /* 8 activations, from anywhere. */
    GPU_INLINE struct gpu_u4 gather(uint32_t row, uint32_t first) const
    {
        const uint16_t *from = (const uint16_t *)p->a + row * p->a_stride;
        struct gpu_u4 v;
        GPU_UNROLL
        for (int j = 0; j < 4; j++) {
            uint32_t even = first + 2 * j;
            uint32_t odd = even + 1;
            if (perm != nullptr) {
                odd = (uint32_t)perm[odd];
                even = (uint32_t)perm[even];
            }
            v.v[j] = from[even] | (uint32_t)from[odd] << 16;
        }
        return v;
    }

    /* The pieces of a stage, to registers. What is beyond K is 0. */
    GPU_INLINE void load_rows(uint32_t stage)
    {
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            uint32_t at = stage * MMA_STAGE_PIECES + piece_column(i);
            struct gpu_u4 v = {{0, 0, 0, 0}};
            if (at < n_chunks * MMA_CHUNK_PIECES) {
                v = p->gather ? gather(a[i], at * 8)
                              : gpu_read4((const uint16_t *)p->a +
                                                  a[i] * p->a_stride,
                                        at * 16);
            }
            piece[i] = v;
        }
    }

    /* From registers to shared memory, and the rows' sums over each chunk. */
    GPU_INLINE void store_rows(uint32_t stage)
    {
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            uint32_t row = piece_row(i);
            uint32_t at = piece_column(i);
            gpu_put4(shared.a[stage % 2] + row * MMA_STRIDE + at * 4, piece[i]);
            if (!needs_sums) {
                continue;
            }
            float s = 0.0f;
            GPU_UNROLL
            for (int j = 0; j < 4; j++) {
                s = TYPE::dot(TYPE::PAIR_OF_ONES, piece[i].v[j], s);
            }
            s += gpu_shuffle_xor<1>(s);
            s += gpu_shuffle_xor<2>(s);
            uint32_t chunk = stage * GPU_STAGE + at / MMA_CHUNK_PIECES;
            if (at % MMA_CHUNK_PIECES == 0) {
                shared.sums[chunk % MMA_SUMS][row] = s;
            }
        }
    }

    /* ------------------------------------------------------------ groups */

    /* Scales of the group that is due come to be used; those of the next one
     * set out. */
    GPU_INLINE void open_group()
    {
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            GPU_UNROLL
            for (int c = 0; c < GPU_ACC_COLUMNS; c++) {
                scale[h][c] =
                        gpu_scale_of_bits(next_scale[h][c], p->b.scale_type);
            }
        }
        if (needs_sums) {
            open_zeros(tile.scale + group * tile.scale_stride);
        }
        if (group_end < n_chunks) {
            load_scales(group + 1);
        }
    }

    GPU_INLINE void load_scales(uint32_t of_group)
    {
        uint32_t at = tile.scale + of_group * tile.scale_stride;
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            GPU_UNROLL
            for (int c = 0; c < GPU_ACC_COLUMNS; c++) {
                next_scale[h][c] = gpu_scale_bits(
                        scales, p->b.scale_type, at + offset[h][c]);
            }
        }
    }

    GPU_INLINE void open_zeros(uint32_t at)
    {
        GPU_UNROLL
        for (int h = 0; h < 2; h++) {
            GPU_UNROLL
            for (int c = 0; c < GPU_ACC_COLUMNS; c++) {
                uint32_t column = offset[h][c];
                float z = (float)W4_ZERO_SYMMETRIC;
                if (offsets != nullptr) {
                    z = 0.0f;
                    add[h][c] = gpu_scale_of_bits(
                            gpu_scale_bits(
                                    offsets, p->b.offset_type, at + column),
                            p->b.offset_type);
                } else if (qzeros != nullptr) {
                    uint32_t word = gpu_load1(
                            qzeros + tile.zero + group * tile.zero_stride,
                            column / W4_WORD_ZEROS * 4);
                    z = gpu_zero(word >> 4 * (column % W4_WORD_ZEROS), 0);
                }
                zero[h][c] = -(CODE::NUMBER_BASE + z);
            }
        }
    }

    /* Adds the scaled sums of a segment, whose last chunk is given, to y. */
    GPU_INLINE void end_segment(uint32_t chunk)
    {
        GPU_UNROLL
        for (int m = 0; m < PARTS; m++) {
            if (needs_sums) {
                add_zeros(m, chunk);
            }
            GPU_UNROLL
            for (int i = 0; i < 16; i++) {
                y[m].v[i] = gpu_fma(scale[i / 8][gpu_acc_column_index(i)],
                        sum[m].v[i], y[m].v[i]);
                sum[m].v[i] = 0.0f;
            }
        }
        segment = chunk + 1;
    }

    /* What zero points and offsets are to a part, by its rows' sums. */
    GPU_INLINE void add_zeros(int m, uint32_t chunk)
    {
        float rows[GPU_ACC_ROWS];
        GPU_UNROLL
        for (int r = 0; r < GPU_ACC_ROWS; r++) {
            rows[r] = 0.0f;
        }
        for (uint32_t c = segment; c <= chunk; c++) {
            GPU_UNROLL
            for (int i = 0; i < 8; i++) {
                if (gpu_acc_column_index(i) == 0) {
                    rows[gpu_acc_row_index(i)] +=
                            shared.sums[c % MMA_SUMS]
                                       [16 * m + gpu_acc_row(lane, i)];
                }
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
        GPU_UNROLL
        for (int s = 0; s < GPU_K_STEPS; s++) {
            struct gpu_a rows[PARTS];
            GPU_UNROLL
            for (int m = 0; m < PARTS; m++) {
                rows[m] = gpu_load_a(shared.a[stage % 2] + 16 * m * MMA_STRIDE +
                                             chunk * MMA_CHUNK_PAIRS,
                        MMA_STRIDE, lane, s);
            }
            GPU_UNROLL
            for (int n = 0; n < GPU_N_STEPS; n++) {
                uint32_t b[4 * GPU_STEP_WORDS];
                GPU_UNROLL
                for (int i = 0; i < GPU_STEP_WORDS; i++) {
                    int j = (s * GPU_N_STEPS + n) * GPU_STEP_WORDS + i;
                    CODE::numbers(b + 4 * i, words[chunk % GPU_WORDS_AHEAD][j]);
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
        group = segment = words_chunk = 0;
        next_words = qweight;
        group_end = p->b.group.d;
        GPU_UNROLL
        for (int slot = 0; slot < GPU_WORDS_AHEAD; slot++) {
            load_words(slot);
        }
        load_scales(0);
        load_rows(0);
        open_group();
        store_rows(0);
        gpu_barrier();
        for (uint32_t stage = 0; stage * GPU_STAGE < n_chunks; stage++) {
            bool more = (stage + 1) * GPU_STAGE < n_chunks;
            if (more) {
                load_rows(stage + 1);
            }
            GPU_UNROLL
            for (int c = 0; c < GPU_STAGE; c++) {
                uint32_t chunk = stage * GPU_STAGE + c;
                if (chunk < n_chunks) {
                    multiply(stage, c);
                    load_words(c % GPU_WORDS_AHEAD);
                    close_chunk(chunk);
                }
            }
            if (more) {
                store_rows(stage + 1);
                gpu_barrier();
            }
        }
    }

    /* What is due after a chunk: scaling, the next group. */
    GPU_INLINE void close_chunk(uint32_t chunk)
    {
        bool is_last = chunk + 1 == n_chunks;
        bool ends_group = chunk + 1 == group_end;
        if (is_last || ends_group || chunk + 1 == segment + MMA_SEGMENT) {
            end_segment(chunk);
        }
        if (ends_group && !is_last) {
            group++;
            group_end += p->b.group.d;
            open_group();
        }
    }

    /* ------------------------------------------------------------ results */

    /* Through shared memory, so that neighbouring threads write neighbouring
     * elements: 2 parts at a time. */
    GPU_INLINE void finish(uint32_t block)
    {
        float *out = (float *)shared.a;
        GPU_UNROLL
        for (int m = 0; m < PARTS; m += 2) {
            gpu_barrier();
            GPU_UNROLL
            for (int part = m; part < m + 2 && part < PARTS; part++) {
                GPU_UNROLL
                for (int i = 0; i < 16; i++) {
                    uint32_t row = 16 * (part - m) + gpu_acc_row(lane, i);
                    uint32_t c = 32 * wave + gpu_acc_column(lane, i);
                    out[row * MMA_OUT_STRIDE + c] = y[part].v[i];
                }
            }
            gpu_barrier();
            finish_rows(block, 16 * m, out);
        }
    }

    /* Rows of the block from `first` on, as many as there are in `out`. */
    GPU_INLINE void finish_rows(
            uint32_t block, uint32_t first, const float *out)
    {
        constexpr uint32_t n_rows = PARTS > 1 ? 32 : 16;
        for (uint32_t i = gpu_thread(); i < n_rows * W4_TILE_PAIRS;
                i += W4_GPU_MMA_THREADS) {
            uint32_t row = i / W4_TILE_PAIRS;
            uint32_t c = i % W4_TILE_PAIRS;
            uint32_t slot = gpu_block_slot(p, block, ROWS, first + row);
            if (slot < p->n_slots) {
                const float *pair =
                        out + row * MMA_OUT_STRIDE + c / 16 * 32 + c % 16;
                finish_pair(c, pair[0], pair[16], slot);
            }
        }
    }

    /* A column of the first half and the one opposite. */
    GPU_INLINE void finish_pair(uint32_t c, float x, float up, uint32_t slot)
    {
        uint32_t pairs = W4_TILE_PAIRS;
        uint32_t second = c + (p->b.gated ? tile.half : pairs);
        if (c >= tile.half) {
            return;
        }
        uint32_t natural = gpu_tile_column(&tile, c);
        x = gpu_finish(p, x, expert, natural, slot);
        if (second < tile.width) {
            up = gpu_finish(
                    p, up, expert, gpu_tile_column(&tile, second), slot);
        }
        if (p->result == W4_GPU_ACTIVATED) {
            x = gpu_activate(&p->activation, x, up);
        }
        gpu_store<TYPE>(p, slot, natural, x);
        bool paired = p->result == W4_GPU_ACTIVATED && p->b.gated;
        if (second < tile.width && !paired) {
            if (p->result == W4_GPU_ACTIVATED) {
                up = gpu_activate(&p->activation, up, up);
            }
            gpu_store<TYPE>(p, slot, gpu_tile_column(&tile, second), up);
        }
    }
};

template <class CODE, int ROWS>
GPU_INLINE void
mma_block(const struct w4_gpu_gemm *p, struct mma_shared<ROWS> shared)
{
    uint32_t block = gpu_block_x();
    int32_t expert = gpu_block_expert(p, block, ROWS);
    if (expert < 0) {
        return;
    }
    struct mma_run<CODE, ROWS> run;
    run.shared = shared;
    run.open(p, block, gpu_block_y());
    run.set_expert((uint32_t)gpu_uniform(expert));
    run.run();
    run.finish(block);
}

#define MMA_KERNEL(name, CODE, ROWS)                                           \
    GPU_KERNEL(W4_GPU_MMA_THREADS, name, w4_gpu_gemm, p)                       \
    {                                                                          \
        GPU_SHARED(uint32_t, rows, mma_shared<ROWS>::SIZE);                    \
        GPU_SHARED(float, sums, MMA_SUMS *ROWS);                               \
        struct mma_shared<ROWS> shared;                                        \
        shared.a = (uint32_t(*)[ROWS * MMA_STRIDE]) rows;                      \
        shared.sums = (float(*)[ROWS])sums;                                    \
        mma_block<CODE, ROWS>(&p, shared);                                     \
    }

/** All variants of a code. */
#define MMA_KERNELS(suffix, CODE)                                              \
    MMA_KERNEL(w4_mma16_##suffix, CODE, 16)                                    \
    MMA_KERNEL(w4_mma32_##suffix, CODE, 32)                                    \
    MMA_KERNEL(w4_mma64_##suffix, CODE, 64)

#endif
