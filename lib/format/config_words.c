/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* quantization_config of the schemes that pack integers into words along one
 * axis or the other: GPTQ, AWQ, and AutoRound, which writes both. They have the
 * same fields, for all modules and, as overrides, for some. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "format/config_reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ modules */

/* What a quantiser says of all modules, or of some. */
struct module_rule {
    int64_t bits;
    int64_t group_size;
    int symmetric;
    int desc_act;
    const char *data_type;
    int64_t act_bits;
};

/* Reads a rule over what holds without it. */
static w4moe_status
read_rule(const struct w4_config_reader *reader, struct module_rule *rule,
        const json_t *object)
{
    static w4_config_names bits = {"bits", "w_bit", NULL};
    static w4_config_names group = {"group_size", "q_group_size", NULL};
    static w4_config_names type = {"data_type", NULL};
    static w4_config_names act_bits = {"act_bits", NULL};
    const char *data_type;
    w4moe_status status =
            w4_config_integer(reader, &rule->bits, object, bits, 1);
    if (status == W4MOE_OK) {
        status = w4_config_integer(
                reader, &rule->group_size, object, group, INT32_MIN);
    }
    if (status == W4MOE_OK) {
        status = w4_config_bool(reader, &rule->symmetric, object, "sym");
    }
    if (status == W4MOE_OK) {
        status = w4_config_bool(reader, &rule->desc_act, object, "desc_act");
    }
    if (status == W4MOE_OK) {
        status = w4_config_string(reader, &data_type, object, type);
    }
    if (status == W4MOE_OK) {
        status =
                w4_config_integer(reader, &rule->act_bits, object, act_bits, 1);
    }
    if (status == W4MOE_OK && data_type[0] != '\0') {
        rule->data_type = data_type;
    }
    return status;
}

/* Takes over a rule for modules of 4 bits; others do not count. */
static w4moe_status
take_rule(const struct w4_config_reader *reader, struct w4_model_config *config,
        const struct module_rule *rule)
{
    if (rule->bits != 4) {
        return W4MOE_OK;
    }
    if (strcmp(rule->data_type, "int") != 0) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: %s weights with data_type \"%.32s\" (known: \"int\")",
                reader->path, config->scheme, rule->data_type);
    }
    if (rule->act_bits < 16) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: %s with activations of %" PRId64 " bits (16)",
                reader->path, config->scheme, rule->act_bits);
    }
    config->symmetric |= rule->symmetric;
    config->desc_act |= rule->desc_act;
    return w4_config_add_group(reader, config, rule->group_size);
}

/* Rules for some modules, by their names or patterns: those that begin with
 * "-:" leave modules out (GPTQ's dynamic; false where there are none). */
static w4moe_status
take_overrides(const struct w4_config_reader *reader,
        struct w4_model_config *config, const struct module_rule *base,
        const json_t *quant, const char *name)
{
    json_t *overrides = NULL;
    const char *pattern;
    json_t *object;
    w4moe_status status = W4MOE_OK;
    if (!json_is_false(json_object_get(quant, name))) {
        const char *const names[] = {name, NULL};
        status = w4_config_object(reader, &overrides, quant, names);
    }
    json_object_foreach(overrides, pattern, object)
    {
        struct module_rule rule = *base;
        if (status != W4MOE_OK || strncmp(pattern, "-:", 2) == 0) {
            continue;
        }
        if (!json_is_object(object)) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: field \"%s\": \"%.100s\" is no object", reader->path,
                    name, pattern);
        }
        status = read_rule(reader, &rule, object);
        if (status == W4MOE_OK) {
            status = take_rule(reader, config, &rule);
        }
    }
    return status;
}

