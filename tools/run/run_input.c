/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Tensors for moe-run; see run_input.h. */
#include "run_input.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "common.h"
#include "ideal.h"
#include "io/safetensors.h"

enum { NAME_MAX_LENGTH = 512 };

/* An open file and how to name its tensors. */
struct source {
    struct w4_err err;
    struct w4_st_set *set;
    const char *path;
    const char *prefix;
    /* Name of the tensor looked for last. */
    char name[NAME_MAX_LENGTH];
};

static int
source_open(struct source *source, const char *path, const char *prefix)
{
    source->path = path;
    source->prefix = prefix;
    w4_err_init(&source->err, NULL, NULL);
    w4moe_status status = w4_st_open(&source->err, &source->set, path);
    if (status == W4MOE_OK) {
        status = w4_st_to_host(&source->err, source->set);
    }
    if (status != W4MOE_OK) {
        tool_error("%s", w4_err_text(&source->err));
        w4_st_close(source->set);
        w4_err_fini(&source->err);
        return TOOL_ERROR;
    }
    return TOOL_OK;
}

static void
source_close(struct source *source)
{
    w4_st_close(source->set);
    w4_err_fini(&source->err);
}

static const struct w4_tensor *
find(struct source *source, const char *base)
{
    int n = snprintf(
            source->name, sizeof(source->name), "%s%s", source->prefix, base);
    return n < NAME_MAX_LENGTH ? w4_st_find(source->set, source->name) : NULL;
}

static const struct w4_tensor *
need(struct source *source, const char *base)
{
    const struct w4_tensor *tensor = find(source, base);
    if (tensor == NULL) {
        tool_error("%s: no tensor %s", source->path, source->name);
    }
    return tensor;
}

/* Checks that a tensor is [n_rows][n_columns]; a 0 stands for any number above
 * it. */
static int
check_shape(const struct source *source, const struct w4_tensor *tensor,
        size_t n_rows, size_t n_columns)
{
    char shape[W4_ST_RANK_MAX * 24 + 1] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        length += (size_t)snprintf(shape + length, sizeof(shape) - length,
                "[%" PRIu64 "]", tensor->shape[i]);
    }
    if (tensor->n_dims != 2 || tensor->shape[0] == 0 || tensor->shape[1] == 0 ||
            (n_rows != 0 && tensor->shape[0] != n_rows) ||
            (n_columns != 0 && tensor->shape[1] != n_columns)) {
        char rows[24] = "T";
        char columns[24] = "k";
        if (n_rows != 0) {
            snprintf(rows, sizeof(rows), "%zu", n_rows);
        }
        if (n_columns != 0) {
            snprintf(columns, sizeof(columns), "%zu", n_columns);
        }
        return tool_error("%s: %s has the shape %s, not [%s][%s]", source->path,
                tensor->name, tensor->n_dims > 0 ? shape : "of a scalar", rows,
                columns);
    }
    return TOOL_OK;
}

static int
bad_type(const struct source *source, const struct w4_tensor *tensor,
        const char *allowed)
{
    return tool_error("%s: %s has the type %s, not %s", source->path,
            tensor->name, tensor->dtype_name, allowed);
}

static int
is_float(w4moe_dtype dtype)
{
    return dtype == W4MOE_F64 || dtype == W4MOE_F32 || dtype == W4MOE_F16 ||
           dtype == W4MOE_BF16;
}

/* Element i of a float tensor; its data may stand at any address. */
static double
load(const struct w4_tensor *tensor, size_t i)
{
    size_t size = w4moe_dtype_size(tensor->dtype);
    const unsigned char *p = (const unsigned char *)tensor->data + i * size;
    uint16_t half;
    float single;
    double value;
    switch (size) {
    case 2:
        memcpy(&half, p, sizeof(half));
        return (double)(tensor->dtype == W4MOE_F16 ? w4_float_of_f16(half)
                                                   : w4_float_of_bf16(half));
    case 4:
        memcpy(&single, p, sizeof(single));
        return (double)single;
    default:
        memcpy(&value, p, sizeof(value));
        return value;
    }
}

