/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Packed matrices inside the library: checks, sizes, one expert's arrays.
 */
#ifndef W4_FORMAT_MATRIX_H
#define W4_FORMAT_MATRIX_H

#include <w4moe/format.h>

#include "base/ctx.h"
#include "format/layout.h"

/** Checks everything that a descriptor says but its pointers; `name` begins
 * the text. Returns OK, INVALID or UNSUPPORTED. */
extern w4moe_status w4_matrix_check(
        struct w4_err *err, const w4moe_matrix *matrix, const char *name);

/** Also which of its pointers are NULL. */
extern w4moe_status w4_matrix_check_arrays(
        struct w4_err *err, const w4moe_matrix *matrix, const char *name);

/** Also that every permutation is one (reads perm). */
extern w4moe_status w4_matrix_check_data(
        struct w4_err *err, const w4moe_matrix *matrix, const char *name);

/** Bytes of the arrays of a checked descriptor, which fit. */
extern void w4_matrix_sizes(
        w4moe_matrix_sizes *sizes, const w4moe_matrix *matrix);

/** Sizes of a checked descriptor. */
extern struct w4_layout w4_matrix_layout(const w4moe_matrix *matrix);

/** The arrays of one expert; NULL where absent. */
struct w4_expert {
    uint32_t *qweight;
    void *scales;
    uint32_t *qzeros;
    void *offsets;
    /** Of the gate half or of all columns; of the up half. Both NULL, or both
     * set (to the same, if there is one permutation). */
    int32_t *perm;
    int32_t *perm_up;
    void *bias;
};

extern struct w4_expert w4_matrix_expert(
        const w4moe_matrix *matrix, size_t expert);

/** The weights of one column of a tile as floats, [K], the permutation undone.
 * The matrix and its permutation have been checked. */
extern void w4_dequantize_column(float *row, const w4moe_matrix *matrix,
        const struct w4_expert *expert, const struct w4_tile *tile, uint32_t c);

/** What each of the 16 codes means in column c of a tile and a group. */
extern void w4_dequantize_group(float values[16], const w4moe_matrix *matrix,
        const struct w4_expert *expert, const struct w4_tile *tile, uint32_t c,
        size_t group);

/** Values of the 16 E2M1 codes. */
extern const float w4_e2m1_values[16];

#endif
