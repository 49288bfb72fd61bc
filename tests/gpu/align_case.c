/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "align_case.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/kernels/params.h"
#include "hip_context.h"
#include "hip_kernels.h"

void
align_draw(struct align_case *c, struct oracle_rng *rng)
{
    static const int32_t none[] = {-1, INT32_MIN, INT32_MAX, ALIGN_MAX_EXPERTS};
    size_t kind = oracle_below(rng, 4);
    size_t one = oracle_below(rng, c->n_global);
    for (size_t i = 0; i < c->n_slots; i++) {
        size_t id = kind == 0 ? one : oracle_below(rng, c->n_global);
        id = kind == 1 ? id * oracle_below(rng, c->n_global) / c->n_global : id;
        c->ids[i] = kind == 2 && oracle_below(rng, 8) == 0
                            ? none[oracle_below(rng, 4)]
                            : (int32_t)id;
    }
    for (size_t e = 0; e < c->n_global; e++) {
        c->map[e] = oracle_below(rng, 3) == 0
                            ? -1
                            : (int32_t)oracle_below(rng, c->n_experts);
    }
}

/* What w4moe_align() says of the slots that are here: those that are not get an
 * expert more, which comes last. */
struct aligned {
    size_t capacity;
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t n_padded;
};

static int32_t
local_of(const struct align_case *c, int32_t id)
{
    if (id < 0 || (size_t)id >= c->n_global) {
        return -1;
    }
    int32_t local = c->with_map ? c->map[id] : id - (int32_t)c->first;
    return local >= 0 && (size_t)local < c->n_experts ? local : -1;
}

static void
expect(struct aligned *a, const w4moe_ctx *cpu, const struct align_case *c)
{
    int32_t *ids = oracle_alloc(c->n_slots, 4);
    int32_t *first = oracle_alloc(c->n_experts + 2, 4);
    int32_t n_padded;
    for (size_t i = 0; i < c->n_slots; i++) {
        int32_t local = local_of(c, c->ids[i]);
        ids[i] = local >= 0 ? local : (int32_t)c->n_experts;
    }
    ck_assert_int_eq(w4moe_align_capacity(cpu, &a->capacity, c->n_slots,
                             c->n_experts + 1, c->block_size),
            W4MOE_OK);
    a->sorted_slots = oracle_alloc(a->capacity, 4);
    a->expert_ids = oracle_alloc(a->capacity / c->block_size, 4);
    ck_assert_int_eq(
            w4moe_align(cpu, a->sorted_slots, a->expert_ids, &n_padded, first,
                    ids, c->n_slots, NULL, c->n_experts + 1, c->block_size),
            W4MOE_OK);
    a->n_padded = first[c->n_experts];
    free(ids);
    free(first);
}

int
align_is_good(
        const w4moe_ctx *cpu, const char *kernel, const struct align_case *c)
{
    struct aligned a;
    expect(&a, cpu, c);
    size_t n_blocks = a.capacity / c->block_size;
    size_t n_used = (size_t)a.n_padded;
    struct w4_gpu_align p = {
            .sorted_slots = hip_words(a.capacity),
            .expert_ids = hip_words(n_blocks),
            .n_padded = hip_words(1),
            .ids = hip_copy_of(c->ids, c->n_slots * 4),
            .local = {.map = c->with_map ? hip_copy_of(c->map, c->n_global * 4)
                                         : NULL,
                    .n_global = (uint32_t)c->n_global,
                    .first = (uint32_t)c->first},
            .n_slots = (uint32_t)c->n_slots,
            .n_experts = (uint32_t)c->n_experts,
            .block_size = (uint32_t)c->block_size,
    };
    hip_kernel_run(kernel, p.n_experts, W4_GPU_ALIGN_THREADS, &p);
    int32_t *slots = hip_words_back(p.sorted_slots, a.capacity);
    int32_t *experts = hip_words_back(p.expert_ids, n_blocks);
    int32_t *n_padded = hip_words_back(p.n_padded, 1);
    size_t blocks_used = n_used / c->block_size;
    int same = *n_padded == a.n_padded && hip_words_intact(n_padded, 1, 1) &&
               memcmp(slots, a.sorted_slots, n_used * 4) == 0 &&
               hip_words_intact(slots, a.capacity, n_used) &&
               memcmp(experts, a.expert_ids, blocks_used * 4) == 0 &&
               hip_words_intact(experts, n_blocks, blocks_used);
    HIP_OK(hipFree((void *)(uintptr_t)p.ids));
    HIP_OK(hipFree((void *)(uintptr_t)p.local.map));
    free(slots);
    free(experts);
    free(n_padded);
    free(a.sorted_slots);
    free(a.expert_ids);
    return same;
}
