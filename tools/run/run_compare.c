/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The comparison of moe-run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/half.h"
#include "common.h"
#include "compare.h"
#include "ideal.h"
#include "run_state.h"

/* Prints which values are not finite. Returns whether all are. */
static int
report_class(const struct run_state *s, const char *what, const double *values)
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
judge(const struct run_state *s, const double *got, const double *exact,
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

/* Router logits of x in float64, rounded to fp32: a sum in fp32, as the layer
 * has it, differs from it by less than what tells experts apart. */
static int
make_logits(struct run_state *s, const w4moe_router *router)
{
    const struct run_input *input = &s->input;
    size_t hidden = s->info.hidden_size;
    size_t n = s->info.n_experts_global;
    float *logits = tool_alloc(input->n_tokens, n * sizeof(float), "logits");
    if (logits == NULL) {
        return TOOL_ERROR;
    }
    for (size_t i = 0; i < input->n_tokens * n; i++) {
        double sum = router->bias == NULL ? 0.0
                                          : (double)w4_load_float(router->bias,
                                                    router->bias_dtype, i % n);
        for (size_t h = 0; h < hidden; h++) {
            sum += (double)w4_load_float(
                           input->x, input->dtype, i / n * hidden + h) *
                   (double)w4_load_float(router->weight, router->weight_dtype,
                           i % n * hidden + h);
        }
        logits[i] = (float)sum;
    }
    s->input.logits = logits;
    s->input.logits_dtype = W4MOE_F32;
    return TOOL_OK;
}

/* The ids and weights of the call: the file's, or what the router makes of the
 * logits, or of x. */
static int
route(struct run_state *s)
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
    w4moe_router router = {.struct_size = sizeof(router)};
    w4moe_status status =
            w4moe_file_get_router(s->file, &router, s->job->layer);
    if (status == W4MOE_OK && input->logits == NULL &&
            make_logits(s, &router) != TOOL_OK) {
        return TOOL_ERROR;
    }
    if (status == W4MOE_OK) {
        status = w4moe_route(s->ctx, input->ids, input->weights, input->logits,
                input->logits_dtype, 0, input->n_tokens,
                s->info.n_experts_global, input->top_k, &router);
    }
    return status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
}

/* Ids of all of the model's experts to places in the container, or -1 for those
 * that are not part of the layer. */
static int
localise(const struct run_state *s, int32_t *places, size_t first_in_file)
{
    size_t first = s->info.first_expert;
    for (size_t i = 0; i < s->input.n_tokens * s->input.top_k; i++) {
        int32_t id = s->input.ids[i];
        if (id < 0 || (size_t)id >= s->info.n_experts_global) {
            return tool_error("slot %zu has the expert %d, not one of %zu", i,
                    (int)id, s->info.n_experts_global);
        }
        int here =
                (size_t)id >= first && (size_t)id - first < s->info.n_experts;
        places[i] = here ? (int32_t)((size_t)id - first_in_file) : -1;
    }
    return TOOL_OK;
}

static int
compute_ideal(struct run_state *s, double *exact, double *ideal)
{
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    w4moe_matrix w2 = {.struct_size = sizeof(w2)};
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_status status = w4moe_file_get_info(s->file, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(s->file, &w13, s->job->layer, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(s->file, &w2, s->job->layer, W4MOE_W2);
    }
    if (status != W4MOE_OK) {
        return tool_failed(s->ctx, status);
    }
    int32_t *places = tool_alloc(
            s->input.n_tokens, s->input.top_k * sizeof(places[0]), "ids");
    if (places == NULL || localise(s, places, info.first_expert) != TOOL_OK) {
        free(places);
        return TOOL_ERROR;
    }
    struct ideal_call call = {
            .w13 = &w13,
            .w2 = &w2,
            .activation = &s->info.activation,
            .dtype = s->input.dtype,
            .x = s->input.x,
            .n_tokens = s->input.n_tokens,
            .top_k = s->input.top_k,
            .ids = places,
            .weights = s->input.weights,
            .weight_on_input = s->weight_on_input,
    };
    int code = ideal_compute(exact, ideal, s->ctx, &call);
    free(places);
    return code;
}

int
run_compare(struct run_state *s)
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
