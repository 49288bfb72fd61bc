/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Descriptors of packed matrices: checks and sizes. */
#include "format/matrix.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/abi.h"
#include "base/size.h"

const float w4_e2m1_values[16] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f,
        6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

static int
is_float(w4moe_dtype dtype)
{
    return dtype == W4MOE_BF16 || dtype == W4MOE_F16 || dtype == W4MOE_F32;
}

static w4moe_status
fail_space(struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    return w4_fail(err, W4MOE_INVALID,
            "%s: %zu experts of %zu x %zu are beyond the address space", name,
            m->n_experts, m->n_out, m->n_in);
}

static w4moe_status
check_sizes(struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    size_t out_multiple = m->gated ? 16 : 8;
    if (m->n_experts == 0 || m->n_experts > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID, "%s: %zu experts (1 to 2^31 - 1)",
                name, m->n_experts);
    }
    if (m->n_out == 0 || m->n_out % out_multiple != 0 || m->n_out > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: %zu output features (a multiple of %zu is needed, below "
                "2^31)",
                name, m->n_out, out_multiple);
    }
    if (m->n_in == 0 || m->n_in % 8 != 0 || m->n_in > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: %zu input features (a multiple of 8 is needed, below "
                "2^31)",
                name, m->n_in);
    }
    if (m->group_size == 0 || m->group_size % 8 != 0 ||
            m->group_size > m->n_in) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: group size %zu (a multiple of 8 is needed, at most the "
                "%zu input features)",
                name, m->group_size, m->n_in);
    }
    /* All arrays together are less than 8 bytes a code: sums of their sizes
     * are numbers of 64 bits. */
    uint64_t bytes;
    if (!w4_mul4(&bytes, m->n_experts, m->n_out, m->n_in, 8) ||
            bytes > INT64_MAX) {
        return fail_space(err, m, name);
    }
    return W4MOE_OK;
}

static w4moe_status
check_types(struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    if (m->order != W4MOE_ORDER_TILE && m->order != W4MOE_ORDER_RDNA3) {
        return w4_fail(err, W4MOE_INVALID, "%s: unknown order %d", name,
                (int)m->order);
    }
    if (m->code != W4MOE_CODE_INT4 && m->code != W4MOE_CODE_E2M1) {
        return w4_fail(
                err, W4MOE_INVALID, "%s: unknown code %d", name, (int)m->code);
    }
    int e8m0 = m->code == W4MOE_CODE_E2M1 && m->scale_dtype == W4MOE_F8_E8M0;
    if (!is_float(m->scale_dtype) && !e8m0) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "%s: scales of type %s (%d)",
                name, w4moe_dtype_name(m->scale_dtype), (int)m->scale_dtype);
    }
    if (m->offset_dtype != W4MOE_DTYPE_NONE && !is_float(m->offset_dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "%s: offsets of type %s (%d)",
                name, w4moe_dtype_name(m->offset_dtype), (int)m->offset_dtype);
    }
    if (m->bias_dtype != W4MOE_DTYPE_NONE && !is_float(m->bias_dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "%s: bias of type %s (%d)", name,
                w4moe_dtype_name(m->bias_dtype), (int)m->bias_dtype);
    }
    if (m->reserved != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "%s: the reserved field is %u",
                name, (unsigned)m->reserved);
    }
    if (m->n_perms > (m->gated ? 2u : 1u)) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: %zu permutations (at most %d here)", name, m->n_perms,
                m->gated ? 2 : 1);
    }
    return W4MOE_OK;
}

w4moe_status
w4_matrix_check(
        struct w4_err *err, const w4moe_matrix *matrix, const char *name)
{
    w4moe_status status = check_sizes(err, matrix, name);
    return status != W4MOE_OK ? status : check_types(err, matrix, name);
}

/* Whether each of the rows of perm holds each of 0 .. n_in - 1 once. */
static w4moe_status
check_perm(struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    unsigned char *seen = malloc(m->n_in);
    if (seen == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "%s: no memory for %zu bytes", name, m->n_in);
    }
    w4moe_status status = W4MOE_OK;
    size_t n_rows = m->n_experts * m->n_perms;
    for (size_t r = 0; r < n_rows && status == W4MOE_OK; r++) {
        const int32_t *perm = m->perm + r * m->n_in;
        memset(seen, 0, m->n_in);
        for (size_t p = 0; p < m->n_in; p++) {
            int32_t i = perm[p];
            if (i < 0 || (size_t)i >= m->n_in || seen[i]) {
                status = w4_fail(err, W4MOE_INVALID,
                        "%s: perm of expert %zu is no permutation of %zu: "
                        "value %" PRId32 " at position %zu",
                        name, r / m->n_perms, m->n_in, i, p);
                break;
            }
            seen[i] = 1;
        }
    }
    free(seen);
    return status;
}

