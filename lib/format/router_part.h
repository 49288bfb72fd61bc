/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The tensors of a router, in checkpoints and in containers.
 */
#ifndef W4_FORMAT_ROUTER_PART_H
#define W4_FORMAT_ROUTER_PART_H

#include "base/router_kinds.h"
#include "io/safetensors.h"

enum w4_router_part {
    W4_ROUTER_WEIGHT,
    W4_ROUTER_BIAS,
    /** Used to choose experts, not to weigh them. */
    W4_ROUTER_CORRECTION_BIAS,
    W4_N_ROUTER_PARTS,
    /** Of the router, but none of these. */
    W4_ROUTER_OTHER = W4_N_ROUTER_PARTS
};

/** Whether a tensor is that part of a router of n_experts experts: [E][H] or
 * [E], of a type that routers have. */
static inline int
w4_router_part_fits(enum w4_router_part part, const struct w4_tensor *tensor,
        size_t n_experts, size_t hidden_size)
{
    int is_weight = part == W4_ROUTER_WEIGHT;
    return w4_router_takes(tensor->dtype) &&
           tensor->n_dims == (is_weight ? 2u : 1u) &&
           tensor->shape[0] == n_experts &&
           (!is_weight || tensor->shape[1] == hidden_size);
}

#endif
