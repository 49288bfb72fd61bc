/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * FP8 in blocks (DeepSeek-V3, Qwen3 FP8), which is rounded: weight F8_E4M3
 * [N][K]; weight_scale_inv [ceil(N / rows)][ceil(K / columns)], the factor of
 * a block of rows x columns weights. The product is rounded to fp32 once.
 */
#include <math.h>

#include "base/half.h"
#include "base/size.h"
#include "format/parts.h"
#include "format/round.h"
#include "io/text.h"

/* Where the config is silent. */
enum { BLOCK = 128 };

static w4moe_status
fp8_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    size_t n_in = weight->n_in;
    size_t n_blocks = w4_ceil_div(n_in, weight->block[1]);
    w4moe_status status = W4MOE_OK;
    for (size_t r = 0; r < n && status == W4MOE_OK; r++) {
        size_t row = w4_weight_row(weight, rows[r]);
        const unsigned char *src = weight->codes;
        src += row * n_in;
        for (size_t b = 0; b < n_blocks; b++) {
            size_t k = b * weight->block[1];
            size_t left = n_in - k;
            size_t end =
                    k + (left < weight->block[1] ? left : weight->block[1]);
            float scale = w4_read_number(weight->scales, weight->block_dtype,
                    row / weight->block[0] * n_blocks + b);
            for (; k < end; k++) {
                out->values[k] = w4_float_of_e4m3(src[k]) * scale;
            }
        }
        status = w4_round_row(err, weight, rows[r], r, out->values, out);
    }
    return status;
}

/* By the definition: sign, 4 bits of exponent of bias 7, 3 bits of mantissa,
 * without a leading 1 where the exponent is 0; all ones are no number. */
static float
value_of(unsigned code)
{
    int exponent = (int)(code >> 3 & 15u);
    float mantissa = (float)(code & 7u) / 8.0f;
    float value = exponent == 0 ? ldexpf(mantissa, -6)
                                : ldexpf(1.0f + mantissa, exponent - 7);
    if ((code & 127u) == 127u) {
        value = NAN;
    }
    return code >= 128 ? -value : value;
}

static void
fp8_read_row(const struct w4_weight *weight, size_t n, float *row)
{
    const unsigned char *codes = weight->codes;
    size_t tensor_row = w4_weight_row(weight, n);
    size_t n_blocks = w4_ceil_div(weight->n_in, weight->block[1]);
    for (size_t k = 0; k < weight->n_in; k++) {
        size_t block =
                tensor_row / weight->block[0] * n_blocks + k / weight->block[1];
        row[k] = value_of(codes[tensor_row * weight->n_in + k]) *
                 w4_read_number(weight->scales, weight->block_dtype, block);
    }
}

const struct w4_scheme w4_scheme_fp8 = {
        .name = "fp8",
        .code = W4MOE_CODE_INT4,
        .rounded = 1,
        .rows = fp8_rows,
        .read_row = fp8_read_row,
};

/* -------------------------------------------------------------- checkpoints */

/* The scales of the blocks. */
static w4moe_status
take_scales(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *scales, const size_t block[2])
{
    for (int i = 0; i < 2; i++) {
        weight->block[i] = block[i] != 0 ? block[i] : BLOCK;
    }
    w4moe_status status = w4_tensor_check(err, scales, W4MOE_DTYPE_NONE,
            w4_ceil_div(weight->tensor_rows, weight->block[0]),
            w4_ceil_div(weight->n_in, weight->block[1]));
    if (status == W4MOE_OK && !w4_tensor_is_float(scales)) {
        status = w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is %s, not BF16, F16 or F32",
                w4_show_string(scales->name).text, scales->dtype_name);
    }
    if (status == W4MOE_OK) {
        weight->scales = scales->data;
        weight->block_dtype = scales->dtype;
    }
    return status;
}

w4moe_status
w4_fp8_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *const *tensors = parts->tensors;
    const struct w4_tensor *tensor = tensors[W4_PART_WEIGHT];
    if (tensors[W4_PART_WEIGHT_SCALE] != NULL) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": FP8 with a scale for a whole tensor or row is "
                "not converted (weight_scale_inv of blocks is)",
                w4_show_string(tensors[W4_PART_WEIGHT_SCALE]->name).text);
    }
    w4moe_status status = w4_parts_only(err, parts,
            1u << W4_PART_WEIGHT | 1u << W4_PART_SCALE_INV | 1u << W4_PART_BIAS,
            w4_scheme_fp8.name);
    if (status == W4MOE_OK && tensor->dtype != W4MOE_F8_E4M3) {
        status = w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": weights of type %s with weight_scale_inv are "
                "not converted (F8_E4M3)",
                w4_show_string(tensor->name).text, tensor->dtype_name);
    }
    if (status == W4MOE_OK) {
        status = w4_parts_need(err, parts, W4_PART_WEIGHT, W4_PART_SCALE_INV);
    }
    if (status == W4MOE_OK) {
        status = w4_tensor_check(
                err, tensor, W4MOE_F8_E4M3, weight->tensor_rows, weight->n_in);
    }
    if (status == W4MOE_OK) {
        status = take_scales(
                err, weight, tensors[W4_PART_SCALE_INV], config->fp8_block);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    weight->scheme = &w4_scheme_fp8;
    weight->group_size = weight->n_in;
    weight->codes = tensor->data;
    weight->dtype = tensor->dtype;
    weight->name = tensor->name;
    /* What such models compute in. */
    weight->scale_dtype = W4MOE_BF16;
    return w4_bias_take(err, weight, tensors[W4_PART_BIAS]);
}
