/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Private to what reads GGUF checkpoints: the types of weights, the keys that
 * tell about experts, names, and folders.
 */
#ifndef W4_FORMAT_GGUF_SOURCE_H
#define W4_FORMAT_GGUF_SOURCE_H

#include "format/expert_name.h"
#include "format/model_config.h"
#include "format/weight.h"
#include "io/gguf.h"

/* ------------------------------------------------------------------- types */

/** Types of 4 bits. codes is the tensor's data from the weight's first row on,
 * name is set, variant is the type's number (enum w4_gguf_type). */
extern const struct w4_scheme w4_scheme_q4_0;
extern const struct w4_scheme w4_scheme_q4_1;
extern const struct w4_scheme w4_scheme_q4_k;
extern const struct w4_scheme w4_scheme_gguf_mxfp4;

/** Q5_0, Q5_1, Q8_0, Q5_K, Q6_K and IQ4_NL, in the same way. */
extern const struct w4_scheme w4_scheme_gguf_wide;

/** Groups of 32 in a block of Q4_K or Q5_K. */
enum { W4_K_GROUPS = 8 };

/** Scales and offsets of a block of Q4_K or Q5_K: code * scale + offset. In:
 * its first 16 bytes. */
extern void w4_gguf_k_head(float scales[W4_K_GROUPS],
        float offsets[W4_K_GROUPS], const unsigned char *src);

/**
 * Makes a weight of rows in a tensor.
 *
 * In/out: weight: n_out and n_in are set; a bias stays.
 * In: tensor: for its type and name; data: n_out rows of n_in columns.
 * Returns: OK; UNSUPPORTED (a type that is not converted, or only with
 *     requantize, by its name).
 */
extern w4moe_status w4_gguf_weight_set(struct w4_err *err,
        struct w4_weight *weight, const struct w4_gguf_tensor *tensor,
        const void *data, int requantize);

/** The type of a tensor's numbers if they are not quantised, else NONE. */
extern w4moe_dtype w4_gguf_float_type(const struct w4_gguf_tensor *tensor);

/* -------------------------------------------------------------------- keys */

/** What the keys tell. */
struct w4_gguf_model {
    /** All but what is about quantisation; model_type is the architecture. */
    struct w4_model_config config;
    /** Layers from this number on predict further tokens. */
    uint64_t n_layers;
    /** Layers of all kinds. */
    uint64_t n_blocks;
};

/**
 * Reads the keys of a model.
 *
 * Returns: OK; FORMAT (no mixture of experts; a key is missing, of another
 *     type or out of range); UNSUPPORTED (an architecture whose activation is
 *     not known; layers that differ).
 */
extern w4moe_status w4_gguf_model_read(struct w4_err *err,
        struct w4_gguf_model *model, const struct w4_gguf_set *set);

/* ------------------------------------------------------------------- names */

enum w4_gguf_kind {
    /** No routed expert or router. */
    W4_GGUF_NAME_OTHER,
    /** blk.L.ffn_WORD_exps.PART: of all experts; blk.L.ffn_WORD.E.PART: of
     * one. */
    W4_GGUF_NAME_EXPERTS,
    W4_GGUF_NAME_EXPERT,
    W4_GGUF_NAME_ROUTER,
    /** Among the experts, but of no known form. */
    W4_GGUF_NAME_UNKNOWN
};

struct w4_gguf_name {
    enum w4_gguf_kind kind;
    uint32_t layer;
    uint32_t expert;
    /** W4_N_PROJECTIONS: gate and up, of all experts only. */
    enum w4_projection projection;
    /** Not 0: the bias, else the weight. */
    int is_bias;
    enum w4_router_part router;
};

extern struct w4_gguf_name w4_gguf_name_parse(const char *name);

/* ------------------------------------------------------------------ folders */

/**
 * Finds the one GGUF file of a folder, or the first of its one split set.
 *
 * Out: *path: in memory of its own, to be freed; NULL if there is none.
 * Returns: OK; IO; FORMAT (there are several, with two of their names); NOMEM.
 */
extern w4moe_status w4_gguf_in_folder(
        struct w4_err *err, char **path, const char *folder);

#endif
