/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One weight of an expert as a checkpoint stores it, whatever its scheme, and
 * the two ways to read it: as rows to be packed, and by the scheme's own
 * definition, to compare with what was written. The two share no code.
 *
 * A weight is [n_out][n_in], n_out a multiple of 8, n_in a multiple of 8.
 */
#ifndef W4_FORMAT_WEIGHT_H
#define W4_FORMAT_WEIGHT_H

#include "base/bytes.h"
#include "format/matrix.h"

/** Rows that are read at a time: as many as a tile has columns. Of them as
 * floats: a cache line of 16-bit numbers, where rows stand side by side. */
enum { W4_ROWS_MAX = W4_TILE_COLUMNS, W4_ROWS_OF_FLOATS = 32 };

/** Bits of w4_weight.variant of GPTQ. */
enum {
    /** Zero points are stored as they are (version 2), not minus one. */
    W4_GPTQ_V2 = 1,
    /** Zero points that are all 8 told the version, and the config says the
     * other one. */
    W4_GPTQ_MISLABELLED = 2
};

struct w4_scheme;

/** Where a weight's numbers stand. Arrays are little-endian, at any address,
 * and belong to the checkpoint. Who fills this in has checked that they are as
 * long as the sizes need. */
struct w4_weight {
    /** NULL: no weight. */
    const struct w4_scheme *scheme;
    size_t n_out;
    size_t n_in;
    /** n_in if channel-wise. */
    size_t group_size;
    const void *codes;
    /** Of scale_dtype, as w4_rows.scales has them. */
    const void *scales;
    w4moe_dtype scale_dtype;
    /** Zero points; the scheme knows in which form. */
    const void *zeros;
    /** 0: every zero is 8. */
    int has_zeros;
    /** Type of the offsets; NONE: there are none. */
    w4moe_dtype offset_dtype;
    /** Group of each column, I32 [n_in]; NULL: column i is in i / group_size.
     * No -1 in it. */
    const void *g_idx;
    /** Set if the columns are in packed order already: column p is input
     * feature packed_order[p]; host order, without g_idx. */
    const int32_t *packed_order;
    /** Row n of the weight is row row_first + n * row_step of a tensor of
     * tensor_rows rows (of an expert), which may hold gate and up. */
    size_t row_first;
    size_t row_step;
    size_t tensor_rows;
    /** Bias of the rows of the tensor; NULL without. */
    const void *bias;
    w4moe_dtype bias_dtype;
    /** The scheme's own. */
    unsigned variant;

    /* Only of weights that are rounded. Their group_size, scale_dtype and
     * has_zeros say what they are rounded to. */

    /** Of the tensor, for texts; NULL: a caller's array. */
    const char *name;
    /** Type of the numbers in codes. */
    w4moe_dtype dtype;
    /** Elements from one row of the tensor to the next, and from one column to
     * the next. */
    size_t row_stride;
    size_t column_stride;
    /** FP8: rows and columns of a block, which has one scale. */
    size_t block[2];
    /** FP8: type of the blocks' scales in `scales`. */
    w4moe_dtype block_dtype;
};

/** Rows of a weight in one form for all schemes: columns in the checkpoint's
 * own order, groups in that of the scales. G = ceil(n_in / group_size). */
struct w4_rows {
    /** Of each row n_in / 8 words, little-endian, at any address: code j of a
     * word at bit 4j. The scheme sets them: into the checkpoint if it has this
     * form, else into `words`. */
    const unsigned char *codes[W4_ROWS_MAX];
    /** [W4_ROWS_MAX][n_in / 8], for the scheme to write codes to. */
    unsigned char *words;
    /** [n][G] of the weight's scale_dtype, host order. */
    void *scales;
    /** [n][G], 0..15; written only if the weight has zeros. */
    uint8_t *zeros;
    /** [n][G] of the weight's offset_dtype, host order; only if it has. */
    void *offsets;
    /** [W4_ROWS_OF_FLOATS][n_in], for the scheme. */
    float *values;
    /** What holds the arrays. */
    void *memory;
    size_t n_in;
    size_t n_groups;
};

/** What a scheme does. All functions may be called by several threads. */
struct w4_scheme {
    /** For example "compressed-tensors". */
    const char *name;
    w4moe_code code;
    /** Not 0: the weights are no 4-bit numbers and get rounded. */
    int rounded;

    /**
     * Reads rows for packing.
     * In: rows [n], each below n_out; n at most W4_ROWS_MAX.
     * Out: *out, whose arrays are there.
     * Returns: OK; FORMAT (a number that is none, only if rounded).
     */
    w4moe_status (*rows)(struct w4_err *err, const struct w4_weight *weight,
            const uint32_t *rows, size_t n, struct w4_rows *out);

    /* The second way, for the comparison. */

