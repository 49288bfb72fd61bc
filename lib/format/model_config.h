/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What config.json says about a model's experts.
 */
#ifndef W4_FORMAT_MODEL_CONFIG_H
#define W4_FORMAT_MODEL_CONFIG_H

#include <w4moe/format.h>

#include "base/err.h"

/** Longest config.json that is read; group lengths that are kept. */
enum { W4_CONFIG_MAX = 16 * 1024 * 1024, W4_GROUP_SIZES_MAX = 8 };

enum w4_quant {
    W4_QUANT_NONE,
    W4_QUANT_COMPRESSED_TENSORS,
    W4_QUANT_GPTQ,
    W4_QUANT_AWQ,
    W4_QUANT_MXFP4
};

enum w4_fused {
    W4_FUSED_NONE,
    W4_FUSED_ROWS,
    W4_FUSED_COLUMNS,
    W4_FUSED_COLUMNS_INTERLEAVED
};

struct w4_model_config {
    char model_type[64];
    /** E, k, H, I. */
    size_t n_experts;
    size_t top_k;
    size_t hidden_size;
    size_t intermediate_size;
    w4moe_activation activation;
    /** Kind NONE for models whose routing is not known. */
    w4moe_router router;
    enum w4_fused fused;
    enum w4_quant quant;
    char scheme[32];
    size_t group_sizes[W4_GROUP_SIZES_MAX];
    size_t n_group_sizes;
    int symmetric;
    int gptq_v2;
    int desc_act;
    size_t fp8_block[2];
    /** Set by the caller: in GPTQ's first form a stored 15 is a zero of 0. */
    int gptq_zero_wrap;
};

/**
 * Reads a config.json.
 *
 * Out: *config.
 * Returns: OK; IO; FORMAT (no JSON, or a field is missing or of another type,
 *     by its name); UNSUPPORTED (a quantisation that is not read, by its name).
 */
extern w4moe_status w4_model_config_read(
        struct w4_err *err, struct w4_model_config *config, const char *path);

#endif
