/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The oracle's matrices: drawn in natural order, and packed by the formulas of
 * w4moe-format(5), one code at a time. */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Permutation of the columns of expert e to which row n belongs, or NULL. */
static const int32_t *
perm_of(const struct oracle_matrix *m, size_t e, size_t n)
{
    if (m->perm == NULL) {
        return NULL;
    }
    size_t second = m->spec.n_perms == 2 && n >= m->spec.n_out / 2;
    return m->perm + (e * m->spec.n_perms + second) * m->spec.n_in;
}

/* Whole numbers 0 .. n - 1 in random order. */
static void
draw_perm(struct oracle_rng *rng, int32_t *perm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = oracle_below(rng, i + 1);
        perm[i] = perm[j];
        perm[j] = (int32_t)i;
    }
}

/* Scale and offset of one group. Codes less 8 have an rms of 4.6, activations
 * of the tests one of 0.6. */
static void
draw_group(struct oracle_rng *rng, struct oracle_matrix *m, size_t place)
{
    const struct oracle_spec *spec = &m->spec;
    double scale = oracle_uniform(rng, 0.2, 0.6) / sqrt((double)spec->n_in);
    double offset = -scale * oracle_uniform(rng, 6, 9);
    if (spec->code == W4MOE_CODE_E2M1) {
        scale *= 1.6;
    }
    if (spec->scale_dtype == W4MOE_F8_E8M0) {
        scale = ldexp(1, ilogb(scale) + (int)oracle_below(rng, 2));
    }
    if (spec->exact) {
        scale = ldexp(1, -(int)oracle_below(rng, 4));
        offset = -ldexp((double)oracle_below(rng, 17), -3);
    }
    m->scales[place] = spec->scale_dtype == W4MOE_F8_E8M0
                               ? scale
                               : oracle_round(spec->scale_dtype, scale);
    if (spec->offset_dtype != W4MOE_DTYPE_NONE) {
        m->offsets[place] = oracle_round(spec->offset_dtype, offset);
    }
    m->zeros[place] = spec->zeros ? (uint8_t)oracle_below(rng, 16) : 8;
}

void
oracle_make(struct oracle_matrix *m, const struct oracle_spec *spec)
{
    struct oracle_rng rng = {spec->seed};
    size_t rows = spec->n_experts * spec->n_out;
    size_t n_groups = (spec->n_in + spec->group_size - 1) / spec->group_size;
    *m = (struct oracle_matrix){
            .spec = *spec,
            .n_groups = n_groups,
            .codes = oracle_alloc(rows * spec->n_in, 1),
            .zeros = oracle_alloc(rows * n_groups, 1),
            .scales = oracle_alloc(rows * n_groups, sizeof(double)),
            .offsets = oracle_alloc(rows * n_groups, sizeof(double)),
            .bias = oracle_alloc(rows, sizeof(double)),
            .weights = oracle_alloc(rows * spec->n_in, sizeof(double)),
    };
    for (size_t i = 0; i < rows * spec->n_in; i++) {
        m->codes[i] = (uint8_t)oracle_below(&rng, 16);
    }
    for (size_t i = 0; i < rows * n_groups; i++) {
        draw_group(&rng, m, i);
    }
    for (size_t i = 0; spec->bias_dtype != W4MOE_DTYPE_NONE && i < rows; i++) {
        double bias = spec->exact
                              ? ldexp((double)oracle_below(&rng, 33), -3) - 2
                              : oracle_uniform(&rng, -0.5, 0.5);
        m->bias[i] = oracle_round(spec->bias_dtype, bias);
    }
    if (spec->n_perms != 0) {
        size_t n_perms = spec->n_experts * spec->n_perms;
        m->perm = oracle_alloc(n_perms * spec->n_in, sizeof(int32_t));
        for (size_t i = 0; i < n_perms; i++) {
            draw_perm(&rng, m->perm + i * spec->n_in, spec->n_in);
        }
    }
    oracle_finish(m);
}

