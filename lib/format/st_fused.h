/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Tensors that hold a matrix of all experts of a layer.
 */
#ifndef W4_FORMAT_ST_FUSED_H
#define W4_FORMAT_ST_FUSED_H

#include "format/parts.h"

/** Those of one layer. */
struct w4_fused_parts {
    struct w4_parts gate_up;
    struct w4_parts down;
};

/**
 * Makes the weights of a layer, [n_experts][W4_N_PROJECTIONS], if it has such
 * tensors. How 16-bit ones are laid out tells config->fused, never the shape.
 *
 * Returns: OK; FORMAT (a type or shape; a part is missing); UNSUPPORTED (the
 *     model's type has no known layout).
 */
extern w4moe_status w4_fused_resolve(struct w4_err *err,
        struct w4_weight *weights, const struct w4_fused_parts *fused,
        const struct w4_model_config *config);

#endif
