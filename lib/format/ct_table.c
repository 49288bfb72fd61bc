/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Sorting tensor names into the table. */
#include "format/ct_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bound on layer numbers, so that a hostile checkpoint's list stays small. */
enum { LAYERS_MAX = 4096 };

const char *const w4_ct_part_names[W4_CT_N_PARTS] = {"weight_packed",
        "weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape"};

const struct w4_ct_weight *
w4_ct_weight_of(const struct w4_source *source, size_t i, size_t expert,
        enum w4_projection projection)
{
    const struct w4_ct_table *table = source->state;
    return &table->experts[i * source->config.n_experts + expert]
                    .weights[projection];
}

/* Place of a layer number in source->layers, or n_layers. */
static size_t
layer_index(const struct w4_source *source, uint32_t number)
{
    size_t low = 0;
    size_t high = source->n_layers;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (source->layers[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < source->n_layers && source->layers[low].number == number
                   ? low
                   : source->n_layers;
}

/* Marks the layers that have experts, and makes the sorted list of them. */
static w4moe_status
list_layers(struct w4_err *err, struct w4_source *source)
{
    unsigned char seen[LAYERS_MAX] = {0};
    size_t n = 0;
    for (size_t t = 0; t < w4_st_count(source->set); t++) {
        const char *text = w4_st_at(source->set, t)->name;
        struct w4_name name = w4_name_parse(text);
        if (name.kind != W4_NAME_EXPERT) {
            continue;
        }
        if (name.layer >= LAYERS_MAX) {
            return w4_fail(err, W4MOE_FORMAT,
                    "tensor \"%.200s\": layer %" PRIu32 " (below %d)", text,
                    name.layer, LAYERS_MAX);
        }
        n += seen[name.layer] == 0;
        seen[name.layer] = 1;
    }
    if (n == 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: none of %zu tensors is part of an expert "
                "(...layers.L....experts.E.gate_proj.weight_packed)",
                w4_st_file_path(source->set, 0), w4_st_count(source->set));
    }
    source->layers = calloc(n, sizeof(*source->layers));
    if (source->layers == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for %zu layers", n);
    }
    for (uint32_t number = 0; number < LAYERS_MAX; number++) {
        if (seen[number]) {
            source->layers[source->n_layers++].number = number;
        }
    }
    return W4MOE_OK;
}

/* All experts must have one prefix, or tensors of two models are mixed. */
static w4moe_status
check_prefix(struct w4_err *err, struct w4_ct_table *table,
        const struct w4_name *name, const char *text)
{
    if (table->prefix == NULL) {
        table->prefix = name->prefix;
        table->prefix_length = name->prefix_length;
    }
    if (name->prefix_length != table->prefix_length ||
            memcmp(name->prefix, table->prefix, name->prefix_length) != 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\": experts with another prefix than "
                "\"%.*s\"",
                text, (int)table->prefix_length, table->prefix);
    }
    return W4MOE_OK;
}

static void
count_tensor(struct w4_source_layer *layer, const struct w4_tensor *tensor)
{
    layer->n_tensors++;
    layer->n_bytes += tensor->n_bytes;
}

static w4moe_status
take_expert(struct w4_err *err, struct w4_source *source,
        const struct w4_name *name, const struct w4_tensor *tensor)
{
    struct w4_ct_table *table = source->state;
    w4moe_status status = check_prefix(err, table, name, tensor->name);
    if (status != W4MOE_OK) {
        return status;
    }
    if (name->expert >= source->config.n_experts) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%.200s\": expert %" PRIu32
                ", but config.json says %zu experts",
                tensor->name, name->expert, source->config.n_experts);
    }
    size_t i = layer_index(source, name->layer);
    struct w4_ct_weight *weight =
            &table->experts[i * source->config.n_experts + name->expert]
                     .weights[name->projection];
    for (int part = 0; part < W4_CT_N_PARTS; part++) {
        if (strcmp(name->tensor, w4_ct_part_names[part]) != 0) {
            continue;
        }
        if (weight->parts[part] != NULL) {
            return w4_fail(err, W4MOE_FORMAT,
                    "tensors \"%.100s\" and \"%.100s\" are the same weight",
                    weight->parts[part]->name, tensor->name);
        }
        weight->parts[part] = tensor;
        count_tensor(&source->layers[i], tensor);
        return W4MOE_OK;
    }
    return w4_fail(err, W4MOE_UNSUPPORTED,
            "tensor \"%.200s\" (%s) is no part of a packed 4-bit weight",
            tensor->name, tensor->dtype_name);
}

