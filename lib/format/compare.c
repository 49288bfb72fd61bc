/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Most of a comparison needs no floats: if the 16 codes of a group mean the
 * same 16 numbers on both sides and the codes are the same, the weights are.
 * Where either differs, the weights themselves are compared. Weights that were
 * rounded must be the nearest that their group has.
 */
#include "format/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "format/words4.h"

enum { N_CODES = 16 };

/* One packed column and its row of the checkpoint. */
struct column {
    const w4moe_matrix *matrix;
    struct w4_expert expert;
    struct w4_tile tile;
    uint32_t c;
    const struct w4_weight *weight;
    enum w4_projection projection;
    /* Row of the weight, and whether the next column is the next row. */
    size_t n;
    int rows_in_order;
    /* Packed position p holds column order[p]; NULL: p. */
    const int32_t *order;
};

w4moe_status
w4_compare_make(struct w4_err *err, struct w4_compare *cmp, size_t n_in)
{
    *cmp = (struct w4_compare){
            .err = err,
            .got = malloc(n_in / 2),
            .room = calloc(W4_ROWS_MAX, n_in / 2),
            .row = calloc(n_in, sizeof(*cmp->row)),
            .zeros = malloc(n_in),
    };
    if (cmp->got == NULL || cmp->room == NULL || cmp->row == NULL ||
            cmp->zeros == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "no memory for rows of %zu weights", n_in);
    }
    return W4MOE_OK;
}

void
w4_compare_free(struct w4_compare *cmp)
{
    free(cmp->got);
    free(cmp->room);
    free(cmp->row);
    free(cmp->zeros);
}

/* ------------------------------------------------------------- one column */

/* The weight at a packed position that was written. */
static float
written_weight(const struct column *col, size_t p)
{
    float values[N_CODES];
    w4_dequantize_group(values, col->matrix, &col->expert, &col->tile, col->c,
            p / col->matrix->group_size);
    uint64_t word = col->tile.word + w4_tile_offset(&col->tile, col->c) +
                    p / W4_WORD_CODES * col->tile.word_stride;
    return values[w4_code_of_word(
            col->expert.qweight[word], p % W4_WORD_CODES)];
}

static w4moe_status
mismatch(const struct w4_compare *cmp, const struct column *col, size_t p,
        float expected)
{
    return w4_fail(cmp->err, W4MOE_MISMATCH,
            "layer %" PRIu32 ", expert %zu, %s[%zu], packed position %zu: "
            "written %.9g, the checkpoint has %.9g",
            cmp->layer, cmp->expert, w4_projection_name(col->projection),
            col->n, p, (double)written_weight(col, p), (double)expected);
}

static unsigned
code_of_row(const unsigned char *row, size_t i)
{
    return (unsigned)row[i / 2] >> 4 * (i % 2) & 15u;
}

/* The group of column i by the checkpoint. */
static size_t
group_of(const struct w4_weight *weight, size_t i)
{
    return weight->g_idx != NULL
                   ? w4_load_le32((const char *)weight->g_idx + 4 * i)
                   : i / weight->group_size;
}

/* Whether two numbers are the same. NaN is NaN; a zero point that has become
 * an offset makes a zero of either sign: 0 * -scale is -0, and 8 * -scale +
 * offset is 0. */
static int
are_same(const struct column *col, float a, float b)
{
    int any_zero = col->matrix->offsets != NULL &&
                   col->weight->offset_dtype == W4MOE_DTYPE_NONE;
    return w4_bits_of_float(a) == w4_bits_of_float(b) ||
           (any_zero && a == 0.0f && b == 0.0f) || (isnan(a) && isnan(b));
}

/* The weights of one group of the matrix, one after the other: positions
 * [first, end), which lie in one group of the checkpoint. */
static w4moe_status
compare_weights(const struct w4_compare *cmp, const struct column *col,
        const unsigned char *expected, const float *expected_values,
        const float *got_values, size_t first, size_t end)
{
    uint64_t place = col->tile.word + w4_tile_offset(&col->tile, col->c);
    for (size_t p = first; p < end; p++) {
        size_t i = col->order != NULL ? (size_t)col->order[p] : p;
        uint32_t word =
                col->expert.qweight[place +
                                    p / W4_WORD_CODES * col->tile.word_stride];
        float got = got_values[w4_code_of_word(word, p % W4_WORD_CODES)];
        float wanted = expected_values[code_of_row(expected, i)];
        if (!are_same(col, got, wanted)) {
            return mismatch(cmp, col, p, wanted);
        }
    }
    return W4MOE_OK;
}

