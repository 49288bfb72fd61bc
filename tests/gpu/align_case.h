/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The kernel that groups slots by expert, by itself, against w4moe_align().
 */
#ifndef ALIGN_CASE_H
#define ALIGN_CASE_H

#include <w4moe.h>

#include "../kernel/oracle.h"

enum { ALIGN_MAX_SLOTS = 5000, ALIGN_MAX_EXPERTS = 4096 };

struct align_case {
    size_t n_slots;
    size_t n_experts;
    size_t n_global;
    /** The first of them that is here, without a map. */
    size_t first;
    size_t block_size;
    int32_t ids[ALIGN_MAX_SLOTS];
    int32_t map[ALIGN_MAX_EXPERTS];
    int with_map;
};

/** Ids of all kinds, some of them none; a map in which some experts, or all,
 * are elsewhere. */
extern void align_draw(struct align_case *c, struct oracle_rng *rng);

/** Whether a kernel writes what is expected, and nothing else. `cpu` is a
 * context that says what to expect. */
extern int align_is_good(
        const w4moe_ctx *cpu, const char *kernel, const struct align_case *c);

#endif
