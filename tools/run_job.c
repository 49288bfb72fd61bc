/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What moe-run does with its options; see run_job.h. */
#include "run_job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/half.h"
#include "common.h"
#include "compare.h"
#include "ideal.h"
#include "io/st_writer.h"
#include "run_input.h"

/* Everything that is open during a job. */
struct state {
    const struct run_job *job;
    w4moe_ctx *ctx;
    w4moe_file *file;
    w4moe_layer *layer;
    w4moe_workspace *ws;
    w4moe_layer_info info;
    struct run_input input;
    /* Elements of x and of out. */
    size_t n_values;
    uint16_t *out;
    /* NULL without --expect. */
    double *expected;
};

static int
open_layer(struct state *s, struct tool_log *log, size_t *top_k)
{
    const struct run_job *job = s->job;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    int code = tool_ctx_create(&s->ctx, log, job->backend, job->n_threads);
    if (code != TOOL_OK) {
        return code;
    }
    if (job->verbose) {
        fputs(w4moe_ctx_describe(s->ctx), stderr);
    }
    w4moe_status status = w4moe_file_open(s->ctx, &s->file, job->file_path);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_info(s->file, &info);
    }
    if (status == W4MOE_OK && info.n_experts != info.n_experts_total) {
        return tool_error("%s: it holds experts %zu to %zu of %zu; all are "
                          "needed",
                job->file_path, info.first_expert,
                info.first_expert + info.n_experts - 1, info.n_experts_total);
    }
    if (status == W4MOE_OK) {
        status = w4moe_layer_load(
                s->ctx, &s->layer, s->file, job->layer, job->layer_flags);
    }
    s->info.struct_size = sizeof(s->info);
    if (status == W4MOE_OK) {
        status = w4moe_layer_get_info(s->layer, &s->info);
    }
    *top_k = info.top_k;
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

static int
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Facts about the folder that path stands in. Returns whether there is one. */
static int
stat_folder(const char *path, struct stat *out)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return stat(".", out) == 0;
    }
    size_t n = (size_t)(slash - path) + 1;
    char *folder = strndup(path, n);
    int found = folder != NULL && stat(folder, out) == 0;
    free(folder);
    return found;
}

/* Replacing one of the inputs, or a file in a folder that is one, would
 * destroy it. */
static int
check_output(const struct run_job *job)
{
    const char *inputs[] = {job->file_path, job->input_path, job->expect_path};
    struct stat out;
    struct stat folder;
    if (job->output_path == NULL || stat(job->output_path, &out) != 0 ||
            !stat_folder(job->output_path, &folder)) {
        return TOOL_OK;
    }
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        struct stat in;
        if (inputs[i] != NULL && stat(inputs[i], &in) == 0 &&
                (same_file(&in, &out) || same_file(&in, &folder))) {
            return tool_error("--output %s would replace a part of %s",
                    job->output_path, inputs[i]);
        }
    }
    return TOOL_OK;
}

static int
read_tensors(struct state *s, size_t top_k)
{
    const struct run_job *job = s->job;
    struct run_request request = {
            .path = job->input_path,
            .prefix = job->prefix,
            .dtype = job->dtype,
            .hidden_size = s->info.hidden_size,
            .n_experts = s->info.n_experts,
            .top_k = top_k,
    };
    int code = run_input_read(&s->input, &request);
    if (code != TOOL_OK) {
        return code;
    }
    s->n_values = s->input.n_tokens * s->info.hidden_size;
    if (job->expect_path != NULL) {
        code = run_expected_read(&s->expected, job->expect_path, job->prefix,
                s->input.n_tokens, s->info.hidden_size);
    }
    return code;
}

static int
forward_once(struct state *s, uint16_t *out, double *seconds)
{
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = out,
            .x = s->input.x,
            .dtype = s->input.dtype,
            .n_tokens = s->input.n_tokens,
            .top_k = s->input.top_k,
            .ids = s->input.ids,
            .weights = s->input.weights,
            .router_logits = s->input.logits,
            .logits_dtype = s->input.logits_dtype,
            .flags = W4MOE_HOST_IO |
                     (s->job->weight_on_input ? W4MOE_ROUTER_WEIGHT_ON_INPUT
                                              : 0u),
    };
    /* NaN in every place, so that one that is not written is seen. */
    memset(out, 0xFF, s->n_values * sizeof(out[0]));
    double start = tool_seconds();
    w4moe_status status = w4moe_forward(s->layer, s->ws, &args);
    *seconds = tool_seconds() - start;
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

