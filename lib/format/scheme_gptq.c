/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * GPTQ, 4 bits: qweight I32 [K/8][N], lowest code first; scales [G][N]; qzeros
 * I32 [G][N/8], where version 1 has the zero point minus one, version 2 the
 * zero point; g_idx [K].
 */
#include <inttypes.h>

#include "format/n_major.h"
#include "io/text.h"

/* All zero points 8, as version 1 and as version 2 store them. */
static const uint32_t symmetric_v1 = 0x77777777u;
static const uint32_t symmetric_v2 = 0x88888888u;

static void
gptq_line(const struct w4_n_major *rows, size_t kw, uint32_t *line)
{
    const struct w4_weight *weight = rows->weight;
    const unsigned char *words = weight->codes;
    words += 4 * kw * weight->tensor_rows;
    if (rows->is_run) {
        memcpy(line, words + 4 * rows->row[0], 4 * rows->n);
        w4_swap_le(line, 4, rows->n);
        return;
    }
    for (size_t r = 0; r < rows->n; r++) {
        line[r] = w4_load_le32(words + 4 * rows->row[r]);
    }
}

static w4moe_status
gptq_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    static const uint8_t places[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    (void)err;
    unsigned add = (weight->variant & W4_GPTQ_V2) != 0 ? 0 : 1;
    w4_n_major_rows(weight, rows, n, out, gptq_line, places, add);
    return W4MOE_OK;
}

/* Column i is nibble i % 8 of word [i / 8][n]: bytes are in the same place of
 * the word in the checkpoint and in the row. */
static const unsigned char *
gptq_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    const unsigned char *codes = weight->codes;
    size_t row = w4_weight_row(weight, n);
    for (size_t i = 0; i < weight->n_in; i += 2) {
        size_t word = i / 8 * weight->tensor_rows + row;
        room[i / 2] = codes[4 * word + i % 8 / 2];
    }
    return room;
}

/* (code - zero) * scale, where zero points that are all 8 are no exception. */
static void
gptq_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    size_t column = group * weight->tensor_rows + w4_weight_row(weight, n);
    float scale = w4_read_number(weight->scales, weight->scale_dtype, column);
    int zero = 8;
    if (weight->zeros != NULL) {
        /* tensor_rows is a multiple of 8. */
        int byte = ((const unsigned char *)weight->zeros)[column / 2];
        zero = column % 2 == 0 ? byte % 16 : byte / 16;
        if ((weight->variant & W4_GPTQ_V2) == 0) {
            zero = zero == 15 ? 0 : zero + 1;
        }
    }
    for (int code = 0; code < 16; code++) {
        values[code] = (float)(code - zero) * scale;
    }
}

const struct w4_scheme w4_scheme_gptq = {
        .name = "gptq",
        .code = W4MOE_CODE_INT4,
        .rows = gptq_rows,
        .read_words = gptq_read_words,
        .read_values = gptq_read_values,
};

/* -------------------------------------------------------------- checkpoints */

/* Quantisers subtract 1 from a zero point of 0 and store 15; readers do not
 * agree on what that means. */
static w4moe_status
check_wrapped(struct w4_err *err, const struct w4_tensor *zeros)
{
    const unsigned char *bytes = zeros->data;
    uint64_t n_wrapped = 0;
    for (uint64_t i = 0; i < zeros->n_bytes; i++) {
        n_wrapped += (uint64_t)(bytes[i] % 16 == 15) + (bytes[i] / 16 == 15);
    }
    if (n_wrapped != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": %" PRIu64 " of %" PRIu64
                " zero points of GPTQ version 1 are stored as 15, which some "
                "programs read as 16 and others as 0; option gptq-zero-wrap "
                "reads 0",
                w4_show_string(zeros->name).text, n_wrapped,
                2 * zeros->n_bytes);
    }
    return W4MOE_OK;
}

/* Labels are often wrong; zero points that are all 8 tell the version. */
static w4moe_status
choose_version(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *zeros, const struct w4_model_config *config)
{
    unsigned label = config->gptq_v2 ? W4_GPTQ_V2 : 0;
    weight->variant = label;
    if (zeros == NULL) {
        return W4MOE_OK;
    }
    int is_v1 = w4_words_are(zeros, symmetric_v1);
    if (is_v1 || w4_words_are(zeros, symmetric_v2)) {
        weight->has_zeros = 0;
        weight->variant = is_v1 ? 0 : W4_GPTQ_V2;
        if (weight->variant != label) {
            weight->variant |= W4_GPTQ_MISLABELLED;
        }
        return W4MOE_OK;
    }
    return weight->variant == 0 && !config->gptq_zero_wrap
                   ? check_wrapped(err, zeros)
                   : W4MOE_OK;
}

/* The order of the columns is what the tensor says, whatever the config. */
static w4moe_status
take_order(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *g_idx = parts->tensors[W4_PART_G_IDX];
    if (g_idx == NULL && config->desc_act &&
            weight->group_size < weight->n_in) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\": no g_idx beside it, but the config says "
                "desc_act",
                w4_show_string(parts->tensors[W4_PART_QWEIGHT]->name).text);
    }
    w4moe_status status = w4_g_idx_take(err, weight, g_idx);
    if (status != W4MOE_OK || g_idx == NULL || weight->g_idx != NULL) {
        return status;
    }
    /* A -1 stands for "no order" in compressed-tensors only. */
    const unsigned char *groups = g_idx->data;
    for (size_t i = 0; i < weight->n_in; i++) {
        if (w4_load_le32(groups + 4 * i) != i / weight->group_size) {
            return w4_fail(err, W4MOE_FORMAT,
                    "tensor \"%s\": column %zu is in group %" PRId32,
                    w4_show_string(g_idx->name).text, i,
                    (int32_t)w4_load_le32(groups + 4 * i));
        }
    }
    return W4MOE_OK;
}

w4moe_status
w4_gptq_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *codes = parts->tensors[W4_PART_QWEIGHT];
    w4moe_status status = w4_n_major_resolve(err, weight, parts, config,
            w4_scheme_gptq.name, 1u << W4_PART_G_IDX);
    if (status == W4MOE_OK) {
        status = w4_tensor_check(err, codes, W4MOE_I32,
                weight->n_in / W4_WORD_CODES, weight->tensor_rows);
    }
    if (status == W4MOE_OK) {
        status = take_order(err, weight, parts, config);
    }
    if (status == W4MOE_OK) {
        status = choose_version(
                err, weight, parts->tensors[W4_PART_QZEROS], config);
    }
    if (status == W4MOE_OK) {
        weight->scheme = &w4_scheme_gptq;
        weight->codes = codes->data;
    }
    return status;
}
