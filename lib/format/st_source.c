/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Sorting the tensors of a safetensors checkpoint into the table of weights. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/source.h"
#include "format/st_fused.h"
#include "format/st_names.h"
#include "io/text.h"

enum { NEAREST_SIZE = 160 };

/* What is needed until every weight is made of its parts. */
struct table {
    struct w4_err *err;
    struct w4_source *source;
    /* [n_layers][n_experts][W4_N_PROJECTIONS]; NULL if no tensor is of one
     * expert. */
    struct w4_parts *parts;
    /* [n_layers] */
    struct w4_fused_parts *fused;
    struct w4_st_names names;
    size_t n_expert_tensors;
    size_t n_fused_tensors;
    /* Prefix of all experts' names; points into the first. */
    const char *prefix;
    size_t prefix_length;
};

/* ------------------------------------------------------------------- layers */

static int
is_of_experts(const struct w4_name *name)
{
    return name->kind == W4_NAME_EXPERT || name->kind == W4_NAME_GATE_UP ||
           name->kind == W4_NAME_DOWN;
}

/* All experts must have one prefix, or tensors of two models are mixed. */
static w4moe_status
check_prefix(struct table *table, const struct w4_name *name, const char *text)
{
    if (table->prefix == NULL) {
        table->prefix = name->prefix;
        table->prefix_length = name->prefix_length;
    }
    if (name->prefix_length != table->prefix_length ||
            memcmp(name->prefix, table->prefix, name->prefix_length) != 0) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensor \"%s\": experts with another prefix than \"%s\"",
                w4_show_string(text).text,
                w4_show(table->prefix, table->prefix_length).text);
    }
    return W4MOE_OK;
}

/* Marks the layers that have experts, and makes the sorted list of them. */
static w4moe_status
list_layers(struct table *table)
{
    struct w4_source *source = table->source;
    unsigned char seen[W4_LAYERS_MAX] = {0};
    size_t n = 0;
    for (size_t t = 0; t < w4_st_count(source->set); t++) {
        const char *text = w4_st_names_at(&table->names, t);
        struct w4_name name = w4_name_parse(text);
        if (!is_of_experts(&name)) {
            continue;
        }
        if (name.layer >= W4_LAYERS_MAX) {
            return w4_fail(table->err, W4MOE_FORMAT,
                    "tensor \"%s\": layer %" PRIu32 " (below %d)",
                    w4_show_string(text).text, name.layer, W4_LAYERS_MAX);
        }
        w4moe_status status = check_prefix(table, &name, text);
        if (status != W4MOE_OK) {
            return status;
        }
        table->n_expert_tensors += name.kind == W4_NAME_EXPERT;
        table->n_fused_tensors += name.kind != W4_NAME_EXPERT;
        n += seen[name.layer] == 0;
        seen[name.layer] = 1;
    }
    if (n == 0) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "%s: none of %zu tensors is part of an expert "
                "(...layers.L....experts.E.gate_proj.weight_packed)",
                w4_st_file_path(source->set, 0), w4_st_count(source->set));
    }
    return w4_source_list_layers(table->err, source, seen);
}

/* ------------------------------------------------------------------ sorting */

static void
count_tensor(struct w4_source_layer *layer, const struct w4_tensor *tensor)
{
    layer->n_tensors++;
    layer->n_bytes += tensor->n_bytes;
}

/* Tensors that tell a scheme that is not read. */
static const char *
refused_scheme(const char *part)
{
    static const struct {
        const char *part;
        const char *scheme;
    } refused[] = {
            {"weight_global_scale", "NVFP4"},
            {"input_global_scale", "NVFP4"},
            {"weight_scale_2", "NVFP4"},
            {"input_scale", "quantised activations"},
            {"B", "marlin"},
            {"trellis", "EXL3"},
            {"q_weight", "EXL2"},
            {"weight.absmax", "bitsandbytes"},
            {"weight.quant_map", "bitsandbytes"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (strcmp(part, refused[i].part) == 0) {
            return refused[i].scheme;
        }
    }
    return NULL;
}

static w4moe_status
refuse_name(struct table *table, const struct w4_name *name,
        const struct w4_tensor *tensor)
{
    char nearest[NEAREST_SIZE];
    const char *scheme =
            name->kind == W4_NAME_EXPERT ? refused_scheme(name->tensor) : NULL;
    if (scheme != NULL) {
        return w4_fail(table->err, W4MOE_UNSUPPORTED,
                "tensor \"%s\" is one of scheme %s, which is not converted",
                w4_show_string(tensor->name).text, scheme);
    }
    w4_name_nearest(nearest, sizeof(nearest), tensor->name);
    return w4_fail(table->err, W4MOE_UNSUPPORTED,
            "tensor \"%s\" (%s of rank %" PRIu32
            ") stands among experts but has no known name; nearest: %s",
            w4_show_string(tensor->name).text, tensor->dtype_name,
            tensor->n_dims, nearest);
}

/* Puts a tensor in its place among the parts of a weight. */
static w4moe_status
take_part(struct table *table, struct w4_parts *parts,
        const struct w4_name *name, const struct w4_tensor *tensor)
{
    if (name->part == W4_N_PARTS) {
        return refuse_name(table, name, tensor);
    }
    const struct w4_tensor **place = &parts->tensors[name->part];
    if (*place != NULL) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensors \"%.100s\" and \"%.100s\" are the same weight",
                w4_show_string((*place)->name).text,
                w4_show_string(tensor->name).text);
    }
    *place = tensor;
    struct w4_source *source = table->source;
    count_tensor(&source->layers[w4_source_layer_index(source, name->layer)],
            tensor);
    return W4MOE_OK;
}

