/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json: the file, its fields, and a model's sizes. */
#include "format/model_config.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "format/config_reader.h"

/* ------------------------------------------------------------------- fields */

json_t *
w4_config_find(
        const json_t *object, const char *const *names, const char **name)
{
    for (; *names != NULL; names++) {
        json_t *value = json_object_get(object, *names);
        if (value != NULL && !json_is_null(value)) {
            *name = *names;
            return value;
        }
    }
    return NULL;
}

static w4moe_status
refuse_type(const struct w4_config_reader *reader, const char *name,
        const char *expected)
{
    return w4_fail(reader->err, W4MOE_FORMAT, "%s: field \"%s\" is no %s",
            reader->path, name, expected);
}

w4moe_status
w4_config_string(const struct w4_config_reader *reader, const char **out,
        const json_t *object, const char *const *names)
{
    const char *name = NULL;
    const json_t *value = w4_config_find(object, names, &name);
    if (value != NULL && !json_is_string(value)) {
        return refuse_type(reader, name, "string");
    }
    *out = value != NULL ? json_string_value(value) : "";
    return W4MOE_OK;
}

w4moe_status
w4_config_bool(const struct w4_config_reader *reader, int *out,
        const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value)) {
        return W4MOE_OK;
    }
    if (!json_is_boolean(value)) {
        return refuse_type(reader, name, "boolean");
    }
    *out = json_is_true(value);
    return W4MOE_OK;
}

w4moe_status
w4_config_integer(const struct w4_config_reader *reader, int64_t *out,
        const json_t *object, const char *const *names, int64_t min)
{
    const char *name = NULL;
    const json_t *value = w4_config_find(object, names, &name);
    if (value == NULL) {
        return W4MOE_OK;
    }
    if (!json_is_integer(value)) {
        return refuse_type(reader, name, "integer");
    }
    json_int_t n = json_integer_value(value);
    if (n < min || n > INT32_MAX) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: field \"%s\" is %" JSON_INTEGER_FORMAT
                ", outside [%" PRId64 ", 2^31 - 1]",
                reader->path, name, n, min);
    }
    *out = n;
    return W4MOE_OK;
}

w4moe_status
w4_config_float(const struct w4_config_reader *reader, float *out,
        const json_t *value, const char *name)
{
    if (value == NULL || json_is_null(value)) {
        return W4MOE_OK;
    }
    if (!json_is_number(value)) {
        return refuse_type(reader, name, "number");
    }
    double number = json_number_value(value);
    if (!(number >= 0.0 && number <= (double)FLT_MAX)) {
        return w4_fail(reader->err, W4MOE_FORMAT, "%s: field \"%s\" is %g",
                reader->path, name, number);
    }
    *out = (float)number;
    return W4MOE_OK;
}

w4moe_status
w4_config_number(const struct w4_config_reader *reader, float *out,
        const json_t *object, const char *const *names)
{
    const char *name = NULL;
    const json_t *value = w4_config_find(object, names, &name);
    return w4_config_float(reader, out, value, name);
}

w4moe_status
w4_config_object(const struct w4_config_reader *reader, json_t **out,
        const json_t *object, const char *const *names)
{
    const char *name = NULL;
    json_t *value = w4_config_find(object, names, &name);
    if (value != NULL && !json_is_object(value)) {
        return refuse_type(reader, name, "object");
    }
    *out = value;
    return W4MOE_OK;
}

/* -------------------------------------------------------------------- sizes */

/* A positive integer under one of several names; or a list, an element for
 * each layer, if all are equal. */
static w4moe_status
read_size(const struct w4_config_reader *reader, size_t *out,
        const char *const *names)
{
    const char *name = NULL;
    const json_t *value = w4_config_find(reader->model, names, &name);
    if (value == NULL) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: no field \"%s\": not a mixture-of-experts model?",
                reader->path, names[0]);
    }
    int is_list = json_is_array(value) && json_array_size(value) > 0;
    size_t n = is_list ? json_array_size(value) : 1;
    json_int_t first = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = is_list ? json_array_get(value, i) : value;
        json_int_t size = json_integer_value(item);
        if (size <= 0 || size > INT32_MAX) {
            return refuse_type(reader, name, "positive integer");
        }
        first = i == 0 ? size : first;
        if (size != first) {
            return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                    "%s: field \"%s\" has %" JSON_INTEGER_FORMAT
                    " and %" JSON_INTEGER_FORMAT
                    ": layers that differ are not converted",
                    reader->path, name, first, size);
        }
    }
    *out = (size_t)first;
    return W4MOE_OK;
}

