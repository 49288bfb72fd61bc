/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/abi.h"
#include "base/size.h"
#include "format/pack_source.h"

/* The strides as they are meant: each 0 replaced. */
static void
set_strides(w4moe_float_weight *src)
{
    src->row_stride = src->row_stride != 0 ? src->row_stride : src->n_in;
    src->column_stride = src->column_stride != 0 ? src->column_stride : 1;
}

static w4moe_status
check_float(struct w4_err *err, const w4moe_float_weight *src)
{
    uint64_t rows;
    uint64_t columns;
    uint64_t bytes;
    if (src->dtype != W4MOE_BF16 && src->dtype != W4MOE_F16 &&
            src->dtype != W4MOE_F32) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "w4moe_float_weight: weights of type %s (%d)",
                w4moe_dtype_name(src->dtype), (int)src->dtype);
    }
    if (!w4_mul(&rows, src->n_out, src->row_stride) ||
            !w4_mul(&columns, src->n_in, src->column_stride) ||
            !w4_add(&bytes, rows, columns) || !w4_mul(&bytes, bytes, 4) ||
            bytes > PTRDIFF_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "w4moe_float_weight: %zu rows of stride %zu and %zu columns of "
                "stride %zu are beyond the address space",
                src->n_out, src->row_stride, src->n_in, src->column_stride);
    }
    return W4MOE_OK;
}

w4moe_status
w4moe_quantize(const w4moe_ctx *ctx, w4moe_matrix *dst,
        const w4moe_float_weight *src, size_t expert, size_t first_out)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_matrix m;
    w4moe_float_weight s;
    w4moe_status status =
            w4_struct_in(err, &m, sizeof(m), sizeof(m), dst, "w4moe_matrix");
    if (status == W4MOE_OK) {
        status = w4_struct_in(
                err, &s, sizeof(s), sizeof(s), src, "w4moe_float_weight");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    set_strides(&s);
    status = check_float(err, &s);
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_pack_source source = {
            .weight = {.n_out = s.n_out,
                    .n_in = s.n_in,
                    .row_step = 1,
                    .tensor_rows = s.n_out},
            .expert = expert,
            .first_out = first_out,
            .output_order = s.output_order,
    };
    w4_float_set(
            &source.weight, s.weights, s.dtype, s.row_stride, s.column_stride);
    source.weight.group_size = m.group_size;
    source.weight.scale_dtype = m.scale_dtype;
    source.weight.has_zeros = m.qzeros != NULL;
    return w4_pack_source(ctx, dst, &source);
}