static size_t
count(const struct w4_tensor *tensor)
{
    return (size_t)(tensor->n_bytes / w4moe_dtype_size(tensor->dtype));
}

/* A copy of a tensor's bytes, aligned. */
static void *
copy(const struct w4_tensor *tensor)
{
    void *p = tool_alloc(tensor->n_bytes, 1, tensor->name);
    if (p != NULL) {
        memcpy(p, tensor->data, (size_t)tensor->n_bytes);
    }
    return p;
}

static int
convert_x(struct run_input *input, const struct source *source,
        const struct w4_tensor *tensor)
{
    size_t n = count(tensor);
    size_t n_columns = (size_t)tensor->shape[1];
    input->x = tool_alloc(n, sizeof(input->x[0]), tensor->name);
    if (input->x == NULL) {
        return TOOL_ERROR;
    }
    for (size_t i = 0; i < n; i++) {
        double value = load(tensor, i);
        double rounded = ideal_round(value, input->dtype);
        if (isinf(rounded) && !isinf(value)) {
            return tool_error("%s: %s[%zu][%zu] is %g, too large for %s",
                    source->path, tensor->name, i / n_columns, i % n_columns,
                    value, w4moe_dtype_name(input->dtype));
        }
        w4_store_float(input->x, input->dtype, i, (float)rounded);
    }
    return TOOL_OK;
}

static int
read_x(struct run_input *input, struct source *source,
        const struct run_request *request)
{
    const struct w4_tensor *tensor = need(source, "x");
    if (tensor == NULL) {
        return TOOL_ERROR;
    }
    if (!is_float(tensor->dtype)) {
        return bad_type(source, tensor, "BF16, F16, F32 or F64");
    }
    int code = check_shape(source, tensor, 0, request->hidden_size);
    if (code != TOOL_OK) {
        return code;
    }
    input->n_tokens = (size_t)tensor->shape[0];
    input->dtype = request->dtype;
    if (input->dtype == W4MOE_DTYPE_NONE) {
        if (tensor->dtype != W4MOE_BF16 && tensor->dtype != W4MOE_F16) {
            return tool_error("%s: %s has the type %s; --dtype must say "
                              "whether to compute in bf16 or f16",
                    source->path, tensor->name, tensor->dtype_name);
        }
        input->dtype = tensor->dtype;
    }
    if (input->dtype == tensor->dtype) {
        input->x = copy(tensor);
        return input->x != NULL ? TOOL_OK : TOOL_ERROR;
    }
    return convert_x(input, source, tensor);
}

static int
read_ids(struct run_input *input, const struct source *source,
        const struct w4_tensor *tensor)
{
    if (tensor->dtype == W4MOE_I32) {
        input->ids = copy(tensor);
        return input->ids != NULL ? TOOL_OK : TOOL_ERROR;
    }
    size_t n = count(tensor);
    input->ids = tool_alloc(n, sizeof(input->ids[0]), tensor->name);
    if (input->ids == NULL) {
        return TOOL_ERROR;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        memcpy(&id, (const unsigned char *)tensor->data + i * sizeof(id),
                sizeof(id));
        if (id < 0 || id > INT32_MAX) {
            return tool_error("%s: %s[%zu][%zu] is %" PRId64
                              ", which is no expert",
                    source->path, tensor->name, i / input->top_k,
                    i % input->top_k, id);
        }
        input->ids[i] = (int32_t)id;
    }
    return TOOL_OK;
}

static int
read_routing(struct run_input *input, struct source *source,
        const struct w4_tensor *ids, const struct w4_tensor *weights)
{
    if (ids->dtype != W4MOE_I32 && ids->dtype != W4MOE_I64) {
        return bad_type(source, ids, "I32 or I64");
    }
    if (weights->dtype != W4MOE_F32) {
        return bad_type(source, weights, "F32");
    }
    int code = check_shape(source, ids, input->n_tokens, 0);
    if (code == TOOL_OK) {
        input->top_k = (size_t)ids->shape[1];
        code = check_shape(source, weights, input->n_tokens, input->top_k);
    }
    if (code == TOOL_OK) {
        code = read_ids(input, source, ids);
    }
    if (code == TOOL_OK) {
        input->weights = copy(weights);
        code = input->weights != NULL ? TOOL_OK : TOOL_ERROR;
    }
    return code;
}