/* Experts that work in a space of their own, narrower than the model's. */
static w4moe_status
read_latent_size(const struct w4_config_reader *reader, size_t *size)
{
    static w4_config_names names = {"routed_expert_hidden_size", NULL};
    int64_t own = (int64_t)*size;
    w4moe_status status =
            w4_config_integer(reader, &own, reader->model, names, 1);
    *size = (size_t)own;
    return status;
}

static w4moe_status
read_sizes(
        const struct w4_config_reader *reader, struct w4_model_config *config)
{
    static w4_config_names experts = {"num_experts", "num_local_experts",
            "n_routed_experts", "moe_num_experts", NULL};
    static w4_config_names top_k = {"num_experts_per_tok",
            "num_experts_per_token", "experts_per_token", "top_k_experts",
            "moe_topk", "moe_top_k", "moe_k", NULL};
    static w4_config_names hidden = {"hidden_size", NULL};
    static w4_config_names intermediate = {
            "moe_intermediate_size", "intermediate_size", NULL};
    w4moe_status status = read_size(reader, &config->n_experts, experts);
    if (status == W4MOE_OK) {
        status = read_size(reader, &config->top_k, top_k);
    }
    if (status == W4MOE_OK) {
        status = read_size(reader, &config->hidden_size, hidden);
    }
    if (status == W4MOE_OK) {
        status = read_latent_size(reader, &config->hidden_size);
    }
    if (status == W4MOE_OK) {
        status = read_size(reader, &config->intermediate_size, intermediate);
    }
    if (status == W4MOE_OK && config->top_k > config->n_experts) {
        status = w4_fail(reader->err, W4MOE_FORMAT,
                "%s: %zu experts per token of %zu experts", reader->path,
                config->top_k, config->n_experts);
    }
    return status;
}

/* --------------------------------------------------------------------- type */

/* Multimodal models keep the language model's fields apart. */
static const json_t *
language_model(const json_t *root)
{
    static w4_config_names names = {
            "text_config", "llm_config", "language_config", NULL};
    const json_t *places[] = {root, json_object_get(root, "thinker_config")};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *name;
        const json_t *model = w4_config_find(places[i], names, &name);
        if (json_is_object(model)) {
            return model;
        }
    }
    return root;
}

static int
is_gpt_oss_original(const json_t *root)
{
    return json_object_get(root, "model_type") == NULL &&
           json_is_integer(json_object_get(root, "experts_per_token")) &&
           json_is_number(json_object_get(root, "swiglu_limit"));
}

static w4moe_status
read_type(const struct w4_config_reader *reader, struct w4_model_config *config)
{
    static w4_config_names names = {"model_type", NULL};
    const char *type;
    w4moe_status status = w4_config_string(reader, &type, reader->model, names);
    if (status == W4MOE_OK && type[0] == '\0') {
        status = w4_config_string(reader, &type, reader->root, names);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (reader->is_gpt_oss_original) {
        type = "gpt_oss";
    }
    if (strlen(type) >= sizeof(config->model_type)) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: model_type of %zu bytes (below %zu)", reader->path,
                strlen(type), sizeof(config->model_type));
    }
    memcpy(config->model_type, type, strlen(type) + 1);
    return W4MOE_OK;
}

/* --------------------------------------------------------------------- file */

w4moe_status
w4_model_config_read(
        struct w4_err *err, struct w4_model_config *config, const char *path)
{
    json_t *root;
    w4moe_status status = w4_config_load(err, &root, path);
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_config_reader reader = {
            .err = err,
            .path = path,
            .root = root,
            .model = language_model(root),
            .is_gpt_oss_original = is_gpt_oss_original(root),
    };
    struct w4_model_config result;
    memset(&result, 0, sizeof(result));
    status = read_type(&reader, &result);
    /* The quantisation first: what is not supported is said at once. */
    if (status == W4MOE_OK) {
        status = w4_config_quant(&reader, &result);
    }
    if (status == W4MOE_OK) {
        status = read_sizes(&reader, &result);
    }
    if (status == W4MOE_OK) {
        status = w4_config_family(&reader, &result);
    }
    json_decref(root);
    if (status == W4MOE_OK) {
        *config = result;
    }
    return status;
}
