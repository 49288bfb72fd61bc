/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* From packed weights back to floats: the definition of the layout in code. */
#include "base/abi.h"
#include "base/half.h"
#include "format/matrix.h"

void
w4_dequantize_group(float values[16], const w4moe_matrix *m,
        const struct w4_expert *e, const struct w4_tile *tile, uint32_t c,
        size_t group)
{
    uint64_t offset = w4_tile_offset(tile, c);
    uint64_t place = tile->scale + offset + group * tile->scale_stride;
    float scale = w4_load_float(e->scales, m->scale_dtype, place);
    unsigned zero = W4_ZERO_SYMMETRIC;
    if (e->qzeros != NULL) {
        uint32_t zeros = e->qzeros[tile->zero + offset / W4_WORD_ZEROS +
                                   group * tile->zero_stride];
        zero = w4_zero_of_word(zeros, offset % W4_WORD_ZEROS);
    }
    for (int code = 0; code < 16; code++) {
        if (m->code == W4MOE_CODE_E2M1) {
            values[code] = w4_e2m1_values[code] * scale;
        } else if (e->offsets != NULL) {
            /* In double, so that there is one rounding. */
            float start = w4_load_float(e->offsets, m->offset_dtype, place);
            values[code] = (float)((double)scale * code + (double)start);
        } else {
            values[code] = (float)(code - (int)zero) * scale;
        }
    }
}

void
w4_dequantize_column(float *row, const w4moe_matrix *m,
        const struct w4_expert *e, const struct w4_tile *tile, uint32_t c)
{
    const int32_t *perm = c < tile->half ? e->perm : e->perm_up;
    uint64_t offset = w4_tile_offset(tile, c);
    const uint32_t *word = e->qweight + tile->word + offset;
    float values[16];
    for (size_t p = 0; p < m->n_in; p += W4_WORD_CODES) {
        if (p % m->group_size == 0) {
            w4_dequantize_group(values, m, e, tile, c, p / m->group_size);
        }
        for (unsigned j = 0; j < W4_WORD_CODES; j++) {
            size_t i = perm != NULL ? (size_t)perm[p + j] : p + j;
            row[i] = values[w4_code_of_word(*word, j)];
        }
        word += tile->word_stride;
    }
}

w4moe_status
w4moe_dequantize(const w4moe_ctx *ctx, float *out, const w4moe_matrix *matrix,
        size_t expert)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_matrix m;
    w4moe_status status =
            w4_struct_in(err, &m, sizeof(m), sizeof(m), matrix, "w4moe_matrix");
    if (status == W4MOE_OK) {
        status = w4_matrix_check_arrays(err, &m, "matrix");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (out == NULL || expert >= m.n_experts) {
        return out == NULL ? w4_fail(err, W4MOE_INVALID, "out is NULL")
                           : w4_fail(err, W4MOE_INVALID,
                                     "expert %zu of %zu experts", expert,
                                     m.n_experts);
    }
    /* Look at this expert's permutation only. */
    struct w4_expert e = w4_matrix_expert(&m, expert);
    w4moe_matrix one = m;
    one.n_experts = 1;
    one.perm = e.perm;
    status = w4_matrix_check_data(err, &one, "matrix");
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_layout layout = w4_matrix_layout(&m);
    for (uint64_t t = 0; t < w4_tile_count(&layout); t++) {
        struct w4_tile tile = w4_tile_at(&layout, t);
        for (uint32_t c = 0; c < tile.width; c++) {
            float *row = out + w4_tile_column(&tile, c) * m.n_in;
            w4_dequantize_column(row, &m, &e, &tile, c);
        }
    }
    return W4MOE_OK;
}
