/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gguf_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

enum { NAME_SIZE = 64 };

static void *
allocate(size_t n)
{
    void *memory = malloc(n);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

size_t
gguf_model_rows(const struct gguf_spec *spec, int matrix)
{
    return matrix == GGUF_DOWN ? spec->hidden : spec->inner;
}

size_t
gguf_model_columns(const struct gguf_spec *spec, int matrix)
{
    return matrix == GGUF_DOWN ? spec->inner : spec->hidden;
}

static size_t
expert_bytes(const struct gguf_spec *spec, int matrix)
{
    return gguf_model_rows(spec, matrix) *
           gguf_type_bytes(
                   spec->types[matrix], gguf_model_columns(spec, matrix));
}

static unsigned char *
make_numbers(enum gguf_type type, size_t n_bytes, struct test_random *random)
{
    unsigned char *bytes = allocate(n_bytes);
    gguf_type_fill(type, bytes, n_bytes, random);
    return bytes;
}

void
gguf_model_make(struct gguf_model *model, const struct gguf_spec *spec)
{
    struct test_random random = {spec->types[GGUF_DOWN]};
    size_t n_experts = spec->n_experts;
    model->spec = *spec;
    model->layers = allocate(spec->n_layers * sizeof(*model->layers));
    for (size_t l = 0; l < spec->n_layers; l++) {
        struct gguf_layer *layer = &model->layers[l];
        for (int m = 0; m < GGUF_MATRICES; m++) {
            layer->weights[m] = make_numbers(
                    spec->types[m], n_experts * expert_bytes(spec, m), &random);
            layer->biases[m] = make_numbers(TYPE_F32,
                    4 * n_experts * gguf_model_rows(spec, m), &random);
        }
        layer->router =
                make_numbers(TYPE_F32, 4 * n_experts * spec->hidden, &random);
        layer->router_bias = make_numbers(TYPE_F32, 4 * n_experts, &random);
    }
}

void
gguf_model_free(struct gguf_model *model)
{
    for (size_t l = 0; l < model->spec.n_layers; l++) {
        struct gguf_layer *layer = &model->layers[l];
        for (int m = 0; m < GGUF_MATRICES; m++) {
            free(layer->weights[m]);
            free(layer->biases[m]);
        }
        free(layer->router);
        free(layer->router_bias);
    }
    free(model->layers);
}

double
gguf_model_weight(const struct gguf_model *model, size_t l, size_t expert,
        int matrix, size_t n, size_t i)
{
    const struct gguf_spec *spec = &model->spec;
    size_t row = expert * gguf_model_rows(spec, matrix) + n;
    size_t n_bytes = gguf_type_bytes(
            spec->types[matrix], gguf_model_columns(spec, matrix));
    return gguf_type_weight(spec->types[matrix],
            model->layers[l].weights[matrix] + row * n_bytes, i);
}

/* ----------------------------------------------------------------- writing */

static void
add_key(const struct gguf_model *model, struct gguf_build *build,
        const char *name, size_t value)
{
    char key[NAME_SIZE];
    snprintf(key, sizeof(key), "%s.%s", model->spec.arch, name);
    gguf_uint32(build, key, (uint32_t)value);
}

void
gguf_model_keys(const struct gguf_model *model, struct gguf_build *build)
{
    const struct gguf_spec *spec = &model->spec;
    gguf_string(build, "general.architecture", spec->arch);
    add_key(model, build, "block_count", spec->first_layer + spec->n_layers);
    add_key(model, build, "embedding_length", spec->hidden);
    add_key(model, build, "expert_count", spec->n_experts);
    add_key(model, build, "expert_used_count", 2);
    add_key(model, build, "expert_feed_forward_length", spec->inner);
}

/* One tensor "blk.L.NAME", innermost size first; 0 for those that are not. */
static void
add_tensor(const struct gguf_model *model, struct gguf_build *build, size_t l,
        const char *name, enum gguf_type type, size_t n0, size_t n1, size_t n2,
        const void *data)
{
    char full[NAME_SIZE];
    const uint64_t shape[] = {n0, n1, n2};
    uint32_t n_dims = n1 == 0 ? 1 : n2 == 0 ? 2 : 3;
    size_t n = n0 * (n1 == 0 ? 1 : n1) * (n2 == 0 ? 1 : n2);
    snprintf(full, sizeof(full), "blk.%zu.%s", model->spec.first_layer + l,
            name);
    gguf_tensor(
            build, full, type, n_dims, shape, data, gguf_type_bytes(type, n));
}

static const char *const words[] = {"gate", "up", "down"};

/* A matrix of all experts, and its bias. */
static void
add_fused(const struct gguf_model *model, struct gguf_build *build, size_t l,
        int matrix)
{
    const struct gguf_spec *spec = &model->spec;
    const struct gguf_layer *layer = &model->layers[l];
    size_t n_out = gguf_model_rows(spec, matrix);
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), "ffn_%s_exps.weight", words[matrix]);
    add_tensor(model, build, l, name, spec->types[matrix],
            gguf_model_columns(spec, matrix), n_out, spec->n_experts,
            layer->weights[matrix]);
    if (spec->has_bias) {
        snprintf(name, sizeof(name), "ffn_%s_exps.bias", words[matrix]);
        add_tensor(model, build, l, name, TYPE_F32, n_out, spec->n_experts, 0,
                layer->biases[matrix]);
    }
}