/* w4_word_unshuffle() of four words. */
static w4_words4
unshuffle4(w4_words4 w)
{
    w4_words4 even = w & 0x0000FFFFu;
    w4_words4 odd = w >> 16;
    even = (even | even << 8) & 0x00FF00FFu;
    odd = (odd | odd << 8) & 0x00FF00FFu;
    even = (even | even << 4) & 0x0F0F0F0Fu;
    odd = (odd | odd << 4) & 0x0F0F0F0Fu;
    return even | odd << 4;
}

/* The codes of a column, unshuffled, as a row: where nothing is reordered they
 * must be the row's. */
static int
codes_are_equal(struct w4_compare *cmp, const struct column *col,
        const unsigned char *expected)
{
    const uint32_t *word = col->expert.qweight + col->tile.word +
                           w4_tile_offset(&col->tile, col->c);
    size_t n_words = col->matrix->n_in / W4_WORD_CODES;
    for (size_t k = 0; k < n_words; k++) {
        uint32_t w = w4_word_unshuffle(*word);
        w4_swap_le(&w, sizeof(w), 1);
        memcpy(cmp->got + 4 * k, &w, sizeof(w));
        word += col->tile.word_stride;
    }
    return memcmp(cmp->got, expected, 4 * n_words) == 0;
}

static w4moe_status
compare_exact(struct w4_compare *cmp, const struct column *col)
{
    const struct w4_weight *weight = col->weight;
    size_t n_in = col->matrix->n_in;
    size_t step = col->matrix->group_size;
    size_t last = SIZE_MAX;
    float expected_values[N_CODES];
    const unsigned char *expected =
            weight->scheme->read_words(weight, col->n, cmp->room);
    int same_codes = col->order == NULL && codes_are_equal(cmp, col, expected);
    w4moe_status status = W4MOE_OK;
    for (size_t first = 0; first < n_in && status == W4MOE_OK; first += step) {
        float values[N_CODES];
        size_t end = first + step < n_in ? first + step : n_in;
        size_t i = col->order != NULL ? (size_t)col->order[first] : first;
        size_t group = group_of(weight, i);
        if (group != last) {
            weight->scheme->read_values(weight, col->n, group, expected_values);
            last = group;
        }
        w4_dequantize_group(values, col->matrix, &col->expert, &col->tile,
                col->c, first / step);
        if (same_codes &&
                memcmp(values, expected_values, sizeof(values)) == 0) {
            continue;
        }
        for (size_t p = first; col->order != NULL && p < end; p++) {
            if (group_of(weight, (size_t)col->order[p]) != group) {
                return mismatch(cmp, col, p, NAN);
            }
        }
        status = compare_weights(
                cmp, col, expected, expected_values, values, first, end);
    }
    return status;
}

/* ---------------------------------------------------------- runs of columns */

/* Columns from this one on that stand side by side, up to the end of a tile's
 * half: rows of one weight. Of a whole run a multiple of 8. */
static uint32_t
run_width(const struct column *col)
{
    uint32_t half = col->tile.half;
    return (col->c < half ? half : col->tile.width) - col->c;
}

/* Where the words of n columns, a multiple of 8, and of their rows differ:
 * bits of words kw to kw + 3. */
static w4_words4
differences4(const uint32_t *words, uint64_t stride, uint32_t n,
        const unsigned char *const *rows, size_t kw)
{
    w4_words4 differences = {0};
    for (uint32_t c = 0; c < n; c += W4_WORDS4) {
        w4_words4 w[W4_WORDS4];
        for (unsigned i = 0; i < W4_WORDS4; i++) {
            w[i] = unshuffle4(w4_words4_load(words + i * stride + c));
        }
        w4_words4_turn(w);
        for (unsigned i = 0; i < W4_WORDS4; i++) {
            differences |= w[i] ^ w4_words4_load_le(rows[c + i] + 4 * kw);
        }
    }
    return differences;
}

/* Whether the words of n columns are those of their rows. */
static int
words_are_same(
        const struct column *col, uint32_t n, const unsigned char *const *rows)
{
    size_t n_words = col->matrix->n_in / W4_WORD_CODES;
    uint64_t stride = col->tile.word_stride;
    const uint32_t *words = col->expert.qweight + col->tile.word +
                            w4_tile_offset(&col->tile, col->c);
    w4_words4 all = {0};
    size_t kw = 0;
    for (; kw + W4_WORDS4 <= n_words; kw += W4_WORDS4) {
        all |= differences4(words + kw * stride, stride, n, rows, kw);
    }
    uint32_t differences = all[0] | all[1] | all[2] | all[3];
    for (; kw < n_words; kw++) {
        for (uint32_t c = 0; c < n; c++) {
            differences |= w4_word_unshuffle(words[kw * stride + c]) ^
                           w4_load_le32(rows[c] + 4 * kw);
        }
    }
    return differences == 0;
}