static double
code_value(const struct oracle_matrix *m, uint8_t code, size_t place)
{
    static const double e2m1[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    double scale = m->scales[place];
    if (m->spec.code == W4MOE_CODE_E2M1) {
        return (code < 8 ? e2m1[code] : -e2m1[code - 8]) * scale;
    }
    if (m->spec.offset_dtype != W4MOE_DTYPE_NONE) {
        return scale * code + m->offsets[place];
    }
    return (code - (double)m->zeros[place]) * scale;
}

void
oracle_finish(struct oracle_matrix *m)
{
    size_t n_in = m->spec.n_in;
    for (size_t row = 0; row < m->spec.n_experts * m->spec.n_out; row++) {
        const int32_t *perm =
                perm_of(m, row / m->spec.n_out, row % m->spec.n_out);
        for (size_t p = 0; p < n_in; p++) {
            size_t i = row * n_in + (perm != NULL ? (size_t)perm[p] : p);
            size_t place = row * m->n_groups + p / m->spec.group_size;
            m->weights[i] = code_value(m, m->codes[i], place);
        }
    }
}

void
oracle_free(struct oracle_matrix *m)
{
    free(m->codes);
    free(m->zeros);
    free(m->scales);
    free(m->offsets);
    free(m->perm);
    free(m->bias);
    free(m->weights);
    memset(m, 0, sizeof(*m));
}

/* ---------------------------------------------------------------- packing */

/* Where output feature n stands: its column, tile, and the tile's width. */
struct column {
    size_t c;
    size_t t;
    size_t w;
};

static struct column
column_of(const struct oracle_spec *spec, w4moe_order order, size_t n)
{
    struct column column = {.c = n, .t = n / 128, .w = 0};
    if (order == W4MOE_ORDER_TILE && spec->gated) {
        size_t output = n % (spec->n_out / 2);
        column.t = output / 64;
        column.c = 128 * column.t + output % 64;
    }
    size_t left = spec->n_out - 128 * column.t;
    column.w = left < 128 ? left : 128;
    if (order == W4MOE_ORDER_TILE && spec->gated && n >= spec->n_out / 2) {
        column.c += column.w / 2;
    }
    return column;
}

/* Places of words, scales and words of zeros in the whole arrays. */
static size_t
word_place(const struct oracle_spec *spec, w4moe_order order, size_t e,
        struct column at, size_t row)
{
    size_t rows = spec->n_in / 8;
    if (order == W4MOE_ORDER_RDNA3) {
        return (e * rows + row) * spec->n_out + at.c;
    }
    return e * rows * spec->n_out + 128 * at.t * rows + row * at.w + at.c % 128;
}

static size_t
scale_place(const struct oracle_matrix *m, w4moe_order order, size_t e,
        struct column at, size_t q)
{
    size_t n_out = m->spec.n_out;
    if (order == W4MOE_ORDER_RDNA3) {
        return (e * m->n_groups + q) * n_out + at.c;
    }
    return e * m->n_groups * n_out + 128 * at.t * m->n_groups + q * at.w +
           at.c % 128;
}

static size_t
zero_place(const struct oracle_matrix *m, w4moe_order order, size_t e,
        struct column at, size_t q)
{
    size_t n_words = m->spec.n_out / 8;
    if (order == W4MOE_ORDER_RDNA3) {
        return (e * m->n_groups + q) * n_words + at.c / 8;
    }
    return e * m->n_groups * n_words + 16 * at.t * m->n_groups +
           q * (at.w / 8) + at.c % 128 / 8;
}

static void
pack_row(
        w4moe_matrix *packed, const struct oracle_matrix *m, size_t e, size_t n)
{
    const struct oracle_spec *spec = &m->spec;
    const int32_t *perm = perm_of(m, e, n);
    struct column at = column_of(spec, packed->order, n);
    size_t row = e * spec->n_out + n;
    for (size_t p = 0; p < spec->n_in; p++) {
        size_t i = perm != NULL ? (size_t)perm[p] : p;
        uint32_t code = m->codes[row * spec->n_in + i];
        unsigned j = (unsigned)(p % 8);
        unsigned bit = j % 2 == 0 ? 4 * (j / 2) : 16 + 4 * (j / 2);
        packed->qweight[word_place(spec, packed->order, e, at, p / 8)] |=
                code << bit;
    }
    for (size_t q = 0; q < m->n_groups; q++) {
        size_t plain = row * m->n_groups + q;
        size_t place = scale_place(m, packed->order, e, at, q);
        oracle_store(
                packed->scales, spec->scale_dtype, place, m->scales[plain]);
        if (packed->offsets != NULL) {
            oracle_store(packed->offsets, spec->offset_dtype, place,
                    m->offsets[plain]);
        }
        if (packed->qzeros != NULL) {
            uint32_t stored = m->zeros[plain] == 0 ? 15 : m->zeros[plain] - 1u;
            packed->qzeros[zero_place(m, packed->order, e, at, q)] |=
                    stored << 4 * (at.c % 8);
        }
    }
    if (packed->bias != NULL) {
        oracle_store(packed->bias, spec->bias_dtype, row, m->bias[row]);
    }
}

/* Bytes of an element of a type. */
static size_t
element(w4moe_dtype dtype)
{
    return dtype == W4MOE_F8_E8M0 ? 1 : dtype == W4MOE_F32 ? 4 : 2;
}

void
oracle_pack(
        w4moe_matrix *packed, const struct oracle_matrix *m, w4moe_order order)
{
    const struct oracle_spec *spec = &m->spec;
    size_t rows = spec->n_experts * spec->n_out;
    size_t n_perms = spec->n_experts * spec->n_perms * spec->n_in;
    *packed = (w4moe_matrix){
            .struct_size = sizeof(*packed),
            .order = order,
            .code = spec->code,
            .n_experts = spec->n_experts,
            .n_out = spec->n_out,
            .n_in = spec->n_in,
            .group_size = spec->group_size,
            .gated = spec->gated,
            .qweight = oracle_alloc(rows * (spec->n_in / 8), 4),
            .scales = oracle_alloc(
                    rows * m->n_groups, element(spec->scale_dtype)),
            .scale_dtype = spec->scale_dtype,
            .offset_dtype = spec->offset_dtype,
            .n_perms = spec->n_perms,
            .bias_dtype = spec->bias_dtype,
    };
    if (spec->zeros) {
        packed->qzeros = oracle_alloc(rows * m->n_groups / 8, 4);
    }
    if (spec->offset_dtype != W4MOE_DTYPE_NONE) {
        packed->offsets =
                oracle_alloc(rows * m->n_groups, element(spec->offset_dtype));
    }
    if (spec->bias_dtype != W4MOE_DTYPE_NONE) {
        packed->bias = oracle_alloc(rows, element(spec->bias_dtype));
    }
    if (m->perm != NULL) {
        packed->perm = oracle_alloc(n_perms, sizeof(int32_t));
        memcpy(packed->perm, m->perm, n_perms * sizeof(int32_t));
    }
    for (size_t e = 0; e < spec->n_experts; e++) {
        for (size_t n = 0; n < spec->n_out; n++) {
            pack_row(packed, m, e, n);
        }
    }
}

void
oracle_pack_free(w4moe_matrix *packed)
{
    free(packed->qweight);
    free(packed->scales);
    free(packed->qzeros);
    free(packed->offsets);
    free(packed->perm);
    free(packed->bias);
    memset(packed, 0, sizeof(*packed));
}
