/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The report about a conversion; see report.h. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common.h"
#include "text.h"

/* What looks wrong in the weights: members of the JSON object, and words. */
struct finding {
    const char *key;
    const char *words;
    uint64_t count;
};

enum { N_FINDINGS = 5 };

static void
list_findings(
        const w4moe_convert_report *report, struct finding findings[N_FINDINGS])
{
    const struct finding all[N_FINDINGS] = {
            {"scales_not_finite", "scales NaN or infinite",
                    report->n_scales_not_finite},
            {"scales_zero", "scales 0", report->n_scales_zero},
            {"scales_denormal", "scales denormal", report->n_scales_denormal},
            {"uniform", "matrices of one code", report->n_uniform},
            {"duplicates", "duplicate experts", report->n_duplicates},
    };
    memcpy(findings, all, sizeof(all));
}

/* Free bytes for a user where the output is to be made: in the folder that is
 * there, or in the one that it gets its name in. Returns 0 and sets errno if
 * nobody can tell. */
static int
free_bytes(const char *path, uint64_t *n_bytes)
{
    struct stat info;
    struct statvfs space;
    int is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    size_t n = strlen(path);
    while (!is_folder && n > 1 && path[n - 1] == '/') {
        n--;
    }
    while (!is_folder && n > 0 && path[n - 1] != '/') {
        n--;
    }
    char *folder = n > 0 ? strndup(path, n) : strdup(".");
    int found = folder != NULL && statvfs(folder, &space) == 0;
    free(folder);
    if (found) {
        *n_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    }
    return found;
}

static double
bytes_per_second(const w4moe_convert_report *report, double seconds)
{
    return seconds > 0.0 ? (double)report->bytes_in / seconds : 0.0;
}

static void
print_model(const w4moe_convert_report *report)
{
    char text[TEXT_MAX];
    text_line("scheme", "%s", text_clean(text, report->source_scheme));
    text_line("model", "%s", text_clean(text, report->model_type));
    text_line("layers", "%zu", report->n_layers);
    text_line("experts", "%s",
            text_experts(text, report->first_expert, report->n_experts,
                    report->n_experts_total, report->top_k));
    text_line("shapes", "hidden %zu, intermediate %zu", report->hidden_size,
            report->intermediate_size);
    text_line("groups", "w13 %zu, w2 %zu", report->w13_group_size,
            report->w2_group_size);
    text_line("codes", "%s", text_code(report->code));
    text_line("scales", "%s", w4moe_dtype_name(report->scale_dtype));
    text_line("zero points", "%s", report->has_zero_points ? "yes" : "no");
    if (report->offset_dtype != W4MOE_DTYPE_NONE) {
        text_line("offsets", "%s", w4moe_dtype_name(report->offset_dtype));
    }
    text_line("act-order", "%s", report->has_perm ? "yes" : "no");
    text_line("bias", "%s",
            report->bias_dtype != W4MOE_DTYPE_NONE
                    ? w4moe_dtype_name(report->bias_dtype)
                    : "no");
    text_line("activation", "%s", text_activation(text, &report->activation));
    text_line("router", "%s", text_router(text, &report->router));
    text_line("order", "%s", text_order(report->order));
}

/* What is lost, if anything. The error is known only from a comparison. */
static void
print_rounding(const w4moe_convert_report *report, const struct report_run *run)
{
    char error[TEXT_MAX] = "";
    if (report->n_weights_rounded == 0) {
        text_line("exact", "every weight");
        return;
    }
    if (run->verify && !run->dry_run) {
        snprintf(error, sizeof(error), "; relative error %.4f",
                report->rounding_error);
    }
    text_line("rounded", "%zu of %zu weights, WITHOUT calibration%s",
            report->n_weights_rounded, report->n_weights, error);
}

static void
print_findings(const w4moe_convert_report *report)
{
    struct finding findings[N_FINDINGS];
    const char *separator = "";
    list_findings(report, findings);
    for (size_t i = 0; i < N_FINDINGS; i++) {
        if (findings[i].count != 0) {
            if (separator[0] == '\0') {
                printf("%-14s", "warnings");
            }
            printf("%s%" PRIu64 " %s", separator, findings[i].count,
                    findings[i].words);
            separator = ", ";
        }
    }
    if (separator[0] != '\0') {
        putchar('\n');
    }
}

