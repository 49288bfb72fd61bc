/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the public functions that re-pack one weight have in common.
 */
#ifndef W4_FORMAT_PACK_SOURCE_H
#define W4_FORMAT_PACK_SOURCE_H

#include "format/weight.h"

/** A weight as a caller described it, and where it goes. */
struct w4_pack_source {
    struct w4_weight weight;
    size_t expert;
    size_t first_out;
    const int32_t *input_order;
    const int32_t *output_order;
};

/**
 * Checks everything against everything, and packs. Sizes, group length and
 * scale type of the weight must be those of the matrix.
 *
 * In: matrix: the caller's, of whatever version. source->weight.codes and
 *     .scales may be NULL, which is refused (scales: unless the weight is
 *     rounded).
 * Returns: OK; INVALID; NOMEM; FORMAT (a number that is none).
 */
extern w4moe_status w4_pack_source(const w4moe_ctx *ctx,
        const w4moe_matrix *matrix, const struct w4_pack_source *source);

#endif
