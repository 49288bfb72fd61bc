/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Slots grouped by expert.
 *
 * w4_align: a workgroup has an expert, and counts those before it itself; so
 * one launch does it, without an order of workgroups. grid: x experts.
 * w4_spread: the same of shared experts, each of which has every token. grid:
 * x rows of an expert, y experts.
 * w4_count: slots of each global expert; a workgroup has a run of experts.
 * grid: x runs.
 */
#include "routing.h"

enum { ALIGN_WAVES = W4_GPU_ALIGN_THREADS / 32 };

/* ------------------------------------------------------------------- align */

GPU_INLINE int32_t
expert_of(const struct w4_gpu_align *p, uint32_t slot)
{
    return slot < p->n_slots
                   ? gpu_local_expert(p->ids[slot], &p->local, p->n_experts)
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

/* ------------------------------------------------------------------ spread */

GPU_KERNEL(W4_GPU_THREADS, w4_spread, w4_gpu_spread, p)
{
    uint32_t i = gpu_block_x() * W4_GPU_THREADS + gpu_thread();
    uint32_t expert = gpu_block_y();
    uint32_t padded = round_up(p.n_tokens, p.block_size);
    if (i >= padded) {
        return;
    }
    uint32_t row = expert * padded + i;
    p.sorted_slots[row] = (int32_t)(i < p.n_tokens ? i * p.n_experts + expert
                                                   : p.n_tokens * p.n_experts);
    if (i % p.block_size == 0) {
        p.expert_ids[row / p.block_size] = (int32_t)expert;
    }
    if (row == 0) {
        *p.n_padded = (int32_t)(p.n_experts * padded);
    }
}

/* ------------------------------------------------------------------- count */

GPU_KERNEL(W4_GPU_ALIGN_THREADS, w4_count, w4_gpu_count, p)
{
    GPU_SHARED(uint32_t, counts, W4_GPU_ALIGN_THREADS);
    unsigned thread = gpu_thread();
    uint32_t most = W4_GPU_ALIGN_THREADS;
    uint32_t first = gpu_block_x() * most;
    uint32_t n = p.n_experts - first;
    n = n < most ? n : most;
    counts[thread] = 0;
    gpu_barrier();
    for (uint32_t s = thread; s < p.n_slots; s += W4_GPU_ALIGN_THREADS) {
        uint32_t expert = (uint32_t)p.ids[s] - first;
        if (expert < n) {
            gpu_count(&counts[expert], 1);
        }
    }
    gpu_barrier();
    if (thread < n) {
        p.counts[first + thread] = (int32_t)counts[thread];
    }
}
