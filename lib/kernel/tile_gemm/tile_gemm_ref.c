/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Rows times a tile, in plain C.
 *
 * The codes are taken as exact small numbers (code - zero, or the value of an
 * E2M1 code), summed in fp32 over a piece of a group, and then scaled: never is
 * a scale or a zero folded into a 16-bit number.
 */
#include <string.h>

#include "base/half.h"
#include "kernel/kernel.h"

/* Packed positions that are decoded together; a piece never crosses a group. */
enum { PIECE = 64 };

/* One piece of one tile. */
struct piece {
    size_t first;
    size_t n;
    size_t group;
};

/* Zero point of each column in a piece's group; 0 where offsets stand in. */
static void
load_zeros(int *zeros, const struct w4_tile_gemm *args, size_t group)
{
    const struct w4_tile *tile = args->tile;
    const struct w4_expert *e = args->expert;
    for (uint32_t c = 0; c < tile->width; c++) {
        zeros[c] = e->offsets != NULL ? 0 : W4_ZERO_SYMMETRIC;
        if (e->qzeros != NULL) {
            uint64_t offset = w4_tile_offset(tile, c);
            uint32_t word = e->qzeros[tile->zero + offset / W4_WORD_ZEROS +
                                      group * tile->zero_stride];
            zeros[c] = (int)w4_zero_of_word(word, offset % W4_WORD_ZEROS);
        }
    }
}

/* Codes of a piece as exact numbers, [n][W4_TILE_COLUMNS]. */
static void
decode(float (*codes)[W4_TILE_COLUMNS], const struct w4_tile_gemm *args,
        const struct piece *piece)
{
    const struct w4_tile *tile = args->tile;
    int zeros[W4_TILE_COLUMNS];
    load_zeros(zeros, args, piece->group);
    for (size_t i = 0; i < piece->n; i++) {
        size_t p = piece->first + i;
        unsigned bit = w4_code_bit(p % W4_WORD_CODES);
        const uint32_t *words = args->expert->qweight + tile->word +
                                p / W4_WORD_CODES * tile->word_stride;
        /* The two halves stand `up` columns apart, here side by side. */
        const uint32_t *words_up = words + tile->up - tile->half;
        if (args->matrix->code == W4MOE_CODE_E2M1) {
            for (uint32_t c = 0; c < tile->width; c++) {
                uint32_t word = c < tile->half ? words[c] : words_up[c];
                codes[i][c] = w4_e2m1_values[word >> bit & 15u];
            }
            continue;
        }
        for (uint32_t c = 0; c < tile->half; c++) {
            codes[i][c] = (float)((int)(words[c] >> bit & 15u) - zeros[c]);
        }
        for (uint32_t c = tile->half; c < tile->width; c++) {
            codes[i][c] = (float)((int)(words_up[c] >> bit & 15u) - zeros[c]);
        }
    }
}

/* Scales (or offsets) of a piece's group, one for each column. */
static void
load_group(float *values, const void *array, w4moe_dtype dtype,
        const struct w4_tile *tile, size_t group)
{
    for (uint32_t c = 0; c < tile->width; c++) {
        uint64_t place = tile->scale + w4_tile_offset(tile, c) +
                         group * tile->scale_stride;
        values[c] = w4_load_float(array, dtype, place);
    }
}

/* Activations of a piece as fp32, in packed order. */
static void
load_row(float *a, const void *row, w4moe_dtype dtype, const int32_t *perm,
        const struct piece *piece)
{
    for (size_t i = 0; i < piece->n; i++) {
        size_t p = piece->first + i;
        a[i] = w4_load_float(row, dtype, perm != NULL ? (size_t)perm[p] : p);
    }
}

/* acc[c] += scale[c] * sum(a * codes) + offset[c] * sum(a) for the columns
 * [begin, end). */
static void
add_piece(float *acc, const float *a, float (*codes)[W4_TILE_COLUMNS], size_t n,
        const float *scales, const float *offsets, uint32_t begin, uint32_t end)
{
    float sums[W4_TILE_COLUMNS] = {0};
    float total = 0.0f;
    for (size_t i = 0; i < n; i++) {
        const float *row = codes[i];
        for (uint32_t c = begin; c < end; c++) {
            sums[c] += a[i] * row[c];
        }
        total += a[i];
    }
    for (uint32_t c = begin; c < end; c++) {
        acc[c] += scales[c] * sums[c];
        if (offsets != NULL) {
            acc[c] += offsets[c] * total;
        }
    }
}

void
w4_tile_gemm_ref(const struct w4_tile_gemm *args)
{
    const w4moe_matrix *m = args->matrix;
    const struct w4_expert *e = args->expert;
    const struct w4_tile *tile = args->tile;
    float codes[PIECE][W4_TILE_COLUMNS];
    float scales[W4_TILE_COLUMNS];
    float offsets[W4_TILE_COLUMNS];
    float a[PIECE];

    for (size_t r = 0; r < args->n_rows; r++) {
        memset(args->acc + r * W4_TILE_COLUMNS, 0,
                W4_TILE_COLUMNS * sizeof(float));
    }
    struct piece piece = {0, 0, 0};
    for (; piece.first < m->n_in; piece.first += piece.n) {
        piece.group = piece.first / m->group_size;
        size_t end = (piece.group + 1) * m->group_size;
        size_t left = (end < m->n_in ? end : m->n_in) - piece.first;
        piece.n = left < PIECE ? left : PIECE;
        decode(codes, args, &piece);
        load_group(scales, e->scales, m->scale_dtype, tile, piece.group);
        if (e->offsets != NULL) {
            load_group(offsets, e->offsets, m->offset_dtype, tile, piece.group);
        }
        const float *starts = e->offsets != NULL ? offsets : NULL;
        for (size_t r = 0; r < args->n_rows; r++) {
            float *acc = args->acc + r * W4_TILE_COLUMNS;
            const void *row = args->rows[r];
            int one_order = e->perm == e->perm_up;
            load_row(a, row, args->dtype, e->perm, &piece);
            add_piece(acc, a, codes, piece.n, scales, starts, 0,
                    one_order ? tile->width : tile->half);
            if (!one_order) {
                load_row(a, row, args->dtype, e->perm_up, &piece);
                add_piece(acc, a, codes, piece.n, scales, starts, tile->half,
                        tile->width);
            }
        }
    }
}