/* What holds for all modules, then for some. */
static w4moe_status
read_rules(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant, int symmetric)
{
    struct module_rule base = {
            .group_size = -1,
            .symmetric = symmetric,
            .data_type = "int",
            .act_bits = 16,
    };
    w4moe_status status = read_rule(reader, &base, quant);
    /* A group size that is null is one, but none is none. */
    int has_size = json_object_get(quant, "group_size") != NULL ||
                   json_object_get(quant, "q_group_size") != NULL;
    if (status == W4MOE_OK && (base.bits == 0 || !has_size)) {
        return w4_fail(reader->err, W4MOE_FORMAT, "%s: %s without \"%s\"",
                reader->path, config->scheme,
                base.bits == 0 ? "bits" : "group_size");
    }
    if (status == W4MOE_OK) {
        status = take_rule(reader, config, &base);
    }
    if (status == W4MOE_OK) {
        status = take_overrides(reader, config, &base, quant, "dynamic");
    }
    if (status == W4MOE_OK) {
        status = take_overrides(reader, config, &base, quant, "extra_config");
    }
    if (status == W4MOE_OK && config->n_group_sizes == 0) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: %s weights of %" PRId64 " bits (4)", reader->path,
                config->scheme, base.bits);
    }
    return status;
}

/* ------------------------------------------------------------------ methods */

static w4moe_status
check_pack_dtype(const struct w4_config_reader *reader,
        const struct w4_model_config *config, const json_t *quant)
{
    static w4_config_names names = {"pack_dtype", NULL};
    const char *type;
    w4moe_status status = w4_config_string(reader, &type, quant, names);
    if (status == W4MOE_OK && type[0] != '\0' && strcmp(type, "int32") != 0) {
        status = w4_config_refuse(
                reader, config->scheme, "pack_dtype", type, "\"int32\"");
    }
    return status;
}

w4moe_status
w4_config_gptq(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    static w4_config_names names = {"checkpoint_format", "format", NULL};
    const char *format;
    int marlin = 0;
    w4moe_status status = w4_config_string(reader, &format, quant, names);
    if (status == W4MOE_OK) {
        status = w4_config_bool(reader, &marlin, quant, "is_marlin_format");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    format = marlin ? "marlin" : format;
    if (format[0] != '\0' && strcmp(format, "gptq") != 0 &&
            strcmp(format, "gptq_v2") != 0) {
        return w4_config_refuse(reader, config->scheme, "checkpoint_format",
                format, "\"gptq\", \"gptq_v2\"");
    }
    config->quant = W4_QUANT_GPTQ;
    config->gptq_v2 = strcmp(format, "gptq_v2") == 0;
    status = check_pack_dtype(reader, config, quant);
    return status == W4MOE_OK ? read_rules(reader, config, quant, 1) : status;
}

w4moe_status
w4_config_awq(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    static w4_config_names names = {
            "version", "checkpoint_format", "format", NULL};
    const char *version;
    int zero_point = 1;
    w4moe_status status = w4_config_string(reader, &version, quant, names);
    if (status == W4MOE_OK && version[0] != '\0' &&
            strcasecmp(version, "gemm") != 0) {
        status = w4_config_refuse(
                reader, config->scheme, "version", version, "\"gemm\"");
    }
    if (status == W4MOE_OK) {
        status = w4_config_bool(reader, &zero_point, quant, "zero_point");
    }
    if (status == W4MOE_OK) {
        status = check_pack_dtype(reader, config, quant);
    }
    config->quant = W4_QUANT_AWQ;
    return status == W4MOE_OK ? read_rules(reader, config, quant, !zero_point)
                              : status;
}

w4moe_status
w4_config_auto_round(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    static const struct {
        const char *format;
        enum w4_quant quant;
    } formats[] = {
            {"", W4_QUANT_GPTQ},
            {"auto_round:auto_gptq", W4_QUANT_GPTQ},
            {"auto_round:gptq", W4_QUANT_GPTQ},
            {"auto_round:auto_awq", W4_QUANT_AWQ},
    };
    static w4_config_names names = {"packing_format", NULL};
    const char *format;
    w4moe_status status = w4_config_string(reader, &format, quant, names);
    for (size_t i = 0; status == W4MOE_OK && i < COUNT(formats); i++) {
        if (strcmp(format, formats[i].format) == 0) {
            config->quant = formats[i].quant;
            return read_rules(reader, config, quant, 1);
        }
    }
    return status != W4MOE_OK ? status
                              : w4_config_refuse(reader, config->scheme,
                                        "packing_format", format,
                                        "\"auto_round:auto_gptq\", "
                                        "\"auto_round:auto_awq\"");
}
