/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * A line of the checkpoint has the numbers of all rows for some columns. Rows
 * are read together, a run of each line, and turned a block of cache lines at
 * a time.
 */
#include "format/n_major.h"

#include "io/text.h"

/* Words of a row that are written together: one cache line. */
enum { BLOCK_WORDS = 16 };

static struct w4_n_major
list_rows(const struct w4_weight *weight, const uint32_t *rows, size_t n)
{
    struct w4_n_major list = {.weight = weight, .n = n, .is_run = 1};
    for (size_t r = 0; r < n; r++) {
        list.row[r] = w4_weight_row(weight, rows[r]);
        list.is_run &= list.row[r] == list.row[0] + r;
    }
    return list;
}

static void
take_codes(const struct w4_n_major *rows, struct w4_rows *out,
        w4_n_major_line_fn *line)
{
    size_t n_words = rows->weight->n_in / W4_WORD_CODES;
    uint32_t block[BLOCK_WORDS][W4_ROWS_MAX];
    for (size_t kw0 = 0; kw0 < n_words; kw0 += BLOCK_WORDS) {
        size_t left = n_words - kw0;
        size_t n = left < BLOCK_WORDS ? left : BLOCK_WORDS;
        for (size_t k = 0; k < n; k++) {
            line(rows, kw0 + k, block[k]);
            w4_swap_le(block[k], sizeof(uint32_t), rows->n);
        }
        for (size_t r = 0; r < rows->n; r++) {
            unsigned char *words = out->words + 4 * (r * n_words + kw0);
            for (size_t k = 0; k < n; k++) {
                memcpy(words + 4 * k, &block[k][r], sizeof(uint32_t));
            }
        }
    }
    for (size_t r = 0; r < rows->n; r++) {
        out->codes[r] = out->words + 4 * r * n_words;
    }
}

static void
take_scales(const struct w4_n_major *rows, struct w4_rows *out)
{
    const struct w4_weight *weight = rows->weight;
    size_t n_groups = w4_weight_groups(weight);
    size_t size = w4moe_dtype_size(weight->scale_dtype);
    const char *scales = weight->scales;
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t r = 0; r < rows->n; r++) {
            size_t from = g * weight->tensor_rows + rows->row[r];
            memcpy((char *)out->scales + (r * n_groups + g) * size,
                    scales + from * size, size);
        }
    }
    w4_swap_le(out->scales, size, rows->n * n_groups);
}

static void
take_zeros(const struct w4_n_major *rows, struct w4_rows *out,
        const uint8_t places[8], unsigned add)
{
    const struct w4_weight *weight = rows->weight;
    size_t n_groups = w4_weight_groups(weight);
    size_t n_words = weight->tensor_rows / W4_WORD_ZEROS;
    const unsigned char *words = weight->zeros;
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t r = 0; r < rows->n; r++) {
            size_t row = rows->row[r];
            uint32_t word = w4_load_le32(
                    words + 4 * (g * n_words + row / W4_WORD_ZEROS));
            unsigned stored = word >> 4 * places[row % W4_WORD_ZEROS] & 15u;
            out->zeros[r * n_groups + g] = (uint8_t)((stored + add) & 15u);
        }
    }
}

void
w4_n_major_rows(const struct w4_weight *weight, const uint32_t *rows, size_t n,
        struct w4_rows *out, w4_n_major_line_fn *line, const uint8_t places[8],
        unsigned add)
{
    struct w4_n_major list = list_rows(weight, rows, n);
    take_codes(&list, out, line);
    take_scales(&list, out);
    if (weight->has_zeros) {
        take_zeros(&list, out, places, add);
    }
}

/* -------------------------------------------------------------- checkpoints */

int
w4_words_are(const struct w4_tensor *tensor, uint32_t word)
{
    const unsigned char *words = tensor->data;
    for (uint64_t i = 0; i < tensor->n_bytes; i += 4) {
        if (w4_load_le32(words + i) != word) {
            return 0;
        }
    }
    return 1;
}

w4moe_status
w4_n_major_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config,
        const char *scheme, unsigned allowed)
{
    const struct w4_tensor *scales = parts->tensors[W4_PART_SCALES];
    const struct w4_tensor *zeros = parts->tensors[W4_PART_QZEROS];
    w4moe_status status = w4_parts_only(err, parts,
            1u << W4_PART_QWEIGHT | 1u << W4_PART_SCALES |
                    1u << W4_PART_QZEROS | 1u << W4_PART_BIAS | allowed,
            scheme);
    if (status == W4MOE_OK && zeros == NULL && !config->symmetric) {
        status = w4_parts_need(err, parts, W4_PART_QWEIGHT, W4_PART_QZEROS);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t n_groups = scales->shape[0];
    status = w4_tensor_check(
            err, scales, W4MOE_DTYPE_NONE, n_groups, weight->tensor_rows);
    if (status == W4MOE_OK && !w4_tensor_is_float(scales)) {
        status = w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is %s, not BF16, F16 or F32",
                w4_show_string(scales->name).text, scales->dtype_name);
    }
    if (status == W4MOE_OK) {
        status = w4_group_size_pick(err, &weight->group_size, config, scales,
                weight->n_in, n_groups);
    }
    if (status == W4MOE_OK && zeros != NULL) {
        status = w4_tensor_check(err, zeros, W4MOE_I32, n_groups,
                weight->tensor_rows / W4_WORD_ZEROS);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    weight->scales = scales->data;
    weight->scale_dtype = scales->dtype;
    weight->has_zeros = zeros != NULL;
    weight->zeros = zeros != NULL ? zeros->data : NULL;
    return w4_bias_take(err, weight, parts->tensors[W4_PART_BIAS]);
}
