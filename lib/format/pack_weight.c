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
#include "format/words4.h"

enum { CACHE_LINE = 64 };

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
static w4_words4
shuffle4(w4_words4 w)
{
    w4_words4 even = w & 0x0F0F0F0Fu;
    w4_words4 odd = w >> 4 & 0x0F0F0F0Fu;
    even = (even | even >> 4) & 0x00FF00FFu;
    odd = (odd | odd >> 4) & 0x00FF00FFu;
    even = (even | even >> 8) & 0x0000FFFFu;
    odd = (odd | odd >> 8) & 0x0000FFFFu;
    return even | odd << 16;
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

/* Word kw of columns [0, n). */
static void
pack_row(const struct run *run, uint32_t *dst, size_t kw)
{
    for (uint32_t c = 0; c < run->n; c++) {
        const unsigned char *codes = run->rows->codes[c];
        uint32_t word = run->input_order != NULL
                                ? gather_word(codes, run->input_order, kw)
                                : w4_load_le32(codes + 4 * kw);
        dst[c] = w4_word_shuffle(word);
    }
}

/* Words kw to kw + 3 of all columns, of which there are a multiple of 8. */
static void
pack_rows4(const struct run *run, uint32_t *dst, size_t kw)
{
    const unsigned char *const *codes = run->rows->codes;
    for (uint32_t c = 0; c < run->n; c += W4_WORDS4) {
        w4_words4 w[W4_WORDS4];
        for (unsigned i = 0; i < W4_WORDS4; i++) {
            w[i] = w4_words4_load_le(codes[c + i] + 4 * kw);
        }
        w4_words4_turn(w);
        for (unsigned i = 0; i < W4_WORDS4; i++) {
            w4_words4_store(dst + i * run->word_stride + c, shuffle4(w[i]));
        }
    }
}

static void
pack_words(const struct run *run)
{
    size_t n_words = run->weight->n_in / W4_WORD_CODES;
    uint32_t *dst = run->dst.qweight + run->word;
    size_t kw = 0;
    prefetch_rows(run);
    for (; run->input_order == NULL && kw + W4_WORDS4 <= n_words;
            kw += W4_WORDS4) {
        pack_rows4(run, dst + kw * run->word_stride, kw);
    }
    for (; kw < n_words; kw++) {
        pack_row(run, dst + kw * run->word_stride, kw);
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
    if (dst_type == src_type && dst_type == W4MOE_F32) {
        ((uint32_t *)dst)[place] = ((const uint32_t *)src)[i];
    } else if (dst_type == src_type && dst_type == W4MOE_F8_E8M0) {
        ((uint8_t *)dst)[place] = ((const uint8_t *)src)[i];
    } else if (dst_type == src_type) {
        ((uint16_t *)dst)[place] = ((const uint16_t *)src)[i];
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