static w4moe_status
take_expert(struct table *table, const struct w4_name *name,
        const struct w4_tensor *tensor)
{
    struct w4_source *source = table->source;
    size_t n_experts = source->config.n_experts;
    if (name->expert >= n_experts) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "tensor \"%s\": expert %" PRIu32
                ", but config.json says %zu experts",
                w4_show_string(tensor->name).text, name->expert, n_experts);
    }
    size_t index = w4_source_layer_index(source, name->layer) * n_experts +
                   name->expert;
    index = index * W4_N_PROJECTIONS + (size_t)name->projection;
    return take_part(table, &table->parts[index], name, tensor);
}

/* The router's tensors are kept as they are, if they look like one. */
static void
take_router(struct w4_source *source, const struct w4_name *name,
        const struct w4_tensor *tensor)
{
    const struct w4_model_config *config = &source->config;
    size_t i = w4_source_layer_index(source, name->layer);
    enum w4_router_part part = name->router;
    /* DeepSeek's own release calls the correction so. */
    if (part == W4_ROUTER_BIAS &&
            config->router.kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        part = W4_ROUTER_CORRECTION_BIAS;
    }
    if (i == source->n_layers || part == W4_ROUTER_OTHER ||
            !w4_router_part_fits(
                    part, tensor, config->n_experts, config->hidden_size) ||
            source->layers[i].router[part] != NULL) {
        source->n_tensors_other++;
        return;
    }
    source->layers[i].router[part] = tensor;
    count_tensor(&source->layers[i], tensor);
}

static w4moe_status
take_tensor(struct table *table, size_t t)
{
    struct w4_source *source = table->source;
    const struct w4_tensor *tensor = w4_st_at(source->set, t);
    struct w4_name name = w4_name_parse(w4_st_names_at(&table->names, t));
    struct w4_fused_parts *fused;
    switch (name.kind) {
    case W4_NAME_EXPERT:
        return take_expert(table, &name, tensor);
    case W4_NAME_GATE_UP:
    case W4_NAME_DOWN:
        fused = &table->fused[w4_source_layer_index(source, name.layer)];
        return take_part(table,
                name.kind == W4_NAME_DOWN ? &fused->down : &fused->gate_up,
                &name, tensor);
    case W4_NAME_UNKNOWN:
        return refuse_name(table, &name, tensor);
    case W4_NAME_ROUTER:
        take_router(source, &name, tensor);
        break;
    case W4_NAME_OTHER:
    case W4_NAME_MTP:
        source->n_tensors_other++;
        break;
    }
    return W4MOE_OK;
}

/* ---------------------------------------------------------------- resolving */

static void
set_sizes(const struct w4_source *source, struct w4_weight *weight,
        enum w4_projection projection)
{
    const struct w4_model_config *config = &source->config;
    int down = projection == W4_DOWN;
    weight->n_out = down ? config->hidden_size : config->intermediate_size;
    weight->n_in = down ? config->intermediate_size : config->hidden_size;
    weight->row_first = 0;
    weight->row_step = 1;
    weight->tensor_rows = weight->n_out;
}

/* A weight that has tensors of its own; one that has been made of a tensor of
 * all experts must have none. */
static w4moe_status
resolve_expert(struct table *table, struct w4_weight *weight,
        const struct w4_parts *parts, enum w4_projection projection)
{
    if (weight->scheme != NULL) {
        return w4_parts_only(table->err, parts, 0, "of all experts together");
    }
    set_sizes(table->source, weight, projection);
    return w4_parts_resolve(table->err, weight, parts, &table->source->config);
}

