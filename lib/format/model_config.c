/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/model_config.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A config being read: the object with the language model's fields, and the
 * path for texts. */
struct reader {
    struct w4_err *err;
    const char *path;
    json_t *model;
};

/* The first of several names that is present and not null. */
static json_t *
find(const struct reader *reader, const char *const *names, const char **name)
{
    for (; *names != NULL; names++) {
        json_t *value = json_object_get(reader->model, *names);
        if (value != NULL && !json_is_null(value)) {
            *name = *names;
            return value;
        }
    }
    return NULL;
}

/* A positive integer under one of several names. */
static w4moe_status
read_size(const struct reader *reader, size_t *out, const char *const *names)
{
    const char *name = NULL;
    json_t *value = find(reader, names, &name);
    if (value == NULL) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: no field \"%s\": not a mixture-of-experts model?",
                reader->path, names[0]);
    }
    if (!json_is_integer(value) || json_integer_value(value) <= 0 ||
            json_integer_value(value) > INT32_MAX) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: field \"%s\" is no positive integer", reader->path, name);
    }
    *out = (size_t)json_integer_value(value);
    return W4MOE_OK;
}

static int
read_bool(const struct reader *reader, const char *name, int absent)
{
    json_t *value = json_object_get(reader->model, name);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

/* A number of fp32 that is not negative; 0 if absent. */
static w4moe_status
read_number(const struct reader *reader, float *out, const char *name)
{
    json_t *value = json_object_get(reader->model, name);
    double number = json_number_value(value);
    if (!(number >= 0.0 && number <= (double)FLT_MAX)) {
        return w4_fail(reader->err, W4MOE_FORMAT, "%s: field \"%s\" is %g",
                reader->path, name, number);
    }
    *out = (float)number;
    return W4MOE_OK;
}

/* A count, or 0 if absent or none. */
static uint32_t
read_count(const struct reader *reader, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(reader->model, name));
    return n > 0 && n <= INT32_MAX ? (uint32_t)n : 0;
}

/* A string, or "" if absent. */
static const char *
string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static w4moe_status
read_sizes(const struct reader *reader, struct w4_model_config *config)
{
    static const char *const experts[] = {"num_experts", "num_local_experts",
            "n_routed_experts", "moe_num_experts", NULL};
    static const char *const top_k[] = {"num_experts_per_tok",
            "num_experts_per_token", "experts_per_token", "moe_topk",
            "moe_top_k", "moe_k", NULL};
    static const char *const hidden[] = {"hidden_size", NULL};
    static const char *const intermediate[] = {
            "moe_intermediate_size", "intermediate_size", NULL};
    w4moe_status status = read_size(reader, &config->n_experts, experts);
    if (status == W4MOE_OK) {
        status = read_size(reader, &config->top_k, top_k);
    }
    if (status == W4MOE_OK) {
        status = read_size(reader, &config->hidden_size, hidden);
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

static w4moe_status
read_activation(const struct reader *reader, w4moe_activation *activation)
{
    static const struct {
        const char *name;
        w4moe_activation_kind kind;
    } kinds[] = {
            {"silu", W4MOE_ACT_SILU},
            {"swish", W4MOE_ACT_SILU},
            {"gelu", W4MOE_ACT_GELU},
            {"gelu_pytorch_tanh", W4MOE_ACT_GELU_TANH},
    };
    const char *name = string_of(reader->model, "hidden_act");
    memset(activation, 0, sizeof(*activation));
    activation->struct_size = sizeof(*activation);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            activation->kind = kinds[i].kind;
            return read_number(reader, &activation->limit, "swiglu_limit");
        }
    }
    return w4_fail(reader->err, W4MOE_UNSUPPORTED,
            "%s: hidden_act \"%.64s\" is not known", reader->path, name);
}

/* The router's kind by the model's family, never guessed: NONE if unknown. */
static w4moe_status
read_router(const struct reader *reader, const char *model_type,
        w4moe_router *router)
{
    const char *scoring = string_of(reader->model, "scoring_func");
    memset(router, 0, sizeof(*router));
    router->struct_size = sizeof(*router);
    if (strcmp(model_type, "mixtral") == 0) {
        router->kind = W4MOE_ROUTER_SOFTMAX_TOPK;
        router->renormalize = 1;
    } else if (strcmp(model_type, "qwen3_moe") == 0 ||
               strcmp(model_type, "qwen2_moe") == 0) {
        router->kind = W4MOE_ROUTER_SOFTMAX_TOPK;
        router->renormalize = read_bool(reader, "norm_topk_prob", 0);
    } else if (strcmp(scoring, "sigmoid") == 0) {
        router->kind = W4MOE_ROUTER_SIGMOID;
        router->renormalize = read_bool(reader, "norm_topk_prob", 1);
        router->n_group = read_count(reader, "n_group");
        router->topk_group = read_count(reader, "topk_group");
        return read_number(reader, &router->scale, "routed_scaling_factor");
    }
    return W4MOE_OK;
}

