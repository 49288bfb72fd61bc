/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_convert(): from a checkpoint to a container. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/abi.h"
#include "format/target.h"
#include "format/transfer.h"

/* ------------------------------------------------------------------- report */

static void
fill_report(w4moe_convert_report *report, const struct w4_source *source,
        const struct w4_plan *plan)
{
    const struct w4_meta *meta = &plan->meta;
    snprintf(report->source_scheme, sizeof(report->source_scheme), "%s",
            source->scheme);
    snprintf(report->model_type, sizeof(report->model_type), "%s",
            meta->model_type);
    report->order = meta->order;
    report->n_layers = plan->n_layers;
    report->n_experts = meta->n_experts;
    report->top_k = meta->top_k;
    report->hidden_size = meta->hidden_size;
    report->intermediate_size = meta->intermediate_size;
    report->w13_group_size = meta->w13_group_size;
    report->w2_group_size = meta->w2_group_size;
    report->scale_dtype = source->w13.scale_dtype;
    report->has_zero_points = source->has_zero_points;
    report->first_expert = meta->first_expert;
    report->n_experts_total = meta->n_experts_total;
    report->code = meta->code;
    report->offset_dtype = source->w13.offset_dtype;
    report->bias_dtype = source->w13.bias_dtype;
    report->n_weights =
            source->n_layers * source->config.n_experts * W4_N_PROJECTIONS;
    report->n_weights_rounded = source->n_rounded;
    report->activation = meta->activation;
    report->router = meta->router;
    report->n_tensors_other = source->n_tensors_other;
    for (size_t i = 0; i < source->n_layers; i++) {
        report->n_tensors_unselected += source->layers[i].n_tensors;
    }
    for (size_t l = 0; l < plan->n_layers; l++) {
        const struct w4_source_layer *layer =
                &source->layers[plan->layers[l].source];
        report->n_tensors_used += layer->n_tensors;
        report->bytes_in += layer->n_bytes;
        report->has_perm |= layer->n_perms != 0;
    }
    report->n_tensors_unselected -= report->n_tensors_used;
}

/* --------------------------------------------------------------- conversion */

/* One conversion; what is made here is released by finish(). */
struct conversion {
    const w4moe_ctx *ctx;
    w4moe_convert_options options;
    struct w4_source source;
    struct w4_plan plan;
    struct w4_target target;
    struct w4_st_writer *writer;
};

