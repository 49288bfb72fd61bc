/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Routing: experts and weights of each token from its logits.
 *
 * w4_route: a wave has a token; a lane of it has every 32nd expert, and alone
 * reads and writes what is kept for it. grid: x tokens / waves.
 *
 * With few tokens the time is that of fetching the code, which each wave runs
 * once: so loops stay loops.
 */
#include "routing.h"

enum { WAVES = W4_GPU_THREADS / 32 };

/* -------------------------------------------------------------------- keys */

/* Numbers as keys, whose order as integers is that of the numbers. All that is
 * not to be chosen has the key 0, which is below that of -Inf: NaN, and experts
 * of groups that are not kept. */

union number {
    double value;
    uint64_t bits;
};

enum : uint64_t { SIGN = 0x8000000000000000 };

GPU_INLINE uint64_t
key_of(double x)
{
    union number n;
    /* There is one zero. */
    n.value = x + 0.0;
    uint64_t key = (n.bits & SIGN) != 0 ? ~n.bits : n.bits | SIGN;
    return x != x ? 0 : key;
}

GPU_INLINE uint64_t
key_of(float x)
{
    uint32_t bits = gpu_bits(x + 0.0f);
    uint32_t key = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return x != x ? 0 : (uint64_t)key << 32;
}

/* Of a double's key. */
GPU_INLINE double
number_of(uint64_t key)
{
    union number n;
    n.bits = (key & SIGN) != 0 ? key & ~SIGN : ~key;
    return n.value;
}

template <unsigned MASK>
GPU_INLINE uint32_t
of_lane(uint32_t x)
{
    return gpu_bits(gpu_shuffle_xor<MASK>(gpu_from_bits(x)));
}

template <unsigned MASK>
GPU_INLINE uint64_t
of_lane(uint64_t x)
{
    uint64_t high = of_lane<MASK>((uint32_t)(x >> 32));
    return high << 32 | of_lane<MASK>((uint32_t)x);
}

GPU_INLINE uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* -------------------------------------------------------------- candidates */

/* An expert and the key that it is chosen by. */
struct candidate {
    uint64_t key;
    uint32_t expert;
};

/* Better is larger, then the lower number. */
GPU_INLINE bool
is_better(struct candidate a, struct candidate b)
{
    return a.key > b.key || (a.key == b.key && a.expert < b.expert);
}

template <unsigned MASK>
GPU_INLINE struct candidate
better_of_two(struct candidate mine)
{
    struct candidate other;
    other.key = of_lane<MASK>(mine.key);
    other.expert = of_lane<MASK>(mine.expert);
    return is_better(other, mine) ? other : mine;
}

GPU_INLINE bool
has_scores(const struct w4_gpu_route *p)
{
    return p->kind == W4MOE_ROUTER_SIGMOID ||
           p->kind == W4MOE_ROUTER_SQRT_SOFTPLUS;
}

GPU_INLINE float
logit_of(const struct w4_gpu_route *p, uint64_t row, uint32_t expert)
{
    return gpu_load_float(p->logits, p->logits_type, row + expert);
}

/* The best of a token's experts that come after `before`. */
GPU_INLINE struct candidate
next_best(const struct w4_gpu_route *p, uint64_t row, unsigned lane,
        struct candidate before)
{
    struct candidate best = {0, p->n_experts};
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        struct candidate c = {
                has_scores(p) ? p->keys[row + e] : key_of(logit_of(p, row, e)),
                e};
        if (is_better(before, c) && is_better(c, best)) {
            best = c;
        }
    }
    best = better_of_two<1>(best);
    best = better_of_two<2>(best);
    best = better_of_two<4>(best);
    best = better_of_two<8>(best);
    return better_of_two<16>(best);
}

/* ------------------------------------------------------------------ scores */

/* e^x, and scores, of numbers. Those of NaN do not matter: all weights of its
 * token are NaN. */
GPU_INLINE double
number_or_zero(double x)
{
    return x == x ? x : 0.0;
}

GPU_INLINE double
exp_of(double x)
{
    return w4_route_exp(number_or_zero(x));
}

GPU_INLINE double
score_of(const struct w4_gpu_route *p, float logit)
{
    double x = number_or_zero((double)logit);
    return p->kind == W4MOE_ROUTER_SQRT_SOFTPLUS ? w4_route_sqrt_softplus(x)
                                                 : w4_route_sigmoid(x);
}

/* Keeps what a token's experts are chosen by. */
GPU_INLINE void
keep_keys(const struct w4_gpu_route *p, uint64_t row, unsigned lane)
{
    GPU_ROLLED
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        double c = score_of(p, logit_of(p, row, e));
        if (p->correction_bias != nullptr) {
            c += (double)gpu_load_float(
                    p->correction_bias, p->correction_bias_type, e);
        }
        p->keys[row + e] = key_of(c);
    }
}

/* The two largest keys of a group, the larger one first; 0 for none. */
struct two {
    uint64_t first;
    uint64_t second;
};

GPU_INLINE struct two
two_largest(struct two a, struct two b)
{
    uint64_t lesser = a.first < b.first ? a.first : b.first;
    return {larger(a.first, b.first),
            larger(lesser, larger(a.second, b.second))};
}

template <unsigned MASK>
GPU_INLINE struct two
two_of_lanes(struct two mine)
{
    return two_largest(
            mine, {of_lane<MASK>(mine.first), of_lane<MASK>(mine.second)});
}

