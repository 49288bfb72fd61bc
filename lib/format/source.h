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
#include "io/gguf.h"
#include "io/safetensors.h"

/** What a caller may ask for. */
struct w4_source_options {
    /** Of weights that are rounded, where no other weight of their matrix has
     * groups; 0: 32. */
    size_t group_size;
    /** Not 0: rounded weights have zero points. */
    int asymmetric;
    /** Not 0: GGUF types of other than 4 bits are rounded, too. */
    int requantize;
    /** Not 0: in GPTQ's first form a stored 15 is a zero of 0. */
    int gptq_zero_wrap;
    /** Path of a file of rules for names; NULL: none. */
    const char *name_map;
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
    /** Expert 0 here is this one of the model, of so many. */
    size_t first_expert;
    size_t n_experts_total;
    /** Weights that get rounded. */
    size_t n_rounded;
    /** Tensors that are no part of a routed expert or its router. */
    size_t n_tensors_other;
    /** What the weights stand in: this, or what follows. */
    struct w4_st_set *set;
    /** A container, and the matrices of its layers, [n_layers][2]. */
    w4moe_file *file;
    w4moe_matrix *matrices;
    /** A GGUF checkpoint, and its routers' tensors,
     * [n_layers][W4_N_ROUTER_PARTS], for the layers to point to. */
    struct w4_gguf_set *gguf;
    struct w4_tensor *router_tensors;
};

/**
 * Opens a checkpoint: a folder, a safetensors file beside its config.json, or
 * a GGUF file, the first of them if it is split. A folder without config.json
 * may hold one GGUF file or split set. Everything but the weights' bytes is
 * checked.
 *
 * Returns: OK; IO; FORMAT; UNSUPPORTED (by name); INVALID (an option that does
 *     not apply); NOMEM.
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

/** Bound on layer numbers, so that a hostile checkpoint's list stays small. */
enum { W4_LAYERS_MAX = 4096 };

/** Makes the sorted list of the layers that are marked. Returns OK or NOMEM. */
extern w4moe_status w4_source_list_layers(struct w4_err *err,
        struct w4_source *source, const unsigned char seen[W4_LAYERS_MAX]);

/** Place of a layer number in source->layers, or n_layers. */
extern size_t w4_source_layer_index(
        const struct w4_source *source, uint32_t number);

/** Makes the table of a safetensors checkpoint, whose config and set are
 * there. Returns OK, FORMAT, UNSUPPORTED or NOMEM. */
extern w4moe_status w4_st_source_read(struct w4_err *err,
        struct w4_source *source, const struct w4_source_options *options);

/** Makes the table of a container, whose path this is. Returns the same, and
 * IO. */
extern w4moe_status w4_container_source_read(
        const w4moe_ctx *ctx, struct w4_source *source, const char *path);

/** Makes the table of a GGUF checkpoint, whose first file this is. Returns the
 * same, and INVALID (a map of names). */
extern w4moe_status w4_gguf_source_read(const w4moe_ctx *ctx,
        struct w4_source *source, const char *path,
        const struct w4_source_options *options);

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

/** Packed position p holds feature features[p] of a weight's columns. */
struct w4_order {
    int32_t *features;
    /** In which columns of the weight they stand: column features[p], or NULL
     * if column p already is what goes to position p. */
    const int32_t *columns;
};

/** Orders of one expert: of the inputs of gate and up, [H], and of the
 * intermediate features, [I]. */
struct w4_orders {
    struct w4_order gate;
    struct w4_order up;
    struct w4_order inner;
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
