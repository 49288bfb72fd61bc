/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* quantization_config of compressed-tensors: groups of modules, each with its
 * format and weights. Which module is in which group, the tensors tell. */
#include <inttypes.h>
#include <string.h>

#include "format/config_reader.h"

/* What the weights of a group are. */
struct ct_group {
    const char *format;
    /** NULL: not quantised. */
    json_t *weights;
    int64_t bits;
    const char *type;
    const char *strategy;
    /** INT32_MIN: not given. */
    int64_t group_size;
    int has_activations;
    int is_int4;
    int is_mxfp4;
};

static w4moe_status
read_group(const struct w4_config_reader *reader, struct ct_group *group,
        const json_t *object, const char *format)
{
    static w4_config_names format_names = {"format", NULL};
    static w4_config_names weights_names = {"weights", NULL};
    static w4_config_names bits_names = {"num_bits", NULL};
    static w4_config_names type_names = {"type", NULL};
    static w4_config_names strategy_names = {"strategy", NULL};
    static w4_config_names size_names = {"group_size", NULL};
    /* Defaults of the scheme. */
    *group = (struct ct_group){.bits = 8, .group_size = INT32_MIN};
    w4moe_status status =
            w4_config_string(reader, &group->format, object, format_names);
    if (status == W4MOE_OK) {
        status = w4_config_object(
                reader, &group->weights, object, weights_names);
    }
    if (status == W4MOE_OK) {
        status = w4_config_integer(
                reader, &group->bits, group->weights, bits_names, 1);
    }
    if (status == W4MOE_OK) {
        status = w4_config_string(
                reader, &group->type, group->weights, type_names);
    }
    if (status == W4MOE_OK) {
        status = w4_config_string(
                reader, &group->strategy, group->weights, strategy_names);
    }
    if (status == W4MOE_OK) {
        status = w4_config_integer(reader, &group->group_size, group->weights,
                size_names, INT32_MIN);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    const json_t *inputs = json_object_get(object, "input_activations");
    group->has_activations = inputs != NULL && !json_is_null(inputs);
    group->format = group->format[0] != '\0' ? group->format : format;
    group->type = group->type[0] != '\0' ? group->type : "int";
    group->is_int4 = strcmp(group->format, "pack-quantized") == 0 &&
                     group->bits == 4 && strcmp(group->type, "int") == 0;
    group->is_mxfp4 = strcmp(group->format, "mxfp4-pack-quantized") == 0 &&
                      group->bits == 4 && strcmp(group->type, "float") == 0;
    return W4MOE_OK;
}

/* The group length of a group's weights, -1 for channel-wise scales. */
static w4moe_status
find_group_size(const struct w4_config_reader *reader,
        const struct ct_group *group, int64_t *size)
{
    const char *strategy = group->strategy;
    int given = group->group_size != INT32_MIN;
    if (strategy[0] == '\0' && given) {
        strategy = group->group_size == -1 ? "channel" : "group";
    }
    if (strcmp(strategy, "channel") == 0) {
        *size = -1;
    } else if (strcmp(strategy, "group") == 0 && given) {
        *size = group->group_size;
    } else if (strcmp(strategy, "group") == 0) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: compressed-tensors strategy \"group\" without "
                "\"group_size\"",
                reader->path);
    } else {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors strategy \"%.32s\" (known: "
                "\"channel\", \"group\")",
                reader->path, strategy);
    }
    return W4MOE_OK;
}

/* Activation order: true, or a word. */
static w4moe_status
read_actorder(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *weights)
{
    static w4_config_names names = {"actorder", NULL};
    const char *order;
    const json_t *value = json_object_get(weights, "actorder");
    if (json_is_boolean(value)) {
        config->desc_act |= json_is_true(value);
        return W4MOE_OK;
    }
    w4moe_status status = w4_config_string(reader, &order, weights, names);
    if (status == W4MOE_OK &&
            (strcmp(order, "group") == 0 || strcmp(order, "dynamic") == 0)) {
        config->desc_act = 1;
    }
    return status;
}

