/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Packing a weight of any scheme.
 *
 * A scheme gives rows along the input features; the packed layout has output
 * features side by side. So this is a transposition of 32-bit words, a block
 * of cache lines at a time, and each word is shuffled on its way.
 */
#include "base/half.h"
#include "base/size.h"
#include "format/weight.h"

/* Words of a row that are read together: one cache line. */
enum { BLOCK_WORDS = 16, CACHE_LINE = 64 };

/* Words that are shuffled together. */
typedef uint32_t words4 __attribute__((vector_size(16)));

/* Columns that stand side by side: up to the end of a tile's half. */
struct run {
    const w4moe_matrix *matrix;
    struct w4_expert dst;
    const struct w4_weight *weight;
    const struct w4_rows *rows;
    const int32_t *input_order;
    uint32_t n;
    /* Where the run's first column stands. */
    uint64_t word, word_stride, scale, scale_stride, zero, zero_stride;
};

/* -------------------------------------------------------------------- words */

/* w4_word_shuffle() of four words. */
static words4
shuffle4(words4 w)
{
    words4 even = w & 0x0F0F0F0Fu;
    words4 odd = w >> 4 & 0x0F0F0F0Fu;
    even = (even | even >> 4) & 0x00FF00FFu;
    odd = (odd | odd >> 4) & 0x00FF00FFu;
    even = (even | even >> 8) & 0x0000FFFFu;
    odd = (odd | odd >> 8) & 0x0000FFFFu;
    return even | odd << 16;
}

static void
shuffle_row(uint32_t *dst, const uint32_t *src, uint32_t n)
{
    enum { STEP = sizeof(words4) / sizeof(uint32_t) };
    uint32_t c = 0;
    for (; c + STEP <= n; c += STEP) {
        words4 w;
        memcpy(&w, src + c, sizeof(w));
        w = shuffle4(w);
        memcpy(dst + c, &w, sizeof(w));
    }
    for (; c < n; c++) {
        dst[c] = w4_word_shuffle(src[c]);
    }
}

/* The word of 8 codes at packed positions 8 kw .. 8 kw + 7, code j at bit
 * 4j. */
static uint32_t
gather_word(const unsigned char *codes, const int32_t *order, size_t kw)
{
    uint32_t word = 0;
    for (unsigned j = 0; j < W4_WORD_CODES; j++) {
        size_t i = (size_t)order[W4_WORD_CODES * kw + j];
        word |= ((uint32_t)codes[i / 2] >> 4 * (i % 2) & 15u) << 4 * j;
    }
    return word;
}

/* Words [kw0, kw0 + n) of a row become a column of the block. */
static void
load_words(uint32_t block[BLOCK_WORDS][W4_ROWS_MAX], uint32_t c,
        const struct run *run, size_t kw0, size_t n)
{
    const unsigned char *codes = run->rows->codes[c];
    if (run->input_order != NULL) {
        for (size_t k = 0; k < n; k++) {
            block[k][c] = gather_word(codes, run->input_order, kw0 + k);
        }
    } else if (n == BLOCK_WORDS) {
        for (size_t k = 0; k < BLOCK_WORDS; k++) {
            block[k][c] = w4_load_le32(codes + 4 * (kw0 + k));
        }
    } else {
        for (size_t k = 0; k < n; k++) {
            block[k][c] = w4_load_le32(codes + 4 * (kw0 + k));
        }
    }
}

/* Asks for the rows in the order in which they stand in memory, which is
 * faster than a cache line of each row in turn. */
static void
prefetch_rows(const struct run *run)
{
    size_t n_bytes = run->weight->n_in / 2;
    for (uint32_t c = 0; c < run->n; c++) {
        for (size_t i = 0; i < n_bytes; i += CACHE_LINE) {
            __builtin_prefetch(run->rows->codes[c] + i);
        }
    }
}

static void
pack_words(const struct run *run)
{
    size_t n_words = run->weight->n_in / W4_WORD_CODES;
    uint32_t block[BLOCK_WORDS][W4_ROWS_MAX];
    prefetch_rows(run);
    for (size_t kw0 = 0; kw0 < n_words; kw0 += BLOCK_WORDS) {
        size_t left = n_words - kw0;
        size_t n = left < BLOCK_WORDS ? left : BLOCK_WORDS;
        for (uint32_t c = 0; c < run->n; c++) {
            load_words(block, c, run, kw0, n);
        }
        uint32_t *dst = run->dst.qweight + run->word + kw0 * run->word_stride;
        for (size_t k = 0; k < n; k++) {
            shuffle_row(dst + k * run->word_stride, block[k], run->n);
        }
    }
}

/* ------------------------------------------------------------------- groups */

/* The weight's group that a group of the matrix lies in. */
static size_t
source_group(const struct run *run, size_t group)
{
    return group * run->matrix->group_size / run->weight->group_size;
}

