/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Sorting the tensors of a GGUF checkpoint into the table of weights. */
#include "format/gguf_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/source.h"
#include "io/gguf_types.h"
#include "io/text.h"

struct table {
    struct w4_err *err;
    struct w4_source *source;
    struct w4_gguf_model model;
    int requantize;
    /* Weights of each type, by the type's number. */
    size_t n_of_type[W4_GGUF_Q2_0 + 1];
};

/* ------------------------------------------------------------------- layers */

static const char *
path_of(const struct table *table)
{
    return w4_gguf_file_path(table->source->gguf, 0);
}

/* Whether a tensor belongs to a layer that is converted: not to one that
 * predicts further tokens. */
static int
is_of_layers(const struct table *table, const struct w4_gguf_name *name)
{
    return name->kind != W4_GGUF_NAME_OTHER &&
           name->layer < table->model.n_layers;
}

/* Makes the sorted list of layers that have experts or a router. */
static w4moe_status
list_layers(struct table *table)
{
    struct w4_source *source = table->source;
    unsigned char seen[W4_LAYERS_MAX] = {0};
    size_t n = 0;
    for (size_t t = 0; t < w4_gguf_count(source->gguf); t++) {
        const struct w4_gguf_tensor *tensor = w4_gguf_at(source->gguf, t);
        struct w4_gguf_name name = w4_gguf_name_parse(tensor->name);
        if (name.kind == W4_GGUF_NAME_UNKNOWN) {
            return w4_fail(table->err, W4MOE_UNSUPPORTED,
                    "tensor \"%s\" (%s) stands among experts but has no known "
                    "name (blk.L.ffn_gate_exps.weight)",
                    w4_show_string(tensor->name).text, tensor->type_name);
        }
        if (name.kind != W4_GGUF_NAME_OTHER &&
                (name.layer >= table->model.n_blocks ||
                        name.layer >= W4_LAYERS_MAX)) {
            return w4_fail(table->err, W4MOE_FORMAT,
                    "tensor \"%s\": layer %" PRIu32 " of %" PRIu64
                    " (at most %d)",
                    w4_show_string(tensor->name).text, name.layer,
                    table->model.n_blocks, W4_LAYERS_MAX);
        }
        if (is_of_layers(table, &name)) {
            n += seen[name.layer] == 0;
            seen[name.layer] = 1;
        }
    }
    if (n == 0) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "%s: none of %zu tensors is part of an expert "
                "(blk.L.ffn_gate_exps.weight)",
                w4_show_path(path_of(table)).text, w4_gguf_count(source->gguf));
    }
    return w4_source_list_layers(table->err, source, seen);
}

static void
set_sizes(struct w4_source *source)
{
    const struct w4_model_config *config = &source->config;
    size_t n = source->n_layers * config->n_experts * W4_N_PROJECTIONS;
    for (size_t w = 0; w < n; w++) {
        struct w4_weight *weight = &source->weights[w];
        int down = w % W4_N_PROJECTIONS == W4_DOWN;
        weight->n_out = down ? config->hidden_size : config->intermediate_size;
        weight->n_in = down ? config->intermediate_size : config->hidden_size;
        weight->row_step = 1;
        weight->tensor_rows = weight->n_out;
    }
}

/* Memory for the table: not more than the checkpoint can fill, whatever its
 * keys say. */
static w4moe_status
make_table(struct table *table)
{
    struct w4_source *source = table->source;
    size_t n_experts = source->config.n_experts;
    uint64_t n = (uint64_t)source->n_layers * n_experts;
    /* The least weight is of 8 rows, of 8 numbers of 16 bits. */
    uint64_t least_bytes = (uint64_t)W4_N_PROJECTIONS * 128 * n;
    if (least_bytes > w4_gguf_file_bytes(source->gguf)) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "%s: %" PRIu64 " bytes for %zu layers of %zu experts",
                w4_show_path(path_of(table)).text,
                w4_gguf_file_bytes(source->gguf), source->n_layers, n_experts);
    }
    size_t n_weights = (size_t)n * W4_N_PROJECTIONS;
    source->weights = calloc(n_weights, sizeof(*source->weights));
    source->router_tensors = calloc(source->n_layers * W4_N_ROUTER_PARTS,
            sizeof(*source->router_tensors));
    if (source->weights == NULL || source->router_tensors == NULL) {
        return w4_fail(table->err, W4MOE_NOMEM,
                "no memory for the table of %" PRIu64 " experts", n);
    }
    set_sizes(source);
    return W4MOE_OK;
}

/* ------------------------------------------------------------------ sorting */

