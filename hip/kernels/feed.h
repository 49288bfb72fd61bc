/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * How rows of activations and words of codes come to the waves of the kernels
 * mma: a stage of GPU_STAGE chunks of 32 k at a time.
 *
 *   struct mma_feed<TYPE, ROWS>
 *     SIZE                   u32 of shared memory
 *     set(p, memory, sums, needs_sums)
 *                            what the workgroup shares: memory, and MMA_SUMS
 *                            sums of each row
 *     open(tile, lane, wave) the workgroup's tile
 *     set_row(i, row)        of piece i of the thread, of the row piece_row(i)
 *                            of the block: its row of activations
 *     set_expert(qweight, perm)
 *     start()                first stages set out
 *     enter(stage)           the stage has come, for all waves
 *     rows(stage, chunk, m, s)
 *                            what the lane brings of part m (16 rows) to step s
 *     words(words, stage, chunk)
 *                            the lane's words
 *     pass_chunk()           the words are used
 *     leave(stage)           the stage is used
 *     row_sum(chunk, row)    sum of a row's activations over a chunk, of this
 *                            stage or one less than MMA_SUMS chunks before
 */
#ifndef W4_HIP_FEED_H
#define W4_HIP_FEED_H

#include "blocks.h"

enum {
    /* Pieces of 16 bytes of a row that a chunk, and a stage, consists of. */
    MMA_CHUNK_PIECES = 4,
    MMA_STAGE_PIECES = GPU_STAGE * MMA_CHUNK_PIECES,
    /* Chunks whose rows' sums are kept. */
    MMA_SUMS = 16,
    /* Words of a chunk that a lane has. */
    MMA_WORDS = GPU_K_STEPS * GPU_N_STEPS * GPU_STEP_WORDS
};

/** Word j of a lane is word i of step (s, n). */
GPU_INLINE uint32_t
mma_word_i(uint32_t j)
{
    return j % GPU_STEP_WORDS;
}

GPU_INLINE uint32_t
mma_word_n(uint32_t j)
{
    return j / GPU_STEP_WORDS % GPU_N_STEPS;
}

GPU_INLINE uint32_t
mma_word_s(uint32_t j)
{
    return j / (GPU_STEP_WORDS * GPU_N_STEPS);
}

/** Column of a tile that is column c, 0 .. 63, of its first half, or opposite
 * it; width or more: none. */
GPU_INLINE uint32_t
mma_column(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        uint32_t c, bool opposite)
{
    if (p->b.gated) {
        return c >= tile->half ? tile->width : opposite ? c + tile->half : c;
    }
    return opposite ? c + W4_TILE_PAIRS : c;
}

/** The pieces of rows that the threads of a workgroup bring, and their sums. */
template <class TYPE, int ROWS> struct mma_pieces {
    static constexpr int PIECES = ROWS * MMA_STAGE_PIECES / W4_GPU_MMA_THREADS;
    static_assert(ROWS * MMA_STAGE_PIECES % W4_GPU_MMA_THREADS == 0,
            "threads bring whole pieces");

    const struct w4_gpu_gemm *p;
    uint32_t n_chunks;
    const int32_t *perm;
    uint32_t a[PIECES];
    uint32_t *memory;
    float *sums;
    bool needs_sums;

    GPU_INLINE void set(const struct w4_gpu_gemm *gemm, uint32_t *shared,
            float *shared_sums, bool with_sums)
    {
        p = gemm;
        n_chunks = p->b.n_in / 32;
        memory = shared;
        sums = shared_sums;
        needs_sums = with_sums;
    }

    static GPU_INLINE uint32_t piece_row(int i)
    {
        return (gpu_thread() + i * W4_GPU_MMA_THREADS) / MMA_STAGE_PIECES;
    }

    static GPU_INLINE uint32_t piece_column(int i)
    {
        return (gpu_thread() + i * W4_GPU_MMA_THREADS) % MMA_STAGE_PIECES;
    }

    GPU_INLINE bool has_piece(int i, uint32_t stage) const
    {
        return stage * MMA_STAGE_PIECES + piece_column(i) <
               n_chunks * MMA_CHUNK_PIECES;
    }

    GPU_INLINE const uint16_t *row_of(int i) const
    {
        return gpu_row(p, a[i]);
    }

    GPU_INLINE struct gpu_u4 gather(int i, uint32_t stage) const
    {
        return gpu_gather(row_of(i), perm,
                (stage * MMA_STAGE_PIECES + piece_column(i)) * 8);
    }

    /* Adds a piece up with the other three of its row and chunk. */
    GPU_INLINE void add_up(int i, uint32_t stage, struct gpu_u4 piece)
    {
        float s = 0.0f;
        GPU_UNROLL
        for (int j = 0; j < 4; j++) {
            s = TYPE::dot(TYPE::PAIR_OF_ONES, piece.v[j], s);
        }
        s += gpu_shuffle_xor<1>(s);
        s += gpu_shuffle_xor<2>(s);
        uint32_t at = piece_column(i);
        uint32_t chunk = stage * GPU_STAGE + at / MMA_CHUNK_PIECES;
        if (at % MMA_CHUNK_PIECES == 0) {
            sums[chunk % MMA_SUMS * ROWS + piece_row(i)] = s;
        }
    }

    GPU_INLINE float row_sum(uint32_t chunk, uint32_t row) const
    {
        return sums[chunk % MMA_SUMS * ROWS + row];
    }
};

#ifdef GPU_HAS_ASYNC
#include "feed_async.h"
#else
#include "feed_direct.h"
#endif

#endif
