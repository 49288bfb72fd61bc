/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/parts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/size.h"
#include "io/text.h"

/* Names of the parts, for texts. */
static const char *const part_names[W4_N_PARTS] = {"weight", "weight_packed",
        "qweight", "blocks", "weight_scale", "weight_scale_inv", "scales",
        "scale", "weight_zero_point", "qzeros", "g_idx", "weight_shape",
        "bias"};

w4moe_status
w4_parts_need(struct w4_err *err, const struct w4_parts *parts,
        enum w4_part codes, enum w4_part part)
{
    if (parts->tensors[part] != NULL) {
        return W4MOE_OK;
    }
    return w4_fail(err, W4MOE_FORMAT, "tensor \"%s\": no %s beside it",
            w4_show_string(parts->tensors[codes]->name).text, part_names[part]);
}

w4moe_status
w4_parts_only(struct w4_err *err, const struct w4_parts *parts,
        unsigned allowed, const char *scheme)
{
    for (unsigned part = 0; part < W4_N_PARTS; part++) {
        if (parts->tensors[part] != NULL && (allowed >> part & 1u) == 0) {
            return w4_fail(err, W4MOE_UNSUPPORTED,
                    "tensor \"%s\": a weight of scheme %s has no %s",
                    w4_show_string(parts->tensors[part]->name).text, scheme,
                    part_names[part]);
        }
    }
    return W4MOE_OK;
}

/* A tensor's size along an axis; 1 if it has no such axis. */
static uint64_t
shape_at(const struct w4_tensor *tensor, uint32_t axis)
{
    return axis < tensor->n_dims ? tensor->shape[axis] : 1;
}

w4moe_status
w4_tensor_check(struct w4_err *err, const struct w4_tensor *tensor,
        w4moe_dtype dtype, uint64_t rows, uint64_t columns)
{
    uint64_t second = shape_at(tensor, 1);
    w4moe_dtype expected = dtype != W4MOE_DTYPE_NONE ? dtype : tensor->dtype;
    if (tensor->dtype != expected || tensor->n_dims == 0 ||
            tensor->n_dims > 2 || tensor->shape[0] != rows ||
            second != columns) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\" is %s of rank %" PRIu32 " [%" PRIu64 ", %" PRIu64
                "], expected %s [%" PRIu64 ", %" PRIu64 "]",
                w4_show_string(tensor->name).text, tensor->dtype_name,
                tensor->n_dims, shape_at(tensor, 0), second,
                w4moe_dtype_name(expected), rows, columns);
    }
    return W4MOE_OK;
}

int
w4_tensor_is_float(const struct w4_tensor *tensor)
{
    return tensor->dtype == W4MOE_BF16 || tensor->dtype == W4MOE_F16 ||
           tensor->dtype == W4MOE_F32;
}

w4moe_status
w4_group_size_pick(struct w4_err *err, size_t *group_size,
        const struct w4_model_config *config, const struct w4_tensor *tensor,
        size_t n_in, uint64_t n_groups)
{
    size_t found = 0;
    for (size_t i = 0; i < config->n_group_sizes; i++) {
        size_t size = config->group_sizes[i];
        size = size == 0 || size > n_in ? n_in : size;
        if (w4_ceil_div(n_in, size) != n_groups) {
            continue;
        }
        if (found != 0 && found != size) {
            return w4_fail(err, W4MOE_FORMAT,
                    "tensor \"%s\": %" PRIu64 " groups of %zu columns can be "
                    "of length %zu or %zu: the config mentions both",
                    w4_show_string(tensor->name).text, n_groups, n_in, found,
                    size);
        }
        found = size;
    }
    if (found == 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\": %" PRIu64 " groups of %zu columns are of no "
                "group length that the config mentions",
                w4_show_string(tensor->name).text, n_groups, n_in);
    }
    *group_size = found;
    return W4MOE_OK;
}

/* What a g_idx says: 0 no order, 1 an order, -1 a group that is none. */
static int
look_at_g_idx(const unsigned char *g_idx, const struct w4_weight *weight)
{
    size_t n_groups = w4_weight_groups(weight);
    int ordered = 0;
    int wrong = 0;
    for (size_t i = 0; i < weight->n_in; i++) {
        uint32_t group = w4_load_le32(g_idx + 4 * i);
        if (group == UINT32_MAX) {
            return 0;
        }
        wrong |= group >= n_groups;
        ordered |= group != i / weight->group_size;
    }
    return wrong ? -1 : ordered;
}