    /**
     * Codes of one row as n_in / 8 words, little-endian, code j at bit 4j, in
     * the order of the columns. Only if not rounded.
     * Returns: where they are: in the checkpoint or in room [n_in / 2 bytes].
     */
    const unsigned char *(*read_words)(
            const struct w4_weight *weight, size_t n, unsigned char *room);

    /**
     * What each of the 16 codes means in a row and group: the weights of the
     * scheme's definition as floats. Only if not rounded.
     */
    void (*read_values)(const struct w4_weight *weight, size_t n, size_t group,
            float values[16]);

    /**
     * The same in short, where every weight is (code - zero) * scale or
     * value(code) * scale: scale and zero of each group of a row. May be NULL.
     * Out: scales [G]; zeros [G], 8 without zero points.
     */
    void (*read_groups)(const struct w4_weight *weight, size_t n, float *scales,
            uint8_t *zeros);

    /** One row as floats, [n_in]. Only if rounded. */
    void (*read_row)(const struct w4_weight *weight, size_t n, float *row);
};

/** Row of the tensor that is row n of the weight. */
static inline size_t
w4_weight_row(const struct w4_weight *weight, size_t n)
{
    return weight->row_first + n * weight->row_step;
}

static inline size_t
w4_weight_groups(const struct w4_weight *weight)
{
    return (weight->n_in + weight->group_size - 1) / weight->group_size;
}

/** Copies n numbers of a type out of a checkpoint, to host order. */
static inline void
w4_copy_numbers(void *dst, const void *src, w4moe_dtype dtype, size_t n)
{
    size_t size = w4moe_dtype_size(dtype);
    memcpy(dst, src, n * size);
    w4_swap_le(dst, size, n);
}

/** Number i of an array in a checkpoint, of type F32, F16, BF16 or E8M0. */
extern float w4_read_number(const void *array, w4moe_dtype dtype, size_t i);

/** Numbers first to first + n - 1 of such an array. */
extern void w4_read_numbers(float *out, const void *array, w4moe_dtype dtype,
        size_t first, size_t n);

/** Room for rows of up to n_in columns and n_groups groups. Returns OK or
 * NOMEM. */
extern w4moe_status w4_rows_make(
        struct w4_err *err, struct w4_rows *rows, size_t n_in, size_t n_groups);

/** Frees; rows of zeros are fine. */
extern void w4_rows_free(struct w4_rows *rows);

/** Where a weight goes. */
struct w4_pack_target {
    /** A checked descriptor with arrays: qweight, scales; qzeros or offsets or
     * none. */
    const w4moe_matrix *matrix;
    size_t expert;
    /** Column (natural) of the weight's first row; a multiple of 8. */
    size_t first_out;
    /** Packed position p takes column input_order[p]; columns sorted by group.
     * NULL: columns in their own order. Needed if the weight has a g_idx. */
    const int32_t *input_order;
    /** Packed row r takes row output_order[r]; NULL: rows in their own. */
    const int32_t *output_order;
};

/**
 * Packs a weight: codes, scales, zeros or offsets, and bias if the matrix has
 * one. A group of the matrix must lie in one group of the weight. Zeros go to
 * offsets, -zero * scale, if the matrix has those (fp32 then).
 *
 * In/out: rows: room for the weight's size.
 * Returns: OK; FORMAT (a number that is none).
 */
extern w4moe_status w4_pack_weight(struct w4_err *err,
        const struct w4_pack_target *target, const struct w4_weight *weight,
        struct w4_rows *rows);

/** The schemes. */
extern const struct w4_scheme w4_scheme_ct;
/** Matrices that are packed already: codes points to a w4moe_matrix, variant
 * is the expert, row_first the first column (natural). */
extern const struct w4_scheme w4_scheme_packed;
extern const struct w4_scheme w4_scheme_packed_e2m1;
extern const struct w4_scheme w4_scheme_gptq;
extern const struct w4_scheme w4_scheme_awq;
extern const struct w4_scheme w4_scheme_mxfp4;

/** Columns that share a scale in MXFP4. */
enum { W4_MXFP4_GROUP = 32 };

/** Makes a weight one of MXFP4. In: n_out, n_in and the rows are set; of each
 * row of the tensor n_in / 2 bytes of codes, ceil(n_in / 32) of scales. */
extern void w4_mxfp4_set(
        struct w4_weight *weight, const void *codes, const void *scales);
extern const struct w4_scheme w4_scheme_float;
extern const struct w4_scheme w4_scheme_fp8;

/**
 * Makes a weight of floats, which are rounded when they are packed: element
 * (n, k) is data[w4_weight_row(n) * row_stride + k * column_stride].
 *
 * In/out: weight: n_out, n_in, row_first, row_step and tensor_rows are set;
 *     name, group_size and what else rounding needs may be set later.
 * In: data: BF16, F16 or F32, little-endian, at any address; strides in
 *     elements. A transposed tensor has row_stride 1.
 */
extern void w4_float_set(struct w4_weight *weight, const void *data,
        w4moe_dtype dtype, size_t row_stride, size_t column_stride);

#endif
