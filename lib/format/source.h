/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A checkpoint as the converter sees it, whatever its scheme: which layers and
 * experts there are, of what shape, and how to get one expert packed or, by
 * another way, as floats.
 */
#ifndef W4_FORMAT_SOURCE_H
#define W4_FORMAT_SOURCE_H

#include "base/ctx.h"
#include "format/expert_name.h"
#include "format/matrix.h"
#include "format/model_config.h"
#include "io/safetensors.h"

/** One layer. */
struct w4_source_layer {
    /** Its number in the model. */
    uint32_t number;
    /** Permutations that w13 needs: 0, 1, or 2 (gate and up differ). */
    size_t n_perms;
    /** The router's tensors; NULL where absent. */
    const struct w4_tensor *router_weight;
    const struct w4_tensor *router_bias;
    const struct w4_tensor *correction_bias;
    /** Tensors of the layer that are used, and their bytes. */
    size_t n_tensors;
    uint64_t n_bytes;
};

struct w4_source;

/** What a scheme does. All functions may be called by several threads. */
struct w4_source_ops {
    /**
     * Packs one expert of layer number i of source->layers.
     * In/out: w13, w2: descriptors of one expert with arrays (perm of w13 if
     * the layer has one).
     */
    w4moe_status (*pack)(const w4moe_ctx *ctx, const struct w4_source *source,
            size_t i, size_t expert, w4moe_matrix *w13, w4moe_matrix *w2);

    /**
     * One row of one projection as floats, in the checkpoint's own order, by
     * a way that shares nothing with pack().
     * Out: row [K of the projection].
     */
    void (*read_row)(const struct w4_source *source, size_t i, size_t expert,
            enum w4_projection projection, size_t n, float *row);

    /**
     * The order in which pack() puts the I intermediate features of an expert
     * (rows of gate and up, columns of down).
     * Out: order [I].
     */
    w4moe_status (*intermediate_order)(const w4moe_ctx *ctx,
            const struct w4_source *source, size_t i, size_t expert,
            int32_t *order);

    void (*close)(struct w4_source *source);
};

struct w4_source {
    const struct w4_source_ops *ops;
    /** For example "compressed-tensors". */
    const char *scheme;
    struct w4_model_config config;
    struct w4_st_set *set;
    /** In ascending order of their numbers. */
    struct w4_source_layer *layers;
    size_t n_layers;
    /** Sizes, group length, code and scale type of one expert's matrices,
     * without arrays; n_experts is 1. */
    w4moe_matrix w13;
    w4moe_matrix w2;
    int has_zero_points;
    /** Tensors that are no part of a routed expert or its router. */
    size_t n_tensors_other;
    /** The scheme's own. */
    void *state;
};

/**
 * Opens a checkpoint: a folder, or a safetensors file beside its config.json.
 * Everything but the weights' bytes is checked.
 *
 * Returns: OK; IO; FORMAT; UNSUPPORTED (by name); NOMEM.
 */
extern w4moe_status w4_source_open(
        const w4moe_ctx *ctx, struct w4_source *source, const char *path);

/** Closes; a source of zeros is fine. */
extern void w4_source_close(struct w4_source *source);

/** The scheme compressed-tensors: takes over from w4_source_open(), which has
 * read the config and opened the set. */
extern w4moe_status w4_ct_source_open(
        const w4moe_ctx *ctx, struct w4_source *source);

#endif