/* Where addresses have fewer than 64 bits: whether the arrays can be there. */
static w4moe_status
check_space(struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, m);
    uint64_t bytes = sizes.qweight + sizes.scales + sizes.qzeros +
                     sizes.offsets + sizes.perm + sizes.bias;
    return bytes > PTRDIFF_MAX ? fail_space(err, m, name) : W4MOE_OK;
}

w4moe_status
w4_matrix_check_arrays(
        struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    w4moe_status status = w4_matrix_check(err, m, name);
    if (status != W4MOE_OK) {
        return status;
    }
    if (m->qweight == NULL || m->scales == NULL) {
        return w4_fail(err, W4MOE_INVALID, "%s: %s is NULL", name,
                m->qweight == NULL ? "qweight" : "scales");
    }
    if (m->qzeros != NULL && m->offsets != NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: both qzeros and offsets are given", name);
    }
    if (m->code == W4MOE_CODE_E2M1 &&
            (m->qzeros != NULL || m->offsets != NULL)) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: E2M1 codes have neither zero points nor offsets", name);
    }
    if ((m->offsets != NULL && m->offset_dtype == W4MOE_DTYPE_NONE) ||
            (m->bias != NULL && m->bias_dtype == W4MOE_DTYPE_NONE)) {
        return w4_fail(err, W4MOE_INVALID, "%s: %s without its dtype", name,
                m->offsets != NULL ? "offsets" : "bias");
    }
    if ((m->perm != NULL) != (m->n_perms != 0)) {
        return w4_fail(err, W4MOE_INVALID, "%s: perm is %s, but n_perms is %zu",
                name, m->perm != NULL ? "given" : "NULL", m->n_perms);
    }
    return check_space(err, m, name);
}

w4moe_status
w4_matrix_check_data(
        struct w4_err *err, const w4moe_matrix *m, const char *name)
{
    w4moe_status status = w4_matrix_check_arrays(err, m, name);
    return status == W4MOE_OK && m->perm != NULL ? check_perm(err, m, name)
                                                 : status;
}

struct w4_layout
w4_matrix_layout(const w4moe_matrix *m)
{
    struct w4_layout layout = {
            .n_out = m->n_out,
            .n_in = m->n_in,
            .group_size = m->group_size,
            .n_groups = w4_ceil_div(m->n_in, m->group_size),
            .tiled = m->order == W4MOE_ORDER_TILE,
            .gated = m->gated != 0,
    };
    return layout;
}

void
w4_matrix_sizes(w4moe_matrix_sizes *sizes, const w4moe_matrix *m)
{
    uint64_t n_groups = w4_ceil_div(m->n_in, m->group_size);
    uint64_t n_columns = (uint64_t)m->n_experts * m->n_out;
    uint64_t n_scales = n_columns * n_groups;
    *sizes = (w4moe_matrix_sizes){
            .struct_size = sizeof(*sizes),
            .qweight = n_columns * (m->n_in / W4_WORD_CODES) * 4,
            .scales = n_scales * w4moe_dtype_size(m->scale_dtype),
            .qzeros = n_scales / W4_WORD_ZEROS * 4,
            .offsets = n_scales * w4moe_dtype_size(m->offset_dtype),
            .perm = (uint64_t)m->n_experts * m->n_perms * m->n_in * 4,
            .bias = n_columns * w4moe_dtype_size(m->bias_dtype),
    };
}

w4moe_status
w4moe_matrix_measure(const w4moe_ctx *ctx, w4moe_matrix_sizes *sizes,
        const w4moe_matrix *matrix)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_matrix own;
    w4moe_status status = w4_struct_in(
            err, &own, sizeof(own), sizeof(own), matrix, "w4moe_matrix");
    if (status == W4MOE_OK) {
        status = w4_matrix_check(err, &own, "matrix");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4moe_matrix_sizes result;
    w4_matrix_sizes(&result, &own);
    return w4_struct_out(err, sizes, &result, sizeof(result), sizeof(result),
            "w4moe_matrix_sizes");
}

struct w4_expert
w4_matrix_expert(const w4moe_matrix *m, size_t expert)
{
    size_t n_groups = w4_ceil_div(m->n_in, m->group_size);
    size_t n_scales = n_groups * m->n_out;
    struct w4_expert e = {0};
    e.qweight = m->qweight + expert * m->n_out * (m->n_in / W4_WORD_CODES);
    e.scales = (char *)m->scales +
               expert * n_scales * w4moe_dtype_size(m->scale_dtype);
    if (m->qzeros != NULL) {
        e.qzeros = m->qzeros + expert * (n_scales / W4_WORD_ZEROS);
    }
    if (m->offsets != NULL) {
        e.offsets = (char *)m->offsets +
                    expert * n_scales * w4moe_dtype_size(m->offset_dtype);
    }
    if (m->perm != NULL) {
        e.perm = m->perm + expert * m->n_perms * m->n_in;
        e.perm_up = e.perm + (m->n_perms - 1) * m->n_in;
    }
    if (m->bias != NULL) {
        e.bias = (char *)m->bias +
                 expert * m->n_out * w4moe_dtype_size(m->bias_dtype);
    }
    return e;
}
