/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * What is done with whole rows.
 *
 * w4_logits: tokens times rows of weights. A wave has some of both. grid: x
 * tokens / W4_GPU_LOGITS_TOKENS, y waves with rows / waves of a workgroup.
 * w4_reduce: the sum of a token's slots, in their order. grid: x tokens, y 4
 * columns a thread.
 * w4_activate: the activation of rows. grid: x rows, y columns.
 * w4_clear: rows of zeros. grid: x rows, y columns.
 */
#include "routing.h"

/* ------------------------------------------------------------------ logits */

/* 8 numbers of a row, from a multiple of 8 on. */
GPU_INLINE void
load8(float v[8], const void *row, uint32_t type, uint32_t first, bool aligned)
{
    if (!aligned) {
        GPU_UNROLL
        for (uint32_t j = 0; j < 8; j++) {
            v[j] = gpu_load_float(row, type, first + j);
        }
    } else if (type == W4MOE_F32) {
        struct gpu_u4 a = gpu_read4(row, 4 * first);
        struct gpu_u4 b = gpu_read4(row, 4 * first + 16);
        GPU_UNROLL
        for (int j = 0; j < 4; j++) {
            v[j] = gpu_from_bits(a.v[j]);
            v[4 + j] = gpu_from_bits(b.v[j]);
        }
    } else {
        struct gpu_u4 a = gpu_read4(row, 2 * first);
        GPU_UNROLL
        for (int j = 0; j < 8; j++) {
            uint32_t bits = a.v[j / 2] >> 16 * (j % 2) & 0xFFFF;
            v[j] = type == W4MOE_F16 ? gpu_f16_to_float(bits)
                                     : gpu_bf16_to_float(bits);
        }
    }
}

GPU_INLINE float
sum_of_wave(float x)
{
    x += gpu_shuffle_xor<1>(x);
    x += gpu_shuffle_xor<2>(x);
    x += gpu_shuffle_xor<4>(x);
    x += gpu_shuffle_xor<8>(x);
    return x + gpu_shuffle_xor<16>(x);
}

GPU_INLINE float
finish_dot(const struct w4_gpu_dots *dots, uint32_t row, float sum)
{
    if (dots->is_gate && sum == sum) {
        return (float)((double)dots->factor * w4_route_sigmoid((double)sum));
    }
    return dots->bias == nullptr
                   ? sum
                   : sum + gpu_load_float(dots->bias, dots->bias_type, row);
}

/* R rows of weights and N tokens. Each lane has a 32nd of the columns, in runs
 * of 8, and adds them up in their order, however they are loaded; so a sum does
 * not depend on what else the wave has. Behind the last token or row that is
 * taken once more. */
template <uint32_t N, uint32_t R>
GPU_INLINE void
dots_of_tokens(const struct w4_gpu_logits *p, const struct w4_gpu_dots *dots,
        uint32_t first_row, uint32_t first_token)
{
    uint32_t lane = gpu_thread() % LANES;
    uint64_t row_bytes =
            (uint64_t)p->n_columns * (dots->weight_type == W4MOE_F32 ? 4 : 2);
    const char *weight[R];
    const uint16_t *x[N];
    float sum[R][N];
    GPU_UNROLL
    for (uint32_t r = 0; r < R; r++) {
        uint32_t last = dots->n_rows - 1;
        uint32_t row = first_row + r < last ? first_row + r : last;
        weight[r] = (const char *)dots->weight + row * row_bytes;
    }
    GPU_UNROLL
    for (uint32_t t = 0; t < N; t++) {
        uint32_t last = p->n_tokens - 1;
        uint32_t token = first_token + t < last ? first_token + t : last;
        x[t] = (const uint16_t *)p->x + token * p->x_stride;
        GPU_UNROLL
        for (uint32_t r = 0; r < R; r++) {
            sum[r][t] = 0.0f;
        }
    }
    for (uint32_t c = 8 * lane; c < p->n_columns; c += 8 * LANES) {
        float w[R][8];
        GPU_UNROLL
        for (uint32_t r = 0; r < R; r++) {
            load8(w[r], weight[r], dots->weight_type, c, true);
        }
        GPU_UNROLL
        for (uint32_t t = 0; t < N; t++) {
            float v[8];
            load8(v, x[t], p->x_type, c, p->aligned != 0);
            GPU_UNROLL
            for (uint32_t r = 0; r < R; r++) {
                GPU_UNROLL
                for (int j = 0; j < 8; j++) {
                    sum[r][t] = gpu_fma(v[j], w[r][j], sum[r][t]);
                }
            }
        }
    }
    GPU_UNROLL
    for (uint32_t i = 0; i < R * N; i++) {
        uint32_t row = first_row + i / N;
        uint32_t token = first_token + i % N;
        float all = sum_of_wave(sum[i / N][i % N]);
        if (lane == 0 && row < dots->n_rows && token < p->n_tokens) {
            dots->out[(uint64_t)token * dots->n_rows + row] =
                    finish_dot(dots, row, all);
        }
    }
}

GPU_KERNEL(W4_GPU_THREADS, w4_logits, w4_gpu_logits, p)
{
    uint32_t wave = gpu_block_y() * (W4_GPU_THREADS / LANES) +
                    (uint32_t)gpu_uniform((int)(gpu_thread() / LANES));
    uint32_t token = gpu_block_x() * W4_GPU_LOGITS_TOKENS;
    uint32_t router_waves =
            (p.router.n_rows + p.wave_rows - 1) / p.wave_rows;
    bool is_gate = wave >= router_waves;
    struct w4_gpu_dots dots = is_gate ? p.gate : p.router;
    uint32_t row = (is_gate ? wave - router_waves : wave) * p.wave_rows;
    if (row >= dots.n_rows) {
        return;
    }
    if (p.wave_rows != 1) {
        dots_of_tokens<W4_GPU_LOGITS_TOKENS, W4_GPU_LOGITS_ROWS>(
                &p, &dots, row, token);
    } else if (p.n_tokens - token == 1) {
        dots_of_tokens<1, 1>(&p, &dots, row, token);
    } else {
        dots_of_tokens<W4_GPU_LOGITS_TOKENS, 1>(&p, &dots, row, token);
    }
}

/* ------------------------------------------------------------------- sums */

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
                   (p->ids == nullptr || gpu_local_expert(p->ids[slot],
                                                 &p->local, p->n_experts) >= 0);
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
    for (uint32_t s = 0; s < p.n_shared; s++) {
        uint32_t slot = token * p.n_shared + s;
        const float *sums = p.shared_sums + (uint64_t)slot * p.n_columns;
        struct gpu_u4 v = gpu_load4(sums, column * 4);
        float factor = p.shared_factor;
        if (p.shared_factors != nullptr) {
            factor = gpu_from_bits(gpu_load1(p.shared_factors, slot * 4));
        }
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            sum[c] = gpu_fma(factor, gpu_from_bits(v.v[c]), sum[c]);
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

/* ------------------------------------------------------------ activations */

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
