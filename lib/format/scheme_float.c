/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Weights of 16 or 32 bits, which are rounded. Their rows may stand one after
 * the other or, in transposed tensors, side by side. */
#include "base/half.h"
#include "format/parts.h"
#include "format/round.h"
#include "io/text.h"

/* Columns of rows side by side that are read together: what they become is a
 * cache line of each row. */
enum { COLUMNS = 16, LANES = 8 };

/* --------------------------------------------------------------- conversion */

/* The element at an address. */
static inline float
element(const unsigned char *p, w4moe_dtype dtype)
{
    if (dtype == W4MOE_F32) {
        return w4_float_of_bits(w4_load_le32(p));
    }
    uint16_t half = w4_load_le16(p);
    return dtype == W4MOE_BF16 ? w4_float_of_bf16(half) : w4_float_of_f16(half);
}

/* The functions below are inlined where the type is known. */

/* n elements, a multiple of 8, that follow each other. */
static inline void
read_run(float *dst, const unsigned char *src, size_t n, w4moe_dtype dtype)
{
    size_t size = dtype == W4MOE_F32 ? 4 : 2;
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            dst[i + j] = element(src + (i + j) * size, dtype);
        }
    }
}

/* Rows side by side: dst [n_rows][n_in] of elements at src + places[r] +
 * k * stride, all in bytes. */
static inline void
read_transposed(float *dst, const unsigned char *src, const uint64_t *places,
        size_t n_rows, size_t n_in, size_t stride, w4moe_dtype dtype)
{
    float block[W4_ROWS_OF_FLOATS][COLUMNS];
    for (size_t k = 0; k < n_in; k += COLUMNS) {
        size_t n = n_in - k < COLUMNS ? n_in - k : COLUMNS;
        for (size_t i = 0; i < n; i++) {
            const unsigned char *column = src + (k + i) * stride;
            for (size_t r = 0; r < n_rows; r++) {
                block[r][i] = element(column + places[r], dtype);
            }
        }
        for (size_t r = 0; r < n_rows; r++) {
            memcpy(dst + r * n_in + k, block[r], n * sizeof(*dst));
        }
    }
}

/* Reads some rows of a weight as floats, [n][n_in]. */
static void
read_rows(float *dst, const struct w4_weight *weight, const uint32_t *rows,
        size_t n)
{
    size_t size = w4moe_dtype_size(weight->dtype);
    size_t stride = weight->column_stride * size;
    size_t n_in = weight->n_in;
    const unsigned char *src = weight->codes;
    uint64_t places[W4_ROWS_OF_FLOATS];
    for (size_t r = 0; r < n; r++) {
        places[r] = (uint64_t)w4_weight_row(weight, rows[r]) *
                    weight->row_stride * size;
    }
    if (n == 1 && stride == size) {
        src += places[0];
        switch (weight->dtype) {
        case W4MOE_BF16:
            read_run(dst, src, n_in, W4MOE_BF16);
            break;
        case W4MOE_F16:
            read_run(dst, src, n_in, W4MOE_F16);
            break;
        default:
            read_run(dst, src, n_in, W4MOE_F32);
            break;
        }
        return;
    }
    switch (weight->dtype) {
    case W4MOE_BF16:
        read_transposed(dst, src, places, n, n_in, stride, W4MOE_BF16);
        break;
    case W4MOE_F16:
        read_transposed(dst, src, places, n, n_in, stride, W4MOE_F16);
        break;
    default:
        read_transposed(dst, src, places, n, n_in, stride, W4MOE_F32);
        break;
    }
}

/* ------------------------------------------------------------------- scheme */

static w4moe_status
float_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    size_t most = weight->column_stride == 1 ? 1 : W4_ROWS_OF_FLOATS;
    w4moe_status status = W4MOE_OK;
    for (size_t first = 0; first < n; first += most) {
        size_t n_rows = n - first < most ? n - first : most;
        read_rows(out->values, weight, rows + first, n_rows);
        for (size_t r = 0; r < n_rows && status == W4MOE_OK; r++) {
            status = w4_round_row(err, weight, rows[first + r], first + r,
                    out->values + r * weight->n_in, out);
        }
        if (status != W4MOE_OK) {
            break;
        }
    }
    return status;
}

static void
float_read_row(const struct w4_weight *weight, size_t n, float *row)
{
    size_t first = w4_weight_row(weight, n) * weight->row_stride;
    for (size_t k = 0; k < weight->n_in; k++) {
        row[k] = w4_read_number(weight->codes, weight->dtype,
                first + k * weight->column_stride);
    }
}

const struct w4_scheme w4_scheme_float = {
        .name = "float",
        .code = W4MOE_CODE_INT4,
        .rounded = 1,
        .rows = float_rows,
        .read_row = float_read_row,
};

void
w4_float_set(struct w4_weight *weight, const void *data, w4moe_dtype dtype,
        size_t row_stride, size_t column_stride)
{
    weight->scheme = &w4_scheme_float;
    weight->group_size = weight->n_in;
    weight->codes = data;
    weight->scale_dtype = dtype;
    weight->dtype = dtype;
    weight->row_stride = row_stride;
    weight->column_stride = column_stride;
}

/* -------------------------------------------------------------- checkpoints */

w4moe_status
w4_float_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    (void)config;
    const struct w4_tensor *tensor = parts->tensors[W4_PART_WEIGHT];
    if (!w4_tensor_is_float(tensor)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": weights of type %s are not converted (BF16, "
                "F16, F32, F8_E4M3)",
                w4_show_string(tensor->name).text, tensor->dtype_name);
    }
    w4moe_status status = w4_parts_only(err, parts,
            1u << W4_PART_WEIGHT | 1u << W4_PART_BIAS, w4_scheme_float.name);
    if (status == W4MOE_OK) {
        status = w4_tensor_check(
                err, tensor, tensor->dtype, weight->tensor_rows, weight->n_in);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4_float_set(weight, tensor->data, tensor->dtype, weight->n_in, 1);
    weight->name = tensor->name;
    return w4_bias_take(err, weight, parts->tensors[W4_PART_BIAS]);
}
