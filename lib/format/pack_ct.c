/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Re-packing of compressed-tensors weights (pack-quantized, 4 bits).
 *
 * The source has its rows along the input features; the packed layout has
 * output features side by side. So this is a transposition of 32-bit words, a
 * cache line at a time, and each word is shuffled on its way.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/abi.h"
#include "base/bytes.h"
#include "base/size.h"
#include "format/matrix.h"

/* Words of a source row that are read together: one cache line. */
enum { BLOCK_WORDS = 16 };

/* One call: the descriptors, the expert's arrays, and the columns of one tile
 * half that come from the source. */
struct job {
    const w4moe_ct_weight *src;
    struct w4_expert dst;
    size_t scale_size;
    size_t n_groups;
    /* Source rows of the run's columns. */
    const int32_t *output_order;
    /* Columns of the run: first source row, how many. */
    size_t row;
    uint32_t n;
    /* Where the run's first column stands. */
    uint64_t word, word_stride, scale, scale_stride, zero, zero_stride;
};

static size_t
source_row(const struct job *job, uint32_t c)
{
    size_t row = job->row + c;
    return job->output_order != NULL ? (size_t)job->output_order[row] : row;
}

/* The word of 8 codes at packed positions 8 kw .. 8 kw + 7 of a row whose
 * columns are taken in another order. */
static uint32_t
gather_word(const unsigned char *row, const int32_t *order, size_t kw)
{
    uint32_t word = 0;
    for (unsigned j = 0; j < W4_WORD_CODES; j++) {
        size_t i = (size_t)order[W4_WORD_CODES * kw + j];
        uint32_t code = (uint32_t)row[i / 2] >> 4 * (i % 2) & 15u;
        word |= code << w4_code_bit(j);
    }
    return word;
}

static void
pack_words(const struct job *job)
{
    const w4moe_ct_weight *src = job->src;
    size_t n_words = src->n_in / W4_WORD_CODES;
    for (size_t kw0 = 0; kw0 < n_words; kw0 += BLOCK_WORDS) {
        size_t left = n_words - kw0;
        size_t n = left < BLOCK_WORDS ? left : BLOCK_WORDS;
        for (uint32_t c = 0; c < job->n; c++) {
            const unsigned char *row = (const unsigned char *)src->packed +
                                       source_row(job, c) * n_words * 4;
            uint32_t *dst =
                    job->dst.qweight + job->word + kw0 * job->word_stride + c;
            for (size_t k = 0; k < n; k++) {
                uint32_t word =
                        src->input_order != NULL
                                ? gather_word(row, src->input_order, kw0 + k)
                                : w4_word_shuffle(
                                          w4_load_le32(row + 4 * (kw0 + k)));
                dst[k * job->word_stride] = word;
            }
        }
    }
}

static void
pack_scales(const struct job *job)
{
    const unsigned char *scale = job->src->scale;
    size_t size = job->scale_size;
    for (uint32_t c = 0; c < job->n; c++) {
        const unsigned char *row =
                scale + source_row(job, c) * job->n_groups * size;
        for (size_t group = 0; group < job->n_groups; group++) {
            uint64_t place = job->scale + group * job->scale_stride + c;
            unsigned char *dst =
                    (unsigned char *)job->dst.scales + place * size;
            memcpy(dst, row + group * size, size);
            w4_swap_le(dst, size, 1);
        }
    }
}

/* The zero point of a source row and group. */
static uint32_t
source_zero(const struct job *job, size_t row, size_t group)
{
    const unsigned char *words = job->src->zero_point;
    if (words == NULL) {
        return W4_ZERO_SYMMETRIC;
    }
    size_t index = row / W4_WORD_ZEROS * job->n_groups + group;
    return w4_load_le32(words + 4 * index) >> 4 * (row % W4_WORD_ZEROS) & 15u;
}

static void
pack_zeros(const struct job *job)
{
    for (uint32_t c = 0; c < job->n; c += W4_WORD_ZEROS) {
        for (size_t group = 0; group < job->n_groups; group++) {
            uint32_t word = 0;
            for (uint32_t m = 0; m < W4_WORD_ZEROS; m++) {
                uint32_t zero = source_zero(job, source_row(job, c + m), group);
                word |= ((zero + 15u) & 15u) << 4 * m;
            }
            job->dst.qzeros[job->zero + group * job->zero_stride +
                            c / W4_WORD_ZEROS] = word;
        }
    }
}

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

static w4moe_status
check(struct w4_err *err, const w4moe_matrix *dst, const w4moe_ct_weight *src,
        size_t expert, size_t first_out)
{
    w4moe_status status = w4_matrix_check(err, dst, "packed matrix");
    if (status != W4MOE_OK) {
        return status;
    }
    if (dst->qweight == NULL || dst->scales == NULL || src->packed == NULL ||
            src->scale == NULL || dst->code != W4MOE_CODE_INT4) {
        return w4_fail(err, W4MOE_INVALID,
                "packing needs qweight, scales, packed, scale and codes INT4");
    }
    if (src->n_in != dst->n_in || src->group_size != dst->group_size ||
            src->scale_dtype != dst->scale_dtype) {
        return w4_fail(err, W4MOE_INVALID,
                "source of %zu inputs, group size %zu, scales %s; packed "
                "matrix of %zu, %zu, %s",
                src->n_in, src->group_size, w4moe_dtype_name(src->scale_dtype),
                dst->n_in, dst->group_size, w4moe_dtype_name(dst->scale_dtype));
    }
    if (expert >= dst->n_experts || first_out % 8 != 0 || src->n_out == 0 ||
            src->n_out % 8 != 0 || first_out > dst->n_out ||
            src->n_out > dst->n_out - first_out) {
        return w4_fail(err, W4MOE_INVALID,
                "columns [%zu, %zu + %zu) of expert %zu do not fit %zu columns "
                "of %zu experts in steps of 8",
                first_out, first_out, src->n_out, expert, dst->n_out,
                dst->n_experts);
    }
    if (src->zero_point != NULL && dst->qzeros == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "the source has zero points, the packed matrix has none");
    }
    status = check_order(err, src->input_order, src->n_in, "input_order");
    if (status == W4MOE_OK) {
        status =
                check_order(err, src->output_order, src->n_out, "output_order");
    }
    return status;
}

