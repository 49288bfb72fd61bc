/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The plan of a conversion: which tensors the container gets, and which entry
 * of the file each array of each layer is.
 */
#ifndef W4_FORMAT_PLAN_H
#define W4_FORMAT_PLAN_H

#include "format/container.h"
#include "format/source.h"

/** No entry. */
#define W4_NO_ENTRY SIZE_MAX

struct w4_plan_layer {
    /** Place in source->layers. */
    size_t source;
    /** Descriptors of all experts, without arrays. */
    w4moe_matrix w13;
    w4moe_matrix w2;
    /** Entries of the file by array; W4_NO_ENTRY for absent ones. */
    size_t w13_entries[W4_N_ARRAYS];
    size_t w2_entries[W4_N_ARRAYS];
    /** The router's tensors go as they are in the checkpoint. */
    size_t router_entries[W4_N_ROUTER_PARTS];
};

struct w4_plan {
    struct w4_meta meta;
    struct w4_plan_layer *layers;
    size_t n_layers;
    /** Expert 0 of the container is this one of the source. */
    size_t first_expert;
    struct w4_st_entry *entries;
    size_t n_entries;
    /** Names of the entries, [n_entries]. */
    char (*names)[W4_TENSOR_NAME_MAX];
};

/** What a caller chose. */
struct w4_plan_options {
    w4moe_order order;
    /** Numbers of layers; NULL: all. */
    const uint32_t *layers;
    size_t n_layers;
    /** Experts; n_experts 0: all from the first on. */
    size_t first_expert;
    size_t n_experts;
};

/**
 * Makes the plan for the chosen layers and experts.
 *
 * Out: *plan; release it with w4_plan_free(), also after a failure.
 * Returns: OK; INVALID (a layer or an expert that is not there); NOMEM.
 */
extern w4moe_status w4_plan_make(struct w4_err *err, struct w4_plan *plan,
        const struct w4_source *source, const struct w4_plan_options *options);

extern void w4_plan_free(struct w4_plan *plan);

#endif
