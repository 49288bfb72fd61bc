/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The kernels split: up to 8 rows of activations times a tile of their expert,
 * by matrix instructions that have 8 rows, where there are such.
 *
 * A lane has 4 neighbouring columns and, in w13, the 4 opposite in the tile's
 * second half. Words and rows come several chunks of 32 k ahead, to a part of
 * shared memory that is the wave's own, so that no wave waits for another.
 * Waves stand beside each other, or share the input features, so that few rows
 * are work for all of a GPU. The sums meet in shared memory; shares are added
 * in their order.
 *
 * grid: x tiles times PIECES, y blocks, or tokens. Groups and K are multiples
 * of 32, rows begin at multiples of 16 bytes.
 */
#ifndef W4_HIP_SPLIT_H
#define W4_HIP_SPLIT_H

#include "split_run.h"

#ifdef GPU_HAS_PARTS

/** Number of the first of 4 columns in the first half of a tile; those in the
 * second are opposite. */
template <class V>
GPU_INLINE uint32_t
split_column(uint32_t line, uint32_t piece, uint32_t wave)
{
    return (piece * V::GROUPS + wave % V::GROUPS) * 32 + line * 4;
}

/** Places of such columns. Who has none works on the first ones, for nobody. */
template <class V>
GPU_INLINE void
split_offsets(uint32_t offset[V::HALVES], const struct w4_gpu_gemm *p,
        const struct w4_gpu_place *tile, uint32_t c)
{
    uint32_t pairs = W4_TILE_PAIRS;
    GPU_UNROLL
    for (int h = 0; h < V::HALVES; h++) {
        uint32_t column = c + h * (p->b.gated ? tile->half : pairs);
        bool is_none = c >= tile->half || column >= tile->width;
        offset[h] = is_none ? 0 : gpu_tile_offset(tile, column);
    }
}

/** Sets up a wave: its tile and columns. */
template <class V>
GPU_INLINE void
split_open(struct split_run<V> *run, const struct w4_gpu_gemm *p,
        uint32_t *shared, uint32_t index, uint32_t piece, uint32_t wave)
{
    run->p = p;
    run->lane = gpu_thread() % 32;
    run->set_ring(shared + wave * V::RING);
    run->tile = gpu_tile_at(&p->b, index);
    split_offsets<V>(run->offset, p, &run->tile,
            split_column<V>(gpu_part_line(run->lane), piece, wave));
    split_offsets<V>(run->copy_offset, p, &run->tile,
            split_column<V>(run->lane % 8, piece, wave));
}

/** The same: its expert. */
template <class V>
GPU_INLINE void
split_set_expert(struct split_run<V> *run, uint32_t expert)
{
    const struct w4_gpu_matrix *m = &run->p->b;
    run->qweight = gpu_expert_qweight(m, expert);
    gpu_set_arrays(run, m, expert);
}

/** The lane's row: that of a slot. */
template <class V>
GPU_INLINE void
split_set_row(struct split_run<V> *run, uint32_t slot, bool is_row)
{
    const struct w4_gpu_gemm *p = run->p;
    run->a = (const uint32_t *)gpu_row(p, gpu_slot_row(p, slot));
    run->has_row = is_row && slot < p->n_slots;
}

/** The wave's sums, to its part of shared memory. */
template <class V>
GPU_INLINE void
split_put(uint32_t *shared, unsigned lane, uint32_t wave,
        const struct gpu_part y[V::PARTS])
{
    float *to = (float *)(shared + wave * V::RING) + gpu_part_line(lane) * 4;
    GPU_UNROLL
    for (int j = 0; j < 4 * V::PARTS; j++) {
        uint32_t row = gpu_part_row(lane, j % 4);
        if (row < V::ROWS) {
            to[(row * V::HALVES + j / 8) * 32 + j / 2 % 4] = y[j / 4].v[j % 4];
        }
    }
}

