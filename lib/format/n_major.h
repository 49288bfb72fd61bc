/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Weights whose numbers stand side by side along the output features, as GPTQ
 * and AutoAWQ store them: scales [G][N], zero points I32 [G][N/8]. Nothing here
 * is for read_words or read_values.
 */
#ifndef W4_FORMAT_N_MAJOR_H
#define W4_FORMAT_N_MAJOR_H

#include "format/parts.h"

/** Rows of a tensor that are read at a time. */
struct w4_n_major {
    const struct w4_weight *weight;
    size_t row[W4_ROWS_MAX];
    size_t n;
    /** row[i] is row[0] + i. */
    int is_run;
};

/** Reads the codes of rows, at columns 8 kw .. 8 kw + 7: one word for each row
 * (host order), code j at bit 4j. */
typedef void w4_n_major_line_fn(
        const struct w4_n_major *rows, size_t kw, uint32_t *line);

/**
 * What `rows` of such a scheme does.
 *
 * In: places: nibble of each of the 8 columns in a word of zero points. add:
 *     what is added to a stored zero point, modulo 16.
 */
extern void w4_n_major_rows(const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out,
        w4_n_major_line_fn *line, const uint8_t places[8], unsigned add);

/**
 * Checks scales, zero points (may be absent from symmetric weights) and bias,
 * and that there is no part but these, qweight and the allowed.
 *
 * Out: weight->group_size, scales, scale_dtype, zeros, has_zeros (1 if there
 *     are zeros, of whatever value) and bias.
 */
extern w4moe_status w4_n_major_resolve(struct w4_err *err,
        struct w4_weight *weight, const struct w4_parts *parts,
        const struct w4_model_config *config, const char *scheme,
        unsigned allowed);

/** Whether every word of a tensor of I32 is this one. */
extern int w4_words_are(const struct w4_tensor *tensor, uint32_t word);

#endif