/* The key of a group's value. */
GPU_INLINE uint64_t
group_key(const struct w4_gpu_route *p, uint64_t row, unsigned lane,
        uint32_t group, uint32_t length)
{
    uint32_t begin = group * length;
    struct two best = {0, 0};
    for (uint32_t e = begin / LANES * LANES + lane; e < begin + length;
            e += LANES) {
        if (e >= begin) {
            best = two_largest(best, {p->keys[row + e], 0});
        }
    }
    best = two_of_lanes<1>(best);
    best = two_of_lanes<2>(best);
    best = two_of_lanes<4>(best);
    best = two_of_lanes<8>(best);
    best = two_of_lanes<16>(best);
    return length == 1 ? best.first
                       : key_of(number_of(best.first) + number_of(best.second));
}

/* Takes the experts of all but the best groups out of the choice. A lane has a
 * group; it is kept if there are few enough better ones. */
GPU_INLINE void
keep_groups(const struct w4_gpu_route *p, uint64_t row, unsigned lane)
{
    uint32_t length = p->n_experts / p->n_group;
    struct candidate mine = {0, lane};
    GPU_ROLLED
    for (uint32_t g = 0; g < p->n_group; g++) {
        uint64_t key = group_key(p, row, lane, g, length);
        mine.key = g == lane ? key : mine.key;
    }
    uint32_t n_better = 0;
    GPU_ROLLED
    for (uint32_t g = 0; g < p->n_group; g++) {
        uint64_t high = gpu_broadcast((uint32_t)(mine.key >> 32), g);
        struct candidate other = {
                high << 32 | gpu_broadcast((uint32_t)mine.key, g), g};
        n_better += is_better(other, mine) ? 1 : 0;
    }
    uint32_t kept = gpu_ballot(lane < p->n_group && n_better < p->topk_group);
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        if ((kept >> e / length & 1) == 0) {
            p->keys[row + e] = 0;
        }
    }
}

/* ----------------------------------------------------------------- weights */

template <unsigned MASK>
GPU_INLINE double
add_of_lane(double x)
{
    union number n;
    n.value = x;
    n.bits = of_lane<MASK>(n.bits);
    return x + n.value;
}

GPU_INLINE double
sum_of_lanes(double x)
{
    x = add_of_lane<1>(x);
    x = add_of_lane<2>(x);
    x = add_of_lane<4>(x);
    x = add_of_lane<8>(x);
    return add_of_lane<16>(x);
}

/* The softmax's denominator over all experts. */
GPU_INLINE double
denominator(
        const struct w4_gpu_route *p, uint64_t row, unsigned lane, double max)
{
    double sum = 0.0;
    GPU_ROLLED
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        sum += exp_of((double)logit_of(p, row, e) - max);
    }
    return sum_of_lanes(sum);
}

GPU_INLINE bool
has_nan(const struct w4_gpu_route *p, uint64_t row, unsigned lane)
{
    bool found = false;
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        float logit = logit_of(p, row, e);
        found = found || logit != logit;
    }
    return gpu_ballot(found) != 0;
}

/* Weights of the chosen experts, of which lane l has number l and l + 32; max
 * is the logit of the best. */
GPU_INLINE void
weigh(const struct w4_gpu_route *p, uint32_t token, unsigned lane,
        const uint32_t chosen[2], double max)
{
    uint64_t row = (uint64_t)token * p->n_experts;
    bool is_softmax = p->kind == W4MOE_ROUTER_SOFTMAX_TOPK ||
                      p->kind == W4MOE_ROUTER_TOPK_SOFTMAX;
    bool is_nan = has_nan(p, row, lane);
    double weight[2];
    GPU_UNROLL
    for (uint32_t i = 0; i < 2; i++) {
        bool is_one = lane + i * LANES < p->top_k;
        float logit = logit_of(p, row, is_one ? chosen[i] : 0);
        double w =
                is_softmax ? exp_of((double)logit - max) : score_of(p, logit);
        weight[i] = is_one ? w : 0.0;
    }
    double divisor = 1.0;
    if (p->renormalize || p->kind == W4MOE_ROUTER_TOPK_SOFTMAX) {
        divisor = sum_of_lanes(weight[0] + weight[1]);
        /* Then all weights are 0. */
        divisor = divisor == 0.0 ? 1.0 : divisor;
    } else if (is_softmax) {
        divisor = denominator(p, row, lane, max);
    }
    GPU_UNROLL
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t j = lane + i * LANES;
        if (j < p->top_k) {
            float w = (float)(weight[i] / divisor * (double)p->scale);
            p->weights[(uint64_t)token * p->top_k + j] =
                    is_nan ? __builtin_nanf("") : w;
        }
    }
}

GPU_KERNEL(W4_GPU_THREADS, w4_route, w4_gpu_route, p)
{
    unsigned lane = gpu_thread() % LANES;
    uint32_t token = gpu_block_x() * WAVES + gpu_thread() / LANES;
    if (token >= p.n_tokens) {
        return;
    }
    uint64_t row = (uint64_t)token * p.n_experts;
    if (has_scores(&p)) {
        keep_keys(&p, row, lane);
        if (p.n_group != 0) {
            keep_groups(&p, row, lane);
        }
    }
    /* All come after it. */
    struct candidate best = {~(uint64_t)0, 0};
    uint32_t first = 0;
    uint32_t chosen[2] = {0, 0};
    GPU_ROLLED
    for (uint32_t j = 0; j < p.top_k; j++) {
        best = next_best(&p, row, lane, best);
        first = j == 0 ? best.expert : first;
        if (lane == j % LANES) {
            chosen[0] = j < LANES ? best.expert : chosen[0];
            chosen[1] = j < LANES ? chosen[1] : best.expert;
            p.ids[(uint64_t)token * p.top_k + j] = (int32_t)best.expert;
        }
    }
    weigh(&p, token, lane, chosen, (double)logit_of(&p, row, first));
}