/* Hashes are known last; until then they are as long as they will be. */
static w4moe_status
reserve_hashes(const struct conversion *c)
{
    char text[W4_HASH_TEXT];
    memset(text, '0', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    w4moe_status status = W4MOE_OK;
    for (size_t i = 0; i < c->plan.n_entries && status == W4MOE_OK; i++) {
        char key[W4_TENSOR_NAME_MAX + 8];
        w4_hash_key(key, c->plan.names[i]);
        status = w4_st_writer_set(c->writer, key, text);
    }
    return status;
}

/* Nobody shall take rounded weights for calibrated ones. */
static void
warn_of_rounding(struct w4_err *err, const struct w4_source *source)
{
    if (source->n_rounded != 0) {
        w4_log(err, W4MOE_LOG_WARNING,
                "%zu of %zu weights are not of 4 bits: they are rounded to "
                "nearest WITHOUT CALIBRATION, which costs quality",
                source->n_rounded,
                source->n_layers * source->config.n_experts * W4_N_PROJECTIONS);
    }
}

static w4moe_status
create_writer(struct conversion *c)
{
    const w4moe_convert_options *options = &c->options;
    unsigned flags = 0;
    if (options->dry_run) {
        flags |= W4_ST_DRY_RUN;
    }
    if (c->target.is_folder || options->max_shard_bytes != 0) {
        flags |= W4_ST_FOLDER;
    }
    return w4_st_writer_create(w4_ctx_err(c->ctx), &c->writer,
            options->dry_run ? "" : c->target.path, c->plan.entries,
            c->plan.n_entries, flags, options->max_shard_bytes);
}

/* Opens the source, plans, lays out the file. */
static w4moe_status
prepare(struct conversion *c, const char *out_path, const char *in_path,
        uint64_t *n_bytes)
{
    struct w4_err *err = w4_ctx_err(c->ctx);
    const w4moe_convert_options *options = &c->options;
    struct w4_source_options source = {
            .group_size = options->group_size,
            .asymmetric = options->asymmetric,
            .requantize = options->requantize,
            .gptq_zero_wrap = options->gptq_zero_wrap,
            .name_map = options->name_map,
    };
    w4moe_status status = w4_source_open(c->ctx, &c->source, in_path, &source);
    if (status == W4MOE_OK) {
        struct w4_plan_options plan = {
                .order =
                        options->order != 0 ? options->order : W4MOE_ORDER_TILE,
                .layers = options->layers,
                .n_layers = options->n_layers,
                .first_expert = options->first_expert,
                .n_experts = options->n_experts,
        };
        status = w4_plan_make(err, &c->plan, &c->source, &plan);
    }
    if (status == W4MOE_OK && !options->dry_run) {
        status = w4_target_make(err, &c->target, out_path, options->force);
    }
    if (status == W4MOE_OK) {
        status = create_writer(c);
    }
    if (status == W4MOE_OK) {
        status = w4_meta_write(err, c->writer, &c->plan.meta);
    }
    if (status == W4MOE_OK) {
        status = reserve_hashes(c);
    }
    return status == W4MOE_OK ? w4_st_writer_size(c->writer, n_bytes) : status;
}

static w4moe_status
run(struct conversion *c, uint64_t n_bytes, w4moe_convert_report *report)
{
    struct w4_transfer transfer = {
            .ctx = c->ctx,
            .source = &c->source,
            .plan = &c->plan,
            .writer = c->writer,
            .progress = c->options.progress,
            .progress_user = c->options.progress_user,
            .bytes_total = 2 * n_bytes,
            .verify = !c->options.no_verify,
    };
    w4moe_status status = w4_transfer_pack(&transfer);
    if (status == W4MOE_OK) {
        status = w4_transfer_check(&transfer);
    }
    free(transfer.pieces);
    report->n_experts_verified = transfer.n_experts_verified;
    if (transfer.total > 0.0) {
        report->rounding_error = sqrt(transfer.error / transfer.total);
    }
    const uint64_t *counts = transfer.findings.counts;
    report->n_scales_not_finite = counts[W4_FINDING_NOT_FINITE];
    report->n_scales_zero = counts[W4_FINDING_ZERO];
    report->n_scales_denormal = counts[W4_FINDING_DENORMAL];
    report->n_uniform = counts[W4_FINDING_UNIFORM];
    report->n_duplicates = counts[W4_FINDING_DUPLICATE];
    if (status == W4MOE_OK) {
        status = w4_st_writer_commit(c->writer);
        c->writer = NULL;
    }
    return status;
}

static void
finish(struct conversion *c, int done)
{
    w4_st_writer_abort(c->writer);
    w4_target_free(&c->target, done);
    w4_plan_free(&c->plan);
    w4_source_close(&c->source);
}

static w4moe_status
check_options(struct w4_err *err, const w4moe_convert_options *options,
        const w4moe_convert_report *report, const char *out_path,
        const char *in_path)
{
    if (report != NULL && report->struct_size < sizeof(*report)) {
        return w4_fail(err, W4MOE_INVALID,
                "w4moe_convert_report: struct_size is %zu, at least %zu is "
                "needed",
                report->struct_size, sizeof(*report));
    }
    if (in_path == NULL || (out_path == NULL && !options->dry_run)) {
        return w4_fail(err, W4MOE_INVALID, "convert: %s is NULL",
                in_path == NULL ? "in_path" : "out_path");
    }
    if (options->order != 0 && options->order != W4MOE_ORDER_TILE &&
            options->order != W4MOE_ORDER_RDNA3) {
        return w4_fail(err, W4MOE_INVALID, "convert: unknown order %d",
                (int)options->order);
    }
    if (options->group_size % 8 != 0 || options->group_size > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "convert: group size %zu (a multiple of 8 is needed)",
                options->group_size);
    }
    if (options->max_shard_bytes != 0 && out_path != NULL &&
            w4_target_is_file(out_path)) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: files of limited size need a folder, not a name that "
                "ends in .safetensors",
                out_path);
    }
    if (options->layers != NULL && options->n_layers == 0) {
        return w4_fail(err, W4MOE_INVALID, "convert: an empty list of layers");
    }
    return W4MOE_OK;
}

w4moe_status
w4moe_convert(const w4moe_ctx *ctx, w4moe_convert_report *report,
        const char *out_path, const char *in_path,
        const w4moe_convert_options *options)
{
    static const w4moe_convert_options defaults = {
            .struct_size = sizeof(defaults)};
    struct conversion c = {.ctx = ctx};
    if (ctx == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_status status = w4_struct_in(err, &c.options, sizeof(c.options),
            sizeof(c.options), options != NULL ? options : &defaults,
            "w4moe_convert_options");
    if (status == W4MOE_OK) {
        status = check_options(err, &c.options, report, out_path, in_path);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4moe_convert_report result = {.struct_size = sizeof(result)};
    status = prepare(&c, out_path, in_path, &result.bytes_out);
    if (status == W4MOE_OK) {
        fill_report(&result, &c.source, &c.plan);
        warn_of_rounding(err, &c.source);
        if (!c.options.dry_run) {
            status = run(&c, result.bytes_out, &result);
        }
    }
    finish(&c, status == W4MOE_OK);
    if (status == W4MOE_OK && report != NULL) {
        status = w4_struct_out(err, report, &result, sizeof(result),
                sizeof(result), "w4moe_convert_report");
    }
    return status;
}