static int
repeat(struct state *s, uint16_t *again, double *seconds)
{
    uint32_t n = s->job->n_repeats;
    for (uint32_t i = 1; i < n; i++) {
        int code = forward_once(s, again, &seconds[i]);
        if (code != TOOL_OK) {
            return code;
        }
        for (size_t j = 0; j < s->n_values; j++) {
            if (again[j] != s->out[j]) {
                tool_error("run %lu differs from run 1 in out[%zu][%zu]: "
                           "0x%04x, not 0x%04x",
                        (unsigned long)i + 1, j / s->info.hidden_size,
                        j % s->info.hidden_size, again[j], s->out[j]);
                return TOOL_MISMATCH;
            }
        }
    }
    fprintf(stderr, "%s: %lu runs, the same bytes, median %.4g ms\n", tool_name,
            (unsigned long)n, 1e3 * tool_median(seconds, n));
    return TOOL_OK;
}

static int
forward(struct state *s)
{
    uint16_t *again = NULL;
    size_t n = s->job->n_repeats > 0 ? s->job->n_repeats : 1;
    double *seconds = tool_alloc(n, sizeof(seconds[0]), "times");
    s->out = tool_alloc(s->n_values, sizeof(s->out[0]), "the output");
    int code = TOOL_ERROR;
    if (seconds == NULL || s->out == NULL) {
        goto out_free;
    }
    w4moe_status status = w4moe_workspace_create(
            s->layer, &s->ws, s->input.n_tokens, s->input.top_k);
    if (status != W4MOE_OK) {
        code = tool_failed(s->ctx, status);
        goto out_free;
    }
    code = forward_once(s, s->out, &seconds[0]);
    if (code == TOOL_OK && s->job->n_repeats > 0) {
        again = tool_alloc(s->n_values, sizeof(again[0]), "the output");
        code = again != NULL ? repeat(s, again, seconds) : TOOL_ERROR;
    }
out_free:
    free(again);
    free(seconds);
    return code;
}

/* Prints which values are not finite. Returns whether all are. */
static int
report_class(const struct state *s, const char *what, const double *values)
{
    struct compare_class found = compare_classify(values, s->n_values);
    if (found.n_nan + found.n_inf == 0) {
        return 1;
    }
    tool_error("%s: %zu NaN and %zu Inf of %zu values, the first at "
               "[%zu][%zu]",
            what, found.n_nan, found.n_inf, s->n_values,
            found.first / s->info.hidden_size,
            found.first % s->info.hidden_size);
    return 0;
}

/* The line on stdout, and the verdict. */
static int
judge(const struct state *s, const double *got, const double *exact,
        const double *ideal)
{
    size_t n = s->n_values;
    int finite = report_class(s, "result", got);
    finite &= report_class(s, "expected", s->expected);
    finite &= report_class(s, "float64 layer", exact);
    finite &= report_class(s, "rounded float64 layer", ideal);
    double distance = compare_rel_l2(got, s->expected, n);
    double yardstick = compare_rel_l2(ideal, exact, n);
    double ratio = compare_ratio(distance, yardstick);
    printf("rel_l2 %.6g ideal %.6g ratio %.6g\n", distance, yardstick, ratio);
    if (!finite) {
        return TOOL_MISMATCH;
    }
    if (!isfinite(distance) || !isfinite(yardstick) || !isfinite(ratio)) {
        tool_error("rel_l2 %g, ideal %g: no finite ratio", distance, yardstick);
        return TOOL_MISMATCH;
    }
    if (ratio <= s->job->max_ratio) {
        return TOOL_OK;
    }
    tool_error("layer %lu: ratio %.6g is above %g",
            (unsigned long)s->job->layer, ratio, s->job->max_ratio);
    return TOOL_MISMATCH;
}

/* The ids and weights of the call: the file's, or what the router makes of the
 * logits. */
