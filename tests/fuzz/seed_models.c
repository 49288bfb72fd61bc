/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "seed_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "test_random.h"

/* Sizes of all models, but that those of floats are larger, and have rows of
 * SMALL. */
enum { EXPERTS = 2, HIDDEN = 64, INNER = 32, SMALL = 32, GROUP = 32 };

/* ----------------------------------------------------------------- tensors */

/* The tensors of a model in the making. */
struct making {
    struct mini *mini;
    struct test_random random;
};

/* A tensor of elements of n bytes: random bits of `mask`, and those of `base`.
 * Dimensions end at 0. */
static void
add(struct making *m, const char *name, const char *dtype, size_t n_bytes,
        uint32_t mask, uint32_t base, const uint64_t shape[4])
{
    size_t n_dims = 0;
    size_t n = n_bytes;
    while (n_dims < 4 && shape[n_dims] != 0) {
        n *= (size_t)shape[n_dims++];
    }
    unsigned char *data = calloc(1, n);
    FUZZ_CHECK(data != NULL);
    for (size_t i = 0; i < n; i++) {
        unsigned shift = 8 * (unsigned)(i % n_bytes);
        uint32_t bits = (uint32_t)test_random(&m->random);
        data[i] = (unsigned char)((bits & mask >> shift) | base >> shift);
    }
    mini_add(m->mini, name, dtype, n_dims, shape, data, n);
    free(data);
}

#define SHAPE(...) ((const uint64_t[4]){__VA_ARGS__})

static void
add_codes(struct making *m, const char *name, const uint64_t shape[4])
{
    add(m, name, "I32", 4, 0xFFFFFFFFu, 0, shape);
}

/* Numbers about 1/16. */
static void
add_f16(struct making *m, const char *name, const uint64_t shape[4])
{
    add(m, name, "F16", 2, 0x83FF, 0x2C00, shape);
}

static void
add_bf16(struct making *m, const char *name, const uint64_t shape[4])
{
    add(m, name, "BF16", 2, 0x807F, 0x3D80, shape);
}

/* Exponents from 112 to 127. */
static void
add_e8m0(struct making *m, const char *name, const char *dtype,
        const uint64_t shape[4])
{
    add(m, name, dtype, 1, 0x0F, 0x70, shape);
}

/* ------------------------------------------------- a tensor for each weight */

/* Adds the tensors of a weight of n_out rows; name is its own, with a dot. */
typedef void weight_fn(
        struct making *m, const char *name, uint64_t n_out, uint64_t n_in);

/* The name of a part of a weight. Valid until the next call. */
static const char *
part_of(const char *name, const char *part)
{
    static char text[MINI_NAME];
    snprintf(text, sizeof(text), "%s%s", name, part);
    return text;
}

static void
gptq(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    uint64_t n_groups = n_in / GROUP;
    add_codes(m, part_of(name, "qweight"), SHAPE(n_in / 8, n_out));
    add_f16(m, part_of(name, "scales"), SHAPE(n_groups, n_out));
    add(m, part_of(name, "qzeros"), "I32", 4, 0x77777777u, 0,
            SHAPE(n_groups, n_out / 8));
}

/* The groups in turn. */
static void
gptq_order(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    unsigned char order[4 * HIDDEN] = {0};
    gptq(m, name, n_out, n_in);
    for (uint64_t i = 0; i < n_in; i++) {
        order[4 * i] = (unsigned char)(i % (n_in / GROUP));
    }
    mini_add(m->mini, part_of(name, "g_idx"), "I32", 1, SHAPE(n_in), order,
            4 * (size_t)n_in);
}

static void
awq(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    uint64_t n_groups = n_in / GROUP;
    add_codes(m, part_of(name, "qweight"), SHAPE(n_in, n_out / 8));
    add_f16(m, part_of(name, "scales"), SHAPE(n_groups, n_out));
    add_codes(m, part_of(name, "qzeros"), SHAPE(n_groups, n_out / 8));
}

static void
ct_mxfp4(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    add(m, part_of(name, "weight_packed"), "U8", 1, 0xFF, 0,
            SHAPE(n_out, n_in / 2));
    add_e8m0(
            m, part_of(name, "weight_scale"), "U8", SHAPE(n_out, n_in / GROUP));
}