/* Puts one number of a row and group where it belongs: the same bits if the
 * types are the same. */
static void
put_number(void *dst, w4moe_dtype dst_type, uint64_t place, const void *src,
        w4moe_dtype src_type, size_t i)
{
    if (dst_type == src_type) {
        size_t size = w4moe_dtype_size(dst_type);
        memcpy((char *)dst + place * size, (const char *)src + i * size, size);
    } else {
        w4_store_float(dst, dst_type, place, w4_load_float(src, src_type, i));
    }
}

static unsigned
zero_of(const struct run *run, size_t i)
{
    return run->weight->has_zeros ? run->rows->zeros[i] : W4_ZERO_SYMMETRIC;
}

/* An offset; that of integer zeros is exact in fp32: 4 bits more than the
 * scale has. */
static void
pack_offset(const struct run *run, uint64_t place, size_t i)
{
    const struct w4_weight *weight = run->weight;
    w4moe_dtype type = run->matrix->offset_dtype;
    if (weight->offset_dtype != W4MOE_DTYPE_NONE) {
        put_number(run->dst.offsets, type, place, run->rows->offsets,
                weight->offset_dtype, i);
        return;
    }
    float scale = w4_load_float(run->rows->scales, weight->scale_dtype, i);
    w4_store_float(
            run->dst.offsets, type, place, -(float)zero_of(run, i) * scale);
}

static void
pack_groups(const struct run *run)
{
    const w4moe_matrix *m = run->matrix;
    size_t n_groups = w4_weight_groups(run->weight);
    size_t n_packed = w4_ceil_div(m->n_in, m->group_size);
    for (size_t group = 0; group < n_packed; group++) {
        size_t from = source_group(run, group);
        uint64_t place = run->scale + group * run->scale_stride;
        for (uint32_t c = 0; c < run->n; c++) {
            size_t i = c * n_groups + from;
            put_number(run->dst.scales, m->scale_dtype, place + c,
                    run->rows->scales, run->weight->scale_dtype, i);
            if (run->dst.offsets != NULL) {
                pack_offset(run, place + c, i);
            }
        }
        for (uint32_t c = 0; run->dst.qzeros != NULL && c < run->n;
                c += W4_WORD_ZEROS) {
            uint32_t word = 0;
            for (uint32_t m8 = 0; m8 < W4_WORD_ZEROS; m8++) {
                unsigned zero = zero_of(run, (c + m8) * n_groups + from);
                word |= ((zero + 15u) & 15u) << 4 * m8;
            }
            run->dst.qzeros[run->zero + group * run->zero_stride +
                            c / W4_WORD_ZEROS] = word;
        }
    }
}

static void
pack_bias(const struct run *run, size_t column, const uint32_t *rows)
{
    const struct w4_weight *weight = run->weight;
    for (uint32_t c = 0; weight->bias != NULL && c < run->n; c++) {
        float value = w4_read_number(weight->bias, weight->bias_dtype,
                w4_weight_row(weight, rows[c]));
        w4_store_float(
                run->dst.bias, run->matrix->bias_dtype, column + c, value);
    }
}

w4moe_status
w4_pack_weight(struct w4_err *err, const struct w4_pack_target *target,
        const struct w4_weight *weight, struct w4_rows *rows)
{
    const w4moe_matrix *m = target->matrix;
    struct w4_layout layout = w4_matrix_layout(m);
    struct run run = {
            .matrix = m,
            .dst = w4_matrix_expert(m, target->expert),
            .weight = weight,
            .rows = rows,
            .input_order = target->input_order,
    };
    for (size_t row = 0; row < weight->n_out; row += run.n) {
        uint32_t index[W4_ROWS_MAX];
        uint32_t c;
        size_t column = target->first_out + row;
        uint64_t t = w4_tile_of_column(&layout, column, &c);
        struct w4_tile tile = w4_tile_at(&layout, t);
        uint32_t end = c < tile.half ? tile.half : tile.width;
        size_t left = weight->n_out - row;
        uint64_t offset = w4_tile_offset(&tile, c);
        run.n = end - c < left ? end - c : (uint32_t)left;
        run.word = tile.word + offset;
        run.word_stride = tile.word_stride;
        run.scale = tile.scale + offset;
        run.scale_stride = tile.scale_stride;
        run.zero = tile.zero + offset / W4_WORD_ZEROS;
        run.zero_stride = tile.zero_stride;
        for (uint32_t i = 0; i < run.n; i++) {
            index[i] = target->output_order != NULL
                               ? (uint32_t)target->output_order[row + i]
                               : (uint32_t)(row + i);
        }
        w4moe_status status =
                weight->scheme->rows(err, weight, index, run.n, rows);
        if (status != W4MOE_OK) {
            return status;
        }
        pack_words(&run);
        pack_groups(&run);
        pack_bias(&run, column, index);
    }
    return W4MOE_OK;
}
