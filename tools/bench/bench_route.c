/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What a timed call is given; see bench_route.h. */
#include "bench_route.h"

void
bench_fill_x(uint16_t *x, size_t n, w4moe_dtype dtype, uint64_t seed)
{
    struct random_state state = {seed};
    unsigned mantissa = dtype == W4MOE_BF16 ? 0x807F : 0x83FF;
    unsigned exponent = dtype == W4MOE_BF16 ? 0x3F00 : 0x3800;
    for (size_t i = 0; i < n; i++) {
        unsigned bits = (unsigned)(random_next(&state) >> 48);
        x[i] = (uint16_t)((bits & mantissa) | exponent);
    }
}

void
bench_route_begin(int32_t *experts, size_t n_experts)
{
    for (size_t e = 0; e < n_experts; e++) {
        experts[e] = (int32_t)e;
    }
}

/* The first k steps of a shuffle, for every token. */
static void
choose(int32_t *ids, int32_t *experts, struct random_state *state,
        size_t n_tokens, size_t n_experts, size_t top_k)
{
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t j = 0; j < top_k; j++) {
            size_t other = j + random_below(state, (uint32_t)(n_experts - j));
            int32_t expert = experts[other];
            experts[other] = experts[j];
            experts[j] = expert;
            ids[t * top_k + j] = expert;
        }
    }
}

void
bench_route(enum bench_routing routing, int32_t *ids, int32_t *experts,
        struct random_state *state, size_t n_tokens, size_t n_experts,
        size_t top_k)
{
    if (routing == BENCH_ROUTING_UNIFORM) {
        choose(ids, experts, state, n_tokens, n_experts, top_k);
        return;
    }
    size_t first = random_below(state, (uint32_t)n_experts);
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t j = 0; j < top_k; j++) {
            ids[t * top_k + j] = (int32_t)((first + j) % n_experts);
        }
    }
}
