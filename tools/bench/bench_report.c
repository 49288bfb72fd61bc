/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is said of a run before its numbers; see bench_report.h. */
#include "bench_report.h"

#include <stdio.h>

#include "common.h"

static const char *
code_name(w4moe_code code)
{
    return code == W4MOE_CODE_E2M1 ? "mxfp4" : "int4";
}

const char *
bench_routing_name(enum bench_routing routing)
{
    return routing == BENCH_ROUTING_ONE ? "one" : "uniform";
}

int
bench_huge_pages(const struct bench_run *run)
{
    return (run->job->layer_flags & W4MOE_LAYER_HUGE_PAGES) != 0;
}

void
bench_print_layer(const struct bench_run *run)
{
    const struct bench_layer *layer = &run->layer;
    char bytes[TEXT_MAX];
    char activation[TEXT_MAX];
    char clean[TEXT_MAX];
    fputs(w4moe_ctx_describe(run->ctx), stdout);
    if (run->job->file_path != NULL) {
        printf("layer       %ld of %s\n", (long)run->layer_no,
                text_clean(clean, run->job->file_path));
    } else {
        printf("layer       random weights\n");
    }
    printf("code        %s\n", code_name(layer->code));
    printf("routing     %s\n", bench_routing_name(run->job->routing));
    printf("shape       E %zu, k %zu, H %zu, I %zu, groups %zu and %zu, %s\n",
            run->n_experts, run->top_k, layer->info.hidden_size,
            layer->info.intermediate_size, layer->w13_group_size,
            layer->w2_group_size,
            text_activation(activation, &layer->info.activation));
    printf("weights     order %s, scales %s, zero points %s, %s per "
           "expert%s\n",
            text_order(layer->order), w4moe_dtype_name(layer->scale_dtype),
            layer->zero_points ? "yes" : "no",
            text_bytes(bytes, layer->info.bytes_per_expert),
            bench_huge_pages(run) ? ", huge pages" : "");
    printf("activations %s\n", w4moe_dtype_name(run->job->dtype));
}

json_t *
bench_layer_json(const struct bench_run *run)
{
    const struct bench_layer *layer = &run->layer;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, "
                     "s:s, s:b, s:b, s:o, s:s}",
            "file", json_of_text(run->job->file_path), "layer",
            run->layer_no >= 0 ? json_of_uint((uint64_t)run->layer_no)
                               : json_null(),
            "experts", json_of_uint(run->n_experts), "top_k",
            json_of_uint(run->top_k), "hidden_size",
            json_of_uint(layer->info.hidden_size), "intermediate_size",
            json_of_uint(layer->info.intermediate_size), "w13_group_size",
            json_of_uint(layer->w13_group_size), "w2_group_size",
            json_of_uint(layer->w2_group_size), "activation",
            json_of_activation(&layer->info.activation), "code",
            code_name(layer->code), "order", text_order(layer->order),
            "scale_dtype", w4moe_dtype_name(layer->scale_dtype), "zero_points",
            layer->zero_points, "huge_pages", bench_huge_pages(run),
            "bytes_per_expert", json_of_uint(layer->info.bytes_per_expert),
            "dtype", w4moe_dtype_name(run->job->dtype));
}

int
bench_check_top_k(const struct bench_run *run)
{
    if (run->top_k == 0 || run->top_k > run->n_experts) {
        return tool_error(
                "%zu experts per token of %zu", run->top_k, run->n_experts);
    }
    return TOOL_OK;
}

int
bench_get_layer(struct bench_run *run)
{
    const struct bench_job *job = run->job;
    int code =
            job->file_path != NULL
                    ? bench_layer_load(&run->layer, &run->layer_no, &run->top_k,
                              run->ctx, job->file_path, job->layer_flags)
                    : bench_layer_make(&run->layer, run->ctx, &job->shape,
                              job->layer_flags);
    run->n_experts = run->layer.info.n_experts;
    return code == TOOL_OK ? bench_check_top_k(run) : code;
}