/** The sum of all shares, in their order, for column c of the workgroup. */
template <class V>
GPU_INLINE float
split_total(const uint32_t *shared, uint32_t row, uint32_t half, uint32_t c)
{
    float sum = 0.0f;
    GPU_UNROLL
    for (int share = 0; share < V::SHARES; share++) {
        const float *from =
                (const float *)(shared +
                                (share * V::GROUPS + c / 32) * V::RING);
        sum += from[(row * V::HALVES + half) * 32 + c % 32];
    }
    return sum;
}

/** Results of a block, if gpu_is_plain(). */
template <class V>
GPU_INLINE void
split_finish4(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        const uint32_t *shared, uint32_t block, uint32_t piece)
{
    for (uint32_t i = gpu_thread(); i < V::ROWS * V::COLUMNS / 4;
            i += V::THREADS) {
        uint32_t row = i / (V::COLUMNS / 4);
        uint32_t c = i % (V::COLUMNS / 4) * 4;
        uint32_t slot = gpu_block_slot(p, block, V::ROWS, row);
        if (slot < p->n_slots) {
            float x[4];
            float up[4];
            GPU_UNROLL
            for (int j = 0; j < 4; j++) {
                x[j] = split_total<V>(shared, row, 0, c + j);
                up[j] = split_total<V>(shared, row, 1, c + j);
            }
            gpu_finish4<typename V::CODE::type>(
                    p, tile, piece * V::COLUMNS + c, x, up, slot);
        }
    }
}

/** Results of a block. */
template <class V>
GPU_INLINE void
split_finish(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        const uint32_t *shared, uint32_t block, uint32_t piece, uint32_t expert)
{
    typedef typename V::CODE::type TYPE;
    if (gpu_is_plain(p)) {
        split_finish4<V>(p, tile, shared, block, piece);
        return;
    }
    for (uint32_t i = gpu_thread(); i < V::ROWS * V::COLUMNS; i += V::THREADS) {
        uint32_t row = i / V::COLUMNS;
        uint32_t c = i % V::COLUMNS;
        uint32_t slot = gpu_block_slot(p, block, V::ROWS, row);
        if (slot < p->n_slots) {
            gpu_finish_pair<TYPE>(p, tile, expert, piece * V::COLUMNS + c,
                    split_total<V>(shared, row, 0, c),
                    split_total<V>(shared, row, 1, c), slot);
        }
    }
}

/** A block of rows of one expert. */
template <class V>
GPU_INLINE void
split_block(const struct w4_gpu_gemm *p, uint32_t *shared)
{
    static_assert(V::HALVES == 2, "columns opposite each other");
    uint32_t block = gpu_block(p);
    uint32_t index = gpu_block_x() / V::PIECES;
    uint32_t piece = gpu_block_x() % V::PIECES;
    int32_t expert = gpu_block_expert(p, block, V::ROWS);
    if (expert < 0) {
        return;
    }
    uint32_t wave = (uint32_t)gpu_uniform((int)(gpu_thread() / 32));
    struct split_run<V> run;
    split_open(&run, p, shared, index, piece, wave);
    split_set_expert(&run, (uint32_t)gpu_uniform(expert));
    uint32_t row = gpu_part_line(run.lane);
    bool is_row = row < V::ROWS;
    split_set_row(
            &run, gpu_block_slot(p, block, V::ROWS, is_row ? row : 0), is_row);
    uint32_t n_chunks = p->b.n_in / 32;
    uint32_t share = wave / V::GROUPS;
    run.run(n_chunks * share / V::SHARES, n_chunks * (share + 1) / V::SHARES);
    gpu_wave_barrier();
    split_put<V>(shared, run.lane, wave, run.y);
    gpu_barrier();
    split_finish<V>(p, &run.tile, shared, block, piece, (uint32_t)expert);
}

