/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Matrices that are packed already, in either order: those of a container, in
 * host order. What they hold keeps its order along the input features.
 */
#include "base/half.h"
#include "format/weight.h"

/* ------------------------------------------------------------ rows to pack */

/* Where a column of the matrix stands. */
struct place {
    uint64_t word, word_stride;
    uint64_t scale, scale_stride;
    uint64_t zero, zero_stride;
    unsigned zero_shift;
};

static struct place
place_of(const w4moe_matrix *m, size_t column)
{
    struct w4_layout layout = w4_matrix_layout(m);
    uint32_t c;
    uint64_t t = w4_tile_of_column(&layout, column, &c);
    struct w4_tile tile = w4_tile_at(&layout, t);
    uint64_t offset = w4_tile_offset(&tile, c);
    return (struct place){
            .word = tile.word + offset,
            .word_stride = tile.word_stride,
            .scale = tile.scale + offset,
            .scale_stride = tile.scale_stride,
            .zero = tile.zero + offset / W4_WORD_ZEROS,
            .zero_stride = tile.zero_stride,
            .zero_shift = (unsigned)(offset % W4_WORD_ZEROS),
    };
}

/* Copies the numbers of a column's groups. */
static void
copy_groups(void *dst, const void *src, w4moe_dtype dtype,
        const struct place *place, size_t n_groups)
{
    size_t size = w4moe_dtype_size(dtype);
    for (size_t g = 0; g < n_groups; g++) {
        memcpy((char *)dst + g * size,
                (const char *)src +
                        (place->scale + g * place->scale_stride) * size,
                size);
    }
}

static w4moe_status
packed_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    const w4moe_matrix *m = weight->codes;
    struct w4_expert e = w4_matrix_expert(m, weight->variant);
    size_t n_groups = w4_weight_groups(weight);
    size_t n_words = weight->n_in / W4_WORD_CODES;
    for (size_t r = 0; r < n; r++) {
        struct place place = place_of(m, w4_weight_row(weight, rows[r]));
        unsigned char *codes = out->words + r * n_words * 4;
        out->codes[r] = codes;
        for (size_t k = 0; k < n_words; k++) {
            uint32_t word = w4_word_unshuffle(
                    e.qweight[place.word + k * place.word_stride]);
            w4_swap_le(&word, sizeof(word), 1);
            memcpy(codes + 4 * k, &word, sizeof(word));
        }
        copy_groups((char *)out->scales +
                            r * n_groups * w4moe_dtype_size(m->scale_dtype),
                e.scales, m->scale_dtype, &place, n_groups);
        if (weight->offset_dtype != W4MOE_DTYPE_NONE) {
            copy_groups(
                    (char *)out->offsets +
                            r * n_groups * w4moe_dtype_size(m->offset_dtype),
                    e.offsets, m->offset_dtype, &place, n_groups);
        }
        for (size_t g = 0; weight->has_zeros && g < n_groups; g++) {
            out->zeros[r * n_groups + g] = (uint8_t)w4_zero_of_word(
                    e.qzeros[place.zero + g * place.zero_stride],
                    place.zero_shift);
        }
    }
    return W4MOE_OK;
}

/* ----------------------------------------------------------- the second way */

/* Column in the order of the words: w4moe-format(5), "Order tile". */
static size_t
packed_column(const w4moe_matrix *m, size_t n)
{
    size_t half = m->n_out / 2;
    if (!m->gated || m->order == W4MOE_ORDER_RDNA3) {
        return n;
    }
    size_t out = n % half;
    size_t left = half - out / 64 * 64;
    size_t up = n < half ? 0 : left < 64 ? left : 64;
    return out / 64 * 128 + out % 64 + up;
}

/* Place of a column's element in row `row` of an array of n_rows rows of
 * columns, of one expert. */
static size_t
element(const w4moe_matrix *m, size_t n_rows, size_t row, size_t c)
{
    if (m->order == W4MOE_ORDER_RDNA3) {
        return row * m->n_out + c;
    }
    size_t tile = c / 128 * 128;
    size_t width = m->n_out - tile < 128 ? m->n_out - tile : 128;
    return tile * n_rows + row * width + c % 128;
}

static const unsigned char *
packed_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    const w4moe_matrix *m = weight->codes;
    size_t c = packed_column(m, w4_weight_row(weight, n));
    size_t n_rows = m->n_in / 8;
    const uint32_t *words = m->qweight + weight->variant * (n_rows * m->n_out);
    for (size_t i = 0; i < m->n_in; i++) {
        size_t j = i % 8;
        uint32_t word = words[element(m, n_rows, i / 8, c)];
        unsigned code = word >> (4 * (j / 2) + 16 * (j % 2)) & 15u;
        room[i / 2] =
                (unsigned char)(i % 2 == 0 ? code : room[i / 2] | code << 4);
    }
    return room;
}

static void
packed_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    const w4moe_matrix *m = weight->codes;
    size_t c = packed_column(m, w4_weight_row(weight, n));
    size_t n_groups = w4_weight_groups(weight);
    size_t at = weight->variant * (n_groups * m->n_out) +
                element(m, n_groups, group, c);
    float scale = w4_load_float(m->scales, m->scale_dtype, at);
    int zero = 8;
    if (m->qzeros != NULL) {
        uint32_t word = m->qzeros[at / 8];
        zero = (int)((word >> 4 * (c % 8)) + 1) & 15;
    }
    for (int code = 0; code < 16; code++) {
        if (m->code == W4MOE_CODE_E2M1) {
            values[code] = w4_e2m1_values[code] * scale;
        } else if (m->offsets != NULL) {
            double offset = w4_load_float(m->offsets, m->offset_dtype, at);
            values[code] = (float)((double)scale * code + offset);
        } else {
            values[code] = (float)(code - zero) * scale;
        }
    }
}

const struct w4_scheme w4_scheme_packed = {
        .name = "w4moe",
        .code = W4MOE_CODE_INT4,
        .rows = packed_rows,
        .read_words = packed_read_words,
        .read_values = packed_read_values,
};

const struct w4_scheme w4_scheme_packed_e2m1 = {
        .name = "w4moe",
        .code = W4MOE_CODE_E2M1,
        .rows = packed_rows,
        .read_words = packed_read_words,
        .read_values = packed_read_values,
};
