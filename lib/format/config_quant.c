/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Which quantisation a checkpoint has: the method by its name, here or in a
 * file beside config.json, and what FP8 and MXFP4 say. compressed-tensors is in
 * config_ct.c; GPTQ, AWQ and AutoRound are in config_words.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/config_reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

w4moe_status
w4_config_add_group(const struct w4_config_reader *reader,
        struct w4_model_config *config, int64_t size)
{
    if (size != -1 && (size <= 0 || size % 8 != 0)) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: group size %" PRId64 " (known: -1, or a multiple of 8)",
                reader->path, size);
    }
    size_t own = size == -1 ? 0 : (size_t)size;
    for (size_t i = 0; i < config->n_group_sizes; i++) {
        if (config->group_sizes[i] == own) {
            return W4MOE_OK;
        }
    }
    if (config->n_group_sizes == W4_GROUP_SIZES_MAX) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: more than %d group sizes", reader->path,
                W4_GROUP_SIZES_MAX);
    }
    config->group_sizes[config->n_group_sizes++] = own;
    return W4MOE_OK;
}

w4moe_status
w4_config_refuse(const struct w4_config_reader *reader, const char *scheme,
        const char *what, const char *value, const char *known)
{
    return w4_fail(reader->err, W4MOE_UNSUPPORTED,
            "%s: %s with %s \"%.64s\" (known: %s)", reader->path, scheme, what,
            value, known);
}

/* ------------------------------------------------------------------ methods */

static w4moe_status
read_mxfp4(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    (void)quant;
    config->quant = W4_QUANT_MXFP4;
    config->mxfp4 = 1;
    config->symmetric = 1;
    return w4_config_add_group(reader, config, 32);
}

/* Rows and columns of the blocks. */
static w4moe_status
read_fp8_block(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant)
{
    const json_t *block = json_object_get(quant, "weight_block_size");
    if (block == NULL || json_is_null(block)) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: fp8 without weight_block_size", reader->path);
    }
    for (size_t i = 0; i < 2; i++) {
        json_int_t n = json_integer_value(json_array_get(block, i));
        if (json_array_size(block) != 2 || n <= 0 || n > INT32_MAX) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: field \"weight_block_size\" is no list of two "
                    "positive integers",
                    reader->path);
        }
        config->fp8_block[i] = (size_t)n;
    }
    return W4MOE_OK;
}

/* DeepSeek-V4 has a field of its own for the experts, which overrides the rest
 * of the model's FP8. */
static w4moe_status
read_fp8(const struct w4_config_reader *reader, struct w4_model_config *config,
        const json_t *quant)
{
    static w4_config_names fmt_names = {"fmt", NULL};
    static w4_config_names expert_names = {"expert_dtype", NULL};
    const char *fmt;
    const char *experts;
    w4moe_status status = w4_config_string(reader, &fmt, quant, fmt_names);
    if (status == W4MOE_OK) {
        status =
                w4_config_string(reader, &experts, reader->model, expert_names);
    }
    if (status == W4MOE_OK && experts[0] == '\0') {
        status = w4_config_string(reader, &experts, quant, expert_names);
    }
    if (status == W4MOE_OK && fmt[0] != '\0' && strcmp(fmt, "e4m3") != 0) {
        status = w4_config_refuse(
                reader, config->scheme, "fmt", fmt, "\"e4m3\"");
    }
    if (status == W4MOE_OK) {
        status = read_fp8_block(reader, config, quant);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (strcmp(experts, "fp4") == 0) {
        snprintf(config->scheme, sizeof(config->scheme), "mxfp4");
        return read_mxfp4(reader, config, quant);
    }
    if (experts[0] != '\0' && strcmp(experts, "fp8") != 0) {
        return w4_config_refuse(reader, config->scheme, "expert_dtype", experts,
                "\"fp4\", \"fp8\"");
    }
    config->symmetric = 1;
    return W4MOE_OK;
}

/* --------------------------------------------------------------- the method */

static w4moe_status
read_method(const struct w4_config_reader *reader,
        struct w4_model_config *config, const json_t *quant, const char *method)
{
    static const struct {
        const char *method;
        w4moe_status (*read)(const struct w4_config_reader *reader,
                struct w4_model_config *config, const json_t *quant);
    } methods[] = {
            {"compressed-tensors", w4_config_compressed_tensors},
            {"gptq", w4_config_gptq},
            {"awq", w4_config_awq},
            {"auto-round", w4_config_auto_round},
            {"mxfp4", read_mxfp4},
            {"fp8", read_fp8},
    };
    static w4_config_names detail_names = {
            "quant_algo", "checkpoint_format", "format", NULL};
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (strcmp(method, methods[i].method) == 0) {
            snprintf(config->scheme, sizeof(config->scheme), "%s", method);
            return methods[i].read(reader, config, quant);
        }
    }
    const char *name;
    const char *detail =
            json_string_value(w4_config_find(quant, detail_names, &name));
    return w4_fail(reader->err, W4MOE_UNSUPPORTED,
            "%s: quant_method \"%.32s\"%s%.32s is not converted (known: "
            "compressed-tensors, gptq, awq, auto-round, mxfp4, fp8)",
            reader->path, method, detail != NULL ? " " : "",
            detail != NULL ? detail : "");
}