/* Where a dry run was told an output: whether it would fit. */
static void
print_free(const w4moe_convert_report *report, const struct report_run *run)
{
    char text[TEXT_MAX];
    uint64_t n_bytes = 0;
    if (run->out_path == NULL) {
        return;
    }
    if (free_bytes(run->out_path, &n_bytes)) {
        text_line("free", "%s%s", text_bytes(text, n_bytes),
                n_bytes < report->bytes_out ? ", which is NOT ENOUGH" : "");
    } else {
        text_line("free", "unknown: %s", strerror(errno));
    }
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
    print_rounding(report, run);
    if (run->dry_run) {
        print_free(report, run);
        text_line("written", "nothing (--dry-run)");
        return;
    }
    print_findings(report);
    text_line("time", "%.2f s, %s/s", run->seconds,
            text_bytes(in, (uint64_t)bytes_per_second(report, run->seconds)));
    if (!run->verify) {
        text_line("verified", "no (--no-verify)");
        return;
    }
    size_t n_rounded = report->n_weights_rounded;
    text_line("verified", "%zu experts: %s", report->n_experts_verified,
            n_rounded == 0                   ? "exact"
            : n_rounded == report->n_weights ? "nearest"
                                             : "exact, or nearest if rounded");
}

/* --------------------------------------------------------------------- JSON */

static json_t *
model_json(const w4moe_convert_report *report)
{
    json_t *sizes = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
            "layers", json_of_uint(report->n_layers), "experts",
            json_of_uint(report->n_experts), "first_expert",
            json_of_uint(report->first_expert), "experts_total",
            json_of_uint(report->n_experts_total), "top_k",
            json_of_uint(report->top_k), "hidden_size",
            json_of_uint(report->hidden_size), "intermediate_size",
            json_of_uint(report->intermediate_size), "w13_group_size",
            json_of_uint(report->w13_group_size), "w2_group_size",
            json_of_uint(report->w2_group_size));
    json_t *rest = json_pack("{s:o, s:o, s:s, s:o, s:b, s:o, s:b, s:o, s:o, "
                             "s:o, s:s}",
            "scheme", json_of_text(report->source_scheme), "model_type",
            json_of_text(report->model_type), "code", text_code(report->code),
            "scale_dtype", json_of_dtype(report->scale_dtype), "zero_points",
            report->has_zero_points != 0, "offset_dtype",
            json_of_dtype(report->offset_dtype), "act_order",
            report->has_perm != 0, "bias_dtype",
            json_of_dtype(report->bias_dtype), "activation",
            json_of_activation(&report->activation), "router",
            json_of_router(&report->router), "order",
            text_order(report->order));
    return json_join(rest, sizes);
}

static json_t *
findings_json(const w4moe_convert_report *report)
{
    struct finding findings[N_FINDINGS];
    json_t *object = json_object();
    list_findings(report, findings);
    for (size_t i = 0; i < N_FINDINGS; i++) {
        json_object_set_new(
                object, findings[i].key, json_of_uint(findings[i].count));
    }
    return object;
}

/* What was found out by looking at the weights; null without that. */
static json_t *
judgement_json(const w4moe_convert_report *report, const struct report_run *run)
{
    int compared = run->verify && !run->dry_run;
    return json_pack("{s:o, s:o, s:o, s:o}", "weights",
            json_of_uint(report->n_weights), "weights_rounded",
            json_of_uint(report->n_weights_rounded), "rounding_error",
            compared ? json_real(report->rounding_error) : json_null(),
            "warnings", run->dry_run ? json_null() : findings_json(report));
}

static json_t *
run_json(const w4moe_convert_report *report, const struct report_run *run)
{
    uint64_t n_free = 0;
    int have_free = run->dry_run && run->out_path != NULL &&
                    free_bytes(run->out_path, &n_free);
    return json_pack("{s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:f, s:o}",
            "input", json_of_text(run->in_path), "output",
            json_of_text(run->out_path), "dry_run", run->dry_run, "verified",
            run->verify && !run->dry_run, "experts_verified",
            json_of_uint(report->n_experts_verified), "tensors_used",
            json_of_uint(report->n_tensors_used), "tensors_unselected",
            json_of_uint(report->n_tensors_unselected), "tensors_other",
            json_of_uint(report->n_tensors_other), "bytes_in",
            json_of_uint(report->bytes_in), "bytes_out",
            json_of_uint(report->bytes_out), "bytes_free",
            have_free ? json_of_uint(n_free) : json_null(), "seconds",
            run->seconds, "bytes_per_second",
            run->dry_run ? json_null()
                         : json_of_uint((uint64_t)bytes_per_second(
                                   report, run->seconds)));
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
    json_t *root = json_join(model_json(report), judgement_json(report, run));
    return json_print(json_join(root, run_json(report, run)));
}
