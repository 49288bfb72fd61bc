/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The kernels dot: up to 8 rows of activations times a tile of their expert, by
 * dot products, for few rows per expert.
 *
 * A workgroup has a block of rows and a tile. Its waves share the input
 * features in runs of 32; a lane has 4 neighbouring columns. The waves' sums
 * meet in shared memory and are added in a fixed order.
 *
 * grid: x tiles, y blocks, or tokens.
 */
#ifndef W4_HIP_DOT_H
#define W4_HIP_DOT_H

#include "dot_run.h"

/** Sum of what the waves have of a row and a column, in the order of their
 * input features. */
template <class V>
GPU_INLINE float
dot_total(const float *shared, uint32_t row, uint32_t column)
{
    float sum = 0.0f;
    GPU_UNROLL
    for (int wave = 0; wave < V::WAVES; wave++) {
        sum += shared[(wave * V::ROWS + row) * W4_TILE_COLUMNS + column];
    }
    return sum;
}

/** Results of a block of rows. */
template <class V>
GPU_INLINE void
dot_finish(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        const float *shared, uint32_t block, uint32_t expert)
{
    typedef typename V::CODE::type TYPE;
    bool paired = p->result == W4_GPU_ACTIVATED && p->b.gated;
    uint32_t columns = W4_TILE_COLUMNS;
    uint32_t width = paired ? columns / 2 : columns;
    for (uint32_t i = gpu_thread(); i < V::ROWS * width; i += V::THREADS) {
        uint32_t row = i / width;
        uint32_t column = i % width;
        uint32_t slot = gpu_block_slot(p, block, V::ROWS, row);
        if (slot >= p->n_slots ||
                column >= (paired ? tile->half : tile->width)) {
            continue;
        }
        uint32_t natural = gpu_tile_column(tile, column);
        float x = gpu_finish(
                p, dot_total<V>(shared, row, column), expert, natural, slot);
        if (p->result == W4_GPU_ACTIVATED) {
            float up = 0.0f;
            if (paired) {
                uint32_t opposite = column + tile->half;
                up = gpu_finish(p, dot_total<V>(shared, row, opposite), expert,
                        gpu_tile_column(tile, opposite), slot);
            }
            x = gpu_activate(&p->activation, x, up);
        }
        gpu_store<TYPE>(p, slot, natural, x);
    }
}

/** The result of a token, whose slots' factors are in the sums already. */
template <class V>
GPU_INLINE void
dot_finish_token(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        const float *shared, uint32_t token)
{
    typedef typename V::CODE::type TYPE;
    uint32_t column = gpu_thread();
    if (column < tile->width) {
        gpu_finish_token<TYPE>(p, token, gpu_tile_column(tile, column),
                dot_total<V>(shared, 0, column));
    }
}

/** Sets up a wave: its tile and columns. */
template <class V>
GPU_INLINE void
dot_open(struct dot_run<V> *run, const struct w4_gpu_gemm *p)
{
    run->p = p;
    run->lane = gpu_thread() % 32;
    run->tile = gpu_tile_at(&p->b, gpu_block_x());
    const struct w4_gpu_place *tile = &run->tile;
    uint32_t column = run->lane * 4;
    /* A lane without columns works on the first ones, for nobody. */
    column = column < tile->width ? column : 0;
    run->offset = gpu_tile_offset(tile, column);
    GPU_UNROLL
    for (int i = 0; i < V::CHUNK; i++) {
        run->word_bytes[i] = (run->offset + i * tile->word_stride) * 4;
    }
    run->second_perm = p->b.n_perms == 2 && column >= tile->half;
}

/** The same: its expert. */
template <class V>
GPU_INLINE void
dot_set_expert(
        struct dot_run<V> *run, const struct w4_gpu_matrix *m, uint32_t expert)
{
    run->qweight = gpu_expert_qweight(m, expert);
    gpu_set_arrays(run, m, expert);
    run->perm = nullptr;
    if (V::GATHER && m->perm != nullptr) {
        uint64_t which = (uint64_t)expert * m->n_perms + run->second_perm;
        run->perm = m->perm + which * m->n_in;
    }
}

template <class V>
GPU_INLINE void
dot_put(float *shared, const struct dot_run<V> *run, unsigned wave,
        const float y[V::ROWS][4])
{
    GPU_UNROLL
    for (int r = 0; r < V::ROWS; r++) {
        float *to =
                shared + (wave * V::ROWS + r) * W4_TILE_COLUMNS + run->lane * 4;
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            to[c] = y[r][c];
        }
    }
}

/** Activations of a slot, as pairs. */
GPU_INLINE const uint32_t *
dot_row(const struct w4_gpu_gemm *p, uint32_t slot)
{
    return (const uint32_t *)gpu_row(p, gpu_slot_row(p, slot));
}

/** Share `i` of `n` of the chunks of a run. */
GPU_INLINE uint32_t
dot_share(uint32_t n_chunks, uint32_t i, uint32_t n)
{
    return n_chunks * i / n;
}

