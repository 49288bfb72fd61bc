/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Routing: experts and weights of each token from its logits, and slots grouped
 * by expert.
 *
 * w4_route: a wave has a token. grid: x tokens / waves.
 * w4_align: a workgroup has an expert, and counts those before it itself; so
 * one launch does it, without an order of workgroups. grid: x experts.
 */
#include "blocks.h"

enum {
    WAVES = W4_GPU_THREADS / 32,
    ALIGN_WAVES = W4_GPU_ALIGN_THREADS / 32,
    LANES = 32
};

/* ------------------------------------------------------------------- route */

/* An expert and its logit; better is larger, then the lower number. */
struct candidate {
    float value;
    uint32_t expert;
};

GPU_INLINE bool
is_better(struct candidate a, struct candidate b)
{
    return a.value > b.value || (a.value == b.value && a.expert < b.expert);
}

template <unsigned MASK>
GPU_INLINE struct candidate
better_of_two(struct candidate mine)
{
    struct candidate other;
    other.value = gpu_shuffle_xor<MASK>(mine.value);
    other.expert = gpu_bits(gpu_shuffle_xor<MASK>(gpu_from_bits(mine.expert)));
    return is_better(other, mine) ? other : mine;
}

/* The best of a token's experts that come after `before`. If there is none,
 * because the rest is NaN, its number is n_experts. */
GPU_INLINE struct candidate
next_best(const struct w4_gpu_route *p, uint64_t row, unsigned lane,
        struct candidate before, bool is_first)
{
    struct candidate best = {-__builtin_inff(), p->n_experts};
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        struct candidate c = {
                gpu_load_float(p->logits, p->logits_type, row + e), e};
        if ((is_first || is_better(before, c)) && is_better(c, best)) {
            best = c;
        }
    }
    best = better_of_two<1>(best);
    best = better_of_two<2>(best);
    best = better_of_two<4>(best);
    best = better_of_two<8>(best);
    return better_of_two<16>(best);
}

GPU_INLINE float
sum_of_wave(float x)
{
    x += gpu_shuffle_xor<1>(x);
    x += gpu_shuffle_xor<2>(x);
    x += gpu_shuffle_xor<4>(x);
    x += gpu_shuffle_xor<8>(x);
    return x + gpu_shuffle_xor<16>(x);
}

/* The softmax's denominator; NaN if a logit is. */
GPU_INLINE float
denominator(
        const struct w4_gpu_route *p, uint64_t row, unsigned lane, float max)
{
    float sum = 0.0f;
    for (uint32_t e = lane; e < p->n_experts; e += LANES) {
        sum += w4_act_exp(
                gpu_load_float(p->logits, p->logits_type, row + e) - max);
    }
    return sum_of_wave(sum);
}

GPU_KERNEL(W4_GPU_THREADS, w4_route, w4_gpu_route, p)
{
    unsigned lane = gpu_thread() % LANES;
    uint32_t token = gpu_block_x() * WAVES + gpu_thread() / LANES;
    if (token >= p.n_tokens) {
        return;
    }
    uint64_t row = (uint64_t)token * p.n_experts;
    struct candidate chosen = {0.0f, 0};
    float max = 0.0f;
    /* Choice j is kept by lane j % 32. */
    float value[2] = {0.0f, 0.0f};
    for (uint32_t j = 0; j < p.top_k; j++) {
        chosen = next_best(&p, row, lane, chosen, j == 0);
        max = j == 0 ? chosen.value : max;
        if (lane == j % LANES) {
            value[0] = j < LANES ? chosen.value : value[0];
            value[1] = j < LANES ? value[1] : chosen.value;
            /* Logits that are NaN are never chosen; what stands in for them
             * has the weight NaN, and a number that is one. */
            p.ids[(uint64_t)token * p.top_k + j] =
                    (int32_t)(chosen.expert < p.n_experts ? chosen.expert : 0);
        }
    }
    float all = denominator(&p, row, lane, max);
    float weight[2];
    for (int i = 0; i < 2; i++) {
        weight[i] =
                lane + i * LANES < p.top_k ? w4_act_exp(value[i] - max) : 0.0f;
    }
    float divisor = p.renormalize ? sum_of_wave(weight[0] + weight[1]) : all;
    for (int i = 0; i < 2; i++) {
        uint32_t j = lane + i * LANES;
        if (j < p.top_k) {
            float w = weight[i] / divisor * p.scale;
            p.weights[(uint64_t)token * p.top_k + j] = all != all ? all : w;
        }
    }
}

/* ------------------------------------------------------------------- align */

GPU_INLINE int32_t
expert_of(const struct w4_gpu_align *p, uint32_t slot)
{
    return slot < p->n_slots ? gpu_local_expert(p->ids[slot], p->expert_map,
                                       p->n_experts_global, p->n_experts)
                             : -1;
}

