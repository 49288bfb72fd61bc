/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/pack_source.h"

#include <inttypes.h>

#include "base/abi.h"

static w4moe_status
check_order(
        struct w4_err *err, const int32_t *order, size_t n, const char *name)
{
    for (size_t i = 0; order != NULL && i < n; i++) {
        if (order[i] < 0 || (size_t)order[i] >= n) {
            return w4_fail(err, W4MOE_INVALID,
                    "%s: value %" PRId32 " at position %zu is not in 0 .. %zu",
                    name, order[i], i, n - 1);
        }
    }
    return W4MOE_OK;
}

/* Whether what the weight is made of has a place in the matrix. */
static w4moe_status
check_arrays(struct w4_err *err, const w4moe_matrix *dst,
        const struct w4_weight *weight)
{
    w4moe_code code = weight->scheme->code;
    int rounded = weight->scheme->rounded;
    if (dst->qweight == NULL || dst->scales == NULL || weight->codes == NULL ||
            (weight->scales == NULL && !rounded) || dst->code != code) {
        return w4_fail(err, W4MOE_INVALID,
                "packing needs qweight, scales, the source's %s, and codes %s",
                rounded ? "weights" : "packed codes and scale",
                code == W4MOE_CODE_INT4 ? "INT4" : "E2M1");
    }
    if (weight->has_zeros && dst->qzeros == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "the source has zero points, the packed matrix has none");
    }
    if (dst->offsets != NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "the packed matrix has offsets, the source has none");
    }
    return W4MOE_OK;
}

static w4moe_status
check_sizes(struct w4_err *err, const w4moe_matrix *dst,
        const struct w4_pack_source *source)
{
    const struct w4_weight *weight = &source->weight;
    size_t first_out = source->first_out;
    if (weight->n_in != dst->n_in || weight->group_size != dst->group_size ||
            weight->scale_dtype != dst->scale_dtype) {
        return w4_fail(err, W4MOE_INVALID,
                "source of %zu inputs, group size %zu, scales %s; packed "
                "matrix of %zu, %zu, %s",
                weight->n_in, weight->group_size,
                w4moe_dtype_name(weight->scale_dtype), dst->n_in,
                dst->group_size, w4moe_dtype_name(dst->scale_dtype));
    }
    if (source->expert >= dst->n_experts || first_out % 8 != 0 ||
            weight->n_out == 0 || weight->n_out % 8 != 0 ||
            first_out > dst->n_out || weight->n_out > dst->n_out - first_out) {
        return w4_fail(err, W4MOE_INVALID,
                "columns [%zu, %zu + %zu) of expert %zu do not fit %zu columns "
                "of %zu experts in steps of 8",
                first_out, first_out, weight->n_out, source->expert, dst->n_out,
                dst->n_experts);
    }
    return W4MOE_OK;
}

static w4moe_status
check(struct w4_err *err, const w4moe_matrix *dst,
        const struct w4_pack_source *source)
{
    const struct w4_weight *weight = &source->weight;
    w4moe_status status = w4_matrix_check(err, dst, "packed matrix");
    if (status == W4MOE_OK) {
        status = check_arrays(err, dst, weight);
    }
    if (status == W4MOE_OK) {
        status = check_sizes(err, dst, source);
    }
    if (status == W4MOE_OK) {
        status = check_order(
                err, source->input_order, weight->n_in, "input_order");
    }
    if (status == W4MOE_OK) {
        status = check_order(
                err, source->output_order, weight->n_out, "output_order");
    }
    return status;
}

w4moe_status
w4_pack_source(const w4moe_ctx *ctx, const w4moe_matrix *matrix,
        const struct w4_pack_source *source)
{
    struct w4_err *err = w4_ctx_err(ctx);
    struct w4_rows rows = {0};
    w4moe_matrix m;
    w4moe_status status =
            w4_struct_in(err, &m, sizeof(m), sizeof(m), matrix, "w4moe_matrix");
    if (status == W4MOE_OK) {
        status = check(err, &m, source);
    }
    if (status == W4MOE_OK) {
        status = w4_rows_make(err, &rows, source->weight.n_in,
                w4_weight_groups(&source->weight));
    }
    if (status == W4MOE_OK) {
        struct w4_pack_target target = {
                .matrix = &m,
                .expert = source->expert,
                .first_out = source->first_out,
                .input_order = source->input_order,
                .output_order = source->output_order,
        };
        status = w4_pack_weight(err, &target, &source->weight, &rows);
    }
    w4_rows_free(&rows);
    return status;
}