/* The one set of weight arguments that all config_groups share. */
static w4moe_status
read_group(const struct reader *reader, struct w4_model_config *config,
        const json_t *group)
{
    const json_t *weights = json_object_get(group, "weights");
    json_int_t bits = json_integer_value(json_object_get(weights, "num_bits"));
    const char *type = string_of(weights, "type");
    const char *strategy = string_of(weights, "strategy");
    json_int_t size =
            json_integer_value(json_object_get(weights, "group_size"));
    const json_t *inputs = json_object_get(group, "input_activations");
    if (bits != 4 || strcmp(type, "int") != 0) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors weights of %lld bits, type \"%.16s\" "
                "(4, \"int\")",
                reader->path, (long long)bits, type);
    }
    if (inputs != NULL && !json_is_null(inputs)) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors with quantised activations",
                reader->path);
    }
    if (strcmp(strategy, "channel") == 0 ||
            (strcmp(strategy, "group") == 0 && size == -1)) {
        config->group_sizes[0] = 0;
    } else if (strcmp(strategy, "group") == 0 && size > 0 && size % 8 == 0 &&
               size <= INT32_MAX) {
        config->group_sizes[0] = (size_t)size;
    } else {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors strategy \"%.16s\", group size %lld "
                "(\"channel\", or \"group\" of a multiple of 8)",
                reader->path, strategy, (long long)size);
    }
    config->n_group_sizes = 1;
    config->quant = W4_QUANT_COMPRESSED_TENSORS;
    config->symmetric = !json_is_false(json_object_get(weights, "symmetric"));
    return W4MOE_OK;
}

static w4moe_status
read_compressed_tensors(const struct reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    const char *format = string_of(quant, "format");
    if (strcmp(format, "pack-quantized") != 0) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors format \"%.32s\" (known: "
                "\"pack-quantized\")",
                reader->path, format);
    }
    json_t *groups = json_object_get(quant, "config_groups");
    if (json_object_size(groups) == 0) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: quantization_config has no config_groups", reader->path);
    }
    const json_t *first = NULL;
    const char *name;
    json_t *group;
    json_object_foreach(groups, name, group)
    {
        json_t *weights = json_object_get(group, "weights");
        if (first != NULL && !json_equal(first, weights)) {
            return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                    "%s: config_groups that differ (\"%.32s\")", reader->path,
                    name);
        }
        first = weights;
        w4moe_status status = read_group(reader, config, group);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    return W4MOE_OK;
}

static w4moe_status
read_quantization(const struct reader *reader, struct w4_model_config *config,
        const json_t *root)
{
    const json_t *quant = json_object_get(root, "quantization_config");
    if (quant == NULL) {
        quant = json_object_get(reader->model, "quantization_config");
    }
    if (quant == NULL) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: no quantization_config: weights of 16 bits are not "
                "converted",
                reader->path);
    }
    const char *method = string_of(quant, "quant_method");
    if (strcmp(method, "compressed-tensors") != 0) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: quant_method \"%.32s\" is not converted (known: "
                "\"compressed-tensors\")",
                reader->path, method);
    }
    snprintf(config->scheme, sizeof(config->scheme), "%s", method);
    return read_compressed_tensors(reader, config, quant);
}

static w4moe_status
read_model(struct reader *reader, struct w4_model_config *config,
        const json_t *root)
{
    /* Multimodal models keep the language model's fields apart, and the type
     * of the whole model outside. */
    json_t *text = json_object_get(root, "text_config");
    if (json_is_object(text)) {
        reader->model = text;
    }
    const char *type = string_of(reader->model, "model_type");
    if (strlen(type) >= sizeof(config->model_type)) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: model_type of %zu bytes (below %zu)", reader->path,
                strlen(type), sizeof(config->model_type));
    }
    memcpy(config->model_type, type, strlen(type) + 1);
    w4moe_status status = read_quantization(reader, config, root);
    if (status == W4MOE_OK) {
        status = read_sizes(reader, config);
    }
    if (status == W4MOE_OK) {
        status = read_activation(reader, &config->activation);
    }
    if (status == W4MOE_OK) {
        status = read_router(reader, type, &config->router);
    }
    return status;
}

/* Whether the file is there and not too long to be a config. */
static w4moe_status
check_file(struct w4_err *err, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return w4_fail(err, W4MOE_IO, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode) || info.st_size > W4_CONFIG_MAX) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: no regular file of at most %d bytes", path, W4_CONFIG_MAX);
    }
    return W4MOE_OK;
}

w4moe_status
w4_model_config_read(
        struct w4_err *err, struct w4_model_config *config, const char *path)
{
    w4moe_status status = check_file(err, path);
    if (status != W4MOE_OK) {
        return status;
    }
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return w4_fail(err, W4MOE_FORMAT, "%s: line %d: %s", path, error.line,
                root == NULL ? error.text : "no JSON object");
    }
    struct reader reader = {.err = err, .path = path, .model = root};
    struct w4_model_config result;
    memset(&result, 0, sizeof(result));
    status = read_model(&reader, &result, root);
    json_decref(root);
    if (status == W4MOE_OK) {
        *config = result;
    }
    return status;
}