/* The router's tensors are kept as they are, if they look like one. */
static void
take_router(struct w4_source *source, const struct w4_name *name,
        const struct w4_tensor *tensor)
{
    size_t i = layer_index(source, name->layer);
    const struct w4_model_config *config = &source->config;
    source->n_tensors_other++;
    if (i == source->n_layers || tensor->dtype == W4MOE_DTYPE_NONE ||
            tensor->n_dims == 0 || tensor->shape[0] != config->n_experts) {
        return;
    }
    struct w4_source_layer *layer = &source->layers[i];
    const struct w4_tensor **place = NULL;
    if (strcmp(name->tensor, "weight") == 0 && tensor->n_dims == 2 &&
            tensor->shape[1] == config->hidden_size) {
        place = &layer->router_weight;
    } else if (strcmp(name->tensor, "bias") == 0 && tensor->n_dims == 1) {
        place = &layer->router_bias;
    } else if (strcmp(name->tensor, "e_score_correction_bias") == 0 &&
               tensor->n_dims == 1) {
        place = &layer->correction_bias;
    }
    if (place != NULL && *place == NULL) {
        *place = tensor;
        source->n_tensors_other--;
        count_tensor(layer, tensor);
    }
}

static w4moe_status
sort_tensors(struct w4_err *err, struct w4_source *source)
{
    for (size_t t = 0; t < w4_st_count(source->set); t++) {
        const struct w4_tensor *tensor = w4_st_at(source->set, t);
        struct w4_name name = w4_name_parse(tensor->name);
        w4moe_status status = W4MOE_OK;
        switch (name.kind) {
        case W4_NAME_EXPERT:
            status = take_expert(err, source, &name, tensor);
            break;
        case W4_NAME_UNKNOWN:
            status = w4_fail(err, W4MOE_UNSUPPORTED,
                    "tensor \"%.200s\" stands among experts but has no known "
                    "name (experts.E.{gate,up,down}_proj or .{w1,w3,w2}, then "
                    ".weight_packed, ...)",
                    tensor->name);
            break;
        case W4_NAME_ROUTER:
            take_router(source, &name, tensor);
            break;
        case W4_NAME_OTHER:
        case W4_NAME_MTP:
            source->n_tensors_other++;
            break;
        }
        if (status != W4MOE_OK) {
            return status;
        }
    }
    return W4MOE_OK;
}

w4moe_status
w4_ct_table_build(struct w4_err *err, struct w4_source *source)
{
    w4moe_status status = list_layers(err, source);
    if (status != W4MOE_OK) {
        return status;
    }
    /* An expert takes at least one tensor, so a table larger than the number
     * of tensors could not be filled. */
    uint64_t n_entries = (uint64_t)source->n_layers * source->config.n_experts;
    if (n_entries > w4_st_count(source->set)) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: %zu tensors for %zu layers of %zu experts",
                w4_st_file_path(source->set, 0), w4_st_count(source->set),
                source->n_layers, source->config.n_experts);
    }
    struct w4_ct_table *table = calloc(1, sizeof(*table));
    source->state = table;
    if (table != NULL) {
        table->experts = calloc((size_t)n_entries, sizeof(*table->experts));
    }
    if (table == NULL || table->experts == NULL) {
        return w4_fail(err, W4MOE_NOMEM,
                "no memory for the table of %" PRIu64 " experts", n_entries);
    }
    return sort_tensors(err, source);
}

void
w4_ct_table_free(struct w4_source *source)
{
    struct w4_ct_table *table = source->state;
    if (table != NULL) {
        free(table->experts);
        free(table);
        source->state = NULL;
    }
}