static void
deepseek_mxfp4(
        struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    add(m, part_of(name, "weight"), "I8", 1, 0xFF, 0, SHAPE(n_out, n_in / 2));
    add_e8m0(m, part_of(name, "scale"), "F8_E8M0", SHAPE(n_out, n_in / GROUP));
}

static void
fp8(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    add(m, part_of(name, "weight"), "F8_E4M3", 1, 0xBF, 0, SHAPE(n_out, n_in));
    add(m, part_of(name, "weight_scale_inv"), "F32", 4, 0xFFFF, 0x3D800000u,
            SHAPE(1, 1));
}

static void
floats(struct making *m, const char *name, uint64_t n_out, uint64_t n_in)
{
    (void)n_in;
    add_bf16(m, part_of(name, "weight"),
            n_out == HIDDEN ? SHAPE(SMALL, INNER) : SHAPE(n_out, SMALL));
}

/* --------------------------------------------------- one tensor for experts */

static void
gpt_oss_mxfp4(struct making *m)
{
    static const char *const names[2] = {"model.layers.0.mlp.experts.gate_up_"
                                         "proj",
            "model.layers.0.mlp.experts.down_proj"};
    for (int i = 0; i < 2; i++) {
        uint64_t n_out = i == 0 ? 2 * INNER : HIDDEN;
        uint64_t n_groups = i == 0 ? HIDDEN / GROUP : INNER / GROUP;
        add(m, part_of(names[i], "_blocks"), "U8", 1, 0xFF, 0,
                SHAPE(EXPERTS, n_out, n_groups, GROUP / 2));
        add_e8m0(m, part_of(names[i], "_scales"), "U8",
                SHAPE(EXPERTS, n_out, n_groups));
        add_bf16(m, part_of(names[i], "_bias"), SHAPE(EXPERTS, n_out));
    }
    add_bf16(m, "model.layers.0.mlp.router.weight", SHAPE(EXPERTS, HIDDEN));
    add_bf16(m, "model.layers.0.mlp.router.bias", SHAPE(EXPERTS));
}

static void
gpt_oss_floats(struct making *m)
{
    const char *name = "model.layers.0.mlp.experts.";
    add_bf16(
            m, part_of(name, "gate_up_proj"), SHAPE(EXPERTS, SMALL, 2 * INNER));
    add_bf16(m, part_of(name, "down_proj"), SHAPE(EXPERTS, INNER, SMALL));
    add_bf16(m, part_of(name, "gate_up_proj_bias"), SHAPE(EXPERTS, 2 * INNER));
    add_bf16(m, part_of(name, "down_proj_bias"), SHAPE(EXPERTS, SMALL));
}

static void
qwen3_5_floats(struct making *m)
{
    const char *name = "model.language_model.layers.0.mlp.experts.";
    add_bf16(
            m, part_of(name, "gate_up_proj"), SHAPE(EXPERTS, 2 * INNER, SMALL));
    add_bf16(m, part_of(name, "down_proj"), SHAPE(EXPERTS, SMALL, INNER));
}

static void
granite_floats(struct making *m)
{
    const char *name = "model.layers.0.block_sparse_moe.";
    add_bf16(m, part_of(name, "input_linear.weight"),
            SHAPE(EXPERTS, 2 * INNER, SMALL));
    add_bf16(m, part_of(name, "output_linear.weight"),
            SHAPE(EXPERTS, SMALL, INNER));
}

/* ------------------------------------------------------------------ models */

#define QWEN3 "qwen3_moe\",\"num_experts\":2,\"moe_intermediate_size\":32"
#define GPT_OSS                                                                \
    "gpt_oss\",\"num_local_experts\":2,\"intermediate_size\":32,"              \
    "\"swiglu_limit\":7.0"
#define GPTQ_OF(form, order)                                                   \
    ",\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,"          \
    "\"group_size\":32,\"sym\":false,\"desc_act\":" order                      \
    ",\"checkpoint_format\":\"" form "\"}"