/* A group of 4-bit weights. */
static w4moe_status
take_group(const struct w4_config_reader *reader,
        struct w4_model_config *config, const struct ct_group *group)
{
    int64_t size = 0;
    int symmetric = 1;
    if (group->has_activations) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors \"%.32s\" with quantised activations",
                reader->path, group->format);
    }
    w4moe_status status = find_group_size(reader, group, &size);
    if (status == W4MOE_OK) {
        status =
                w4_config_bool(reader, &symmetric, group->weights, "symmetric");
    }
    if (status == W4MOE_OK) {
        status = read_actorder(reader, config, group->weights);
    }
    if (status == W4MOE_OK && group->is_mxfp4 && (size != 32 || !symmetric)) {
        status = w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors \"%.32s\" with group size %" PRId64
                "%s (32, symmetric)",
                reader->path, group->format, size,
                symmetric ? "" : ", asymmetric");
    }
    config->symmetric |= symmetric;
    config->mxfp4 |= group->is_mxfp4;
    return status == W4MOE_OK ? w4_config_add_group(reader, config, size)
                              : status;
}

/* Groups of other weights may stand beside those of 4 bits, but not alone. */
static w4moe_status
read_groups(const struct w4_config_reader *reader,
        struct w4_model_config *config, json_t *groups, const char *format)
{
    struct ct_group other = {.format = ""};
    const char *name;
    json_t *object;
    json_object_foreach(groups, name, object)
    {
        struct ct_group group;
        if (!json_is_object(object)) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: field \"config_groups\": \"%.64s\" is no object",
                    reader->path, name);
        }
        w4moe_status status = read_group(reader, &group, object, format);
        if (status == W4MOE_OK && (group.is_int4 || group.is_mxfp4)) {
            status = take_group(reader, config, &group);
        } else if (status == W4MOE_OK && group.weights != NULL &&
                   strcmp(group.format, "dense") != 0 &&
                   other.weights == NULL) {
            other = group;
        }
        if (status != W4MOE_OK) {
            return status;
        }
    }
    if (config->n_group_sizes != 0) {
        return W4MOE_OK;
    }
    if (other.weights == NULL) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: config_groups without quantised weights", reader->path);
    }
    return w4_fail(reader->err, W4MOE_UNSUPPORTED,
            "%s: compressed-tensors format \"%.32s\" of %" PRId64
            " bits, type \"%.16s\" (known: \"pack-quantized\" of 4, \"int\"; "
            "\"mxfp4-pack-quantized\" of 4, \"float\")",
            reader->path, other.format, other.bits, other.type);
}

/* Sparsity on top, and rotations of activations that the kernels would have to
 * do. */
static w4moe_status
refuse_extras(const struct w4_config_reader *reader, const json_t *quant)
{
    static w4_config_names sparsity_names = {"sparsity_config", NULL};
    static w4_config_names transform_names = {"transform_config", NULL};
    static w4_config_names group_names = {"config_groups", NULL};
    static w4_config_names format_names = {"format", NULL};
    json_t *sparsity;
    json_t *transform;
    json_t *transforms = NULL;
    const char *format = "";
    w4moe_status status =
            w4_config_object(reader, &sparsity, quant, sparsity_names);
    if (status == W4MOE_OK) {
        status = w4_config_string(reader, &format, sparsity, format_names);
    }
    if (status == W4MOE_OK && format[0] != '\0' &&
            strcmp(format, "dense") != 0) {
        status = w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors sparsity \"%.32s\" is not converted",
                reader->path, format);
    }
    if (status == W4MOE_OK) {
        status = w4_config_object(reader, &transform, quant, transform_names);
    }
    if (status == W4MOE_OK) {
        status = w4_config_object(reader, &transforms, transform, group_names);
    }
    if (status == W4MOE_OK && json_object_size(transforms) != 0) {
        status = w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: compressed-tensors with a transform_config is not "
                "converted",
                reader->path);
    }
    return status;
}

w4moe_status
w4_config_compressed_tensors(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    static w4_config_names format_names = {"format", NULL};
    static w4_config_names group_names = {"config_groups", NULL};
    const char *format;
    json_t *groups;
    config->quant = W4_QUANT_COMPRESSED_TENSORS;
    w4moe_status status = refuse_extras(reader, quant);
    if (status == W4MOE_OK) {
        status = w4_config_string(reader, &format, quant, format_names);
    }
    if (status == W4MOE_OK) {
        status = w4_config_object(reader, &groups, quant, group_names);
    }
    if (status == W4MOE_OK && json_object_size(groups) == 0) {
        status = w4_fail(reader->err, W4MOE_FORMAT,
                "%s: quantization_config has no config_groups", reader->path);
    }
    return status == W4MOE_OK ? read_groups(reader, config, groups, format)
                              : status;
}
