/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The report about a conversion; see report.h. */
#include "report.h"

#include <stdio.h>

#include "common.h"
#include "text.h"

static double
megabytes_per_second(const w4moe_convert_report *report, double seconds)
{
    return seconds > 0.0 ? (double)report->bytes_in / seconds * 1e-6 : 0.0;
}

static void
print_model(const w4moe_convert_report *report)
{
    char text[TEXT_MAX];
    text_line("scheme", "%s", text_clean(text, report->source_scheme));
    text_line("model", "%s", text_clean(text, report->model_type));
    text_line("layers", "%zu", report->n_layers);
    text_line(
            "experts", "%zu, %zu per token", report->n_experts, report->top_k);
    text_line("shapes", "hidden %zu, intermediate %zu", report->hidden_size,
            report->intermediate_size);
    text_line("groups", "w13 %zu, w2 %zu", report->w13_group_size,
            report->w2_group_size);
    text_line("scales", "%s", w4moe_dtype_name(report->scale_dtype));
    text_line("zero points", "%s", report->has_zero_points ? "yes" : "no");
    text_line("act-order", "%s", report->has_perm ? "yes" : "no");
    text_line("activation", "%s", text_activation(text, &report->activation));
    text_line("router", "%s", text_router(text, &report->router));
    text_line("order", "%s", text_order(report->order));
}

static void
print_run(const w4moe_convert_report *report, const struct report_run *run)
{
    char in[TEXT_MAX];
    char out[TEXT_MAX];
    text_line("tensors", "%zu used, %zu unselected, %zu other",
            report->n_tensors_used, report->n_tensors_unselected,
            report->n_tensors_other);
    text_line("bytes", "%s in, %s out", text_bytes(in, report->bytes_in),
            text_bytes(out, report->bytes_out));
    if (run->dry_run) {
        text_line("written", "nothing (--dry-run)");
        return;
    }
    text_line("time", "%.2f s, %.0f MB/s", run->seconds,
            megabytes_per_second(report, run->seconds));
    if (run->verify) {
        text_line("verified", "%zu experts: exact", report->n_experts_verified);
    } else {
        text_line("verified", "no (--no-verify)");
    }
}

static json_t *
model_json(const w4moe_convert_report *report)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b, "
                     "s:b, s:o, s:o, s:s}",
            "scheme", json_of_text(report->source_scheme), "model_type",
            json_of_text(report->model_type), "layers",
            json_of_uint(report->n_layers), "experts",
            json_of_uint(report->n_experts), "top_k",
            json_of_uint(report->top_k), "hidden_size",
            json_of_uint(report->hidden_size), "intermediate_size",
            json_of_uint(report->intermediate_size), "w13_group_size",
            json_of_uint(report->w13_group_size), "w2_group_size",
            json_of_uint(report->w2_group_size), "scale_dtype",
            w4moe_dtype_name(report->scale_dtype), "zero_points",
            report->has_zero_points != 0, "act_order", report->has_perm != 0,
            "activation", json_of_activation(&report->activation), "router",
            json_of_router(&report->router), "order",
            text_order(report->order));
}

static json_t *
run_json(const w4moe_convert_report *report, const struct report_run *run)
{
    return json_pack("{s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:f, "
                     "s:f}",
            "input", json_of_text(run->in_path), "output",
            json_of_text(run->out_path), "dry_run", run->dry_run, "verified",
            run->verify && !run->dry_run, "experts_verified",
            json_of_uint(report->n_experts_verified), "tensors_used",
            json_of_uint(report->n_tensors_used), "tensors_unselected",
            json_of_uint(report->n_tensors_unselected), "tensors_other",
            json_of_uint(report->n_tensors_other), "bytes_in",
            json_of_uint(report->bytes_in), "bytes_out",
            json_of_uint(report->bytes_out), "seconds", run->seconds,
            "mb_per_second", megabytes_per_second(report, run->seconds));
}

int
report_convert(const w4moe_convert_report *report, const struct report_run *run,
        int json)
{
    if (!json) {
        print_model(report);
        print_run(report, run);
        return TOOL_OK;
    }
    json_t *root = model_json(report);
    json_t *part = run_json(report, run);
    if (root != NULL && (part == NULL || json_object_update(root, part) != 0)) {
        json_decref(root);
        root = NULL;
    }
    json_decref(part);
    return json_print(root);
}