w4moe_status
w4_g_idx_take(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *g_idx)
{
    if (g_idx == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status =
            w4_tensor_check(err, g_idx, W4MOE_I32, weight->n_in, 1);
    if (status != W4MOE_OK) {
        return status;
    }
    int order = look_at_g_idx(g_idx->data, weight);
    if (order < 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\": a column is in none of %zu groups",
                w4_show_string(g_idx->name).text, w4_weight_groups(weight));
    }
    weight->g_idx = order ? g_idx->data : NULL;
    return W4MOE_OK;
}

w4moe_status
w4_bias_take(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *bias)
{
    if (bias == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = w4_tensor_check(
            err, bias, W4MOE_DTYPE_NONE, weight->tensor_rows, 1);
    if (status == W4MOE_OK && !w4_tensor_is_float(bias)) {
        status = w4_fail(err, W4MOE_UNSUPPORTED, "tensor \"%s\" is %s",
                w4_show_string(bias->name).text, bias->dtype_name);
    }
    if (status == W4MOE_OK) {
        weight->bias = bias->data;
        weight->bias_dtype = bias->dtype;
    }
    return status;
}

/* A WEIGHT is of three schemes: its type and what stands beside it tell. */
static w4moe_status
weight_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *tensor = parts->tensors[W4_PART_WEIGHT];
    if (w4_tensor_is_mxfp4(tensor) &&
            (parts->tensors[W4_PART_SCALE] != NULL ||
                    parts->tensors[W4_PART_WEIGHT_SCALE] != NULL)) {
        return w4_mxfp4_resolve(err, weight, parts, config);
    }
    return tensor->dtype == W4MOE_F8_E4M3 ||
                           parts->tensors[W4_PART_SCALE_INV] != NULL
                   ? w4_fp8_resolve(err, weight, parts, config)
                   : w4_float_resolve(err, weight, parts, config);
}

/* GPTQ packs 8 input features into a word, AutoAWQ 8 output features. */
static w4moe_status
qweight_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *codes = parts->tensors[W4_PART_QWEIGHT];
    const struct w4_tensor *scales = parts->tensors[W4_PART_SCALES];
    w4moe_status status =
            w4_parts_need(err, parts, W4_PART_QWEIGHT, W4_PART_SCALES);
    if (status != W4MOE_OK) {
        return status;
    }
    if (codes->n_dims == 2 && scales->n_dims == 2) {
        uint64_t n_out = scales->shape[1];
        if (codes->shape[1] == n_out) {
            return w4_gptq_resolve(err, weight, parts, config);
        }
        if (n_out % 8 == 0 && codes->shape[1] == n_out / 8) {
            return w4_awq_resolve(err, weight, parts, config);
        }
    }
    return w4_fail(err, W4MOE_FORMAT,
            "tensor \"%s\": [%" PRIu64 ", %" PRIu64 "] beside scales [%" PRIu64
            ", %" PRIu64 "] is neither of GPTQ nor of AutoAWQ, version gemm",
            w4_show_string(codes->name).text, shape_at(codes, 0),
            shape_at(codes, 1), shape_at(scales, 0), shape_at(scales, 1));
}

/* By the part that holds the codes, and whether those are bytes. */
w4moe_status
w4_parts_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    static const struct {
        enum w4_part part;
        w4_resolve_fn *resolve;
        w4_resolve_fn *resolve_bytes;
    } schemes[] = {
            {W4_PART_WEIGHT, weight_resolve, weight_resolve},
            {W4_PART_PACKED, w4_ct_resolve, w4_mxfp4_resolve},
            {W4_PART_QWEIGHT, qweight_resolve, qweight_resolve},
    };
    size_t n = sizeof(schemes) / sizeof(schemes[0]);
    size_t found = n;
    for (size_t i = 0; i < n; i++) {
        const struct w4_tensor *tensor = parts->tensors[schemes[i].part];
        if (tensor == NULL) {
            continue;
        }
        if (found != n) {
            const char *other = parts->tensors[schemes[found].part]->name;
            return w4_fail(err, W4MOE_FORMAT,
                    "tensors \"%.100s\" and \"%.100s\" are the same weight",
                    w4_show_string(other).text,
                    w4_show_string(tensor->name).text);
        }
        found = i;
    }
    if (found == n) {
        return W4MOE_OK;
    }
    w4_resolve_fn *resolve =
            w4_tensor_is_mxfp4(parts->tensors[schemes[found].part])
                    ? schemes[found].resolve_bytes
                    : schemes[found].resolve;
    return resolve(err, weight, parts, config);
}
