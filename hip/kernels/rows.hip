/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * What is done with whole rows.
 *
 * w4_reduce: the sum of a token's slots, in their order. grid: x tokens, y 4
 * columns a thread.
 * w4_activate: the activation of rows. grid: x rows, y columns.
 * w4_clear: rows of zeros. grid: x rows, y columns.
 */
#include "blocks.h"

/* Slots whose sums are on their way at a time. */
enum { REDUCE_AHEAD = 8 };

/* 4 columns of a slot; zeros of one that is none, or not here. */
GPU_INLINE struct gpu_u4
reduce_load(const struct w4_gpu_reduce *p, uint32_t token, uint32_t choice,
        uint32_t column)
{
    struct gpu_u4 none = {{0, 0, 0, 0}};
    uint64_t slot = (uint64_t)token * p->choices + choice;
    bool is_here = choice < p->choices &&
                   (p->ids == nullptr ||
                           gpu_local_expert(p->ids[slot], p->expert_map,
                                   p->n_experts_global, p->n_experts) >= 0);
    return is_here ? gpu_load4(p->sums + slot * p->n_columns, column * 4)
                   : none;
}

GPU_KERNEL(W4_GPU_THREADS, w4_reduce, w4_gpu_reduce, p)
{
    uint32_t token = gpu_block_x();
    uint32_t column = (gpu_block_y() * W4_GPU_THREADS + gpu_thread()) * 4;
    if (column >= p.n_columns) {
        return;
    }
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (uint32_t first = 0; first < p.choices; first += REDUCE_AHEAD) {
        struct gpu_u4 v[REDUCE_AHEAD];
        GPU_UNROLL
        for (uint32_t j = 0; j < REDUCE_AHEAD; j++) {
            v[j] = reduce_load(&p, token, first + j, column);
        }
        GPU_UNROLL
        for (uint32_t j = 0; j < REDUCE_AHEAD; j++) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                sum[c] += gpu_from_bits(v[j].v[c]);
            }
        }
    }
    uint64_t at = token * p.out_stride + column;
    GPU_UNROLL
    for (int c = 0; c < 4; c++) {
        if (p.accumulate) {
            sum[c] += gpu_load_float(p.out, p.type, at + c);
        }
        gpu_store_float(p.out, p.type, at + c, sum[c]);
    }
}

GPU_KERNEL(W4_GPU_THREADS, w4_activate, w4_gpu_activate, p)
{
    uint32_t row = gpu_block_x();
    uint32_t column = gpu_block_y() * W4_GPU_THREADS + gpu_thread();
    if (column >= p.n_columns) {
        return;
    }
    uint64_t from = row * p.in_stride + column;
    float gate = gpu_load_float(p.in, p.type, from);
    float up =
            p.gated ? gpu_load_float(p.in, p.type, from + p.n_columns) : gate;
    gpu_store_float(p.out, p.type, row * p.out_stride + column,
            gpu_activate(&p.activation, gate, up));
}

GPU_KERNEL(W4_GPU_THREADS, w4_clear, w4_gpu_clear, p)
{
    uint32_t row = gpu_block_x();
    uint32_t column = gpu_block_y() * W4_GPU_THREADS + gpu_thread();
    if (column < p.n_columns) {
        gpu_store_float(p.out, p.type, row * p.out_stride + column, 0.0f);
    }
}
