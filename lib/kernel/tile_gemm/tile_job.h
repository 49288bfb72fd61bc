/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the vector kernels of tile_gemm share: the vectors of columns of a tile,
 * the pieces of the inputs, activations as fp32, scales and zero points.
 * Compiled once for each instruction set.
 *
 * With the number d that a code decodes to (codes.h), a span of a group adds
 *
 *   scale * sum(a * d) + of_total * sum(a)
 *
 * to a column, where of_total holds what the zero point or the offset and the
 * base of d make. Scales enter in fp32, after the sum.
 */
#ifndef W4_KERNEL_TILE_GEMM_TILE_JOB_H
#define W4_KERNEL_TILE_GEMM_TILE_JOB_H

#include "base/half.h"
#include "kernel/kernel.h"
#include "kernel/simd/codes.h"

enum {
    /** Packed positions of a piece: several whole groups, or a part of one. */
    W4_PIECE = 128,
    /** Groups of a piece at most: they have 8 positions at least. */
    W4_SPANS = W4_PIECE / W4_WORD_CODES,
    /** Steps of a piece and of a word; see codes.h. */
    W4_PIECE_STEPS = W4_PIECE / W4_TOGETHER,
    W4_WORD_STEPS = W4_WORD_CODES / W4_TOGETHER,
    /** Vectors of columns of a tile; a half of the tile has its own. */
    W4_VECTORS = W4_TILE_COLUMNS / W4_LANES,
    /** The most of them that are taken together. */
    W4_VECTORS_TOGETHER = 8
};

/** W4_LANES columns, or eight at the end of a half. */
struct w4_columns {
    uint32_t mask;
    /** From the tile's first column, in acc and in memory. */
    uint32_t column;
    uint64_t offset;
};

struct w4_piece {
    size_t first;
    size_t n;
    /** Of its first position; the next one begins after `span` positions. */
    size_t group;
    size_t span;
    /** Its last words are the last of the tile. */
    int is_last;
};

/** One call. */
struct w4_tile_job {
    const struct w4_tile_gemm *args;
    struct w4_codes codes;
    int has_total;
    /** All vectors are full and stand side by side. */
    int is_plain;
    /** Of those, the first n_first are in the first half. Those beyond
     * n_vectors have an empty mask. */
    uint32_t n_vectors;
    uint32_t n_first;
    struct w4_columns vectors[W4_VECTORS + W4_VECTORS_TOGETHER];
};

static inline void
w4_job_add_columns(
        struct w4_tile_job *job, uint64_t offset, uint32_t column, uint32_t n)
{
    for (uint32_t c = 0; c < n; c += W4_LANES) {
        struct w4_columns *v = &job->vectors[job->n_vectors++];
        uint32_t lanes = n - c < W4_LANES ? n - c : W4_LANES;
        v->mask = (1u << lanes) - 1;
        v->offset = offset + c;
        v->column = column + c;
    }
}

static inline void
w4_job_init(struct w4_tile_job *job, const struct w4_tile_gemm *args)
{
    const struct w4_tile *tile = args->tile;
    const struct w4_expert *e = args->expert;
    memset(job, 0, sizeof(*job));
    job->args = args;
    w4_job_add_columns(job, 0, 0, tile->half);
    job->n_first = job->n_vectors;
    w4_job_add_columns(job, tile->up, tile->half, tile->width - tile->half);
    job->is_plain =
            tile->width % W4_LANES == 0 &&
            (tile->half == tile->width ||
                    (tile->up == tile->half && tile->half % W4_LANES == 0));
    w4_codes_init(&job->codes, args->matrix->code, e->offsets != NULL);
    float symmetric = args->matrix->code == W4MOE_CODE_E2M1
                              ? 0.0f
                              : -(float)W4_ZERO_SYMMETRIC;
    job->has_total = e->qzeros != NULL || e->offsets != NULL ||
                     job->codes.base != symmetric;
    memset(args->acc, 0, args->n_rows * W4_TILE_COLUMNS * sizeof(args->acc[0]));
}

/** The next piece; begins with a piece of zeros. Returns 0 at the end. */
static inline int
w4_piece_next(struct w4_piece *piece, const w4moe_matrix *m)
{
    size_t before = piece->n;
    piece->first += before;
    if (piece->first >= m->n_in) {
        return 0;
    }
    size_t left = m->n_in - piece->first;
    if (m->group_size <= W4_PIECE) {
        uint32_t n_groups = W4_PIECE / (uint32_t)m->group_size;
        piece->group += before != 0 ? n_groups : 0;
        piece->span = m->group_size;
        piece->n = n_groups * m->group_size;
    } else {
        if (piece->first >= (piece->group + 1) * m->group_size) {
            piece->group++;
        }
        size_t end = (piece->group + 1) * m->group_size - piece->first;
        piece->n = end < W4_PIECE ? end : W4_PIECE;
        piece->span = W4_PIECE;
    }
    piece->n = left < piece->n ? left : piece->n;
    piece->is_last = piece->n == left;
    return 1;
}

/** A row's 16-bit numbers of a piece, in packed order; `gathered` has room for
 * W4_PIECE. */
static inline const uint16_t *
w4_piece_halves(uint16_t *gathered, const void *row, const int32_t *perm,
        const struct w4_piece *piece)
{
    const uint16_t *halves = row;
    if (perm == NULL) {
        return halves + piece->first;
    }
    for (size_t i = 0; i < piece->n; i++) {
        gathered[i] = halves[perm[piece->first + i]];
    }
    return gathered;
}

