/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Tensors for moe-run from a safetensors file: the call's input, and the
 * result to compare with.
 */
#ifndef W4_TOOLS_RUN_INPUT_H
#define W4_TOOLS_RUN_INPUT_H

#include <w4moe.h>

/** What to read and what it must agree with. */
struct run_request {
    const char *path;
    /** Put before the tensors' names. */
    const char *prefix;
    /** Wanted type of x; W4MOE_DTYPE_NONE: as it is in the file. */
    w4moe_dtype dtype;
    /** H and E of the layer, k of the container. */
    size_t hidden_size;
    size_t n_experts;
    size_t top_k;
    /** Whether the layer makes logits of x. */
    int has_router_weight;
};

/** The input of a forward call. */
struct run_input {
    size_t n_tokens;
    size_t top_k;
    /** W4MOE_BF16 or W4MOE_F16. */
    w4moe_dtype dtype;
    /** [T][H]. */
    uint16_t *x;
    /** [T][k], or both NULL. */
    int32_t *ids;
    float *weights;
    /** [T][E], or NULL. */
    void *logits;
    w4moe_dtype logits_dtype;
};

/** Reads x; and ids and weights, or router logits, if there are any. Returns an
 * exit code, after printing what is wrong with which tensor. */
extern int run_input_read(
        struct run_input *input, const struct run_request *request);

extern void run_input_free(struct run_input *input);

/** Reads "out", [n_rows][n_columns], as float64; release it with free(). */
extern int run_expected_read(double **out_p, const char *path,
        const char *prefix, size_t n_rows, size_t n_columns);

#endif
