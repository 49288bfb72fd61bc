/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a timed call is given: activations, and which experts they go to.
 */
#ifndef W4_TOOLS_BENCH_ROUTE_H
#define W4_TOOLS_BENCH_ROUTE_H

#include <w4moe.h>

#include "random.h"

/** Which experts a call has; new ones for each call. */
enum bench_routing {
    /** For each token, uniformly at random without repetition. */
    BENCH_ROUTING_UNIFORM,
    /** The same for all tokens: consecutive ones from a random one on. */
    BENCH_ROUTING_ONE
};

/** Activations of 0.5 up to 1 and either sign. */
extern void bench_fill_x(
        uint16_t *x, size_t n, w4moe_dtype dtype, uint64_t seed);

/** Before the first bench_route(): a permutation of the experts, which each
 * call changes. */
extern void bench_route_begin(int32_t *experts, size_t n_experts);

/** Sets ids [n_tokens][top_k]. */
extern void bench_route(enum bench_routing routing, int32_t *ids,
        int32_t *experts, struct random_state *state, size_t n_tokens,
        size_t n_experts, size_t top_k);

#endif
