/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * The matrices that hold all weights of a checkpoint exactly: a group length
 * that divides every weight's, a scale type that holds every weight's scales,
 * zero points or offsets if any weight has them.
 */
#include "format/source.h"

/* Group length of rounded weights if nobody says anything. */
enum { DEFAULT_GROUP_SIZE = 32 };

/* What the weights of a matrix have in common so far; NONE or 0: none seen. */
struct join {
    w4moe_code code;
    size_t group_size;
    w4moe_dtype scale_dtype;
    w4moe_dtype offset_dtype;
    w4moe_dtype bias_dtype;
    int has_zeros;
    size_t n_weights;
    size_t n_offsets;
    size_t n_rounded;
    /* That scales of rounded weights would like to have. */
    w4moe_dtype rounded_dtype;
};

static size_t
common_divisor(size_t a, size_t b)
{
    while (b != 0) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The type that holds numbers of both. */
static w4moe_dtype
common_type(w4moe_dtype a, w4moe_dtype b)
{
    return a == b || a == W4MOE_DTYPE_NONE ? b
           : b == W4MOE_DTYPE_NONE         ? a
                                           : W4MOE_F32;
}

static w4moe_status
join_weight(
        struct w4_err *err, struct join *join, const struct w4_weight *weight)
{
    join->n_weights++;
    join->bias_dtype = common_type(join->bias_dtype, weight->bias_dtype);
    if (weight->scheme->rounded) {
        join->n_rounded++;
        join->rounded_dtype =
                common_type(join->rounded_dtype, weight->scale_dtype);
        return W4MOE_OK;
    }
    if (join->code != 0 && join->code != weight->scheme->code) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "experts of integer codes and of E2M1 codes (MXFP4) in one "
                "checkpoint");
    }
    join->code = weight->scheme->code;
    /* A group as long as a row leaves the length to the others. */
    if (weight->group_size < weight->n_in) {
        join->group_size = common_divisor(weight->group_size, join->group_size);
    }
    join->scale_dtype = common_type(join->scale_dtype, weight->scale_dtype);
    join->offset_dtype = common_type(join->offset_dtype, weight->offset_dtype);
    join->n_offsets += weight->offset_dtype != W4MOE_DTYPE_NONE;
    join->has_zeros |= weight->has_zeros;
    return W4MOE_OK;
}

/* Joins the weights of one or both projections [first, last]. */
static w4moe_status
join_weights(struct w4_err *err, struct join *join,
        const struct w4_source *source, enum w4_projection first,
        enum w4_projection last)
{
    w4moe_status status = W4MOE_OK;
    size_t n = source->n_layers * source->config.n_experts;
    for (size_t e = 0; e < n && status == W4MOE_OK; e++) {
        const struct w4_weight *weights =
                source->weights + e * W4_N_PROJECTIONS;
        for (int p = (int)first; p <= (int)last && status == W4MOE_OK; p++) {
            status = join_weight(err, join, &weights[p]);
        }
    }
    return status;
}

/* What both matrices have in common: the code, and whether there are zero
 * points or offsets, which a container has for all matrices or for none. */
static void
join_matrices(struct join *w13, struct join *w2,
        const struct w4_source_options *options)
{
    size_t n_rounded = w13->n_rounded + w2->n_rounded;
    size_t n_exact = w13->n_weights + w2->n_weights - n_rounded;
    w4moe_code code = w13->code != 0 ? w13->code : w2->code;
    w13->code = w2->code = code != 0 ? code : W4MOE_CODE_INT4;
    int has_zeros = w13->has_zeros | w2->has_zeros |
                    (n_rounded != 0 && options->asymmetric);
    w13->has_zeros = w2->has_zeros = has_zeros && w13->code == W4MOE_CODE_INT4;
    size_t n_offsets = w13->n_offsets + w2->n_offsets;
    if (n_offsets != 0) {
        /* Those that zero points become are of fp32. */
        w4moe_dtype type = common_type(w13->offset_dtype, w2->offset_dtype);
        type = n_offsets == n_exact && n_rounded == 0 ? type : W4MOE_F32;
        w13->offset_dtype = w2->offset_dtype = type;
        w13->has_zeros = w2->has_zeros = 0;
    }
}

static void
set_matrix(w4moe_matrix *m, struct join *join, size_t n_out, size_t n_in,
        const struct w4_source_options *options)
{
    size_t size = join->group_size;
    if (size == 0) {
        size_t rounded = options->group_size != 0 ? options->group_size
                                                  : DEFAULT_GROUP_SIZE;
        size = join->n_rounded != 0 ? rounded : n_in;
    }
    w4moe_dtype scale_dtype = join->scale_dtype;
    if (scale_dtype == W4MOE_DTYPE_NONE) {
        scale_dtype = join->rounded_dtype == W4MOE_F16 ? W4MOE_F16 : W4MOE_BF16;
    }
    *m = (w4moe_matrix){
            .struct_size = sizeof(*m),
            .order = W4MOE_ORDER_TILE,
            .code = join->code,
            .n_experts = 1,
            .n_out = n_out,
            .n_in = n_in,
            .group_size = size < n_in ? size : n_in,
            .scale_dtype = scale_dtype,
            .offset_dtype = join->offset_dtype,
            .bias_dtype = join->bias_dtype,
    };
}

/* Gives the rounded weights the form of their matrix. */
static void
shape_rounded(struct w4_source *source, const struct w4_source_options *options)
{
    size_t n = source->n_layers * source->config.n_experts * W4_N_PROJECTIONS;
    for (size_t w = 0; w < n; w++) {
        struct w4_weight *weight = &source->weights[w];
        const w4moe_matrix *m =
                w % W4_N_PROJECTIONS == W4_DOWN ? &source->w2 : &source->w13;
        if (weight->scheme->rounded) {
            weight->group_size = m->group_size;
            weight->scale_dtype = m->scale_dtype;
            /* There are zero points for it, or offsets that they become. */
            weight->has_zeros = options->asymmetric;
            source->n_rounded++;
        }
    }
}

w4moe_status
w4_source_join(struct w4_err *err, struct w4_source *source,
        const struct w4_source_options *options)
{
    const struct w4_model_config *config = &source->config;
    struct join w13 = {0};
    struct join w2 = {0};
    w4moe_status status = join_weights(err, &w13, source, W4_GATE, W4_UP);
    if (status == W4MOE_OK) {
        status = join_weights(err, &w2, source, W4_DOWN, W4_DOWN);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (w13.code != 0 && w2.code != 0 && w13.code != w2.code) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "gate and up of integer codes, down of E2M1 codes (MXFP4), or "
                "the other way round");
    }
    if (w13.n_rounded + w2.n_rounded != 0 &&
            (w13.code == W4MOE_CODE_E2M1 || w2.code == W4MOE_CODE_E2M1)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "%zu weights that are not quantised among others of MXFP4: "
                "rounding to E2M1 codes is not done",
                w13.n_rounded + w2.n_rounded);
    }
    join_matrices(&w13, &w2, options);
    set_matrix(&source->w13, &w13, 2 * config->intermediate_size,
            config->hidden_size, options);
    set_matrix(&source->w2, &w2, config->hidden_size, config->intermediate_size,
            options);
    source->w13.gated = 1;
    source->has_zero_points = w13.has_zeros;
    shape_rounded(source, options);
    status = w4_matrix_check(err, &source->w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_matrix_check(err, &source->w2, "w2");
    }
    /* What is wrong is the checkpoint, not the caller's argument. */
    return status == W4MOE_INVALID ? W4MOE_FORMAT : status;
}
