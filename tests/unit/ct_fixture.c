/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Whole checkpoints. */
#include "ct_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

/* label, names, layers, first, E, H, I, g, scales, zeros, orders, files */
const struct ct_spec ct_specs[CT_N_SPECS] = {
        {"symmetric", CT_QWEN3, 1, 0, 2, 16, 8, 8, W4MOE_BF16, 0, 0, 0, 1},
        {"short group", CT_QWEN3, 2, 0, 2, 24, 24, 16, W4MOE_F16, 0, 0, 0, 2},
        {"zero points", CT_MIXTRAL, 1, 0, 2, 16, 24, 16, W4MOE_F16, 1, 0, 0, 1},
        {"one order", CT_QWEN3, 2, 3, 2, 16, 16, 8, W4MOE_BF16, 0, 1, 0, 2},
        {"two orders", CT_DEEPSEEK, 1, 1, 2, 24, 24, 8, W4MOE_BF16, 1, 2, 1, 2},
        {"channel-wise", CT_DEEPSEEK, 2, 1, 3, 16, 16, 0, W4MOE_BF16, 0, 0, 0,
                1},
        {"fp32, tiles", CT_MIXTRAL, 1, 0, 2, 144, 72, 64, W4MOE_F32, 1, 1, 1,
                1},
};

static const char *
dtype_text(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 ? "F32" : dtype == W4MOE_F16 ? "F16" : "BF16";
}

uint32_t
ct_model_layer(const struct ct_model *model, size_t i)
{
    return (uint32_t)(model->spec.first_layer + 2 * i);
}

const struct ct_weight *
ct_model_weight(
        const struct ct_model *model, size_t i, size_t expert, int projection)
{
    return &model->weights[(i * model->spec.n_experts + expert) * 3 +
                           (size_t)projection];
}

const char *
ct_model_name(const struct ct_model *model, size_t i, size_t expert,
        int projection, const char *part)
{
    static const char *const words[2][3] = {
            {"gate_proj", "up_proj", "down_proj"}, {"w1", "w3", "w2"}};
    static char name[MINI_NAME];
    int is_mixtral = model->spec.names == CT_MIXTRAL;
    snprintf(name, sizeof(name), "model.layers.%u.%s.experts.%zu.%s.%s",
            ct_model_layer(model, i), is_mixtral ? "block_sparse_moe" : "mlp",
            expert, words[is_mixtral][projection], part);
    return name;
}

struct mini_tensor *
ct_model_tensor(const struct ct_model *model, size_t i, size_t expert,
        int projection, const char *part)
{
    const char *name = ct_model_name(model, i, expert, projection, part);
    struct mini_tensor *tensor = mini_find(&model->files[0], name);
    if (tensor == NULL) {
        tensor = mini_find(&model->files[1], name);
    }
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    return tensor;
}

/* ------------------------------------------------------------------ making */

/* Numbers as a file has them, little-endian. Free them. */
static unsigned char *
le_bytes(const void *numbers, size_t size, size_t n)
{
    unsigned char *bytes = malloc(size * n);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < n; i++) {
        uint64_t value = size == 8 ? ((const uint64_t *)numbers)[i]
                                   : ((const uint32_t *)numbers)[i];
        for (size_t b = 0; b < size; b++) {
            bytes[size * i + b] = (unsigned char)(value >> 8 * b);
        }
    }
    return bytes;
}

/* The tensors of one weight. */
static void
add_weight(struct ct_model *model, struct mini *file, size_t i, size_t expert,
        int projection)
{
    const struct ct_weight *w = ct_model_weight(model, i, expert, projection);
    size_t n;
    unsigned char *bytes = ct_weight_packed(w, &n);
    const uint64_t packed[2] = {w->n_out, w->n_in / 8};
    mini_add(file, ct_model_name(model, i, expert, projection, "weight_packed"),
            "I32", 2, packed, bytes, n);
    free(bytes);
    const uint64_t scale[2] = {w->n_out, w->n_groups};
    size_t size = w->scale_dtype == W4MOE_F32 ? 4 : 2;
    mini_add(file, ct_model_name(model, i, expert, projection, "weight_scale"),
            dtype_text(w->scale_dtype), 2, scale, w->scales,
            w->n_out * w->n_groups * size);
    if (model->spec.zero_points) {
        bytes = ct_weight_zero_point(w, &n);
        const uint64_t zero[2] = {(w->n_out + 7) / 8, w->n_groups};
        mini_add(file,
                ct_model_name(
                        model, i, expert, projection, "weight_zero_point"),
                "I32", 2, zero, bytes, n);
        free(bytes);
    }
    if (w->g_idx != NULL) {
        bytes = le_bytes(w->g_idx, 4, w->n_in);
        const uint64_t n_columns = w->n_in;
        mini_add(file,
                ct_model_name(model, i, expert, projection, "weight_g_idx"),
                "I32", 1, &n_columns, bytes, 4 * w->n_in);
        free(bytes);
    }
    const uint64_t sizes[2] = {w->n_out, w->n_in};
    const uint64_t two = 2;
    bytes = le_bytes(sizes, 8, 2);
    mini_add(file, ct_model_name(model, i, expert, projection, "weight_shape"),
            "I64", 1, &two, bytes, 16);
    free(bytes);
}

