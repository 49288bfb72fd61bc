/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is printed about a container; see report.h. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "file_facts.h"
#include "io/safetensors.h"
#include "text.h"

/* --------------------------------------------------------------------- text */

/* Runs of numbers as ranges: 0-3,7. */
static void
print_layers(const w4moe_file_info *info)
{
    printf("%-14s%zu: ", "layers", info->n_layers);
    for (size_t first = 0; first < info->n_layers;) {
        size_t last = first;
        while (last + 1 < info->n_layers &&
                info->layers[last + 1] == info->layers[last] + 1) {
            last++;
        }
        printf("%s%" PRIu32, first > 0 ? "," : "", info->layers[first]);
        if (last > first) {
            printf("-%" PRIu32, info->layers[last]);
        }
        first = last + 1;
    }
    putchar('\n');
}

/* The types of a set of bits; "no" for none. */
static const char *
text_dtypes(char out[TEXT_MAX], uint32_t dtypes)
{
    int n = snprintf(out, TEXT_MAX, "%s", dtypes == 0 ? "no" : "");
    for (uint32_t d = 0; d < 32; d++) {
        if ((dtypes >> d & 1u) != 0) {
            n += snprintf(out + n, (size_t)(TEXT_MAX - n), "%s%s",
                    n > 0 ? " and " : "", w4moe_dtype_name((w4moe_dtype)d));
        }
    }
    return out;
}

/* "" in every layer, else " in 3 of 48 layers". */
static const char *
text_share(char out[TEXT_MAX], size_t n, size_t n_layers)
{
    out[0] = '\0';
    if (n != n_layers) {
        snprintf(out, TEXT_MAX, " in %zu of %zu layers", n, n_layers);
    }
    return out;
}

static void
print_router_data(const struct file_facts *facts)
{
    char share[TEXT_MAX];
    const char *separator = "";
    printf("%-14s", "router data");
    for (size_t part = 0; part < N_ROUTER_PARTS; part++) {
        size_t n = facts->n_router_layers[part];
        if (n > 0) {
            printf("%s%s%s", separator, router_parts[part],
                    text_share(share, n, facts->info.n_layers));
            separator = ", ";
        }
    }
    puts(separator[0] == '\0' ? "none" : "");
}

static void
print_sizes(const struct file_facts *facts)
{
    const w4moe_file_info *info = &facts->info;
    char total[TEXT_MAX];
    char layer[TEXT_MAX];
    char expert[TEXT_MAX];
    text_line("tensors", "%zu", info->n_tensors);
    text_line("bytes", "%s; experts %s a layer, %s each",
            text_bytes(total, info->n_bytes),
            text_bytes(layer, facts->bytes_per_layer),
            text_bytes(expert, facts->bytes_per_expert));
    text_line("bits", "%.3f per weight", facts->bits_per_weight);
    text_line("files", "%zu, %s", facts->n_files,
            text_bytes(total, facts->n_file_bytes));
}

static void
print_router(const struct file_facts *facts)
{
    const w4moe_file_info *info = &facts->info;
    char text[TEXT_MAX];
    char since[32] = "";
    if (info->router_first_layer != 0) {
        snprintf(since, sizeof(since), ", from layer %lu on",
                (unsigned long)info->router_first_layer);
    }
    text_line("router", "%s%s", text_router(text, &info->router), since);
}

static void
print_info(const struct file_facts *facts)
{
    const w4moe_file_info *info = &facts->info;
    char text[TEXT_MAX];
    text_line("format", "w4moe %lu, order %s",
            (unsigned long)info->format_version, text_order(info->order));
    text_line("producer", "%s", text_clean(text, info->producer));
    text_line("scheme", "%s", text_clean(text, info->source_scheme));
    text_line("model", "%s", text_clean(text, info->model_type));
    print_layers(info);
    text_line("experts", "%s",
            text_experts(text, info->first_expert, info->n_experts,
                    info->n_experts_total, info->top_k));
    text_line("shapes", "hidden %zu, intermediate %zu", info->hidden_size,
            info->intermediate_size);
    text_line("groups", "w13 %zu, w2 %zu", info->w13_group_size,
            info->w2_group_size);
    text_line("codes", "%s", text_code(facts->code));
    text_line("scales", "%s", text_dtypes(text, facts->scale_dtypes));
    text_line("zero points", "%s", facts->zero_points ? "yes" : "no");
    if (facts->offset_dtypes != 0) {
        text_line("offsets", "%s", text_dtypes(text, facts->offset_dtypes));
    }
    text_line("act-order", "%s%s", facts->n_perm_layers > 0 ? "yes" : "no",
            facts->n_perm_layers > 0
                    ? text_share(text, facts->n_perm_layers, info->n_layers)
                    : "");
    text_line("bias", "%s", text_dtypes(text, facts->bias_dtypes));
    text_line("activation", "%s", text_activation(text, &info->activation));
    print_router(facts);
    print_router_data(facts);
    print_sizes(facts);
}

/* --------------------------------------------------------------------- JSON */

/* A type, a list of types if there are several, or null. */
static json_t *
json_of_dtypes(uint32_t dtypes)
{
    json_t *list = json_array();
    json_t *one = NULL;
    for (uint32_t d = 0; d < 32; d++) {
        if ((dtypes >> d & 1u) != 0) {
            json_array_append_new(list, json_of_dtype((w4moe_dtype)d));
        }
    }
    if (list != NULL && json_array_size(list) < 2) {
        one = dtypes == 0 ? json_null() : json_incref(json_array_get(list, 0));
        json_decref(list);
        return one;
    }
    return list;
}

