/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The layer that moe-bench times: from a container, or of random weights.
 */
#ifndef W4_TOOLS_BENCH_LAYER_H
#define W4_TOOLS_BENCH_LAYER_H

#include <w4moe.h>

/** Weights to be made up. */
struct bench_shape {
    /** To be made: these of n_experts_global (0: all that there are), the first
     * of which is first_expert. Others get other weights. */
    size_t n_experts;
    size_t first_expert;
    size_t n_experts_global;
    size_t hidden_size;
    size_t intermediate_size;
    size_t group_size;
    w4moe_code code;
    w4moe_order order;
    w4moe_dtype scale_dtype;
    int zero_points;
};

struct bench_layer {
    w4moe_layer *layer;
    w4moe_layer_info info;
    /** Group lengths of w13 and w2. */
    size_t w13_group_size;
    size_t w2_group_size;
    w4moe_code code;
    w4moe_order order;
    w4moe_dtype scale_dtype;
    int zero_points;
    /** The layer borrows from at most one of these two. */
    w4moe_file *file;
    struct bench_weights *weights;
};

/** Opens a container; *layer_no is the number of its layer, or negative for the
 * first, and is set. Out: *top_k of the container. Returns an exit code. */
extern int bench_layer_open(struct bench_layer *layer, int64_t *layer_no,
        size_t *top_k, const w4moe_ctx *ctx, const char *path);

/** Sets the facts about `loaded`, which is of the container that was opened,
 * and which stays the caller's. Returns an exit code. */
extern int bench_layer_describe(struct bench_layer *layer, const w4moe_ctx *ctx,
        const w4moe_layer *loaded, int64_t layer_no);

/** Loads a layer of a container; *layer_no is its number, or negative for the
 * first, and is set; flags are w4moe_layer_load()'s. Out: *top_k of the
 * container. Returns an exit code. */
extern int bench_layer_load(struct bench_layer *layer, int64_t *layer_no,
        size_t *top_k, const w4moe_ctx *ctx, const char *path, unsigned flags);

/** Makes a layer of random weights, the same in every run, activation silu;
 * flags are w4moe_layer_create()'s. Returns an exit code. */
extern int bench_layer_make(struct bench_layer *layer, const w4moe_ctx *ctx,
        const struct bench_shape *shape, unsigned flags);

extern void bench_layer_free(struct bench_layer *layer);

#endif
