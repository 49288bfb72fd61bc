/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Tiny GGUF checkpoints of random blocks, made by the tests themselves, and
 * what each of their weights is by the definition of its type. Shares nothing
 * with lib/format. What goes wrong here ends the test.
 */
#ifndef GGUF_MODEL_H
#define GGUF_MODEL_H

#include <stdint.h>

#include "gguf_blocks.h"
#include "gguf_helpers.h"

/** How the experts' tensors are cut. */
enum gguf_layout {
    /** ffn_gate_exps, ffn_up_exps, ffn_down_exps */
    GGUF_FUSED,
    /** ffn_gate_up_exps, ffn_down_exps */
    GGUF_GATE_UP,
    /** ffn_gate.E and so on */
    GGUF_SINGLE
};

enum { GGUF_GATE, GGUF_UP, GGUF_DOWN, GGUF_MATRICES };

/** A checkpoint to be made. Layers before the first are dense. */
struct gguf_spec {
    const char *arch;
    enum gguf_layout layout;
    /** Of gate, up and down. */
    enum gguf_type types[GGUF_MATRICES];
    size_t n_layers;
    size_t first_layer;
    size_t n_experts;
    size_t hidden;
    size_t inner;
    /** Biases of fp32, and one of the router. */
    int has_bias;
    /** In so many files. */
    unsigned n_files;
};

/** One layer's numbers. */
struct gguf_layer {
    /** [E][N][K] in blocks. */
    unsigned char *weights[GGUF_MATRICES];
    /** [E][N] of fp32, little-endian. */
    unsigned char *biases[GGUF_MATRICES];
    /** [E][H] and [E] of fp32, little-endian. */
    unsigned char *router;
    unsigned char *router_bias;
};

struct gguf_model {
    struct gguf_spec spec;
    struct gguf_layer *layers;
};

extern void gguf_model_make(
        struct gguf_model *model, const struct gguf_spec *spec);
extern void gguf_model_free(struct gguf_model *model);

/** Adds the keys; the tensors of a layer's experts and router. */
extern void gguf_model_keys(
        const struct gguf_model *model, struct gguf_build *build);
extern void gguf_model_layer(
        const struct gguf_model *model, struct gguf_build *build, size_t i);

/** Writes the whole checkpoint to "STEM.gguf", or to files of a split of that
 * stem. Returns the path of the first, to be freed. */
extern char *gguf_model_write(const struct gguf_model *model, const char *stem);

/** Rows and columns of a matrix. */
extern size_t gguf_model_rows(const struct gguf_spec *spec, int matrix);
extern size_t gguf_model_columns(const struct gguf_spec *spec, int matrix);

/** Weight (n, i) of an expert of layer l, which counts layers with experts. */
extern double gguf_model_weight(const struct gguf_model *model, size_t l,
        size_t expert, int matrix, size_t n, size_t i);

#endif