static int
route(struct state *s)
{
    struct run_input *input = &s->input;
    if (input->ids != NULL) {
        return TOOL_OK;
    }
    input->ids = tool_alloc(
            input->n_tokens, input->top_k * sizeof(input->ids[0]), "ids");
    input->weights = tool_alloc(input->n_tokens,
            input->top_k * sizeof(input->weights[0]), "weights");
    if (input->ids == NULL || input->weights == NULL) {
        return TOOL_ERROR;
    }
    w4moe_status status = w4moe_route(s->ctx, input->ids, input->weights,
            input->logits, input->logits_dtype, 0, input->n_tokens,
            s->info.n_experts, input->top_k, &s->info.router);
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

static int
compute_ideal(struct state *s, double *exact, double *ideal)
{
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    w4moe_matrix w2 = {.struct_size = sizeof(w2)};
    w4moe_status status =
            w4moe_file_get_matrix(s->file, &w13, s->job->layer, W4MOE_W13);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(s->file, &w2, s->job->layer, W4MOE_W2);
    }
    if (status != W4MOE_OK) {
        return tool_failed(s->ctx, status);
    }
    struct ideal_call call = {
            .w13 = &w13,
            .w2 = &w2,
            .activation = &s->info.activation,
            .dtype = s->input.dtype,
            .x = s->input.x,
            .n_tokens = s->input.n_tokens,
            .top_k = s->input.top_k,
            .ids = s->input.ids,
            .weights = s->input.weights,
            .weight_on_input = s->job->weight_on_input,
    };
    return ideal_compute(exact, ideal, s->ctx, &call);
}

static int
compare(struct state *s)
{
    if (compare_all_zero(s->expected, s->n_values)) {
        return tool_error("%s: %sout is 0 throughout; a relative distance "
                          "to it says nothing",
                s->job->expect_path, s->job->prefix);
    }
    double *got = tool_alloc(s->n_values, sizeof(got[0]), "the comparison");
    double *exact = tool_alloc(s->n_values, sizeof(exact[0]), "the comparison");
    double *ideal = tool_alloc(s->n_values, sizeof(ideal[0]), "the comparison");
    int code = TOOL_ERROR;
    if (got != NULL && exact != NULL && ideal != NULL) {
        code = route(s);
    }
    if (code == TOOL_OK) {
        code = compute_ideal(s, exact, ideal);
    }
    if (code == TOOL_OK) {
        for (size_t i = 0; i < s->n_values; i++) {
            got[i] = (double)w4_load_float(s->out, s->input.dtype, i);
        }
        code = judge(s, got, exact, ideal);
    }
    free(ideal);
    free(exact);
    free(got);
    return code;
}

static int
write_output(struct state *s)
{
    struct w4_st_entry entry = {
            .name = "out",
            .dtype = s->input.dtype,
            .n_dims = 2,
            .shape = {s->input.n_tokens, s->info.hidden_size},
    };
    struct w4_err err;
    struct w4_st_writer *writer = NULL;
    w4_err_init(&err, NULL, NULL);
    /* On disk it is little endian; nobody reads s->out after this. */
    w4_swap_le(s->out, sizeof(s->out[0]), s->n_values);
    w4moe_status status = w4_st_writer_create(
            &err, &writer, s->job->output_path, &entry, 1, 0, 0);
    if (status == W4MOE_OK) {
        status = w4_st_writer_set(writer, "producer", "moe-run " W4MOE_VERSION);
    }
    if (status == W4MOE_OK) {
        status = w4_st_writer_write(
                writer, 0, 0, s->out, s->n_values * sizeof(s->out[0]));
    }
    if (status == W4MOE_OK) {
        status = w4_st_writer_commit(writer);
        writer = NULL; /* gone, also on failure */
    }
    if (status != W4MOE_OK) {
        tool_error("%s", w4_err_text(&err));
        w4_st_writer_abort(writer);
    }
    w4_err_fini(&err);
    return status == W4MOE_OK ? TOOL_OK : TOOL_ERROR;
}

int
run_job(const struct run_job *job)
{
    struct tool_log log = {.quiet = 0};
    struct state s = {.job = job};
    size_t top_k = 0;
    int code = open_layer(&s, &log, &top_k);
    if (code == TOOL_OK) {
        code = check_output(job);
    }
    if (code == TOOL_OK) {
        code = read_tensors(&s, top_k);
    }
    if (code == TOOL_OK) {
        code = forward(&s);
    }
    if (code == TOOL_OK && s.expected != NULL) {
        code = compare(&s);
    }
    if (code == TOOL_OK && job->output_path != NULL) {
        code = write_output(&s);
    }
    free(s.expected);
    free(s.out);
    run_input_free(&s.input);
    w4moe_workspace_destroy(s.ws);
    w4moe_layer_destroy(s.layer);
    w4moe_file_close(s.file);
    w4moe_ctx_destroy(s.ctx);
    return code;
}
