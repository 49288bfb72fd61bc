/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is printed about a container; see report.h. */
#include "report.h"

#include <stdio.h>

#include "common.h"
#include "text.h"

static void
print_info(const w4moe_file_info *info, const w4moe_matrix *w13)
{
    char text[TEXT_MAX];
    text_line("format", "w4moe %lu, order %s",
            (unsigned long)info->format_version, text_order(info->order));
    text_line("producer", "%s", text_clean(text, info->producer));
    text_line("scheme", "%s", text_clean(text, info->source_scheme));
    text_line("model", "%s", text_clean(text, info->model_type));
    printf("%-14s%zu:", "layers", info->n_layers);
    for (size_t i = 0; i < info->n_layers; i++) {
        printf(" %lu", (unsigned long)info->layers[i]);
    }
    putchar('\n');
    text_line("experts", "%zu, %zu per token", info->n_experts, info->top_k);
    text_line("shapes", "hidden %zu, intermediate %zu", info->hidden_size,
            info->intermediate_size);
    text_line("groups", "w13 %zu, w2 %zu", info->w13_group_size,
            info->w2_group_size);
    text_line("scales", "%s", w4moe_dtype_name(w13->scale_dtype));
    text_line("zero points", "%s", w13->qzeros != NULL ? "yes" : "no");
    text_line("act-order", "%s", w13->perm != NULL ? "yes" : "no");
    text_line("activation", "%s", text_activation(text, &info->activation));
    text_line("router", "%s", text_router(text, &info->router));
    text_line("tensors", "%zu", info->n_tensors);
    text_line("bytes", "%s", text_bytes(text, info->n_bytes));
}

static json_t *
info_json(const w4moe_file_info *info, const w4moe_matrix *w13)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < info->n_layers; i++) {
        json_array_append_new(layers, json_of_uint(info->layers[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:s, s:b, s:b, s:o, s:o, s:o, s:o}",
            "format_version", json_of_uint(info->format_version), "order",
            text_order(info->order), "producer", json_of_text(info->producer),
            "scheme", json_of_text(info->source_scheme), "model_type",
            json_of_text(info->model_type), "layers", layers, "experts",
            json_of_uint(info->n_experts), "top_k", json_of_uint(info->top_k),
            "hidden_size", json_of_uint(info->hidden_size), "intermediate_size",
            json_of_uint(info->intermediate_size), "w13_group_size",
            json_of_uint(info->w13_group_size), "w2_group_size",
            json_of_uint(info->w2_group_size), "scale_dtype",
            w4moe_dtype_name(w13->scale_dtype), "zero_points",
            w13->qzeros != NULL, "act_order", w13->perm != NULL, "activation",
            json_of_activation(&info->activation), "router",
            json_of_router(&info->router), "tensors",
            json_of_uint(info->n_tensors), "bytes",
            json_of_uint(info->n_bytes));
}

/* Opens a container and takes its facts. */
static int
open_file(const w4moe_ctx *ctx, const char *path, w4moe_file **file_p,
        w4moe_file_info *info)
{
    w4moe_status status = w4moe_file_open(ctx, file_p, path);
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    info->struct_size = sizeof(*info);
    status = w4moe_file_get_info(*file_p, info);
    if (status != W4MOE_OK) {
        w4moe_file_close(*file_p);
        return tool_failed(ctx, status);
    }
    return TOOL_OK;
}

int
report_info(const w4moe_ctx *ctx, const char *path, int json)
{
    w4moe_file *file = NULL;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    int code = open_file(ctx, path, &file, &info);
    if (code != TOOL_OK) {
        return code;
    }
    /* Scale type, zero points and act-order are those of every layer. */
    if (info.n_layers > 0) {
        w4moe_status status =
                w4moe_file_get_matrix(file, &w13, info.layers[0], W4MOE_W13);
        if (status != W4MOE_OK) {
            code = tool_failed(ctx, status);
            goto out_close;
        }
    }
    if (json) {
        code = json_print(info_json(&info, &w13));
    } else {
        print_info(&info, &w13);
    }
out_close:
    w4moe_file_close(file);
    return code;
}

int
report_check(const w4moe_ctx *ctx, const char *path, int json, int quiet)
{
    char text[TEXT_MAX];
    w4moe_file *file = NULL;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    int code = open_file(ctx, path, &file, &info);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status = w4moe_file_verify(file);
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
