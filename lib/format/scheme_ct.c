/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * compressed-tensors, pack-quantized, 4 bits: weight_packed I32 [N][K/8],
 * lowest code first, code = value + 8; weight_scale [N][G]; weight_zero_point
 * I32 [ceil(N / 8)][G], packed along the rows.
 */
#include <inttypes.h>

#include "base/size.h"
#include "format/parts.h"
#include "io/text.h"

/* The zero point of a row and group. */
static uint8_t
zero_point(const struct w4_weight *weight, size_t row, size_t group)
{
    const unsigned char *words = weight->zeros;
    size_t index = row / 8 * w4_weight_groups(weight) + group;
    return (uint8_t)(w4_load_le32(words + 4 * index) >> 4 * (row % 8) & 15u);
}

static w4moe_status
ct_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    size_t n_groups = w4_weight_groups(weight);
    size_t size = w4moe_dtype_size(weight->scale_dtype);
    const unsigned char *codes = weight->codes;
    const char *scales = weight->scales;
    for (size_t r = 0; r < n; r++) {
        size_t row = w4_weight_row(weight, rows[r]);
        out->codes[r] = codes + row * (weight->n_in / 2);
        w4_copy_numbers((char *)out->scales + r * n_groups * size,
                scales + row * n_groups * size, weight->scale_dtype, n_groups);
        for (size_t g = 0; weight->has_zeros && g < n_groups; g++) {
            out->zeros[r * n_groups + g] = zero_point(weight, row, g);
        }
    }
    return W4MOE_OK;
}

static const unsigned char *
ct_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    (void)room;
    return (const unsigned char *)weight->codes +
           w4_weight_row(weight, n) * (weight->n_in / 2);
}

static void
ct_read_groups(
        const struct w4_weight *weight, size_t n, float *scales, uint8_t *zeros)
{
    size_t n_groups = w4_weight_groups(weight);
    size_t row = w4_weight_row(weight, n);
    const unsigned char *bytes = weight->zeros;
    w4_read_numbers(scales, weight->scales, weight->scale_dtype, row * n_groups,
            n_groups);
    for (size_t g = 0; g < n_groups; g++) {
        zeros[g] = 8;
        if (weight->has_zeros) {
            /* Nibble row % 8 of the word is half of one of its bytes. */
            uint8_t byte = bytes[4 * (row / 8 * n_groups + g) + row % 8 / 2];
            zeros[g] = row % 2 == 0 ? byte & 15u : (uint8_t)(byte >> 4);
        }
    }
}

/* (code - zero) * scale */
static void
ct_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    size_t n_groups = w4_weight_groups(weight);
    size_t row = w4_weight_row(weight, n);
    float scale = w4_read_number(
            weight->scales, weight->scale_dtype, row * n_groups + group);
    int zero = 8;
    if (weight->has_zeros) {
        /* Nibble row % 8 of the word is half of one of its bytes. */
        const unsigned char *bytes = weight->zeros;
        bytes += 4 * (row / 8 * n_groups + group) + row % 8 / 2;
        zero = row % 2 == 0 ? *bytes & 15 : *bytes >> 4;
    }
    for (int code = 0; code < 16; code++) {
        values[code] = (float)(code - zero) * scale;
    }
}

const struct w4_scheme w4_scheme_ct = {
        .name = "compressed-tensors",
        .code = W4MOE_CODE_INT4,
        .rows = ct_rows,
        .read_words = ct_read_words,
        .read_values = ct_read_values,
        .read_groups = ct_read_groups,
};

/* -------------------------------------------------------------- checkpoints */

/* weight_shape holds the sizes before packing. */
static w4moe_status
check_shape(struct w4_err *err, const struct w4_tensor *tensor,
        const struct w4_weight *weight)
{
    if (tensor == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = w4_tensor_check(err, tensor, W4MOE_I64, 2, 1);
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t rows = w4_load_le64(tensor->data);
    uint64_t columns = w4_load_le64((const char *)tensor->data + 8);
    if (rows != weight->n_out || columns != weight->n_in) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" says [%" PRIu64 ", %" PRIu64
                "], expected [%zu, %zu]",
                w4_show_string(tensor->name).text, rows, columns, weight->n_out,
                weight->n_in);
    }
    return W4MOE_OK;
}

w4moe_status
w4_ct_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *const *tensors = parts->tensors;
    const struct w4_tensor *packed = tensors[W4_PART_PACKED];
    const struct w4_tensor *scale = tensors[W4_PART_WEIGHT_SCALE];
    const struct w4_tensor *zeros = tensors[W4_PART_ZERO_POINT];
    w4moe_status status = w4_parts_only(err, parts,
            1u << W4_PART_PACKED | 1u << W4_PART_WEIGHT_SCALE |
                    1u << W4_PART_ZERO_POINT | 1u << W4_PART_G_IDX |
                    1u << W4_PART_SHAPE | 1u << W4_PART_BIAS,
            w4_scheme_ct.name);
    if (status == W4MOE_OK) {
        status =
                w4_parts_need(err, parts, W4_PART_PACKED, W4_PART_WEIGHT_SCALE);
    }
    if (status == W4MOE_OK && zeros == NULL && !config->symmetric) {
        status = w4_parts_need(err, parts, W4_PART_PACKED, W4_PART_ZERO_POINT);
    }
    if (status == W4MOE_OK) {
        status = check_shape(err, tensors[W4_PART_SHAPE], weight);
    }
    if (status == W4MOE_OK) {
        status = w4_tensor_check(err, packed, W4MOE_I32, weight->n_out,
                weight->n_in / W4_WORD_CODES);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t n_groups = scale->n_dims == 2 ? scale->shape[1] : 1;
    status = w4_tensor_check(
            err, scale, W4MOE_DTYPE_NONE, weight->n_out, n_groups);
    if (status == W4MOE_OK && !w4_tensor_is_float(scale)) {
        status = w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is %s, not BF16, F16 or F32",
                w4_show_string(scale->name).text, scale->dtype_name);
    }
    if (status == W4MOE_OK) {
        status = w4_group_size_pick(err, &weight->group_size, config, scale,
                weight->n_in, n_groups);
    }
    if (status == W4MOE_OK && zeros != NULL) {
        status = w4_tensor_check(err, zeros, W4MOE_I32,
                w4_ceil_div(weight->n_out, W4_WORD_ZEROS), n_groups);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    weight->scheme = &w4_scheme_ct;
    weight->codes = packed->data;
    weight->scales = scale->data;
    weight->scale_dtype = scale->dtype;
    weight->has_zeros = zeros != NULL;
    weight->zeros = zeros != NULL ? zeros->data : NULL;
    status = w4_g_idx_take(err, weight, tensors[W4_PART_G_IDX]);
    return status == W4MOE_OK ? w4_bias_take(err, weight, tensors[W4_PART_BIAS])
                              : status;
}