static const struct model {
    const char *label;
    uint64_t hidden;
    /* From the value of model_type on, without the last brace. */
    const char *config;
    /* Either one for each weight of each expert, ... */
    weight_fn *add_weight;
    const char *layer;
    const char *projections[3];
    /* ... or one for all. */
    void (*add_all)(struct making *m);
} models[] = {
        {"GPTQ", HIDDEN, QWEN3 GPTQ_OF("gptq", "false"), gptq,
                "model.layers.0.mlp", {"gate_proj", "up_proj", "down_proj"},
                NULL},
        {"GPTQ with act-order", HIDDEN, QWEN3 GPTQ_OF("gptq_v2", "true"),
                gptq_order, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"AutoRound", HIDDEN,
                QWEN3 ",\"quantization_config\":{\"quant_method\":"
                      "\"auto-round\",\"packing_format\":"
                      "\"auto_round:auto_gptq\",\"bits\":4,\"group_size\":32,"
                      "\"sym\":false}",
                gptq, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"AWQ", HIDDEN,
                QWEN3 ",\"quantization_config\":{\"quant_method\":\"awq\","
                      "\"bits\":4,\"group_size\":32,\"zero_point\":true,"
                      "\"version\":\"gemm\"}",
                awq, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"MXFP4 of compressed-tensors", HIDDEN,
                QWEN3 ",\"quantization_config\":{\"quant_method\":"
                      "\"compressed-tensors\",\"format\":"
                      "\"mxfp4-pack-quantized\",\"config_groups\":{\"group_0\":"
                      "{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,"
                      "\"type\":\"float\",\"symmetric\":true,\"strategy\":"
                      "\"group\",\"group_size\":32}}}}",
                ct_mxfp4, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"MXFP4 of DeepSeek-V4", HIDDEN,
                "deepseek_v4\",\"n_routed_experts\":2,"
                "\"moe_intermediate_size\":32,\"scoring_func\":"
                "\"sqrtsoftplus\",\"topk_method\":\"noaux_tc\","
                "\"norm_topk_prob\":true,\"expert_dtype\":\"fp4\","
                "\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":"
                "\"e4m3\",\"weight_block_size\":[128,128]}",
                deepseek_mxfp4, "layers.0.ffn", {"w1", "w3", "w2"}, NULL},
        {"FP8", HIDDEN,
                QWEN3 ",\"quantization_config\":{\"quant_method\":\"fp8\","
                      "\"fmt\":\"e4m3\",\"weight_block_size\":[128,128]}",
                fp8, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"BF16", SMALL, QWEN3, floats, "model.layers.0.mlp",
                {"gate_proj", "up_proj", "down_proj"}, NULL},
        {"MXFP4 of GPT-OSS", HIDDEN,
                GPT_OSS ",\"quantization_config\":{\"quant_method\":\"mxfp4\"}",
                NULL, NULL, {NULL}, gpt_oss_mxfp4},
        {"BF16 of GPT-OSS", SMALL, GPT_OSS, NULL, NULL, {NULL}, gpt_oss_floats},
        {"BF16, fused", SMALL,
                "qwen3_5_moe\",\"num_experts\":2,\"moe_intermediate_size\":32",
                NULL, NULL, {NULL}, qwen3_5_floats},
        {"BF16 of Granite", SMALL,
                "granitemoe\",\"num_local_experts\":2,"
                "\"intermediate_size\":32",
                NULL, NULL, {NULL}, granite_floats},
};

size_t
seed_model_count(void)
{
    return sizeof(models) / sizeof(models[0]);
}

const char *
seed_model_make(size_t i, struct mini *mini, const char **config)
{
    static char text[1024];
    const struct model *model = &models[i];
    struct making m = {mini, {.counter = i}};
    memset(mini, 0, sizeof(*mini));
    snprintf(text, sizeof(text),
            "{\"hidden_size\":%u,\"num_hidden_layers\":1,\"hidden_act\":"
            "\"silu\",\"num_experts_per_tok\":2,\"model_type\":\"%s}",
            (unsigned)model->hidden, model->config);
    *config = text;
    if (model->add_all != NULL) {
        model->add_all(&m);
        return model->label;
    }
    for (int w = 0; w < EXPERTS * 3; w++) {
        char name[96];
        snprintf(name, sizeof(name), "%s.experts.%d.%s.", model->layer, w / 3,
                model->projections[w % 3]);
        model->add_weight(&m, name, w % 3 < 2 ? INNER : HIDDEN,
                w % 3 < 2 ? HIDDEN : INNER);
    }
    return model->label;
}
