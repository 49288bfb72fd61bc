/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A checkpoint as the converter sees it, whatever its scheme: a table of
 * weights by layer, expert and projection, each with a scheme of its own, and
 * what the packed matrices of all of them are.
 */
#ifndef W4_FORMAT_SOURCE_H
#define W4_FORMAT_SOURCE_H

#include "base/ctx.h"
#include "format/expert_name.h"
#include "format/model_config.h"
#include "format/weight.h"
#include "io/safetensors.h"

/** What a caller may ask for. */
struct w4_source_options {
    /** Of weights that are rounded; 0: 32. */
    size_t group_size;
    /** Not 0: rounded weights have zero points. */
    int asymmetric;
};

/** One layer. */
struct w4_source_layer {
    /** Its number in the model. */
    uint32_t number;
    /** Permutations that w13 needs: 0, 1, or 2 (gate and up differ). */
    size_t n_perms;
    /** The router's tensors; NULL where absent. */
    const struct w4_tensor *router[W4_N_ROUTER_PARTS];
    /** Tensors of the layer that are used, and their bytes. */
    size_t n_tensors;
    uint64_t n_bytes;
};

struct w4_source {
    /** For example "compressed-tensors". */
    char scheme[32];
    struct w4_model_config config;
    /** In ascending order of their numbers. */
    struct w4_source_layer *layers;
    size_t n_layers;
    /** [n_layers][n_experts][W4_N_PROJECTIONS] */
    struct w4_weight *weights;
    /** The matrices of one expert, without arrays; n_experts is 1. Offsets if
     * offset_dtype is set, bias if bias_dtype is. */
    w4moe_matrix w13;
    w4moe_matrix w2;
    int has_zero_points;
    /** Weights that get rounded. */
    size_t n_rounded;
    /** Tensors that are no part of a routed expert or its router. */
    size_t n_tensors_other;
    /** What the weights stand in. */
    struct w4_st_set *set;
};

/**
 * Opens a checkpoint: a folder, or a safetensors file beside its config.json.
 * Everything but the weights' bytes is checked.
 *
 * Returns: OK; IO; FORMAT; UNSUPPORTED (by name); NOMEM.
 */
extern w4moe_status w4_source_open(const w4moe_ctx *ctx,
        struct w4_source *source, const char *path,
        const struct w4_source_options *options);

/** Closes; a source of zeros is fine. */
extern void w4_source_close(struct w4_source *source);

/** One weight, i counting source->layers. */
extern struct w4_weight *w4_source_weight(const struct w4_source *source,
        size_t i, size_t expert, enum w4_projection projection);

/* ---------------------------------------------------- the steps of opening */

/** Makes the table of a safetensors checkpoint, whose config and set are
 * there. Returns OK, FORMAT, UNSUPPORTED or NOMEM. */
extern w4moe_status w4_st_source_read(
        struct w4_err *err, struct w4_source *source);

/** Chooses matrices that hold every weight of the table exactly, and gives the
 * rounded weights their form. Returns OK, FORMAT or UNSUPPORTED (weights that
 * no matrix can hold together). */
extern w4moe_status w4_source_join(struct w4_err *err, struct w4_source *source,
        const struct w4_source_options *options);

/** Reads every g_idx, so that a wrong one is known before anything is written,
 * and sets the layers' n_perms. Returns OK, FORMAT or NOMEM. */
extern w4moe_status w4_source_read_orders(
        const w4moe_ctx *ctx, struct w4_source *source);

/* --------------------------------------------------------------- one expert */

/** Orders of the features of one expert: packed position p holds input feature
 * gate[p] (up[p]) of w13, and intermediate feature inner[p]. */
struct w4_orders {
    /** [H] each. */
    int32_t *gate;
    int32_t *up;
    /** [I] */
    int32_t *inner;
    int gate_is_identity;
    int up_is_identity;
    int inner_is_identity;
    void *memory;
};

extern w4moe_status w4_orders_make(struct w4_err *err, struct w4_orders *orders,
        const struct w4_source *source);
extern void w4_orders_free(struct w4_orders *orders);

/** Reads the orders of an expert of layer i. Returns OK, FORMAT or NOMEM. */
extern w4moe_status w4_orders_read(const w4moe_ctx *ctx,
        struct w4_orders *orders, const struct w4_source *source, size_t i,
        size_t expert);

/**
 * Packs one expert.
 * In/out: w13, w2: descriptors of one expert with arrays (perm of w13 if the
 *     layer has one); orders, rows: room.
 */
extern w4moe_status w4_source_pack(const w4moe_ctx *ctx,
        const struct w4_source *source, size_t i, size_t expert,
        const w4moe_matrix *w13, const w4moe_matrix *w2,
        struct w4_orders *orders, struct w4_rows *rows);

#endif
