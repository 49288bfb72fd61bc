/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What moe-run does with its options; see run_job.h. */
#include "run_job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "common.h"
#include "io/st_writer.h"
#include "run_ep.h"
#include "run_state.h"

static int
open_file(struct run_state *s, struct tool_log *log, size_t *top_k)
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
    if (status != W4MOE_OK) {
        return tool_failed(s->ctx, status);
    }
    *top_k = info.top_k;
    return TOOL_OK;
}

static int
load_layer(struct run_state *s)
{
    const struct run_job *job = s->job;
    w4moe_status status;
    if (job->n_experts != 0) {
        status =
                w4moe_layer_load_experts(s->ctx, &s->layer, s->file, job->layer,
                        job->first_expert, job->n_experts, job->layer_flags);
    } else {
        status = w4moe_layer_load(
                s->ctx, &s->layer, s->file, job->layer, job->layer_flags);
    }
    s->info.struct_size = sizeof(s->info);
    if (status == W4MOE_OK) {
        status = w4moe_layer_get_info(s->layer, &s->info);
    }
    if (status != W4MOE_OK) {
        return tool_failed(s->ctx, status);
    }
    if (s->info.n_experts != s->info.n_experts_global) {
        fprintf(stderr,
                "%s: experts %zu to %zu of %zu; those of others add nothing\n",
                tool_name, s->info.first_expert,
                s->info.first_expert + s->info.n_experts - 1,
                s->info.n_experts_global);
    }
    return TOOL_OK;
}