GPU_INLINE uint32_t
round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

GPU_INLINE uint32_t
count_of(uint32_t mask)
{
    return (uint32_t)__builtin_popcount(mask);
}

/* Neighbouring slots of a lane, so that several ids are on their way. */
enum { RUN = 4 };

/* Bit i: slot s + i of the lane is of this expert. */
GPU_INLINE uint32_t
slots_of_expert(const struct w4_gpu_align *p, uint32_t s, uint32_t expert,
        int32_t experts[RUN])
{
    uint32_t mask = 0;
    GPU_UNROLL
    for (int i = 0; i < RUN; i++) {
        experts[i] = expert_of(p, s + i);
    }
    GPU_UNROLL
    for (int i = 0; i < RUN; i++) {
        mask |= experts[i] == (int32_t)expert ? 1u << i : 0;
    }
    return mask;
}

/* Sum of n, which is at most 7, over the lanes before this one and over all. */
GPU_INLINE uint32_t
sum_before(uint32_t n, unsigned lane, uint32_t *all)
{
    uint32_t before = 0;
    *all = 0;
    GPU_UNROLL
    for (int bit = 0; bit < 3; bit++) {
        uint32_t mask = gpu_ballot((n >> bit & 1) != 0);
        before += count_of(mask & ((1u << lane) - 1)) << bit;
        *all += count_of(mask) << bit;
    }
    return before;
}

GPU_KERNEL(W4_GPU_ALIGN_THREADS, w4_align, w4_gpu_align, p)
{
    GPU_SHARED(uint32_t, counts, W4_GPU_EXPERTS_MAX);
    GPU_SHARED(uint32_t, starts, W4_GPU_ALIGN_THREADS);
    GPU_SHARED(uint32_t, mine, ALIGN_WAVES);
    unsigned thread = gpu_thread();
    unsigned lane = thread % LANES;
    unsigned wave = thread / LANES;
    uint32_t expert = gpu_block_x();
    for (uint32_t e = thread; e < p.n_experts; e += W4_GPU_ALIGN_THREADS) {
        counts[e] = 0;
    }
    gpu_barrier();

    /* Each wave has a run of slots, in which it keeps their order. */
    uint32_t share = (p.n_slots + ALIGN_WAVES - 1) / ALIGN_WAVES;
    share = round_up(share, LANES * RUN);
    uint32_t first = wave * share;
    uint32_t last = first + share;
    int32_t experts[RUN];
    uint32_t all;
    uint32_t n = 0;
    for (uint32_t s = first; s < last && s < p.n_slots; s += LANES * RUN) {
        uint32_t mask = slots_of_expert(&p, s + lane * RUN, expert, experts);
        GPU_UNROLL
        for (int i = 0; i < RUN; i++) {
            if (experts[i] >= 0) {
                gpu_count(&counts[experts[i]], 1);
            }
        }
        sum_before(count_of(mask), lane, &all);
        n += all;
    }
    if (lane == 0) {
        mine[wave] = n;
    }
    gpu_barrier();

    /* Rows of the experts before this one. */
    uint32_t start = 0;
    for (uint32_t e = thread; e < expert; e += W4_GPU_ALIGN_THREADS) {
        start += round_up(counts[e], p.block_size);
    }
    starts[thread] = start;
    gpu_barrier();
    for (uint32_t half = W4_GPU_ALIGN_THREADS / 2; half > 0; half /= 2) {
        if (thread < half) {
            starts[thread] += starts[thread + half];
        }
        gpu_barrier();
    }
    start = starts[0];
    uint32_t end = start + counts[expert];
    uint32_t padded = start + round_up(counts[expert], p.block_size);
    for (uint32_t i = end + thread; i < padded; i += W4_GPU_ALIGN_THREADS) {
        p.sorted_slots[i] = (int32_t)p.n_slots;
    }
    for (uint32_t i = start / p.block_size + thread; i < padded / p.block_size;
            i += W4_GPU_ALIGN_THREADS) {
        p.expert_ids[i] = (int32_t)expert;
    }
    if (expert == p.n_experts - 1 && thread == 0) {
        *p.n_padded = (int32_t)padded;
    }

    uint32_t at = start;
    for (unsigned w = 0; w < wave; w++) {
        at += mine[w];
    }
    for (uint32_t s = first; s < last && s < p.n_slots; s += LANES * RUN) {
        uint32_t slot = s + lane * RUN;
        uint32_t mask = slots_of_expert(&p, slot, expert, experts);
        uint32_t to = at + sum_before(count_of(mask), lane, &all);
        GPU_UNROLL
        for (int i = 0; i < RUN; i++) {
            if ((mask >> i & 1) != 0) {
                p.sorted_slots[to++] = (int32_t)(slot + i);
            }
        }
        at += all;
    }
}