/* A matrix of each expert, and its bias. */
static void
add_single(const struct gguf_model *model, struct gguf_build *build, size_t l,
        int matrix)
{
    const struct gguf_spec *spec = &model->spec;
    const struct gguf_layer *layer = &model->layers[l];
    size_t n_out = gguf_model_rows(spec, matrix);
    for (size_t e = 0; e < spec->n_experts; e++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "ffn_%s.%zu.weight", words[matrix], e);
        add_tensor(model, build, l, name, spec->types[matrix],
                gguf_model_columns(spec, matrix), n_out, 0,
                layer->weights[matrix] + e * expert_bytes(spec, matrix));
        if (spec->has_bias) {
            snprintf(name, sizeof(name), "ffn_%s.%zu.bias", words[matrix], e);
            add_tensor(model, build, l, name, TYPE_F32, n_out, 0, 0,
                    layer->biases[matrix] + 4 * e * n_out);
        }
    }
}

/* Two arrays, one of each for every expert in turn. */
static unsigned char *
alternate(const unsigned char *a, const unsigned char *b, size_t n_bytes,
        size_t n)
{
    unsigned char *both = allocate(2 * n * n_bytes);
    for (size_t e = 0; e < n; e++) {
        memcpy(both + 2 * e * n_bytes, a + e * n_bytes, n_bytes);
        memcpy(both + (2 * e + 1) * n_bytes, b + e * n_bytes, n_bytes);
    }
    return both;
}

static void
add_gate_up(const struct gguf_model *model, struct gguf_build *build, size_t l)
{
    const struct gguf_spec *spec = &model->spec;
    const struct gguf_layer *layer = &model->layers[l];
    unsigned char *both =
            alternate(layer->weights[GGUF_GATE], layer->weights[GGUF_UP],
                    expert_bytes(spec, GGUF_GATE), spec->n_experts);
    add_tensor(model, build, l, "ffn_gate_up_exps.weight",
            spec->types[GGUF_GATE], spec->hidden, 2 * spec->inner,
            spec->n_experts, both);
    free(both);
    if (spec->has_bias) {
        both = alternate(layer->biases[GGUF_GATE], layer->biases[GGUF_UP],
                4 * spec->inner, spec->n_experts);
        add_tensor(model, build, l, "ffn_gate_up_exps.bias", TYPE_F32,
                2 * spec->inner, spec->n_experts, 0, both);
        free(both);
    }
}

void
gguf_model_layer(
        const struct gguf_model *model, struct gguf_build *build, size_t l)
{
    const struct gguf_spec *spec = &model->spec;
    const struct gguf_layer *layer = &model->layers[l];
    for (int m = 0; m < GGUF_MATRICES; m++) {
        if (spec->layout == GGUF_SINGLE) {
            add_single(model, build, l, m);
        } else if (spec->layout == GGUF_FUSED || m == GGUF_DOWN) {
            add_fused(model, build, l, m);
        }
    }
    if (spec->layout == GGUF_GATE_UP) {
        add_gate_up(model, build, l);
    }
    add_tensor(model, build, l, "ffn_gate_inp.weight", TYPE_F32, spec->hidden,
            spec->n_experts, 0, layer->router);
    if (spec->has_bias) {
        add_tensor(model, build, l, "ffn_gate_inp.bias", TYPE_F32,
                spec->n_experts, 0, 0, layer->router_bias);
    }
    /* A shared expert and attention, which are left out. */
    add_tensor(model, build, l, "ffn_up_shexp.weight", TYPE_F32, 8, 2, 0, NULL);
    add_tensor(model, build, l, "attn_q.weight", TYPE_F16, 8, 2, 0, NULL);
}

/* How many tensors a layer has. */
static unsigned
layer_tensors(const struct gguf_spec *spec)
{
    size_t n = spec->layout == GGUF_FUSED     ? 3
               : spec->layout == GGUF_GATE_UP ? 2
                                              : 3 * spec->n_experts;
    return (unsigned)((n + 1) * (spec->has_bias ? 2 : 1) + 2);
}

char *
gguf_model_write(const struct gguf_model *model, const char *stem)
{
    const struct gguf_spec *spec = &model->spec;
    unsigned n = spec->n_files > 1 ? spec->n_files : 1;
    unsigned n_tensors = (unsigned)(spec->first_layer +
                                    spec->n_layers * layer_tensors(spec));
    char *first = NULL;
    for (unsigned file = 0; file < n; file++) {
        const uint64_t dense[] = {32, 2};
        struct gguf_build build;
        gguf_begin(&build);
        if (file == 0) {
            gguf_model_keys(model, &build);
        }
        if (n > 1) {
            gguf_split(&build, file, n, n_tensors);
        }
        for (size_t l = 0; file == 0 && l < spec->first_layer; l++) {
            char name[NAME_SIZE];
            snprintf(name, sizeof(name), "blk.%zu.ffn_up.weight", l);
            gguf_tensor(&build, name, TYPE_F16, 2, dense, NULL, 128);
        }
        for (size_t l = file; l < spec->n_layers; l += n) {
            gguf_model_layer(model, &build, l);
        }
        const char *path =
                n == 1 ? test_path("%s.gguf", stem)
                       : test_path("%s-%05u-of-%05u.gguf", stem, file + 1, n);
        gguf_write(&build, path);
        if (first == NULL) {
            first = strdup(path);
            ck_assert_ptr_nonnull(first);
        }
    }
    return first;
}