static int
open_layer(struct run_state *s, struct tool_log *log, size_t *top_k)
{
    int code = open_file(s, log, top_k);
    if (s->ep != NULL) {
        code = s->calls->load(s->ep, s, code);
    } else if (code == TOOL_OK) {
        code = load_layer(s);
    }
    s->weight_on_input =
            s->job->weight_on_input || s->info.router.weight_on_input;
    return code;
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
read_tensors(struct run_state *s, size_t top_k)
{
    const struct run_job *job = s->job;
    struct run_request request = {
            .path = job->input_path,
            .prefix = job->prefix,
            .dtype = job->dtype,
            .hidden_size = s->info.hidden_size,
            .n_experts = s->info.n_experts_global,
            .top_k = top_k,
            .has_router_weight = s->info.has_router_weight,
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
forward_once(struct run_state *s, uint16_t *out, double *seconds)
{
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .expert_counts = s->counts,
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
                     (s->weight_on_input ? W4MOE_ROUTER_WEIGHT_ON_INPUT : 0u),
    };
    /* NaN in every place, so that one that is not written is seen. */
    memset(out, 0xFF, s->n_values * sizeof(out[0]));
    double start = tool_seconds();
    if (s->ep != NULL) {
        int code = s->calls->forward(s->ep, s, &args);
        *seconds = tool_seconds() - start;
        return code;
    }
    w4moe_status status = w4moe_forward(s->layer, s->ws, &args);
    *seconds = tool_seconds() - start;
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

/* Whether this process prints and writes: of ranks the first. */
static int
is_first(const struct run_state *s)
{
    return s->ep == NULL || s->calls->is_first(s->ep);
}

/* What became of a step that ranks take apart, on all of them. */
static int
agree(const struct run_state *s, int code)
{
    return s->ep != NULL ? s->calls->agree(s->ep, code) : code;
}

static int
compare_run(const struct run_state *s, const uint16_t *again, uint32_t run)
{
    for (size_t j = 0; j < s->n_values; j++) {
        if (again[j] != s->out[j]) {
            tool_error("run %lu differs from run 1 in out[%zu][%zu]: "
                       "0x%04x, not 0x%04x",
                    (unsigned long)run + 1, j / s->info.hidden_size,
                    j % s->info.hidden_size, again[j], s->out[j]);
            return TOOL_MISMATCH;
        }
    }
    return TOOL_OK;
}

static int
repeat(struct run_state *s, uint16_t *again, double *seconds)
{
    uint32_t n = s->job->n_repeats;
    for (uint32_t i = 1; i < n; i++) {
        int code = forward_once(s, again, &seconds[i]);
        if (code == TOOL_OK) {
            code = agree(s, compare_run(s, again, i));
        }
        if (code != TOOL_OK) {
            return code;
        }
    }
    if (is_first(s)) {
        fprintf(stderr, "%s: %lu runs, the same bytes, median %.4g ms\n",
                tool_name, (unsigned long)n, 1e3 * tool_median(seconds, n));
    }
    return TOOL_OK;
}

static int
make_workspace(struct run_state *s)
{
    if (s->ep != NULL) {
        return s->calls->prepare(s->ep, s);
    }
    w4moe_status status = w4moe_workspace_create(
            s->layer, &s->ws, s->input.n_tokens, s->input.top_k);
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

static int
forward(struct run_state *s)
{
    size_t n = s->job->n_repeats > 0 ? s->job->n_repeats : 1;
    double *seconds = tool_alloc(n, sizeof(seconds[0]), "times");
    uint16_t *again = tool_alloc(s->n_values, sizeof(again[0]), "the output");
    s->out = tool_alloc(s->n_values, sizeof(s->out[0]), "the output");
    int has_all = seconds != NULL && again != NULL && s->out != NULL;
    int code = agree(s, has_all ? TOOL_OK : TOOL_ERROR);
    if (code == TOOL_OK) {
        code = make_workspace(s);
    }
    if (code == TOOL_OK) {
        code = forward_once(s, s->out, &seconds[0]);
    }
    if (code == TOOL_OK && s->job->n_repeats > 0) {
        code = repeat(s, again, seconds);
    }
    free(again);
    free(seconds);
    return code;
}

static int
write_output(struct run_state *s)
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

/* What the call's tokens chose, the most first; and how far from even it is. */
static int
print_counts(const struct run_state *s)
{
    size_t n = s->info.n_experts_global;
    double mean = (double)(s->input.n_tokens * s->input.top_k) / (double)n;
    int32_t most = 0;
    size_t n_used = 0;
    for (size_t e = 0; e < n; e++) {
        most = s->counts[e] > most ? s->counts[e] : most;
        n_used += s->counts[e] != 0;
    }
    fprintf(stderr,
            "%s: %zu of %zu experts chosen; the most often %" PRId32
            " times, %.3g times the mean\n",
            tool_name, n_used, n, most, (double)most / mean);
    for (size_t e = 0; e < n; e++) {
        if (s->counts[e] != 0) {
            fprintf(stderr, "expert %zu: %" PRId32 "\n", e, s->counts[e]);
        }
    }
    return TOOL_OK;
}

/* Reads what the call needs, and makes room for what it gives. */
static int
prepare(struct run_state *s, size_t top_k)
{
    int code = check_output(s->job);
    if (code == TOOL_OK) {
        code = read_tensors(s, top_k);
    }
    if (code == TOOL_OK && s->job->counts) {
        s->counts = tool_alloc(
                s->info.n_experts_global, sizeof(s->counts[0]), "counts");
        code = s->counts != NULL ? TOOL_OK : TOOL_ERROR;
    }
    return agree(s, code);
}

/* What is done with the result. */
static int
use_result(struct run_state *s)
{
    int code = TOOL_OK;
    if (s->job->counts) {
        code = print_counts(s);
    }
    if (code == TOOL_OK && s->expected != NULL) {
        code = run_compare(s);
    }
    if (code == TOOL_OK && s->job->output_path != NULL) {
        code = write_output(s);
    }
    return code;
}

int
run_job(const struct run_job *job, const struct run_ep_calls *calls,
        struct run_ep *ep)
{
    struct tool_log log = {.quiet = 0};
    struct run_state s = {.job = job, .ep = ep, .calls = calls};
    size_t top_k = 0;
    int code = open_layer(&s, &log, &top_k);
    if (code == TOOL_OK) {
        code = prepare(&s, top_k);
    }
    if (code == TOOL_OK) {
        code = forward(&s);
    }
    if (code == TOOL_OK && ep != NULL) {
        calls->print(ep);
    }
    if (code == TOOL_OK) {
        code = agree(&s, is_first(&s) ? use_result(&s) : TOOL_OK);
    }
    free(s.expected);
    free(s.counts);
    free(s.out);
    run_input_free(&s.input);
    if (ep != NULL) {
        calls->release(ep);
    }
    w4moe_workspace_destroy(s.ws);
    w4moe_layer_destroy(s.layer);
    w4moe_file_close(s.file);
    w4moe_ctx_destroy(s.ctx);
    return code;
}