/* Whether scale and zero of each group of a column are those of its row. */
static int
groups_are_same(struct w4_compare *cmp, const struct column *col, uint32_t c)
{
    const w4moe_matrix *m = col->matrix;
    uint64_t offset = w4_tile_offset(&col->tile, c);
    size_t n_groups = w4_weight_groups(col->weight);
    int same = 1;
    col->weight->scheme->read_groups(
            col->weight, col->n + (c - col->c), cmp->row, cmp->zeros);
    for (size_t g = 0; g < n_groups; g++) {
        uint64_t place = col->tile.scale + offset + g * col->tile.scale_stride;
        float scale = w4_load_float(col->expert.scales, m->scale_dtype, place);
        unsigned zero = W4_ZERO_SYMMETRIC;
        if (col->expert.qzeros != NULL) {
            zero = w4_zero_of_word(
                    col->expert.qzeros[col->tile.zero + offset / W4_WORD_ZEROS +
                                       g * col->tile.zero_stride],
                    offset % W4_WORD_ZEROS);
        }
        same &= w4_bits_of_float(scale) == w4_bits_of_float(cmp->row[g]) &&
                zero == cmp->zeros[g];
    }
    return same;
}

/* Whether all weights of the run that begins at a column are those of the
 * checkpoint, as far as can be told without looking at each: 0 if not. */
static int
run_is_same(struct w4_compare *cmp, const struct column *col)
{
    const unsigned char *rows[W4_ROWS_MAX];
    const struct w4_weight *weight = col->weight;
    uint32_t n = run_width(col);
    if (weight->scheme->read_groups == NULL || col->order != NULL ||
            !col->rows_in_order || col->matrix->offsets != NULL ||
            col->matrix->bias != NULL ||
            col->matrix->group_size != weight->group_size) {
        return 0;
    }
    for (uint32_t c = 0; c < n; c++) {
        if (!groups_are_same(cmp, col, col->c + c)) {
            return 0;
        }
        rows[c] = weight->scheme->read_words(
                weight, col->n + c, cmp->room + c * (col->matrix->n_in / 2));
    }
    return words_are_same(col, n, rows);
}

/* ------------------------------------------------------------ rounded ones */

/* The distance of the nearest of the 16 numbers of a group. In lanes, of which
 * compilers make vectors. */
static float
nearest(const float values[N_CODES], float value)
{
    enum { LANES = 4 };
    float least[LANES] = {INFINITY, INFINITY, INFINITY, INFINITY};
    for (size_t code = 0; code < N_CODES; code += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float distance = fabsf(values[code + j] - value);
            least[j] = distance < least[j] ? distance : least[j];
        }
    }
    float first = least[0] < least[1] ? least[0] : least[1];
    float second = least[2] < least[3] ? least[2] : least[3];
    return first < second ? first : second;
}

/* Codes are chosen by a quotient of fp32, weight * (1 / scale), which is below
 * 16 and wrong by at most two roundings, 2e-6. So between two that are equally
 * near but for that either may be taken, whose distances then differ by a
 * factor below 1 + 8e-6. A factor of 1.0001 allows for that, and for fp32
 * offsets, whose zero moves by a rounding; it lets no code pass that is wrong
 * by more than 3e-5 of a step. */
#define NEAR_ENOUGH 1.0001f

static w4moe_status
compare_rounded(struct w4_compare *cmp, const struct column *col)
{
    const w4moe_matrix *m = col->matrix;
    uint64_t place = col->tile.word + w4_tile_offset(&col->tile, col->c);
    float values[N_CODES];
    col->weight->scheme->read_row(col->weight, col->n, cmp->row);
    for (size_t p = 0; p < m->n_in; p++) {
        if (p % m->group_size == 0) {
            w4_dequantize_group(values, m, &col->expert, &col->tile, col->c,
                    p / m->group_size);
        }
        float expected =
                cmp->row[col->order != NULL ? (size_t)col->order[p] : p];
        uint32_t word =
                col->expert.qweight[place +
                                    p / W4_WORD_CODES * col->tile.word_stride];
        float got = values[w4_code_of_word(word, p % W4_WORD_CODES)];
        float distance = fabsf(got - expected);
        if (!(distance <= nearest(values, expected) * NEAR_ENOUGH)) {
            return mismatch(cmp, col, p, expected);
        }
        cmp->error += (double)distance * (double)distance;
        cmp->total += (double)expected * (double)expected;
    }
    return W4MOE_OK;
}

