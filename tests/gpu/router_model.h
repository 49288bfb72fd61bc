/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Routers in float64, from the formulas of w4moe_route(3); nothing is shared
 * with the library.
 */
#ifndef ROUTER_MODEL_H
#define ROUTER_MODEL_H

#include <w4moe.h>

/** Chooses top_k of n_experts for a token: ids and weights, unrounded. bias may
 * be NULL. */
extern void router_model(int32_t *ids, double *weights, const double *logits,
        const double *bias, size_t n_experts, size_t top_k,
        const w4moe_router *router);

#endif
