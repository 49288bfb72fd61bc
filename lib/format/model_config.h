/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What config.json, and a quantiser's own file beside it, say about a model's
 * experts: sizes, activation, routing, and how the weights are stored.
 *
 * A config speaks of the whole model, and quantisers leave modules out. So it
 * tells what may be there; what one weight is like, its tensors tell.
 */
#ifndef W4_FORMAT_MODEL_CONFIG_H
#define W4_FORMAT_MODEL_CONFIG_H

#include <w4moe/format.h>

#include "base/err.h"

/** Longest config.json that is read, and longest file beside it: as a tree, one
 * can take a hundred times its size. */
enum { W4_CONFIG_MAX = 4 * 1024 * 1024 };

/** How the weights of quantised modules are stored. */
enum w4_quant {
    /** Plain weights of 16 or 32 bits, or FP8 with block scales. */
    W4_QUANT_NONE,
    /** weight_packed, weight_scale: int32 words (pack-quantized) or bytes
     * (mxfp4-pack-quantized), see w4_model_config.mxfp4. */
    W4_QUANT_COMPRESSED_TENSORS,
    /** qweight [K/8, N], also of AutoRound. */
    W4_QUANT_GPTQ,
    /** qweight [K, N/8] in AWQ's order ("gemm"), also of AutoRound. */
    W4_QUANT_AWQ,
    /** GPT-OSS: blocks and scales of all experts; DeepSeek-V4: weight and
     * scale of each. */
    W4_QUANT_MXFP4
};

/** How 3-D tensors with all experts of a layer are laid out; by the model's
 * type, never guessed from shapes. */
enum w4_fused {
    /** The family has none. */
    W4_FUSED_NONE,
    /** gate_up [E, 2I, H], gate and up are halves; down [E, H, I]. */
    W4_FUSED_ROWS,
    /** gate_up [E, H, 2I], halves; down [E, I, H]. */
    W4_FUSED_COLUMNS,
    /** GPT-OSS in 16 bits: gate_up [E, H, 2I], gate and up alternate; down
     * [E, I, H]. */
    W4_FUSED_COLUMNS_INTERLEAVED
};

enum { W4_GROUP_SIZES_MAX = 8 };

struct w4_model_config {
    /** Of the language model; "" if the config has none. The original GPT-OSS
     * release, which has none, is "gpt_oss". */
    char model_type[64];
    /** E, k, H, I. Where experts work in a space of their own (Kimi-K3), H is
     * that space's. */
    size_t n_experts;
    size_t top_k;
    size_t hidden_size;
    size_t intermediate_size;
    w4moe_activation activation;
    /** Kind NONE for models whose routing is not known, or is none of the
     * kinds. */
    w4moe_router router;
    /** Layers at the beginning that choose experts by the token's id and not
     * by the router (DeepSeek-V4). */
    size_t n_hash_layers;
    enum w4_fused fused;

    enum w4_quant quant;
    /** As a report names it: "compressed-tensors", "gptq", "awq",
     * "auto-round", "mxfp4", "fp8", "none". */
    char scheme[32];
    /** Group lengths that the config mentions for 4-bit weights, each once; 0
     * is channel-wise. The tensors decide which one a weight has. */
    size_t group_sizes[W4_GROUP_SIZES_MAX];
    size_t n_group_sizes;
    /** The config says of some 4-bit weights, or of all, that they have no
     * zero points. The tensors decide which. */
    int symmetric;
    /** Some weights are MXFP4: E2M1 codes, E8M0 scales of 32 codes. Configs of
     * DeepSeek-V4 with FP8 may leave that to the tensors. */
    int mxfp4;
    /** GPTQ: the label says v2. It may lie: the data decide where they can. */
    int gptq_v2;
    /** Some weights have their columns in activation order (g_idx). */
    int desc_act;
    /** Rows and columns of a block of FP8 weights with one scale, often 128
     * and 128; 0 without FP8. */
    size_t fp8_block[2];
    /** Not from the file: the caller's word that in GPTQ's first form a stored
     * 15 is a zero of 0. */
    int gptq_zero_wrap;
};

/**
 * Reads a config.json. Where it has no quantization_config, the first of
 * quantize_config.json (GPTQ), quantization_config.json (AutoRound),
 * quant_config.json (AWQ) and hf_quant_config.json (ModelOpt) in the same
 * folder counts; without any of them the weights are plain.
 *
 * Out: *config.
 * Returns: OK; IO; NOMEM; FORMAT (no JSON, or a field is missing, of another
 *     type or out of range, by its name); UNSUPPORTED (a quantisation, an
 *     activation, or experts that differ between layers, by their names and
 *     values).
 * Threads: any.
 */
extern w4moe_status w4_model_config_read(
        struct w4_err *err, struct w4_model_config *config, const char *path);

#endif