/* What is in a layer besides its experts. */
static void
add_others(struct ct_model *model, struct test_random *random,
        struct mini *file, size_t i)
{
    const struct ct_spec *spec = &model->spec;
    unsigned char bytes[2 * 4 * 256];
    char name[MINI_NAME];
    const uint64_t shape[2] = {spec->n_experts, spec->hidden};
    for (size_t b = 0; b < sizeof(bytes); b++) {
        bytes[b] = (unsigned char)test_random(random);
    }
    const char *block = spec->names == CT_MIXTRAL ? "block_sparse_moe" : "mlp";
    uint32_t number = ct_model_layer(model, i);
    snprintf(name, sizeof(name), "model.layers.%u.%s.gate.weight", number,
            block);
    mini_add(file, name, "BF16", 2, shape, bytes,
            2 * spec->n_experts * spec->hidden);
    snprintf(name, sizeof(name), "model.layers.%u.input_layernorm.weight",
            number);
    mini_add(file, name, "BF16", 1, &shape[1], bytes, 2 * spec->hidden);
    if (spec->names == CT_DEEPSEEK) {
        snprintf(name, sizeof(name),
                "model.layers.%u.mlp.gate.e_score_correction_bias", number);
        mini_add(file, name, "F32", 1, shape, bytes, 4 * spec->n_experts);
        snprintf(name, sizeof(name),
                "model.layers.%u.mlp.shared_experts.gate_proj.weight", number);
        mini_add(file, name, "BF16", 1, &shape[1], bytes, 2 * spec->hidden);
    }
}

static json_t *
make_quantization(const struct ct_spec *spec)
{
    json_t *weights = json_pack("{s:i, s:s, s:b, s:s, s:o, s:b}", "num_bits", 4,
            "type", "int", "symmetric", !spec->zero_points, "strategy",
            spec->group_size == 0 ? "channel" : "group", "group_size",
            spec->group_size == 0 ? json_null()
                                  : json_integer((json_int_t)spec->group_size),
            "dynamic", 0);
    return json_pack("{s:s, s:s, s:{s:{s:[s], s:n, s:o}}}", "quant_method",
            "compressed-tensors", "format", "pack-quantized", "config_groups",
            "group_0", "targets", "Linear", "input_activations", "weights",
            weights);
}

static json_t *
make_config(const struct ct_spec *spec)
{
    static const char *const types[] = {"qwen3_moe", "mixtral", "deepseek_v3"};
    static const char *const experts[] = {
            "num_experts", "num_local_experts", "n_routed_experts"};
    int is_mixtral = spec->names == CT_MIXTRAL;
    json_t *config = json_pack("{s:s, s:i, s:s, s:i, s:i, s:i, s:o}",
            "model_type", types[spec->names], "hidden_size", (int)spec->hidden,
            "hidden_act", "silu", "num_experts_per_tok", 2,
            experts[spec->names], (int)spec->n_experts,
            is_mixtral ? "intermediate_size" : "moe_intermediate_size",
            (int)spec->intermediate, "quantization_config",
            make_quantization(spec));
    ck_assert_ptr_nonnull(config);
    if (spec->names == CT_QWEN3) {
        json_object_set_new(config, "norm_topk_prob", json_true());
    } else if (spec->names == CT_DEEPSEEK) {
        json_object_set_new(config, "scoring_func", json_string("sigmoid"));
        json_object_set_new(config, "n_group", json_integer(1));
        json_object_set_new(config, "topk_group", json_integer(1));
        json_object_set_new(config, "routed_scaling_factor", json_real(2.5));
    }
    return config;
}