/* --------------------------------------------------------------------- bias */

static w4moe_status
compare_bias(const struct w4_compare *cmp, const struct column *col)
{
    const w4moe_matrix *m = col->matrix;
    const struct w4_weight *weight = col->weight;
    if (m->bias == NULL) {
        return W4MOE_OK;
    }
    float got = w4_load_float(
            m->bias, m->bias_dtype, (size_t)w4_tile_column(&col->tile, col->c));
    float expected = 0.0f;
    if (weight->bias != NULL) {
        expected = w4_read_number(weight->bias, weight->bias_dtype,
                w4_weight_row(weight, col->n));
    }
    /* A NaN is kept, but not its bits: one that signals becomes quiet. */
    int is_same = w4_bits_of_float(got) == w4_bits_of_float(expected) ||
                  (isnan(got) && isnan(expected));
    return is_same ? W4MOE_OK
                   : w4_fail(cmp->err, W4MOE_MISMATCH,
                             "layer %" PRIu32 ", expert %zu, bias of %s[%zu]: "
                             "written %.9g, the checkpoint has %.9g",
                             cmp->layer, cmp->expert,
                             w4_projection_name(col->projection), col->n,
                             (double)got, (double)expected);
}

/* --------------------------------------------------------------- one matrix */

/* The row of the checkpoint that a column is, and its order. */
static void
find_row(struct column *col, const struct w4_weight *weights,
        const struct w4_orders *orders, w4moe_which which)
{
    size_t column = (size_t)w4_tile_column(&col->tile, col->c);
    size_t n_inner = weights[W4_DOWN].n_in;
    col->projection = which == W4MOE_W2  ? W4_DOWN
                      : column < n_inner ? W4_GATE
                                         : W4_UP;
    col->weight = &weights[col->projection];
    col->n = which == W4MOE_W2
                     ? column
                     : (size_t)orders->inner.features[column % n_inner];
    col->rows_in_order = which == W4MOE_W2 || orders->inner.columns == NULL;
    switch (col->projection) {
    case W4_GATE:
        col->order = orders->gate.columns;
        break;
    case W4_UP:
        col->order = orders->up.columns;
        break;
    case W4_DOWN:
    case W4_N_PROJECTIONS:
        col->order = orders->inner.columns;
        break;
    }
}

/* The permutation that was written must be that of the checkpoint. */
static w4moe_status
compare_perm(const struct w4_compare *cmp, const w4moe_matrix *m,
        const struct w4_orders *orders)
{
    size_t n = m->n_in * sizeof(int32_t);
    if (m->perm == NULL) {
        return W4MOE_OK;
    }
    const int32_t *up = m->perm + (m->n_perms - 1) * m->n_in;
    if (memcmp(m->perm, orders->gate.features, n) != 0 ||
            memcmp(up, orders->up.features, n) != 0) {
        return w4_fail(cmp->err, W4MOE_MISMATCH,
                "layer %" PRIu32 ", expert %zu: w13.perm is not the order of "
                "the checkpoint",
                cmp->layer, cmp->expert);
    }
    return W4MOE_OK;
}

/* The columns of the run that begins at col->c, which ends up behind them. */
static w4moe_status
compare_run(struct w4_compare *cmp, struct column *col,
        const struct w4_weight *weights, const struct w4_orders *orders,
        w4moe_which which)
{
    uint32_t end = col->c + run_width(col);
    w4moe_status status = W4MOE_OK;
    find_row(col, weights, orders, which);
    if (run_is_same(cmp, col)) {
        col->c = end;
    }
    for (; col->c < end && status == W4MOE_OK; col->c++) {
        find_row(col, weights, orders, which);
        status = col->weight->scheme->rounded ? compare_rounded(cmp, col)
                                              : compare_exact(cmp, col);
        if (status == W4MOE_OK) {
            status = compare_bias(cmp, col);
        }
    }
    return status;
}

w4moe_status
w4_compare_matrix(struct w4_compare *cmp, const w4moe_matrix *one,
        const struct w4_weight *weights, const struct w4_orders *orders,
        w4moe_which which)
{
    struct w4_layout layout = w4_matrix_layout(one);
    struct column col = {
            .matrix = one,
            .expert = w4_matrix_expert(one, 0),
    };
    w4moe_status status = compare_perm(cmp, one, orders);
    for (uint64_t t = 0; t < w4_tile_count(&layout); t++) {
        col.tile = w4_tile_at(&layout, t);
        col.c = 0;
        while (col.c < col.tile.width && status == W4MOE_OK) {
            status = compare_run(cmp, &col, weights, orders, which);
        }
    }
    return status;
}