/** The result of a token, whose slots' factors are in the sums already. */
template <class V>
GPU_INLINE void
split_finish_token(const struct split_run<V> *run, const uint32_t *shared,
        uint32_t piece, uint32_t token)
{
    typedef typename V::CODE::type TYPE;
    const struct w4_gpu_gemm *p = run->p;
    uint32_t c = gpu_thread();
    if (c < V::COLUMNS && piece * V::COLUMNS + c < run->tile.width) {
        gpu_finish_token<TYPE>(p, token,
                gpu_tile_column(&run->tile, piece * V::COLUMNS + c),
                split_total<V>(shared, 0, 0, c));
    }
}

/** All experts of a token, one after another, the waves sharing them all. */
template <class V>
GPU_INLINE void
split_token(const struct w4_gpu_gemm *p, uint32_t *shared)
{
    uint32_t token = gpu_block(p);
    uint32_t index = gpu_block_x() / V::PIECES;
    uint32_t piece = gpu_block_x() % V::PIECES;
    uint32_t wave = (uint32_t)gpu_uniform((int)(gpu_thread() / 32));
    uint32_t n_chunks = p->b.n_in / 32;
    uint32_t share = wave / V::GROUPS;
    uint32_t at = n_chunks * p->choices * share / V::SHARES;
    uint32_t end = n_chunks * p->choices * (share + 1) / V::SHARES;
    uint32_t choice = at / n_chunks;
    uint32_t first = at - choice * n_chunks;
    struct split_run<V> run;
    split_open(&run, p, shared, index, piece, wave);
    struct gpu_part y[V::PARTS] = {};
    for (uint32_t n; at < end; at += n, choice++, first = 0) {
        n = n_chunks - first;
        n = n < end - at ? n : end - at;
        uint32_t slot = token * p->choices + choice;
        int32_t expert = gpu_block_expert(p, slot, 1);
        if (expert < 0) {
            continue;
        }
        split_set_expert(&run, (uint32_t)gpu_uniform(expert));
        split_set_row(&run, slot, gpu_part_line(run.lane) == 0);
        run.run(first, first + n);
        float factor =
                p->slot_weights != nullptr ? p->slot_weights[slot] : 1.0f;
        GPU_UNROLL
        for (int j = 0; j < 4 * V::PARTS; j++) {
            float *total = &y[j / 4].v[j % 4];
            *total = gpu_fma(factor, run.y[j / 4].v[j % 4], *total);
        }
    }
    gpu_wave_barrier();
    split_put<V>(shared, run.lane, wave, y);
    gpu_barrier();
    split_finish_token<V>(&run, shared, piece, token);
}

/** A kernel of that name; the rest are a variant's parameters. */
#define SPLIT_KERNEL(name, body, threads, pieces, ...)                         \
    GPU_KERNEL(threads, name, w4_gpu_gemm, p)                                  \
    {                                                                          \
        typedef split_variant<__VA_ARGS__> V;                                  \
        static_assert(                                                         \
                V::THREADS == threads && V::PIECES == pieces, "params.h");     \
        GPU_SHARED(uint32_t, shared, V::WAVES *V::RING);                       \
        body<V>(&p, shared);                                                   \
    }

/** All variants of a code; hip/plan.c chooses. */
#define SPLIT_KERNELS(suffix, CODE)                                            \
    SPLIT_KERNEL(w4_split1_##suffix, split_block, W4_GPU_SPLIT1_THREADS,       \
            W4_GPU_SPLIT1_PIECES, CODE, 1, 2, 1, W4_GPU_SPLIT1_THREADS / 32,   \
            4)                                                                 \
    SPLIT_KERNEL(w4_split8_##suffix, split_block, W4_GPU_SPLIT8_THREADS,       \
            W4_GPU_SPLIT8_PIECES, CODE, 8, 2, 2, W4_GPU_SPLIT8_THREADS / 64,   \
            4)                                                                 \
    SPLIT_KERNEL(w4_split_token_##suffix, split_token,                         \
            W4_GPU_SPLIT_TOKEN_THREADS, W4_GPU_SPLIT_TOKEN_PIECES, CODE, 1, 1, \
            1, W4_GPU_SPLIT_TOKEN_THREADS / 32, 3)

#endif /* GPU_HAS_PARTS */

#endif