/** Asks for the piece of a row after this one, unless its order is another. */
static inline void
w4_piece_row_ahead(
        const void *row, const int32_t *perm, const struct w4_piece *piece)
{
    if (perm == NULL && !piece->is_last) {
        const uint16_t *next = (const uint16_t *)row + piece->first + piece->n;
        for (size_t i = 0; i < W4_PIECE; i += 32) {
            __builtin_prefetch((const void *)((uintptr_t)next + 2 * i));
        }
    }
}

/** A span of a row in packed order as fp32, times the units of the places.
 * Returns its sum, without units. */
static inline float
w4_span_row(float *a, const uint16_t *halves, size_t n, w4moe_dtype dtype)
{
    w4_vf sum = w4_vf_zero();
    for (size_t i = 0; i < n; i += W4_LANES) {
        /* Spans are multiples of 8. */
        int full = W4_LANES <= 8 || n - i >= W4_LANES;
        w4_vf x = full ? w4_vf_load_half(halves + i, dtype)
                       : w4_vf_load_half_n(halves + i, dtype, 8);
        sum = w4_vf_add(sum, x);
        if (W4_TOGETHER == 2) {
            continue;
        }
#if W4_HAVE_PLACE_UNITS
        x = w4_vf_mul(x, w4_vf_load(w4_place_units + i % W4_WORD_CODES));
#endif
        w4_vf_store_mask(a + i, x, full ? (1u << W4_LANES) - 1 : 0xFF);
    }
    return w4_vf_sum(sum);
}

/** A piece of a row in packed order as w4_multiply_add() takes it: fp32, or
 * bf16 as it is; and the sum of each span. */
static inline void
w4_piece_row(float *a, float *totals, const struct w4_tile_job *job,
        const void *row, const int32_t *perm, const struct w4_piece *piece)
{
    uint16_t gathered[W4_PIECE];
    const uint16_t *halves = w4_piece_halves(gathered, row, perm, piece);
    for (size_t i = 0; i < piece->n; i += piece->span) {
        size_t left = piece->n - i;
        *totals++ = w4_span_row(a + i / W4_TOGETHER, halves + i,
                left < piece->span ? left : piece->span, job->args->dtype);
    }
    if (W4_TOGETHER == 2) {
        memcpy(a, halves, piece->n * sizeof(halves[0]));
    }
}

W4_INLINE w4_vf
w4_values_load(
        const void *array, w4moe_dtype dtype, uint64_t place, uint32_t mask)
{
    /* Only of 16 lanes a half can be there. */
    int full = W4_LANES <= 8 || mask >> (W4_LANES - 1) != 0;
    if (dtype == W4MOE_BF16 || dtype == W4MOE_F16) {
        const uint16_t *halves = (const uint16_t *)array + place;
        return full ? w4_vf_load_half(halves, dtype)
                    : w4_vf_load_half_n(halves, dtype, 8);
    }
    if (dtype == W4MOE_F32) {
        const float *floats = (const float *)array + place;
        return full ? w4_vf_load(floats) : w4_vf_load_n(floats, 8);
    }
    return w4_e8m0_load((const uint8_t *)array + place, mask);
}

static inline w4_vf
w4_of_total(const struct w4_tile_job *job, uint64_t offset, uint32_t mask,
        size_t group, w4_vf scale)
{
    const struct w4_tile_gemm *args = job->args;
    const struct w4_expert *e = args->expert;
    const struct w4_tile *tile = args->tile;
    w4_vf base = w4_vf_set1(job->codes.base);
    if (e->offsets != NULL) {
        uint64_t place = tile->scale + group * tile->scale_stride + offset;
        w4_vf value = w4_values_load(
                e->offsets, args->matrix->offset_dtype, place, mask);
        return w4_vf_fnma(scale, base, value);
    }
    w4_vf zero = w4_vf_zero();
    if (e->qzeros != NULL) {
        zero = w4_zeros_load(e->qzeros + tile->zero + group * tile->zero_stride,
                offset, mask);
    } else if (args->matrix->code != W4MOE_CODE_E2M1) {
        zero = w4_vf_set1(W4_ZERO_SYMMETRIC);
    }
    return w4_vf_fnma(scale, w4_vf_add(base, zero), w4_vf_zero());
}

/** What a span's sums become; see the top. */
struct w4_factors {
    w4_vf scale;
    w4_vf of_total;
};

/** Of the columns at an offset of the tile, in a group. */
W4_INLINE struct w4_factors
w4_factors_load(const struct w4_tile_job *job, uint64_t offset, uint32_t mask,
        size_t group)
{
    const struct w4_tile_gemm *args = job->args;
    const struct w4_tile *tile = args->tile;
    uint64_t place = tile->scale + group * tile->scale_stride + offset;
    struct w4_factors f = {w4_vf_zero(), w4_vf_zero()};
    f.scale = w4_values_load(
            args->expert->scales, args->matrix->scale_dtype, place, mask);
    if (job->has_total) {
        f.of_total = w4_of_total(job, offset, mask, group, f.scale);
    }
    return f;
}

/** Adds a span's sums of one row to acc. */
W4_INLINE void
w4_span_finish(float *acc, uint32_t mask, const struct w4_tile_job *job,
        const struct w4_factors *f, w4_vf sum, float total)
{
    w4_vf value = w4_vf_load_mask(acc, mask);
    value = w4_vf_fma(f->scale, w4_codes_unit(&job->codes, sum), value);
    if (job->has_total) {
        value = w4_vf_fma(f->of_total, w4_vf_set1(total), value);
    }
    w4_vf_store_mask(acc, value, mask);
}

#endif
