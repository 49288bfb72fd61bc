/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * What is done with whole rows.
 *
 * w4_logits: tokens times rows of weights. A wave has some of both. grid: x
 * tokens / W4_GPU_LOGITS_TOKENS, y waves with rows / waves of a workgroup.
 * w4_reduce: the sum of a token's slots, in their order. w4_combine: that of
 * any rows. grid: x tokens, y 4 columns a thread.
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

/* Rows of a sum that are on their way at a time. */
enum { ROWS_AHEAD = 8 };

/* The thread's first column. */
GPU_INLINE uint32_t
sum_column(void)
{
    return (gpu_block_y() * W4_GPU_THREADS + gpu_thread()) * 4;
}

/* 4 columns of a row as they stand in memory, of which those below `end` are
 * there: a word each, or half of one. `whole`: all are, and aligned. */
GPU_INLINE struct gpu_u4
load4(const void *row, bool wide, bool whole, uint32_t column, uint32_t end)
{
    struct gpu_u4 r = {{0, 0, 0, 0}};
    if (whole && wide) {
        return gpu_load4(row, column * 4);
    }
    if (whole) {
        struct gpu_u2 half = gpu_load2(row, column * 2);
        r.v[0] = half.v[0];
        r.v[1] = half.v[1];
        return r;
    }
    GPU_UNROLL
    for (uint32_t c = 0; c < 4; c++) {
        if (column + c < end && wide) {
            r.v[c] = gpu_load1(row, (column + c) * 4);
        } else if (column + c < end) {
            r.v[c / 2] |= gpu_load_u16(row, (column + c) * 2) << 16 * (c % 2);
        }
    }
    return r;
}

/* Column c of them. */
GPU_INLINE float
number4(const struct gpu_u4 *raw, uint32_t type, bool wide, int c)
{
    if (wide) {
        return gpu_from_bits(raw->v[c]);
    }
    uint32_t bits = raw->v[c / 2] >> 16 * (c % 2) & 0xFFFF;
    return type == W4MOE_F16 ? gpu_f16_to_float(bits) : gpu_bf16_to_float(bits);
}

GPU_INLINE void
store4(void *row, uint32_t type, bool whole, uint32_t column, uint32_t end,
        const float x[4])
{
    if (!whole) {
        GPU_UNROLL
        for (uint32_t c = 0; c < 4; c++) {
            if (column + c < end) {
                gpu_store_float(row, type, column + c, x[c]);
            }
        }
    } else if (type == W4MOE_F32) {
        struct gpu_u4 v = {{gpu_bits(x[0]), gpu_bits(x[1]), gpu_bits(x[2]),
                gpu_bits(x[3])}};
        gpu_write4((float *)row + column, v);
    } else {
        uint32_t h[4];
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            h[c] = type == W4MOE_F16 ? gpu_float_to_f16(x[c])
                                     : gpu_float_to_bf16(x[c]);
        }
        struct gpu_u2 v = {{h[0] | h[1] << 16, h[2] | h[3] << 16}};
        gpu_write2((uint16_t *)row + column, v);
    }
}

/* Whether 4 columns from a multiple of 4 on are aligned to their size in every
 * row. */
GPU_INLINE bool
aligned4(const void *rows, uint64_t stride, uint32_t type)
{
    return stride % 4 == 0 &&
           (uint64_t)rows % (type == W4MOE_F32 ? 16 : 8) == 0;
}

GPU_INLINE char *
row_at(const void *rows, uint64_t row, uint64_t stride, uint32_t type)
{
    return (char *)rows + row * stride * (type == W4MOE_F32 ? 4 : 2);
}

/* What the sum begins with. */
GPU_INLINE void
begin_sum(float sum[4], const void *out, uint32_t type, bool accumulate,
        bool whole, uint32_t column, uint32_t end)
{
    GPU_UNROLL
    for (int c = 0; c < 4; c++) {
        sum[c] = 0.0f;
    }
    if (accumulate) {
        struct gpu_u4 v = load4(out, type == W4MOE_F32, whole, column, end);
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            sum[c] = number4(&v, type, type == W4MOE_F32, c);
        }
    }
}

