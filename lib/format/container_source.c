/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A container as a source: to another order of words, or a part of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/container.h"
#include "format/source.h"
#include "io/text.h"

enum { MATRICES_PER_LAYER = 2 };

static void
set_weight(struct w4_weight *weight, const w4moe_matrix *m, size_t expert,
        size_t first, size_t n_out, size_t perm)
{
    *weight = (struct w4_weight){
            .scheme = m->code == W4MOE_CODE_E2M1 ? &w4_scheme_packed_e2m1
                                                 : &w4_scheme_packed,
            .n_out = n_out,
            .n_in = m->n_in,
            .group_size = m->group_size,
            .codes = m,
            .scale_dtype = m->scale_dtype,
            .has_zeros = m->qzeros != NULL,
            .offset_dtype = m->offset_dtype,
            .row_first = first,
            .row_step = 1,
            .tensor_rows = m->n_out,
            .variant = (unsigned)expert,
    };
    if (m->perm != NULL) {
        weight->packed_order = m->perm + (expert * m->n_perms + perm) * m->n_in;
    }
    if (m->bias != NULL) {
        size_t size = w4moe_dtype_size(m->bias_dtype);
        weight->bias = (const char *)m->bias + expert * m->n_out * size;
        weight->bias_dtype = m->bias_dtype;
    }
}

/* Order rdna3 stores zero points even where the metadata says that all are 8.
 * Those are dropped; should it not be so, they count. */
static void
drop_zeros_of_8(const struct w4_source *source, w4moe_matrix *m)
{
    const char *value = w4_st_metadata(source->set, "zero_points");
    struct w4_layout layout = w4_matrix_layout(m);
    size_t n = (size_t)(layout.n_groups * layout.n_out / W4_WORD_ZEROS) *
               m->n_experts;
    if (m->qzeros == NULL || value == NULL || strcmp(value, "false") != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (m->qzeros[i] != 0x77777777u) {
            return;
        }
    }
    m->qzeros = NULL;
}

static w4moe_status
read_layer(struct w4_err *err, struct w4_source *source, size_t i)
{
    struct w4_source_layer *layer = &source->layers[i];
    w4moe_matrix *w13 = &source->matrices[MATRICES_PER_LAYER * i];
    w4moe_matrix *w2 = w13 + 1;
    w13->struct_size = w2->struct_size = sizeof(*w13);
    w4moe_status status =
            w4moe_file_get_matrix(source->file, w13, layer->number, W4MOE_W13);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(
                source->file, w2, layer->number, W4MOE_W2);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (w2->perm != NULL || !w13->gated) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "layer %" PRIu32 ": a container whose %s is not converted",
                layer->number,
                w2->perm != NULL ? "w2 has a permutation"
                                 : "activation is not gated");
    }
    drop_zeros_of_8(source, w13);
    drop_zeros_of_8(source, w2);
    for (size_t e = 0; e < source->config.n_experts; e++) {
        struct w4_weight *weights = w4_source_weight(source, i, e, W4_GATE);
        size_t half = w13->n_out / 2;
        size_t up = w13->n_perms == 2 ? 1 : 0;
        set_weight(&weights[W4_GATE], w13, e, 0, half, 0);
        set_weight(&weights[W4_UP], w13, e, half, half, up);
        set_weight(&weights[W4_DOWN], w2, e, 0, w2->n_out, 0);
    }
    return W4MOE_OK;
}

/* The router's tensors, which are kept as they are; they were checked when the
 * container was opened. */
static void
read_router(struct w4_source *source, struct w4_source_layer *layer)
{
    for (int r = 0; r < W4_N_ROUTER_PARTS; r++) {
        char name[W4_TENSOR_NAME_MAX];
        w4_router_name(name, layer->number, (enum w4_router_part)r);
        layer->router[r] = w4_st_find(source->set, name);
    }
}

/* Counts the tensors of the layers, by their names' beginning. */
static void
count_tensors(struct w4_source *source)
{
    for (size_t t = 0; t < w4_st_count(source->set); t++) {
        const struct w4_tensor *tensor = w4_st_at(source->set, t);
        size_t i = 0;
        while (i < source->n_layers) {
            char begin[32];
            int n = snprintf(begin, sizeof(begin), "layers.%" PRIu32 ".",
                    source->layers[i].number);
            if (strncmp(tensor->name, begin, (size_t)n) == 0) {
                source->layers[i].n_tensors++;
                source->layers[i].n_bytes += tensor->n_bytes;
                break;
            }
            i++;
        }
        source->n_tensors_other += i == source->n_layers;
    }
}

/* Sizes and names, from the metadata. */
static void
read_info(struct w4_source *source, const w4moe_file_info *info)
{
    struct w4_model_config *config = &source->config;
    w4_copy_string(source->scheme, sizeof(source->scheme), info->source_scheme);
    w4_copy_string(
            config->model_type, sizeof(config->model_type), info->model_type);
    config->n_experts = info->n_experts;
    config->top_k = info->top_k;
    config->hidden_size = info->hidden_size;
    config->intermediate_size = info->intermediate_size;
    config->activation = info->activation;
    config->router = info->router;
    config->n_hash_layers = info->router_first_layer;
    source->first_expert = info->first_expert;
    source->n_experts_total = info->n_experts_total;
}

w4moe_status
w4_container_source_read(
        const w4moe_ctx *ctx, struct w4_source *source, const char *path)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_status status = w4moe_file_open(ctx, &source->file, path);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_info(source->file, &info);
    }
    if (status == W4MOE_OK) {
        status = w4_st_open(err, &source->set, path);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    read_info(source, &info);
    size_t n_weights = info.n_layers * info.n_experts * W4_N_PROJECTIONS;
    source->n_layers = info.n_layers;
    source->layers = calloc(info.n_layers, sizeof(*source->layers));
    source->matrices = calloc(
            info.n_layers * MATRICES_PER_LAYER, sizeof(*source->matrices));
    source->weights = calloc(n_weights, sizeof(*source->weights));
    if (source->layers == NULL || source->matrices == NULL ||
            source->weights == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a table of %zu weights",
                n_weights);
    }
    for (size_t i = 0; i < info.n_layers && status == W4MOE_OK; i++) {
        source->layers[i].number = info.layers[i];
        read_router(source, &source->layers[i]);
        status = read_layer(err, source, i);
    }
    count_tensors(source);
    return status;
}
