/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * AutoAWQ, version gemm: qweight I32 [K][N/8], qzeros I32 [G][N/8], scales
 * [G][N]. Nibble i of a word is of column order[i] of its 8. Zero points are as
 * they are.
 */
#include "format/n_major.h"

static const uint8_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
/* The inverse: nibble of a column. */
static const uint8_t places[8] = {0, 4, 1, 5, 2, 6, 3, 7};

/* Swaps the upper `bits` of each field of 2 * bits in a with the lower ones in
 * b. */
static inline void
swap_fields(uint32_t *a, uint32_t *b, unsigned bits, uint32_t lower)
{
    uint32_t change = (*a >> bits ^ *b) & lower;
    *b ^= change;
    *a ^= change << bits;
}

/* Turns 8 columns of the weight, a word for each, into 8 words, one for each
 * of its rows. */
static void
turn_octet(uint32_t *line, const unsigned char *words, size_t stride)
{
    uint32_t w[8];
    for (size_t j = 0; j < 8; j++) {
        w[j] = w4_load_le32(words + j * stride);
    }
    for (size_t j = 0; j < 4; j++) {
        swap_fields(&w[j], &w[j + 4], 16, 0x0000FFFFu);
    }
    for (size_t j = 0; j < 4; j++) {
        size_t at = 4 * (j / 2) + j % 2;
        swap_fields(&w[at], &w[at + 2], 8, 0x00FF00FFu);
    }
    for (size_t j = 0; j < 8; j += 2) {
        swap_fields(&w[j], &w[j + 1], 4, 0x0F0F0F0Fu);
    }
    for (size_t i = 0; i < 8; i++) {
        line[order[i]] = w[i];
    }
}

static void
awq_line(const struct w4_n_major *rows, size_t kw, uint32_t *line)
{
    const struct w4_weight *weight = rows->weight;
    size_t stride = weight->tensor_rows / 2;
    const unsigned char *first = weight->codes;
    first += kw * W4_WORD_CODES * stride;
    size_t r = 0;
    if (rows->is_run && rows->row[0] % 8 == 0) {
        for (; r + 8 <= rows->n; r += 8) {
            turn_octet(line + r, first + rows->row[r] / 2, stride);
        }
    }
    for (; r < rows->n; r++) {
        size_t row = rows->row[r];
        const unsigned char *words = first + 4 * (row / 8);
        unsigned bit = 4u * places[row % 8];
        line[r] = 0;
        for (unsigned j = 0; j < W4_WORD_CODES; j++) {
            uint32_t word = w4_load_le32(words + j * stride);
            line[r] |= (word >> bit & 15u) << 4 * j;
        }
    }
}

static w4moe_status
awq_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    w4_n_major_rows(weight, rows, n, out, awq_line, places, 0);
    return W4MOE_OK;
}

/* Nibble of row `row` in line `line` of an array [..][tensor_rows] of words:
 * even columns are in the lower half of a word, odd ones in the upper. */
static unsigned
read_nibble(const void *array, const struct w4_weight *weight, size_t line,
        size_t row)
{
    size_t nibble = row % 8 / 2 + (row % 2 != 0 ? 4 : 0);
    const unsigned char *bytes = array;
    unsigned byte =
            bytes[line * (weight->tensor_rows / 2) + row / 8 * 4 + nibble / 2];
    return nibble % 2 == 0 ? byte % 16 : byte / 16;
}

static const unsigned char *
awq_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    size_t row = w4_weight_row(weight, n);
    for (size_t i = 0; i < weight->n_in; i += 2) {
        unsigned even = read_nibble(weight->codes, weight, i, row);
        unsigned odd = read_nibble(weight->codes, weight, i + 1, row);
        room[i / 2] = (unsigned char)(even + 16 * odd);
    }
    return room;
}

/* (code - zero) * scale, where zero points that are all 8 are no exception. */
static void
awq_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    size_t row = w4_weight_row(weight, n);
    float scale = w4_read_number(weight->scales, weight->scale_dtype,
            group * weight->tensor_rows + row);
    int zero = 8;
    if (weight->zeros != NULL) {
        zero = (int)read_nibble(weight->zeros, weight, group, row);
    }
    for (int code = 0; code < 16; code++) {
        values[code] = (float)(code - zero) * scale;
    }
}

const struct w4_scheme w4_scheme_awq = {
        .name = "awq",
        .code = W4MOE_CODE_INT4,
        .rows = awq_rows,
        .read_words = awq_read_words,
        .read_values = awq_read_values,
};

/* -------------------------------------------------------------- checkpoints */

w4moe_status
w4_awq_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    static const uint32_t symmetric = 0x88888888u;
    const struct w4_tensor *codes = parts->tensors[W4_PART_QWEIGHT];
    const struct w4_tensor *zeros = parts->tensors[W4_PART_QZEROS];
    w4moe_status status = w4_n_major_resolve(
            err, weight, parts, config, w4_scheme_awq.name, 0);
    if (status == W4MOE_OK) {
        status = w4_tensor_check(err, codes, W4MOE_I32, weight->n_in,
                weight->tensor_rows / W4_WORD_CODES);
    }
    if (status == W4MOE_OK) {
        weight->scheme = &w4_scheme_awq;
        weight->codes = codes->data;
        weight->has_zeros = zeros != NULL && !w4_words_are(zeros, symmetric);
    }
    return status;
}
