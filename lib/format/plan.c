/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Entries of a layer at most. */
enum { ENTRIES_PER_LAYER = 2 * W4_N_ARRAYS + W4_N_ROUTER_PARTS };

/* Whether a number is among those asked for. */
static int
is_chosen(uint32_t number, const uint32_t *layers, size_t n_layers)
{
    if (layers == NULL) {
        return 1;
    }
    for (size_t i = 0; i < n_layers; i++) {
        if (layers[i] == number) {
            return 1;
        }
    }
    return 0;
}

static w4moe_status
choose_layers(struct w4_err *err, struct w4_plan *plan,
        const struct w4_source *source, const uint32_t *layers, size_t n_layers)
{
    for (size_t l = 0; layers != NULL && l < n_layers; l++) {
        size_t i = 0;
        while (i < source->n_layers && source->layers[i].number != layers[l]) {
            i++;
        }
        if (i == source->n_layers) {
            return w4_fail(err, W4MOE_INVALID,
                    "layer %" PRIu32 " has no experts; %zu layers do, %" PRIu32
                    " to %" PRIu32,
                    layers[l], source->n_layers, source->layers[0].number,
                    source->layers[source->n_layers - 1].number);
        }
    }
    for (size_t i = 0; i < source->n_layers; i++) {
        if (is_chosen(source->layers[i].number, layers, n_layers)) {
            plan->layers[plan->n_layers++].source = i;
        }
    }
    return W4MOE_OK;
}

/* The next free entry; its name is the caller's to write. */
static struct w4_st_entry *
new_entry(struct w4_plan *plan, size_t *index)
{
    *index = plan->n_entries++;
    struct w4_st_entry *entry = &plan->entries[*index];
    entry->name = plan->names[*index];
    return entry;
}

static void
plan_matrix(struct w4_plan *plan, const w4moe_matrix *matrix, uint32_t number,
        w4moe_which which, size_t *entries)
{
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        enum w4_array array = (enum w4_array)a;
        entries[a] = W4_NO_ENTRY;
        if (w4_array_required(&plan->meta, array) ||
                (array == W4_ARRAY_PERM && matrix->n_perms != 0) ||
                (array == W4_ARRAY_BIAS &&
                        matrix->bias_dtype != W4MOE_DTYPE_NONE)) {
            struct w4_st_entry *entry = new_entry(plan, &entries[a]);
            w4_array_name(plan->names[entries[a]], number, which, array);
            w4_array_entry(entry, matrix, array);
        }
    }
}

static void
plan_router(struct w4_plan *plan, struct w4_plan_layer *layer,
        const struct w4_source_layer *source)
{
    for (int i = 0; i < W4_N_ROUTER_PARTS; i++) {
        const struct w4_tensor *tensor = source->router[i];
        layer->router_entries[i] = W4_NO_ENTRY;
        if (tensor == NULL) {
            continue;
        }
        struct w4_st_entry *entry = new_entry(plan, &layer->router_entries[i]);
        w4_router_name(plan->names[layer->router_entries[i]], source->number,
                (enum w4_router_part)i);
        entry->dtype = tensor->dtype;
        entry->n_dims = tensor->n_dims;
        memcpy(entry->shape, tensor->shape, sizeof(entry->shape));
    }
}

/* The first layer that the router is for, as containers can say it. */
static uint32_t
router_first_layer(const struct w4_model_config *config)
{
    if (config->router.kind == W4MOE_ROUTER_NONE) {
        return 0;
    }
    return config->n_hash_layers < INT32_MAX ? (uint32_t)config->n_hash_layers
                                             : INT32_MAX;
}

static struct w4_meta
make_meta(const struct w4_source *source, const struct w4_plan_options *options)
{
    const struct w4_model_config *config = &source->config;
    struct w4_meta meta = {
            .order = options->order,
            .code = source->w13.code,
            .zero_points = source->has_zero_points,
            .offsets = source->w13.offset_dtype != W4MOE_DTYPE_NONE,
            .n_experts = options->n_experts != 0
                                 ? options->n_experts
                                 : config->n_experts - options->first_expert,
            .first_expert = source->first_expert + options->first_expert,
            .n_experts_total = source->n_experts_total,
            .top_k = config->top_k,
            .hidden_size = config->hidden_size,
            .intermediate_size = config->intermediate_size,
            .w13_group_size = source->w13.group_size,
            .w2_group_size = source->w2.group_size,
            .activation = config->activation,
            .router = config->router,
            .router_first_layer = router_first_layer(config),
            .producer = "w4moe " W4MOE_VERSION,
            .source_scheme = source->scheme,
            .model_type = config->model_type,
    };
    return meta;
}

w4moe_status
w4_plan_make(struct w4_err *err, struct w4_plan *plan,
        const struct w4_source *source, const struct w4_plan_options *options)
{
    size_t n_entries = source->n_layers * ENTRIES_PER_LAYER;
    memset(plan, 0, sizeof(*plan));
    size_t total = source->config.n_experts;
    if (options->first_expert >= total ||
            options->n_experts > total - options->first_expert) {
        return w4_fail(err, W4MOE_INVALID,
                "%zu experts from expert %zu on, but there are %zu",
                options->n_experts, options->first_expert, total);
    }
    plan->meta = make_meta(source, options);
    plan->first_expert = options->first_expert;
    plan->layers = calloc(source->n_layers, sizeof(*plan->layers));
    plan->entries = calloc(n_entries, sizeof(*plan->entries));
    plan->names = calloc(n_entries, sizeof(*plan->names));
    if (plan->layers == NULL || plan->entries == NULL || plan->names == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a plan of %zu layers",
                source->n_layers);
    }
    w4moe_status status = choose_layers(
            err, plan, source, options->layers, options->n_layers);
    for (size_t l = 0; l < plan->n_layers && status == W4MOE_OK; l++) {
        struct w4_plan_layer *layer = &plan->layers[l];
        const struct w4_source_layer *from = &source->layers[layer->source];
        layer->w13 = source->w13;
        layer->w2 = source->w2;
        layer->w13.order = layer->w2.order = options->order;
        layer->w13.n_experts = layer->w2.n_experts = plan->meta.n_experts;
        layer->w13.n_perms = from->n_perms;
        status = w4_matrix_check(err, &layer->w13, "w13");
        if (status == W4MOE_OK) {
            status = w4_matrix_check(err, &layer->w2, "w2");
        }
        plan_matrix(
                plan, &layer->w13, from->number, W4MOE_W13, layer->w13_entries);
        plan_matrix(
                plan, &layer->w2, from->number, W4MOE_W2, layer->w2_entries);
        plan_router(plan, layer, from);
    }
    return status;
}

void
w4_plan_free(struct w4_plan *plan)
{
    free(plan->names);
    free(plan->entries);
    free(plan->layers);
    memset(plan, 0, sizeof(*plan));
}
