/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Private to the readers of config.json: fields of JSON objects, and the parts
 * that w4_model_config_read() is made of.
 *
 * A field that is null counts as absent. All functions fail with FORMAT and
 * the field's name where it has another type or is out of range.
 */
#ifndef W4_FORMAT_CONFIG_READER_H
#define W4_FORMAT_CONFIG_READER_H

#include <jansson.h>

#include "format/model_config.h"

/** Where texts and fields come from. */
struct w4_config_reader {
    struct w4_err *err;
    /** The file, for texts. */
    const char *path;
    /** The whole config.json. */
    const json_t *root;
    /** The object with the language model's fields, root or inside it. */
    const json_t *model;
    /** The original release of GPT-OSS: names of its own, no model_type, and
     * MXFP4 without saying so. */
    int is_gpt_oss_original;
};

/** Alternative names of a field, ending with NULL. */
typedef const char *const w4_config_names[];

/** The first of several names that is present and not null.
 * Out: *name, if any. Returns: its value, or NULL. */
extern json_t *w4_config_find(
        const json_t *object, const char *const *names, const char **name);

/** A string; "" if absent. The text belongs to the object. */
extern w4moe_status w4_config_string(const struct w4_config_reader *reader,
        const char **out, const json_t *object, const char *const *names);

/** true or false; *out is left alone if absent. */
extern w4moe_status w4_config_bool(const struct w4_config_reader *reader,
        int *out, const json_t *object, const char *name);

/** An integer in [min, INT32_MAX]; *out is left alone if absent. */
extern w4moe_status w4_config_integer(const struct w4_config_reader *reader,
        int64_t *out, const json_t *object, const char *const *names,
        int64_t min);

/** A finite number of fp32 that is not negative; *out is left alone if
 * absent. */
extern w4moe_status w4_config_number(const struct w4_config_reader *reader,
        float *out, const json_t *object, const char *const *names);

/** The same of a value that was found already; name is for texts. */
extern w4moe_status w4_config_float(const struct w4_config_reader *reader,
        float *out, const json_t *value, const char *name);

/** An object; NULL if absent. */
extern w4moe_status w4_config_object(const struct w4_config_reader *reader,
        json_t **out, const json_t *object, const char *const *names);

/** Parses a file of JSON with an object.
 * Out: *root, to be released with json_decref(). Returns: also IO and
 * NOMEM. */
extern w4moe_status w4_config_load(
        struct w4_err *err, json_t **root, const char *path);

/** What the family says: activation, router, layout of fused tensors. In:
 * config with model_type and sizes. */
extern w4moe_status w4_config_family(
        const struct w4_config_reader *reader, struct w4_model_config *config);

/** The quantisation, from config.json or a file beside it. */
extern w4moe_status w4_config_quant(
        const struct w4_config_reader *reader, struct w4_model_config *config);

/** quantization_config of compressed-tensors. In: config with its scheme. Out:
 * quant and what follows it. */
extern w4moe_status w4_config_compressed_tensors(
        const struct w4_config_reader *reader, struct w4_model_config *config,
        const json_t *quant);

/** The same of GPTQ, AWQ and AutoRound. */
extern w4moe_status w4_config_gptq(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant);
extern w4moe_status w4_config_awq(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant);
extern w4moe_status w4_config_auto_round(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant);

/** Fails with UNSUPPORTED: a field of the scheme has a value that is not one
 * of those known. */
extern w4moe_status w4_config_refuse(const struct w4_config_reader *reader,
        const char *scheme, const char *what, const char *value,
        const char *known);

/** Adds a group length that 4-bit weights have: -1 for channel-wise scales,
 * or a positive multiple of 8. Returns: also UNSUPPORTED. */
extern w4moe_status w4_config_add_group(const struct w4_config_reader *reader,
        struct w4_model_config *config, int64_t size);

#endif