static w4moe_status
resolve_layer(struct table *table, size_t i)
{
    struct w4_source *source = table->source;
    size_t n_experts = source->config.n_experts;
    struct w4_weight *weights = w4_source_weight(source, i, 0, W4_GATE);
    w4moe_status status = w4_fused_resolve(
            table->err, weights, &table->fused[i], &source->config);
    for (size_t w = 0; w < n_experts * W4_N_PROJECTIONS && status == W4MOE_OK;
            w++) {
        enum w4_projection projection =
                (enum w4_projection)(w % W4_N_PROJECTIONS);
        if (table->parts != NULL) {
            const struct w4_parts *parts =
                    &table->parts[i * n_experts * W4_N_PROJECTIONS + w];
            status = resolve_expert(table, &weights[w], parts, projection);
        }
        if (status == W4MOE_OK && weights[w].scheme == NULL) {
            status = w4_fail(table->err, W4MOE_FORMAT,
                    "layer %" PRIu32 ", expert %zu, %s: no weight (tensor "
                    "weight_packed, qweight or weight)",
                    source->layers[i].number, w / W4_N_PROJECTIONS,
                    w4_projection_name(projection));
        }
    }
    return status;
}

/* Tells, once, that the config's word on GPTQ's zero points is not true. */
static void
warn_of_labels(struct w4_err *err, const struct w4_source *source)
{
    size_t per_layer = source->config.n_experts * W4_N_PROJECTIONS;
    size_t n = source->n_layers * per_layer;
    size_t n_wrong = 0;
    size_t first = 0;
    for (size_t w = 0; w < n; w++) {
        const struct w4_weight *weight = &source->weights[w];
        if (weight->scheme == &w4_scheme_gptq &&
                (weight->variant & W4_GPTQ_MISLABELLED) != 0) {
            first = n_wrong == 0 ? w : first;
            n_wrong++;
        }
    }
    if (n_wrong != 0) {
        int label_v2 = source->config.gptq_v2;
        w4_log(err, W4MOE_LOG_WARNING,
                "layer %" PRIu32 ": the config says GPTQ version %d, but zero "
                "points are of version %d, as those of %zu of all %zu weights; "
                "so they are read",
                source->layers[first / per_layer].number, label_v2 ? 2 : 1,
                label_v2 ? 1 : 2, n_wrong, n);
    }
}

/* Memory for the table: not more than the checkpoint can fill, whatever its
 * config says. */
static w4moe_status
make_table(struct table *table)
{
    struct w4_source *source = table->source;
    size_t n_experts = source->config.n_experts;
    uint64_t n = (uint64_t)source->n_layers * n_experts;
    /* A weight takes at least one tensor, or, of one that holds all experts, a
     * word of each of 8 rows. */
    uint64_t least_bytes = 32 * n;
    if (table->n_fused_tensors != 0
                    ? least_bytes > w4_st_file_bytes(source->set)
                    : W4_N_PROJECTIONS * n > table->n_expert_tensors) {
        return w4_fail(table->err, W4MOE_FORMAT,
                "%s: %zu tensors for %zu layers of %zu experts",
                w4_st_file_path(source->set, 0), w4_st_count(source->set),
                source->n_layers, n_experts);
    }
    size_t n_weights = (size_t)n * W4_N_PROJECTIONS;
    source->weights = calloc(n_weights, sizeof(*source->weights));
    table->fused = calloc(source->n_layers, sizeof(*table->fused));
    if (table->n_expert_tensors != 0) {
        table->parts = calloc(n_weights, sizeof(*table->parts));
    }
    if (source->weights == NULL || table->fused == NULL ||
            (table->parts == NULL && table->n_expert_tensors != 0)) {
        return w4_fail(table->err, W4MOE_NOMEM,
                "no memory for the table of %" PRIu64 " experts", n);
    }
    return W4MOE_OK;
}

/* The sizes that the config gives. */
static w4moe_status
check_sizes(struct w4_err *err, const struct w4_model_config *config)
{
    if (config->hidden_size % 8 != 0 || config->intermediate_size % 8 != 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "%zu input features of gate and up, %zu of down (multiples of "
                "8 are needed)",
                config->hidden_size, config->intermediate_size);
    }
    return W4MOE_OK;
}

w4moe_status
w4_st_source_read(struct w4_err *err, struct w4_source *source,
        const struct w4_source_options *options)
{
    struct table table = {.err = err, .source = source};
    w4moe_status status = check_sizes(err, &source->config);
    if (status == W4MOE_OK) {
        status = w4_st_names_make(
                err, &table.names, source->set, options->name_map);
    }
    if (status == W4MOE_OK) {
        status = list_layers(&table);
    }
    if (status == W4MOE_OK) {
        status = make_table(&table);
    }
    for (size_t t = 0; t < w4_st_count(source->set) && status == W4MOE_OK;
            t++) {
        status = take_tensor(&table, t);
    }
    for (size_t i = 0; i < source->n_layers && status == W4MOE_OK; i++) {
        status = resolve_layer(&table, i);
    }
    if (status == W4MOE_OK) {
        warn_of_labels(err, source);
    }
    w4_st_names_free(&table.names);
    free(table.parts);
    free(table.fused);
    return status;
}
