/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "io/gguf_types.h"

/* A type and shape, for a message: "Q4_K [512, 3]". */
struct shape_text {
    char text[W4_GGUF_RANK_MAX * 24 + 16];
};

static struct shape_text
show_shape(const struct w4_gguf_tensor *tensor)
{
    struct shape_text shown;
    size_t size = sizeof(shown.text);
    size_t at = (size_t)snprintf(shown.text, size, "%s [", tensor->type_name);
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        at += (size_t)snprintf(shown.text + at, size - at, "%s%" PRIu64,
                i == 0 ? "" : ", ", tensor->shape[i]);
    }
    snprintf(shown.text + at, size - at, "]");
    return shown;
}

static w4moe_status
scan_shape(struct w4_gguf_scan *scan, struct w4_gguf_tensor *tensor)
{
    w4moe_status status = w4_gguf_scan_u32(scan, &tensor->n_dims);
    if (status != W4MOE_OK) {
        return status;
    }
    if (tensor->n_dims > W4_GGUF_RANK_MAX) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "%" PRIu32 " dimensions, at most %d are possible",
                tensor->n_dims, W4_GGUF_RANK_MAX);
    }
    for (uint32_t i = 0; i < W4_GGUF_RANK_MAX; i++) {
        tensor->shape[i] = 1;
    }
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        status = w4_gguf_scan_u64(scan, &tensor->shape[i]);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    return W4MOE_OK;
}

static w4moe_status
count_bytes(const struct w4_gguf_scan *scan, struct w4_gguf_tensor *tensor,
        const struct w4_gguf_type_info *type)
{
    const uint64_t *shape = tensor->shape;
    uint64_t n = 0;
    if (!w4_mul4(&n, shape[0], shape[1], shape[2], shape[3])) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "%s is beyond 2^64 elements", show_shape(tensor).text);
    }
    if (n == 0) {
        return w4_gguf_scan_fail(
                scan, W4MOE_FORMAT, "%s is empty", show_shape(tensor).text);
    }
    if (shape[0] % type->block != 0) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "%s: its rows are not in whole blocks of %" PRIu32,
                show_shape(tensor).text, type->block);
    }
    if (!w4_mul(&tensor->n_bytes, n / type->block, type->block_bytes)) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT, "%s is beyond 2^64 bytes",
                show_shape(tensor).text);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_tensor_scan(struct w4_gguf_scan *scan, struct w4_gguf_tensor *tensor,
        uint64_t *offset)
{
    memset(tensor, 0, sizeof(*tensor));
    w4moe_status status = w4_gguf_scan_name(scan);
    if (status != W4MOE_OK) {
        return status;
    }
    tensor->name = scan->name.bytes;
    status = scan_shape(scan, tensor);
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_gguf_scan_u32(scan, &tensor->type);
    if (status != W4MOE_OK) {
        return status;
    }
    const struct w4_gguf_type_info *type = w4_gguf_type_info(tensor->type);
    if (type == NULL) {
        return w4_gguf_scan_fail(scan, W4MOE_UNSUPPORTED,
                "type %" PRIu32 " is not known", tensor->type);
    }
    tensor->type_name = type->name;
    status = count_bytes(scan, tensor, type);
    if (status != W4MOE_OK) {
        return status;
    }
    return w4_gguf_scan_u64(scan, offset);
}
