/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Opening a checkpoint. */
#include "format/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/gguf_source.h"

/* Path of the config.json beside or inside path. */
static char *
config_path(const char *path, int folder)
{
    static const char name[] = "config.json";
    size_t n = strlen(path);
    const char *slash = strrchr(path, '/');
    size_t n_folder = folder ? n : slash != NULL ? (size_t)(slash - path) : 0;
    char *result = malloc(n_folder + sizeof(name) + 2);
    if (result == NULL) {
        return NULL;
    }
    if (!folder && slash == NULL) {
        memcpy(result, name, sizeof(name));
        return result;
    }
    memcpy(result, path, n_folder);
    result[n_folder] = '/';
    memcpy(result + n_folder + 1, name, sizeof(name));
    return result;
}

/* A safetensors checkpoint. The config first: what is not supported is refused
 * at once. */
static w4moe_status
read_checkpoint(struct w4_err *err, struct w4_source *source, const char *path,
        const char *config, const struct w4_source_options *options)
{
    w4moe_status status = w4_model_config_read(err, &source->config, config);
    if (status != W4MOE_OK) {
        return status;
    }
    snprintf(source->scheme, sizeof(source->scheme), "%s",
            source->config.scheme);
    source->config.gptq_zero_wrap = options->gptq_zero_wrap;
    source->n_experts_total = source->config.n_experts;
    status = w4_st_open(err, &source->set, path);
    return status == W4MOE_OK ? w4_st_source_read(err, source, options)
                              : status;
}

/* Whether path is a container: a safetensors file or set that says so. One
 * that cannot be opened is none; who opens it again will say why. Returns: OK
 * or NOMEM. */
static w4moe_status
look_for_container(struct w4_err *err, int *is_container, const char *path)
{
    struct w4_st_set *set;
    w4moe_status status = w4_st_open(NULL, &set, path);
    *is_container = 0;
    if (status == W4MOE_NOMEM) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory to look into it", path);
    }
    if (status == W4MOE_OK) {
        const char *format = w4_st_metadata(set, "format");
        *is_container = format != NULL && strcmp(format, "w4moe") == 0;
        w4_st_close(set);
    }
    return W4MOE_OK;
}

/* Whether a folder has a GGUF model and no config.json, and then the model's
 * path. */
static w4moe_status
find_gguf(
        struct w4_err *err, char **path, const char *folder, const char *config)
{
    struct stat info;
    int is_container = 0;
    *path = NULL;
    if (stat(config, &info) == 0) {
        return W4MOE_OK;
    }
    w4moe_status status = look_for_container(err, &is_container, folder);
    return status != W4MOE_OK || is_container
                   ? status
                   : w4_gguf_in_folder(err, path, folder);
}

/* Reads what is no GGUF model. */
static w4moe_status
read_safetensors(const w4moe_ctx *ctx, struct w4_source *source,
        const char *path, const char *config,
        const struct w4_source_options *options)
{
    struct w4_err *err = w4_ctx_err(ctx);
    int is_container = 0;
    w4moe_status status = look_for_container(err, &is_container, path);
    if (status != W4MOE_OK) {
        return status;
    }
    return is_container ? w4_container_source_read(ctx, source, path)
                        : read_checkpoint(err, source, path, config, options);
}

static w4moe_status
read_source(const w4moe_ctx *ctx, struct w4_source *source, const char *path,
        int folder, const struct w4_source_options *options)
{
    struct w4_err *err = w4_ctx_err(ctx);
    char *config = config_path(path, folder);
    char *gguf = NULL;
    w4moe_status status = W4MOE_OK;
    if (config == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its path", path);
    }
    if (folder) {
        status = find_gguf(err, &gguf, path, config);
    }
    if (status != W4MOE_OK) {
        free(config);
        return status;
    }
    if (gguf != NULL || w4_gguf_is(path)) {
        status = w4_gguf_source_read(
                ctx, source, gguf != NULL ? gguf : path, options);
    } else {
        status = read_safetensors(ctx, source, path, config, options);
    }
    free(gguf);
    free(config);
    return status;
}

/* The kinds that choose by the logits alone have no correction: where there is
 * one, the kind is another one, which is not known. */
static void
check_router(struct w4_source *source)
{
    w4moe_router *router = &source->config.router;
    for (size_t i = 0; i < source->n_layers; i++) {
        if (source->layers[i].router[W4_ROUTER_CORRECTION_BIAS] != NULL &&
                !w4_router_has_scores(router->kind)) {
            *router = (w4moe_router){.struct_size = sizeof(*router)};
        }
    }
}

w4moe_status
w4_source_open(const w4moe_ctx *ctx, struct w4_source *source, const char *path,
        const struct w4_source_options *options)
{
    struct w4_err *err = w4_ctx_err(ctx);
    struct stat info;
    memset(source, 0, sizeof(*source));
    if (stat(path, &info) != 0) {
        return w4_fail(err, W4MOE_IO, "%s: %s", path, strerror(errno));
    }
    w4moe_status status =
            read_source(ctx, source, path, S_ISDIR(info.st_mode), options);
    if (status == W4MOE_OK) {
        check_router(source);
        status = w4_source_join(err, source, options);
    }
    if (status == W4MOE_OK) {
        status = w4_source_read_orders(ctx, source);
    }
    if (status != W4MOE_OK) {
        w4_source_close(source);
    }
    return status;
}

void
w4_source_close(struct w4_source *source)
{
    free(source->weights);
    free(source->matrices);
    w4moe_file_close(source->file);
    free(source->layers);
    w4_st_close(source->set);
    free(source->router_tensors);
    w4_gguf_close(source->gguf);
    memset(source, 0, sizeof(*source));
}

struct w4_weight *
w4_source_weight(const struct w4_source *source, size_t i, size_t expert,
        enum w4_projection projection)
{
    size_t index = i * source->config.n_experts + expert;
    return &source->weights[index * W4_N_PROJECTIONS + (size_t)projection];
}

w4moe_status
w4_source_list_layers(struct w4_err *err, struct w4_source *source,
        const unsigned char seen[W4_LAYERS_MAX])
{
    size_t n = 0;
    for (uint32_t number = 0; number < W4_LAYERS_MAX; number++) {
        n += seen[number] != 0;
    }
    source->layers = calloc(n, sizeof(*source->layers));
    if (source->layers == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for %zu layers", n);
    }
    for (uint32_t number = 0; number < W4_LAYERS_MAX; number++) {
        if (seen[number]) {
            source->layers[source->n_layers++].number = number;
        }
    }
    return W4MOE_OK;
}

size_t
w4_source_layer_index(const struct w4_source *source, uint32_t number)
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