/* Checks a tensor's shape; the last numbers of a smaller rank are 1. */
static w4moe_status
check_shape(const struct table *table, const struct w4_gguf_tensor *tensor,
        uint64_t n0, uint64_t n1, uint64_t n2)
{
    const uint64_t *shape = tensor->shape;
    if (shape[0] != n0 || shape[1] != n1 || shape[2] != n2 || shape[3] != 1) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensor \"%s\" is [%" PRIu64 ", %" PRIu64 ", %" PRIu64
                ", %" PRIu64 "], the keys say [%" PRIu64 ", %" PRIu64
                ", %" PRIu64 ", 1]",
                w4_show_string(tensor->name).text, shape[0], shape[1], shape[2],
                shape[3], n0, n1, n2);
    }
    return W4MOE_OK;
}

static void
count_tensor(struct table *table, const struct w4_gguf_name *name,
        const struct w4_gguf_tensor *tensor)
{
    struct w4_source *source = table->source;
    struct w4_source_layer *layer =
            &source->layers[w4_source_layer_index(source, name->layer)];
    layer->n_tensors++;
    layer->n_bytes += tensor->n_bytes;
}

/* Gives a weight its place in a tensor: n_bytes of it at data. */
static w4moe_status
place_weight(struct table *table, struct w4_weight *weight, int is_bias,
        const struct w4_gguf_tensor *tensor, const char *data)
{
    const char *other = is_bias && weight->bias != NULL ? "a bias that is there"
                        : !is_bias && weight->scheme != NULL ? weight->name
                                                             : NULL;
    if (other != NULL) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensors \"%.100s\" and \"%.100s\" are the same weight",
                w4_show_string(other).text, w4_show_string(tensor->name).text);
    }
    if (is_bias) {
        weight->bias = data;
        weight->bias_dtype = w4_gguf_float_type(tensor);
        return W4MOE_OK;
    }
    table->n_of_type[tensor->type]++;
    return w4_gguf_weight_set(
            table->err, weight, tensor, data, table->requantize);
}

/* Weights or biases of experts [first, first + n): a tensor of all of them. */
static w4moe_status
take_experts(struct table *table, const struct w4_gguf_name *name,
        const struct w4_gguf_tensor *tensor, size_t first, size_t n)
{
    struct w4_source *source = table->source;
    size_t i = w4_source_layer_index(source, name->layer);
    int both = name->projection == W4_N_PROJECTIONS;
    enum w4_projection projection = both ? W4_GATE : name->projection;
    const struct w4_weight *like =
            w4_source_weight(source, i, first, projection);
    uint64_t n_parts = both ? 2 : 1;
    uint64_t n_out = n_parts * like->n_out;
    w4moe_status status =
            name->is_bias ? check_shape(table, tensor, n_out, n, 1)
                          : check_shape(table, tensor, like->n_in, n_out, n);
    if (status == W4MOE_OK && name->is_bias &&
            w4_gguf_float_type(tensor) == W4MOE_DTYPE_NONE) {
        status = w4_fail(table->err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": a bias of type %s (F32, F16 or BF16)",
                w4_show_string(tensor->name).text, tensor->type_name);
    }
    /* All parts have the same rows, so the same bytes. */
    size_t n_bytes = (size_t)(tensor->n_bytes / (n * n_parts));
    const char *data = tensor->data;
    for (size_t e = first; e < first + n && status == W4MOE_OK; e++) {
        struct w4_weight *weight = w4_source_weight(source, i, e, projection);
        status = place_weight(table, weight, name->is_bias, tensor, data);
        data += n_bytes;
        if (both && status == W4MOE_OK) {
            weight = w4_source_weight(source, i, e, W4_UP);
            status = place_weight(table, weight, name->is_bias, tensor, data);
            data += n_bytes;
        }
    }
    return status;
}

/* The router's tensors go into the container as they are. */
static w4moe_status
take_router(struct table *table, const struct w4_gguf_name *name,
        const struct w4_gguf_tensor *tensor)
{
    struct w4_source *source = table->source;
    const struct w4_model_config *config = &source->config;
    int is_weight = name->router == W4_ROUTER_WEIGHT;
    w4moe_status status =
            is_weight ? check_shape(table, tensor, config->hidden_size,
                                config->n_experts, 1)
                      : check_shape(table, tensor, config->n_experts, 1, 1);
    w4moe_dtype dtype = w4_gguf_float_type(tensor);
    if (status != W4MOE_OK || dtype == W4MOE_DTYPE_NONE) {
        source->n_tensors_other += status == W4MOE_OK;
        return status;
    }
    size_t i = w4_source_layer_index(source, name->layer);
    size_t place = i * W4_N_ROUTER_PARTS + (size_t)name->router;
    struct w4_tensor *made = &source->router_tensors[place];
    *made = (struct w4_tensor){
            .name = tensor->name,
            .dtype = dtype,
            .dtype_name = tensor->type_name,
            .n_dims = is_weight ? 2 : 1,
            .shape = {config->n_experts, is_weight ? config->hidden_size : 0},
            .data = tensor->data,
            .n_bytes = tensor->n_bytes,
            .file = tensor->file,
    };
    source->layers[i].router[name->router] = made;
    count_tensor(table, name, tensor);
    return W4MOE_OK;
}

