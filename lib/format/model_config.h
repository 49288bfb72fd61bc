/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What config.json says about a model's experts.
 */
#ifndef W4_FORMAT_MODEL_CONFIG_H
#define W4_FORMAT_MODEL_CONFIG_H

#include <w4moe/format.h>

#include "base/err.h"

/** Longest config.json that is read. */
enum { W4_CONFIG_MAX = 16 * 1024 * 1024 };

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

    /** quantization_config: method, for example "compressed-tensors". */
    char quant_method[32];
    /** 0: channel-wise. */
    size_t group_size;
    int symmetric;
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
