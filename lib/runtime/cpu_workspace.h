/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a workspace of the CPU backend holds.
 */
#ifndef W4_RUNTIME_CPU_WORKSPACE_H
#define W4_RUNTIME_CPU_WORKSPACE_H

#include "runtime/cpu_backend.h"

/** Slots grouped by expert, and their activated rows. */
struct w4_cpu_slots {
    int32_t *sorted_slots;
    /** By block. */
    int32_t *expert_ids;
    /** [n_slots][I] of 2 bytes. */
    void *activated;
    /** By slot. */
    float *weights;
};

/** Its arrays. */
struct w4_cpu_arrays {
    /** [T][n_logits] */
    float *logits;
    /** What the router chose, by slot. */
    int32_t *ids;
    /** Local expert of each slot; E for one that is not here. */
    int32_t *slot_experts;
    /** [E + 2], see w4moe_align(). */
    int32_t *first_slot;
    struct w4_cpu_slots routed;
    struct w4_cpu_slots shared;
    /** [T][H] */
    float *sums;
};

/** Where they are. */
extern void w4_cpu_workspace_arrays(
        struct w4_cpu_arrays *arrays, const w4moe_workspace *ws);

/** Rows of a block: as many as the kernels take, or as there are tokens.
 * Padding is not multiplied, but it is looked at. */
extern size_t w4_cpu_block_size(size_t n_tokens);

#endif