w4moe_status
w4moe_pack_ct(const w4moe_ctx *ctx, w4moe_matrix *dst,
        const w4moe_ct_weight *src, size_t expert, size_t first_out)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_matrix matrix;
    w4moe_ct_weight source;
    w4moe_status status = w4_struct_in(
            err, &matrix, sizeof(matrix), sizeof(matrix), dst, "w4moe_matrix");
    if (status == W4MOE_OK) {
        status = w4_struct_in(err, &source, sizeof(source), sizeof(source), src,
                "w4moe_ct_weight");
    }
    if (status == W4MOE_OK) {
        status = check(err, &matrix, &source, expert, first_out);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_layout layout = w4_matrix_layout(&matrix);
    struct job job = {
            .src = &source,
            .dst = w4_matrix_expert(&matrix, expert),
            .scale_size = w4moe_dtype_size(source.scale_dtype),
            .n_groups = layout.n_groups,
            .output_order = source.output_order,
    };
    /* Runs of columns that stand side by side: to the end of a tile's half. */
    while (job.row < source.n_out) {
        uint32_t c;
        uint64_t index = w4_tile_of_column(&layout, first_out + job.row, &c);
        struct w4_tile tile = w4_tile_at(&layout, index);
        uint32_t end = c < tile.half ? tile.half : tile.width;
        size_t left = source.n_out - job.row;
        uint64_t offset = w4_tile_offset(&tile, c);
        job.n = end - c < left ? end - c : (uint32_t)left;
        job.word = tile.word + offset;
        job.word_stride = tile.word_stride;
        job.scale = tile.scale + offset;
        job.scale_stride = tile.scale_stride;
        job.zero = tile.zero + offset / W4_WORD_ZEROS;
        job.zero_stride = tile.zero_stride;
        pack_words(&job);
        pack_scales(&job);
        if (job.dst.qzeros != NULL) {
            pack_zeros(&job);
        }
        job.row += job.n;
    }
    return W4MOE_OK;
}

/* The group of column i. */
static int64_t
group_of(const void *g_idx, size_t i)
{
    return (int32_t)w4_load_le32((const unsigned char *)g_idx + 4 * i);
}

/* Counts the columns of each group and checks that they are as many as the
 * group length says. Returns OK, also for "no order", which leaves *any 0. */
static w4moe_status
count_groups(struct w4_err *err, size_t *counts, int *any, const void *g_idx,
        size_t n_in, size_t group_size)
{
    size_t n_groups = w4_ceil_div(n_in, group_size);
    *any = 0;
    for (size_t i = 0; i < n_in; i++) {
        if (group_of(g_idx, i) == -1) {
            return W4MOE_OK;
        }
    }
    for (size_t i = 0; i < n_in; i++) {
        int64_t group = group_of(g_idx, i);
        if (group < 0 || (size_t)group >= n_groups) {
            return w4_fail(err, W4MOE_FORMAT,
                    "g_idx: column %zu is in group %" PRId64 " of %zu", i,
                    group, n_groups);
        }
        counts[group]++;
    }
    for (size_t group = 0; group < n_groups; group++) {
        size_t left = n_in - group * group_size;
        size_t expected = left < group_size ? left : group_size;
        if (counts[group] != expected) {
            return w4_fail(err, W4MOE_FORMAT,
                    "g_idx: group %zu has %zu columns, %zu are expected "
                    "(%zu columns in groups of %zu)",
                    group, counts[group], expected, n_in, group_size);
        }
    }
    *any = 1;
    return W4MOE_OK;
}

w4moe_status
w4moe_ct_order(const w4moe_ctx *ctx, int32_t *order, const void *g_idx,
        size_t n_in, size_t group_size)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (order == NULL || g_idx == NULL || n_in == 0 || n_in > INT32_MAX ||
            group_size == 0) {
        return w4_fail(err, W4MOE_INVALID,
                "order %s, g_idx %s, %zu columns, group size %zu",
                order == NULL ? "NULL" : "given",
                g_idx == NULL ? "NULL" : "given", n_in, group_size);
    }
    size_t *counts = calloc(w4_ceil_div(n_in, group_size), sizeof(*counts));
    if (counts == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "g_idx: no memory for %zu groups",
                w4_ceil_div(n_in, group_size));
    }
    int any;
    w4moe_status status =
            count_groups(err, counts, &any, g_idx, n_in, group_size);
    if (status == W4MOE_OK && !any) {
        for (size_t i = 0; i < n_in; i++) {
            order[i] = (int32_t)i;
        }
    } else if (status == W4MOE_OK) {
        /* Every group begins at a multiple of the group length; from here on
         * a count is the next free position. */
        for (size_t i = 0; i * group_size < n_in; i++) {
            counts[i] = i * group_size;
        }
        for (size_t i = 0; i < n_in; i++) {
            order[counts[group_of(g_idx, i)]++] = (int32_t)i;
        }
    }
    free(counts);
    return status;
}