static w4moe_status
take_tensor(struct table *table, const struct w4_gguf_tensor *tensor)
{
    struct w4_source *source = table->source;
    size_t n_experts = source->config.n_experts;
    struct w4_gguf_name name = w4_gguf_name_parse(tensor->name);
    if (!is_of_layers(table, &name)) {
        source->n_tensors_other++;
        return W4MOE_OK;
    }
    if (name.kind == W4_GGUF_NAME_ROUTER) {
        return take_router(table, &name, tensor);
    }
    count_tensor(table, &name, tensor);
    if (name.kind == W4_GGUF_NAME_EXPERTS) {
        return take_experts(table, &name, tensor, 0, n_experts);
    }
    if (name.expert >= n_experts) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensor \"%s\": expert %" PRIu32
                ", but the keys say %zu experts",
                w4_show_string(tensor->name).text, name.expert, n_experts);
    }
    return take_experts(table, &name, tensor, name.expert, 1);
}

/* ---------------------------------------------------------------- the whole */

static w4moe_status
check_complete(const struct table *table)
{
    const struct w4_source *source = table->source;
    size_t per_layer = source->config.n_experts * W4_N_PROJECTIONS;
    for (size_t w = 0; w < source->n_layers * per_layer; w++) {
        if (source->weights[w].scheme != NULL) {
            continue;
        }
        const char *word =
                w4_projection_name((enum w4_projection)(w % W4_N_PROJECTIONS));
        uint32_t layer = source->layers[w / per_layer].number;
        size_t expert = w % per_layer / W4_N_PROJECTIONS;
        return w4_fail(table->err, W4MOE_FORMAT,
                "layer %" PRIu32 ", expert %zu, %s: no weight (tensor "
                "\"blk.%" PRIu32 ".ffn_%s_exps.weight\")",
                layer, expert, word, layer, word);
    }
    return W4MOE_OK;
}

/* "gguf Q4_K+Q6_K": the types of the weights, the most frequent first. */
static void
name_scheme(struct table *table)
{
    static const char more[] = "+...";
    struct w4_source *source = table->source;
    size_t room = sizeof(source->scheme);
    size_t n = (size_t)snprintf(source->scheme, room, "gguf");
    for (char separator = ' ';; separator = '+') {
        size_t best = 0;
        size_t n_types = sizeof(table->n_of_type) / sizeof(*table->n_of_type);
        for (size_t t = 0; t < n_types; t++) {
            best = table->n_of_type[t] > table->n_of_type[best] ? t : best;
        }
        if (table->n_of_type[best] == 0) {
            return;
        }
        table->n_of_type[best] = 0;
        const char *name = w4_gguf_type_info((uint32_t)best)->name;
        if (n + 1 + strlen(name) + sizeof(more) > room) {
            memcpy(source->scheme + n, more, sizeof(more));
            return;
        }
        n += (size_t)snprintf(
                source->scheme + n, room - n, "%c%s", separator, name);
    }
}

w4moe_status
w4_gguf_source_read(const w4moe_ctx *ctx, struct w4_source *source,
        const char *path, const struct w4_source_options *options)
{
    struct table table = {
            .err = w4_ctx_err(ctx),
            .source = source,
            .requantize = options->requantize,
    };
    if (options->name_map != NULL) {
        return w4_fail(table.err, W4MOE_INVALID,
                "%s: a map of names (%s) is for safetensors files, not for "
                "GGUF",
                w4_show_path(path).text, w4_show_path(options->name_map).text);
    }
    w4moe_status status = w4_gguf_open(table.err, &source->gguf, path);
    if (status == W4MOE_OK) {
        status = w4_gguf_model_read(table.err, &table.model, source->gguf);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    source->config = table.model.config;
    source->n_experts_total = source->config.n_experts;
    status = list_layers(&table);
    if (status == W4MOE_OK) {
        status = make_table(&table);
    }
    for (size_t t = 0; t < w4_gguf_count(source->gguf) && status == W4MOE_OK;
            t++) {
        status = take_tensor(&table, w4_gguf_at(source->gguf, t));
    }
    if (status == W4MOE_OK) {
        status = check_complete(&table);
    }
    if (status == W4MOE_OK) {
        name_scheme(&table);
    }
    return status;
}
