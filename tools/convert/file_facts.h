/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What there is to say about a container, beyond what its metadata says.
 */
#ifndef W4_TOOLS_FILE_FACTS_H
#define W4_TOOLS_FILE_FACTS_H

#include <w4moe.h>

enum { N_ROUTER_PARTS = 3 };

/** "weight", "bias", "correction_bias": tensors of a router. */
extern const char *const router_parts[N_ROUTER_PARTS];

struct file_facts {
    w4moe_file_info info;
    w4moe_code code;
    int zero_points;
    /** Bit 1 << dtype for each type in any matrix; 0: no such array. */
    uint32_t scale_dtypes;
    uint32_t offset_dtypes;
    uint32_t bias_dtypes;
    /** Layers that have a permutation, and each tensor of a router. */
    size_t n_perm_layers;
    size_t n_router_layers[N_ROUTER_PARTS];
    /** All that the experts' tensors take: in the mean of the layers, of one
     * expert, and bits for each weight. */
    uint64_t bytes_per_layer;
    uint64_t bytes_per_expert;
    double bits_per_weight;
    size_t n_files;
    uint64_t n_file_bytes;
};

/** Looks at the open container `file`, which stands at path. Returns TOOL_OK;
 * TOOL_ERROR after printing why. */
extern int file_facts_read(struct file_facts *facts, const w4moe_ctx *ctx,
        const w4moe_file *file, const char *path);

#endif
