/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Tiny compressed-tensors checkpoints of random weights, made by the tests
 * themselves, and what each of their weights must be. Shares nothing with
 * lib/format. What goes wrong here ends the test.
 */
#ifndef CT_FIXTURE_H
#define CT_FIXTURE_H

#include <w4moe.h>

#include "mini_tensors.h"
#include "test_random.h"

/** One weight [N][K], as a quantiser has it before packing. */
struct ct_weight {
    size_t n_out;
    size_t n_in;
    size_t group_size;
    size_t n_groups;
    /** [N][K] and [N][G], each 0..15; zeros are 8 for symmetric weights. */
    uint8_t *codes;
    uint8_t *zeros;
    /** [N][G], little-endian. */
    unsigned char *scales;
    w4moe_dtype scale_dtype;
    /** [K]; NULL without act-order. */
    int32_t *g_idx;
    /** Columns sorted by group, stable; NULL without act-order. */
    int32_t *order;
};

/** Random codes and finite scales. In: flags, or-ed. */
enum { CT_ZERO_POINTS = 1, CT_ACT_ORDER = 2 };
extern struct ct_weight ct_weight_make(struct test_random *random, size_t n_out,
        size_t n_in, size_t group_size, w4moe_dtype scale_dtype,
        unsigned flags);
extern void ct_weight_free(struct ct_weight *weight);

/** (code - zero) * scale of row n and column i, rounded once. */
extern float ct_weight_at(const struct ct_weight *weight, size_t n, size_t i);

/** The value of a scale. */
extern float ct_weight_scale(
        const struct ct_weight *weight, size_t n, size_t group);

/** The tensors weight_packed and weight_zero_point. Free them. */
extern unsigned char *ct_weight_packed(
        const struct ct_weight *weight, size_t *n_bytes);
extern unsigned char *ct_weight_zero_point(
        const struct ct_weight *weight, size_t *n_bytes);

/** Which family's names and config a checkpoint has. */
enum ct_names { CT_QWEN3, CT_MIXTRAL, CT_DEEPSEEK };

/** A checkpoint to be made. */
struct ct_spec {
    const char *label;
    enum ct_names names;
    /** Layers; their numbers are first_layer, first_layer + 2, ... */
    size_t n_layers;
    size_t first_layer;
    size_t n_experts;
    size_t hidden;
    size_t intermediate;
    /** 0: channel-wise. */
    size_t group_size;
    w4moe_dtype scale_dtype;
    int zero_points;
    /** Act-order of gate and up: 0 none, 1 the same, 2 two orders. */
    int gate_up_order;
    /** Act-order of down. */
    int down_order;
    /** 1, or 2 shards with an index. */
    size_t n_files;
};

/** A checkpoint in memory. A test may change its files and its config before
 * it is written. */
struct ct_model {
    struct ct_spec spec;
    /** [layer][expert][gate, up, down] */
    struct ct_weight *weights;
    struct mini files[2];
    json_t *config;
};

/** Some checkpoints that between them have all of the spec's features. */
enum { CT_N_SPECS = 7 };
extern const struct ct_spec ct_specs[CT_N_SPECS];

extern void ct_model_make(struct ct_model *model, const struct ct_spec *spec);
extern void ct_model_free(struct ct_model *model);

/** Writes config.json, the shards, and their index into a folder. */
extern void ct_model_write(const struct ct_model *model, const char *folder);

/** The number of layer i in the model. */
extern uint32_t ct_model_layer(const struct ct_model *model, size_t i);

/** A weight; projection 0 gate, 1 up, 2 down. */
extern const struct ct_weight *ct_model_weight(
        const struct ct_model *model, size_t i, size_t expert, int projection);

/** Name of a tensor of a weight, for example part "weight_scale". Valid until
 * the next call. */
extern const char *ct_model_name(const struct ct_model *model, size_t i,
        size_t expert, int projection, const char *part);

/** That tensor, in whichever file it is. */
extern struct mini_tensor *ct_model_tensor(const struct ct_model *model,
        size_t i, size_t expert, int projection, const char *part);

/** What w4moe_dequantize() must give for an expert of the container that is
 * made of it: with down's order folded into the rows of gate and up. Free
 * it. */
extern float *ct_model_expected(const struct ct_model *model, size_t i,
        size_t expert, w4moe_which which);

#endif