static void
make_weights(struct ct_model *model, struct test_random *random)
{
    const struct ct_spec *spec = &model->spec;
    unsigned zeros = spec->zero_points ? CT_ZERO_POINTS : 0;
    for (size_t e = 0; e < spec->n_layers * spec->n_experts; e++) {
        struct ct_weight *w = &model->weights[3 * e];
        for (int p = 0; p < 3; p++) {
            size_t n_out = p == 2 ? spec->hidden : spec->intermediate;
            size_t n_in = p == 2 ? spec->intermediate : spec->hidden;
            size_t g = spec->group_size;
            int ordered = p == 2 ? spec->down_order : spec->gate_up_order;
            w[p] = ct_weight_make(random, n_out, n_in,
                    g == 0 || g > n_in ? n_in : g, spec->scale_dtype,
                    zeros | (ordered ? CT_ACT_ORDER : 0));
        }
        if (spec->gate_up_order == 1) {
            memcpy(w[1].g_idx, w[0].g_idx, 4 * spec->hidden);
            memcpy(w[1].order, w[0].order, 4 * spec->hidden);
        }
    }
}

void
ct_model_make(struct ct_model *model, const struct ct_spec *spec)
{
    struct test_random random = {spec->hidden + 1000 * spec->intermediate};
    memset(model, 0, sizeof(*model));
    model->spec = *spec;
    model->config = make_config(spec);
    model->weights = calloc(
            3 * spec->n_layers * spec->n_experts, sizeof(*model->weights));
    ck_assert_ptr_nonnull(model->weights);
    make_weights(model, &random);
    mini_set(&model->files[0], "format", "pt");
    for (size_t i = 0; i < spec->n_layers; i++) {
        for (size_t e = 0; e < spec->n_experts; e++) {
            for (int p = 0; p < 3; p++) {
                size_t file = (e + (size_t)p) % spec->n_files;
                add_weight(model, &model->files[file], i, e, p);
            }
        }
        add_others(model, &random, &model->files[0], i);
    }
}

void
ct_model_free(struct ct_model *model)
{
    for (size_t i = 0; i < 3 * model->spec.n_layers * model->spec.n_experts;
            i++) {
        ct_weight_free(&model->weights[i]);
    }
    free(model->weights);
    mini_free(&model->files[0]);
    mini_free(&model->files[1]);
    json_decref(model->config);
    memset(model, 0, sizeof(*model));
}

/* ----------------------------------------------------------------- writing */

static void
write_json(const json_t *json, const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    ck_assert_int_eq(json_dump_file(json, path, JSON_INDENT(1)), 0);
}

void
ct_model_write(const struct ct_model *model, const char *folder)
{
    static const char *const names[] = {"model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors"};
    char path[4096];
    write_json(model->config, folder, "config.json");
    snprintf(path, sizeof(path), "%s/model.safetensors.index.json", folder);
    remove(path); /* of an earlier checkpoint in this folder */
    if (model->spec.n_files == 1) {
        snprintf(path, sizeof(path), "%s/model.safetensors", folder);
        mini_write(&model->files[0], path, 1);
        return;
    }
    json_t *map = json_object();
    for (size_t f = 0; f < 2; f++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[f]);
        mini_write(&model->files[f], path, 1);
        for (size_t t = 0; t < model->files[f].n_tensors; t++) {
            json_object_set_new(map, model->files[f].tensors[t].name,
                    json_string(names[f]));
        }
    }
    json_t *index = json_pack(
            "{s:{s:i}, s:o}", "metadata", "total_size", 0, "weight_map", map);
    write_json(index, folder, "model.safetensors.index.json");
    json_decref(index);
}

/* ---------------------------------------------------------------- expected */

float *
ct_model_expected(const struct ct_model *model, size_t i, size_t expert,
        w4moe_which which)
{
    const struct ct_weight *gate = ct_model_weight(model, i, expert, 0);
    const struct ct_weight *up = ct_model_weight(model, i, expert, 1);
    const struct ct_weight *down = ct_model_weight(model, i, expert, 2);
    const int32_t *inner = down->order;
    size_t n_inner = down->n_in;
    size_t n_out = which == W4MOE_W13 ? 2 * n_inner : down->n_out;
    size_t n_in = which == W4MOE_W13 ? gate->n_in : n_inner;
    float *out = calloc(n_out * n_in, sizeof(*out));
    ck_assert_ptr_nonnull(out);
    for (size_t n = 0; n < n_out; n++) {
        for (size_t k = 0; k < n_in; k++) {
            size_t m = which == W4MOE_W13 ? n % n_inner : k;
            size_t moved = inner != NULL ? (size_t)inner[m] : m;
            out[n * n_in + k] = which == W4MOE_W2 ? ct_weight_at(down, n, moved)
                                : n < n_inner     ? ct_weight_at(gate, moved, k)
                                                  : ct_weight_at(up, moved, k);
        }
    }
    return out;
}