/* Adds n rows in their order: LIST says where they are, NULL for none. */
template <bool WIDE, bool WHOLE, class LIST>
GPU_INLINE void
add_rows(float sum[4], const LIST *list, uint32_t n, uint32_t type,
        uint32_t column, uint32_t end)
{
    for (uint32_t first = 0; first < n; first += ROWS_AHEAD) {
        struct gpu_u4 v[ROWS_AHEAD];
        GPU_UNROLL
        for (uint32_t j = 0; j < ROWS_AHEAD; j++) {
            struct gpu_u4 none = {{0, 0, 0, 0}};
            const void *row =
                    first + j < n ? list->row(first + j) : nullptr;
            v[j] = row != nullptr ? load4(row, WIDE, WHOLE, column, end) : none;
        }
        GPU_UNROLL
        for (uint32_t j = 0; j < ROWS_AHEAD; j++) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                sum[c] += number4(&v[j], type, WIDE, c);
            }
        }
    }
}

/* The slots of a token whose experts are here. */
struct slots_of_token {
    const struct w4_gpu_reduce *p;
    uint32_t token;

    GPU_INLINE const void *row(uint32_t choice) const
    {
        uint64_t slot = (uint64_t)token * p->choices + choice;
        int32_t expert =
                gpu_local_expert(p->ids[slot], &p->local, p->n_experts);
        return expert >= 0 ? p->sums + slot * p->n_columns : nullptr;
    }
};

GPU_KERNEL(W4_GPU_THREADS, w4_reduce, w4_gpu_reduce, p)
{
    uint32_t token = gpu_block_x();
    uint32_t column = sum_column();
    if (column >= p.n_columns) {
        return;
    }
    void *out = row_at(p.out, token, p.out_stride, p.type);
    bool whole = aligned4(p.out, p.out_stride, p.type);
    struct slots_of_token slots = {&p, token};
    float sum[4];
    begin_sum(sum, out, p.type, p.accumulate != 0, whole, column, p.n_columns);
    add_rows<true, true>(
            sum, &slots, p.choices, W4MOE_F32, column, p.n_columns);
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
    store4(out, p.type, whole, column, p.n_columns, sum);
}

/* The rows of a token. */
struct rows_of_token {
    const struct w4_gpu_combine *p;
    uint64_t first;

    GPU_INLINE const void *row(uint32_t j) const
    {
        uint64_t row = first + j;
        if (p->row_ids != nullptr) {
            row = (uint32_t)p->row_ids[row];
        }
        return row < p->n_rows
                       ? row_at(p->rows, row, p->row_stride, p->row_type)
                       : nullptr;
    }
};

GPU_KERNEL(W4_GPU_THREADS, w4_combine, w4_gpu_combine, p)
{
    uint32_t token = gpu_block_x();
    uint32_t column = sum_column();
    uint32_t end = p.n_columns;
    if (column >= end) {
        return;
    }
    void *out = row_at(p.out, token, p.out_stride, p.out_type);
    bool all = end - column >= 4;
    bool whole_out = all && aligned4(p.out, p.out_stride, p.out_type);
    bool whole = all && aligned4(p.rows, p.row_stride, p.row_type);
    struct rows_of_token rows = {&p, (uint64_t)token * p.k};
    float sum[4];
    begin_sum(sum, out, p.out_type, p.accumulate != 0, whole_out, column, end);
    if (p.row_type == W4MOE_F32 && whole) {
        add_rows<true, true>(sum, &rows, p.k, W4MOE_F32, column, end);
    } else if (p.row_type == W4MOE_F32) {
        add_rows<true, false>(sum, &rows, p.k, W4MOE_F32, column, end);
    } else if (whole) {
        add_rows<false, true>(sum, &rows, p.k, p.row_type, column, end);
    } else {
        add_rows<false, false>(sum, &rows, p.k, p.row_type, column, end);
    }
    store4(out, p.out_type, whole_out, column, end, sum);
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