/* Beside config.json: files of quantisers, and the method of those that do not
 * name it. */
static const struct {
    const char *name;
    const char *method;
} files[] = {
        {"quantize_config.json", "gptq"},
        {"quantization_config.json", "auto-round"},
        {"quant_config.json", "awq"},
        {"hf_quant_config.json", "modelopt"},
};

/* A file beside config.json. Returns: its path, to be freed; or NULL. */
static char *
path_beside(const char *config, const char *name)
{
    const char *slash = strrchr(config, '/');
    size_t n_folder = slash != NULL ? (size_t)(slash - config) + 1 : 0;
    size_t n_name = strlen(name) + 1;
    char *path = malloc(n_folder + n_name);
    if (path != NULL) {
        memcpy(path, config, n_folder);
        memcpy(path + n_folder, name, n_name);
    }
    return path;
}

/* Reads one of them; path is its path. */
static w4moe_status
read_beside(const struct w4_config_reader *reader,
        struct w4_model_config *config, const char *path, const char *method)
{
    static w4_config_names method_names = {"quant_method", NULL};
    static w4_config_names inner_names = {"quantization", NULL};
    struct w4_config_reader own = *reader;
    own.path = path;
    json_t *root;
    w4moe_status status = w4_config_load(reader->err, &root, path);
    if (status != W4MOE_OK) {
        return status;
    }
    const char *said;
    json_t *inner = NULL;
    status = w4_config_string(&own, &said, root, method_names);
    if (status == W4MOE_OK) {
        /* ModelOpt has its fields in there. */
        status = w4_config_object(&own, &inner, root, inner_names);
    }
    if (status == W4MOE_OK) {
        /* AutoAWQ has written files of GPTQ's name. */
        int is_awq = strcmp(method, "gptq") == 0 &&
                     json_object_get(root, "zero_point") != NULL;
        status = read_method(&own, config, inner != NULL ? inner : root,
                said[0] != '\0' ? said
                : is_awq        ? "awq"
                                : method);
    }
    json_decref(root);
    return status;
}

static w4moe_status
read_files(
        const struct w4_config_reader *reader, struct w4_model_config *config)
{
    for (size_t i = 0; i < COUNT(files); i++) {
        struct stat info;
        char *path = path_beside(reader->path, files[i].name);
        if (path == NULL) {
            return w4_fail(reader->err, W4MOE_NOMEM, "%s: no memory for a path",
                    reader->path);
        }
        int present = stat(path, &info) == 0 || errno != ENOENT;
        w4moe_status status =
                present ? read_beside(reader, config, path, files[i].method)
                        : W4MOE_OK;
        free(path);
        if (present) {
            return status;
        }
    }
    snprintf(config->scheme, sizeof(config->scheme), "none");
    config->symmetric = 1;
    return W4MOE_OK;
}

w4moe_status
w4_config_quant(
        const struct w4_config_reader *reader, struct w4_model_config *config)
{
    static w4_config_names names = {
            "quantization_config", "compression_config", NULL};
    static w4_config_names method_names = {"quant_method", NULL};
    json_t *quant;
    const char *method = "";
    w4moe_status status = w4_config_object(reader, &quant, reader->root, names);
    if (status == W4MOE_OK && quant == NULL) {
        status = w4_config_object(reader, &quant, reader->model, names);
    }
    if (status == W4MOE_OK && quant != NULL) {
        status = w4_config_string(reader, &method, quant, method_names);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    if (quant != NULL) {
        return read_method(reader, config, quant, method);
    }
    if (reader->is_gpt_oss_original) {
        snprintf(config->scheme, sizeof(config->scheme), "mxfp4");
        return read_mxfp4(reader, config, NULL);
    }
    return read_files(reader, config);
}
