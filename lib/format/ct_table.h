/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A compressed-tensors checkpoint (pack-quantized, 4 bits) as a table: the
 * tensors of each weight, by layer, expert and projection, checked against
 * each other, the config, and the first expert.
 */
#ifndef W4_FORMAT_CT_TABLE_H
#define W4_FORMAT_CT_TABLE_H

#include "format/source.h"

/** Tensors of one weight. */
enum w4_ct_part {
    W4_CT_PACKED,
    W4_CT_SCALE,
    W4_CT_ZERO_POINT,
    W4_CT_G_IDX,
    W4_CT_SHAPE,
    W4_CT_N_PARTS
};

/** Their names, for example "weight_packed". */
extern const char *const w4_ct_part_names[W4_CT_N_PARTS];

struct w4_ct_weight {
    const struct w4_tensor *parts[W4_CT_N_PARTS];
};

struct w4_ct_expert {
    struct w4_ct_weight weights[W4_N_PROJECTIONS];
};

/** The state of a source of this scheme. */
struct w4_ct_table {
    /** [n_layers][n_experts] */
    struct w4_ct_expert *experts;
    /** Prefix of all expert names; points into the first. */
    const char *prefix;
    size_t prefix_length;
};

/** What every weight of a projection is. */
struct w4_ct_expected {
    size_t n_out;
    size_t n_in;
    size_t group_size;
    w4moe_dtype scale_dtype;
    int has_zero_points;
};

extern struct w4_ct_expected w4_ct_expected_of(
        const struct w4_source *source, enum w4_projection projection);

/** One weight, i counting source->layers. */
extern const struct w4_ct_weight *w4_ct_weight_of(
        const struct w4_source *source, size_t i, size_t expert,
        enum w4_projection projection);

/** Sorts the set's tensors into layers and a table (source->state, released by
 * w4_ct_table_free() also after a failure). Returns OK, FORMAT, UNSUPPORTED or
 * NOMEM. */
extern w4moe_status w4_ct_table_build(
        struct w4_err *err, struct w4_source *source);
extern void w4_ct_table_free(struct w4_source *source);

/** Sets the source's matrices, and checks every weight of the table. Returns
 * OK, FORMAT, INVALID or UNSUPPORTED. */
extern w4moe_status w4_ct_table_check(
        struct w4_err *err, struct w4_source *source);

#endif