/** A block of rows of one expert. */
template <class V>
GPU_INLINE void
dot_block(const struct w4_gpu_gemm *p, float *shared)
{
    uint32_t block = gpu_block(p);
    int32_t expert = gpu_block_expert(p, block, V::ROWS);
    if (expert < 0) {
        return;
    }
    unsigned wave = (unsigned)gpu_uniform((int)(gpu_thread() / 32));
    struct dot_run<V> run;
    dot_open(&run, p);
    dot_set_expert(&run, &p->b, (uint32_t)gpu_uniform(expert));
    GPU_UNROLL
    for (int r = 0; r < V::ROWS; r++) {
        run.a[r] = dot_row(p, gpu_block_slot(p, block, V::ROWS, r));
    }
    uint32_t n_chunks = p->b.n_in / (W4_WORD_CODES * V::CHUNK);
    uint32_t first = dot_share(n_chunks, wave, V::WAVES);
    uint32_t last = dot_share(n_chunks, wave + 1, V::WAVES);
    float y[V::ROWS][4] = {};
    if (first < last) {
        run.run(first, last);
        GPU_UNROLL
        for (int r = 0; r < V::ROWS; r++) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                y[r][c] = run.y[r][c];
            }
        }
    }
    dot_put(shared, &run, wave, y);
    gpu_barrier();
    dot_finish<V>(V::ROWS > 1 || V::GATHER ? gpu_again(p) : p, &run.tile,
            shared, block, (uint32_t)expert);
}

/** All experts of a token, one after another, the waves sharing them all. */
template <class V>
GPU_INLINE void
dot_token(const struct w4_gpu_gemm *p, float *shared)
{
    uint32_t token = gpu_block(p);
    unsigned wave = (unsigned)gpu_uniform((int)(gpu_thread() / 32));
    uint32_t n_chunks = p->b.n_in / (W4_WORD_CODES * V::CHUNK);
    uint32_t at = dot_share(n_chunks * p->choices, wave, V::WAVES);
    uint32_t last = dot_share(n_chunks * p->choices, wave + 1, V::WAVES);
    uint32_t choice = (uint32_t)gpu_uniform((int)(at / n_chunks));
    uint32_t first = at - choice * n_chunks;
    struct dot_run<V> run;
    dot_open(&run, p);
    float y[1][4] = {};
    for (uint32_t n; at < last; at += n, choice++, first = 0) {
        n = n_chunks - first;
        n = n < last - at ? n : last - at;
        const struct w4_gpu_gemm *now = gpu_again(p);
        uint32_t slot = token * now->choices + choice;
        int32_t expert = gpu_block_expert(now, slot, 1);
        if (expert < 0) {
            continue;
        }
        dot_set_expert(&run, &now->b, (uint32_t)gpu_uniform(expert));
        run.a[0] = dot_row(now, slot);
        run.run(first, first + n);
        float factor =
                now->slot_weights != nullptr ? now->slot_weights[slot] : 1.0f;
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            y[0][c] = gpu_fma(factor, run.y[0][c], y[0][c]);
        }
    }
    dot_put(shared, &run, wave, y);
    gpu_barrier();
    dot_finish_token<V>(gpu_again(p), &run.tile, shared, token);
}

/** A kernel of that name; the rest are a variant's parameters. */
#define DOT_KERNEL(name, ...)                                                  \
    GPU_KERNEL(W4_GPU_DOT_THREADS, name, w4_gpu_gemm, p)                       \
    {                                                                          \
        typedef dot_variant<__VA_ARGS__, W4_GPU_DOT_THREADS> V;                \
        GPU_SHARED(float, shared, V::SHARED);                                  \
        dot_block<V>(&p, shared);                                              \
    }

#define DOT_TOKEN_KERNEL(name, ...)                                            \
    GPU_KERNEL(W4_GPU_TOKEN_THREADS, name, w4_gpu_gemm, p)                     \
    {                                                                          \
        typedef dot_variant<__VA_ARGS__, W4_GPU_TOKEN_THREADS> V;              \
        GPU_SHARED(float, shared, V::SHARED);                                  \
        dot_token<V>(&p, shared);                                              \
    }

/** All variants of a code; hip/plan.c chooses. */
#define DOT_KERNELS(suffix, CODE)                                              \
    DOT_KERNEL(w4_dot1_##suffix, CODE, 1, 4, false)                            \
    DOT_KERNEL(w4_dot2_##suffix, CODE, 2, 4, false)                            \
    DOT_KERNEL(w4_dot4_##suffix, CODE, 4, 4, false)                            \
    DOT_KERNEL(w4_dot8_##suffix, CODE, 8, 4, false)                            \
    DOT_KERNEL(w4_dot1_gather_##suffix, CODE, 1, 4, true)                      \
    DOT_KERNEL(w4_dot4_gather_##suffix, CODE, 4, 4, true)                      \
    DOT_KERNEL(w4_dot1_any_##suffix, CODE, 1, 1, true)                         \
    DOT_TOKEN_KERNEL(w4_token_##suffix, CODE, 1, 4, false)                     \
    DOT_TOKEN_KERNEL(w4_token_gather_##suffix, CODE, 1, 4, true)               \
    DOT_TOKEN_KERNEL(w4_token_any_##suffix, CODE, 1, 1, true)

#endif