static int
read_logits(struct run_input *input, const struct source *source,
        const struct w4_tensor *tensor, const struct run_request *request)
{
    if (!is_float(tensor->dtype)) {
        return bad_type(source, tensor, "F32, F16, BF16 or F64");
    }
    int code = check_shape(source, tensor, input->n_tokens, request->n_experts);
    if (code != TOOL_OK) {
        return code;
    }
    input->top_k = request->top_k;
    input->logits_dtype = tensor->dtype;
    if (tensor->dtype != W4MOE_F64) {
        input->logits = copy(tensor);
        return input->logits != NULL ? TOOL_OK : TOOL_ERROR;
    }
    size_t n = count(tensor);
    float *logits = tool_alloc(n, sizeof(logits[0]), tensor->name);
    if (logits == NULL) {
        return TOOL_ERROR;
    }
    for (size_t i = 0; i < n; i++) {
        logits[i] = (float)load(tensor, i);
    }
    input->logits = logits;
    input->logits_dtype = W4MOE_F32;
    return TOOL_OK;
}

static int
read_all(struct run_input *input, struct source *source,
        const struct run_request *request)
{
    int code = read_x(input, source, request);
    if (code != TOOL_OK) {
        return code;
    }
    const struct w4_tensor *ids = find(source, "topk_ids");
    const struct w4_tensor *weights = find(source, "topk_weights");
    const struct w4_tensor *logits = find(source, "router_logits");
    if (ids != NULL && weights != NULL) {
        return read_routing(input, source, ids, weights);
    }
    if (ids != NULL || weights != NULL) {
        return tool_error("%s: %s has no %s beside it", source->path,
                ids != NULL ? ids->name : weights->name,
                ids != NULL ? "topk_weights" : "topk_ids");
    }
    if (logits == NULL && request->has_router_weight) {
        input->top_k = request->top_k;
        return TOOL_OK;
    }
    if (logits == NULL) {
        return tool_error("%s: neither %stopk_ids and %stopk_weights nor "
                          "%srouter_logits",
                source->path, source->prefix, source->prefix, source->prefix);
    }
    return read_logits(input, source, logits, request);
}

int
run_input_read(struct run_input *input, const struct run_request *request)
{
    struct source source = {.set = NULL};
    memset(input, 0, sizeof(*input));
    int code = source_open(&source, request->path, request->prefix);
    if (code != TOOL_OK) {
        return code;
    }
    code = read_all(input, &source, request);
    source_close(&source);
    return code;
}

void
run_input_free(struct run_input *input)
{
    free(input->x);
    free(input->ids);
    free(input->weights);
    free(input->logits);
}

int
run_expected_read(double **out_p, const char *path, const char *prefix,
        size_t n_rows, size_t n_columns)
{
    struct source source = {.set = NULL};
    int code = source_open(&source, path, prefix);
    if (code != TOOL_OK) {
        return code;
    }
    double *out = NULL;
    const struct w4_tensor *tensor = need(&source, "out");
    if (tensor == NULL) {
        code = TOOL_ERROR;
    } else if (!is_float(tensor->dtype)) {
        code = bad_type(&source, tensor, "F64, F32, F16 or BF16");
    } else {
        code = check_shape(&source, tensor, n_rows, n_columns);
    }
    if (code == TOOL_OK) {
        out = tool_alloc(count(tensor), sizeof(out[0]), tensor->name);
        code = out != NULL ? TOOL_OK : TOOL_ERROR;
    }
    if (code == TOOL_OK) {
        for (size_t i = 0; i < count(tensor); i++) {
            out[i] = load(tensor, i);
        }
        *out_p = out;
    }
    source_close(&source);
    return code;
}
