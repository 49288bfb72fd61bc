/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Comparing packed matrices with the checkpoint that they were made of: what
 * was written, decoded by the definition of the layout, with what the
 * checkpoint's own definition says.
 */
#ifndef W4_FORMAT_COMPARE_H
#define W4_FORMAT_COMPARE_H

#include "format/source.h"

/** One expert's comparison, and room for it. One for each thread. */
struct w4_compare {
    struct w4_err *err;
    /** For texts. */
    uint32_t layer;
    size_t expert;
    /** Sums over the weights that were rounded: of squared errors, and of
     * squares. The caller clears them. */
    double error;
    double total;
    /** Codes of a column, and of the rows of a tile, n_in / 8 words each. */
    unsigned char *got;
    unsigned char *room;
    /** A row of floats: weights, or scales of its groups; zeros of these. */
    float *row;
    uint8_t *zeros;
};

/** Room for rows of n_in columns. Returns OK or NOMEM. */
extern w4moe_status w4_compare_make(
        struct w4_err *err, struct w4_compare *compare, size_t n_in);
extern void w4_compare_free(struct w4_compare *compare);

/**
 * Compares one matrix of one expert, which has been checked.
 *
 * In: one: a descriptor of one expert; weights [W4_N_PROJECTIONS] and orders
 *     of that expert.
 * Returns: OK; MISMATCH (where, and both numbers).
 */
extern w4moe_status w4_compare_matrix(struct w4_compare *compare,
        const w4moe_matrix *one, const struct w4_weight *weights,
        const struct w4_orders *orders, w4moe_which which);

#endif