static json_t *
model_json(const struct file_facts *facts)
{
    const w4moe_file_info *info = &facts->info;
    json_t *layers = json_array();
    for (size_t i = 0; i < info->n_layers; i++) {
        json_array_append_new(layers, json_of_uint(info->layers[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:o, s:o, s:o}",
            "format_version", json_of_uint(info->format_version), "order",
            text_order(info->order), "producer", json_of_text(info->producer),
            "scheme", json_of_text(info->source_scheme), "model_type",
            json_of_text(info->model_type), "layers", layers, "experts",
            json_of_uint(info->n_experts), "first_expert",
            json_of_uint(info->first_expert), "experts_total",
            json_of_uint(info->n_experts_total), "top_k",
            json_of_uint(info->top_k), "hidden_size",
            json_of_uint(info->hidden_size), "intermediate_size",
            json_of_uint(info->intermediate_size), "w13_group_size",
            json_of_uint(info->w13_group_size), "w2_group_size",
            json_of_uint(info->w2_group_size), "router_first_layer",
            json_of_uint(info->router_first_layer));
}

static json_t *
weights_json(const struct file_facts *facts)
{
    const w4moe_file_info *info = &facts->info;
    json_t *router_data = json_object();
    for (size_t part = 0; part < N_ROUTER_PARTS; part++) {
        json_object_set_new(router_data, router_parts[part],
                json_of_uint(facts->n_router_layers[part]));
    }
    return json_pack("{s:s, s:o, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o}",
            "code", text_code(facts->code), "scale_dtype",
            json_of_dtypes(facts->scale_dtypes), "zero_points",
            facts->zero_points, "offset_dtype",
            json_of_dtypes(facts->offset_dtypes), "act_order",
            facts->n_perm_layers != 0, "act_order_layers",
            json_of_uint(facts->n_perm_layers), "bias_dtype",
            json_of_dtypes(facts->bias_dtypes), "activation",
            json_of_activation(&info->activation), "router",
            json_of_router(&info->router), "router_layers", router_data);
}

static json_t *
sizes_json(const struct file_facts *facts, const char *path)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:o}", "tensors",
            json_of_uint(facts->info.n_tensors), "bytes",
            json_of_uint(facts->info.n_bytes), "bytes_per_layer",
            json_of_uint(facts->bytes_per_layer), "bytes_per_expert",
            json_of_uint(facts->bytes_per_expert), "bits_per_weight",
            facts->bits_per_weight, "files", json_of_uint(facts->n_files),
            "file_bytes", json_of_uint(facts->n_file_bytes), "file",
            json_of_text(path));
}

/* ------------------------------------------------------------------ opening */

/* Whether path is something that has weights, but is no container. */
static int
is_checkpoint(const char *path)
{
    struct w4_st_set *set = NULL;
    struct stat info;
    char begin[4] = "";
    if (w4_st_open(NULL, &set, path) == W4MOE_OK) {
        const char *format = w4_st_metadata(set, "format");
        int other = format == NULL || strcmp(format, "w4moe") != 0;
        w4_st_close(set);
        return other;
    }
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        return 0;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return 0;
    }
    size_t n = fread(begin, 1, sizeof(begin), file);
    fclose(file);
    return n == sizeof(begin) && memcmp(begin, "GGUF", sizeof(begin)) == 0;
}

static int
open_file(const w4moe_ctx *ctx, const char *path, w4moe_file **file_p)
{
    w4moe_status status = w4moe_file_open(ctx, file_p, path);
    if (status == W4MOE_OK) {
        return TOOL_OK;
    }
    int code = tool_failed(ctx, status);
    if (is_checkpoint(path)) {
        tool_error("--dry-run says what a checkpoint holds");
    }
    return code;
}

int
report_info(const w4moe_ctx *ctx, const char *path, int json)
{
    w4moe_file *file = NULL;
    struct file_facts facts;
    int code = open_file(ctx, path, &file);
    if (code != TOOL_OK) {
        return code;
    }
    code = file_facts_read(&facts, ctx, file, path);
    if (code == TOOL_OK && json) {
        json_t *root = json_join(model_json(&facts), weights_json(&facts));
        code = json_print(json_join(root, sizes_json(&facts, path)));
    } else if (code == TOOL_OK) {
        print_info(&facts);
    }
    w4moe_file_close(file);
    return code;
}

int
report_check(const w4moe_ctx *ctx, const char *path, int json, int quiet)
{
    char text[TEXT_MAX];
    w4moe_file *file = NULL;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    int code = open_file(ctx, path, &file);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status = w4moe_file_get_info(file, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_verify(file);
    }
    if (status != W4MOE_OK) {
        code = tool_failed(ctx, status);
    } else if (json) {
        code = json_print(json_pack("{s:o, s:o, s:o, s:b}", "file",
                json_of_text(path), "tensors", json_of_uint(info.n_tensors),
                "bytes", json_of_uint(info.n_bytes), "hashes_match", 1));
    } else if (!quiet) {
        text_line("tensors", "%zu", info.n_tensors);
        text_line("bytes", "%s", text_bytes(text, info.n_bytes));
        text_line("hashes", "all match");
    }
    w4moe_file_close(file);
    return code;
}
