/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A weight that is packed alone, as the w2 of one expert, and compared with
 * where it came from. What goes wrong here ends the test.
 */
#ifndef PACKED_WEIGHT_H
#define PACKED_WEIGHT_H

#include "format/compare.h"

struct packed_weight {
    w4moe_matrix m;
    struct w4_weight weights[W4_N_PROJECTIONS];
    struct w4_orders orders;
    struct w4_compare compare;
};

/** Packs; zero points become offsets if offset_dtype is not NONE. */
extern void packed_weight_make(struct packed_weight *packed,
        const struct w4_weight *weight, w4moe_order order,
        w4moe_dtype offset_dtype);

/** Compares, with sums of errors from 0 on. */
extern w4moe_status packed_weight_compare(struct packed_weight *packed);

extern void packed_weight_free(struct packed_weight *packed);

#endif
