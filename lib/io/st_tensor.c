/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "io/text.h"

/* The types of safetensors. */
static const struct st_type {
    const char *name;
    w4moe_dtype dtype;
    unsigned bits;
    /* Bytes of one number, for a change of byte order. */
    unsigned number_size;
} st_types[] = {
        {"BOOL", W4MOE_BOOL, 8, 1},
        {"F4", W4MOE_DTYPE_NONE, 4, 1},
        {"F6_E2M3", W4MOE_DTYPE_NONE, 6, 1},
        {"F6_E3M2", W4MOE_DTYPE_NONE, 6, 1},
        {"U8", W4MOE_U8, 8, 1},
        {"I8", W4MOE_I8, 8, 1},
        {"F8_E5M2", W4MOE_F8_E5M2, 8, 1},
        {"F8_E4M3", W4MOE_F8_E4M3, 8, 1},
        {"F8_E8M0", W4MOE_F8_E8M0, 8, 1},
        {"F8_E4M3FNUZ", W4MOE_DTYPE_NONE, 8, 1},
        {"F8_E5M2FNUZ", W4MOE_DTYPE_NONE, 8, 1},
        {"I16", W4MOE_I16, 16, 2},
        {"U16", W4MOE_U16, 16, 2},
        {"F16", W4MOE_F16, 16, 2},
        {"BF16", W4MOE_BF16, 16, 2},
        {"I32", W4MOE_I32, 32, 4},
        {"U32", W4MOE_U32, 32, 4},
        {"F32", W4MOE_F32, 32, 4},
        {"C64", W4MOE_DTYPE_NONE, 64, 4},
        {"F64", W4MOE_F64, 64, 8},
        {"I64", W4MOE_I64, 64, 8},
        {"U64", W4MOE_U64, 64, 8},
};

enum { N_ST_TYPES = sizeof(st_types) / sizeof(st_types[0]) };

/* An entry while it is read. */
struct reader {
    struct w4_err *err;
    const struct w4_st_file *file;
    struct w4_json *json;
    struct w4_tensor *tensor;
    const struct st_type *type;
    int has_shape;
    int has_range;
    uint64_t range[2];
};

static w4moe_status fail(const struct reader *reader, w4moe_status status,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

static w4moe_status
fail(const struct reader *reader, w4moe_status status, const char *format, ...)
{
    char text[W4_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return w4_fail(reader->err, status, "%s: tensor \"%s\": %s",
            w4_show_path(reader->file->path).text,
            w4_show_string(reader->tensor->name).text, text);
}

/* The last token, for a message. */
static struct w4_shown
show_token(const struct reader *reader)
{
    return w4_show(reader->json->raw, reader->json->raw_size);
}

/* A type and shape, for a message: "BF16 [2, 3]". */
struct shape_text {
    char text[W4_ST_RANK_MAX * 24];
};

static struct shape_text
show_shape(const struct reader *reader)
{
    const struct w4_tensor *tensor = reader->tensor;
    struct shape_text shown;
    size_t size = sizeof(shown.text);
    size_t at = (size_t)snprintf(shown.text, size, "%s [", reader->type->name);
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        at += (size_t)snprintf(shown.text + at, size - at, "%s%" PRIu64,
                i == 0 ? "" : ", ", tensor->shape[i]);
    }
    snprintf(shown.text + at, size - at, "]");
    return shown;
}

/* ----------------------------------------------------------------- fields */

static w4moe_status
read_type(struct reader *reader)
{
    enum w4_json_type type = w4_json_next(reader->json);
    for (int i = 0; type == W4_JSON_STRING && i < N_ST_TYPES; i++) {
        if (w4_json_is(reader->json, st_types[i].name)) {
            reader->type = &st_types[i];
            return W4MOE_OK;
        }
    }
    return fail(reader, W4MOE_FORMAT, "unknown dtype '%s'",
            show_token(reader).text);
}

static w4moe_status
fail_integer(const struct reader *reader, const char *key)
{
    return fail(reader, W4MOE_FORMAT,
            "%s: '%s' is not an integer within 0 to 2^64 - 1", key,
            show_token(reader).text);
}

static w4moe_status
read_shape(struct reader *reader)
{
    struct w4_json *json = reader->json;
    struct w4_tensor *tensor = reader->tensor;
    if (w4_json_next(json) != W4_JSON_ARRAY) {
        return fail(reader, W4MOE_FORMAT, "shape is not an array");
    }
    reader->has_shape = 1;
    while (w4_json_next(json) != W4_JSON_ARRAY_END) {
        if (json->type != W4_JSON_INTEGER) {
            return fail_integer(reader, "shape");
        }
        if (tensor->n_dims == W4_ST_RANK_MAX) {
            return fail(reader, W4MOE_UNSUPPORTED,
                    "shape has more than %d dimensions", W4_ST_RANK_MAX);
        }
        tensor->shape[tensor->n_dims++] = json->integer;
    }
    return W4MOE_OK;
}

static w4moe_status
read_range(struct reader *reader)
{
    struct w4_json *json = reader->json;
    int n = 0;
    int is_array = w4_json_next(json) == W4_JSON_ARRAY;
    while (is_array && w4_json_next(json) != W4_JSON_ARRAY_END) {
        if (json->type != W4_JSON_INTEGER) {
            return fail_integer(reader, "data_offsets");
        }
        if (n == 2) {
            is_array = 0;
            break;
        }
        reader->range[n++] = json->integer;
    }
    if (!is_array || n != 2) {
        return fail(reader, W4MOE_FORMAT,
                "data_offsets are not an array of two integers");
    }
    reader->has_range = 1;
    return W4MOE_OK;
}

/* Reads the value of the key that is the last token. */
static w4moe_status
read_field(struct reader *reader)
{
    struct w4_json *json = reader->json;
    int is_type = w4_json_is(json, "dtype");
    int is_shape = w4_json_is(json, "shape");
    int is_range = w4_json_is(json, "data_offsets");
    if (!is_type && !is_shape && !is_range) {
        return fail(reader, W4MOE_FORMAT, "unknown key '%s'",
                show_token(reader).text);
    }
    if ((is_type && reader->type != NULL) || (is_shape && reader->has_shape) ||
            (is_range && reader->has_range)) {
        return fail(reader, W4MOE_FORMAT, "key '%s' twice",
                show_token(reader).text);
    }
    if (is_type) {
        return read_type(reader);
    }
    return is_shape ? read_shape(reader) : read_range(reader);
}

/* ------------------------------------------------------------- the entry */

/* Bytes of the elements. The product of the lengths other than 0 must fit even
 * if one is 0, so that no part of a shape overflows in any order. */
static w4moe_status
count_bytes(const struct reader *reader, uint64_t *n_bytes)
{
    const struct w4_tensor *tensor = reader->tensor;
    uint64_t n_bits = reader->type->bits;
    int is_empty = 0;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        uint64_t length = tensor->shape[i];
        is_empty |= length == 0;
        if (length != 0 && !w4_mul(&n_bits, n_bits, length)) {
            return fail(reader, W4MOE_FORMAT, "%s is beyond 2^64 bits",
                    show_shape(reader).text);
        }
    }
    if (is_empty) {
        n_bits = 0;
    }
    if (n_bits % 8 != 0) {
        return fail(reader, W4MOE_FORMAT, "%s does not end on a byte",
                show_shape(reader).text);
    }
    *n_bytes = n_bits / 8;
    return W4MOE_OK;
}

static w4moe_status
finish(struct reader *reader)
{
    struct w4_tensor *tensor = reader->tensor;
    const struct w4_st_file *file = reader->file;
    uint64_t begin = reader->range[0];
    uint64_t end = reader->range[1];
    uint64_t n_bytes = 0;
    w4moe_status status = count_bytes(reader, &n_bytes);
    if (status != W4MOE_OK) {
        return status;
    }
    if (begin > end || end > file->data_size) {
        return fail(reader, W4MOE_FORMAT,
                "data_offsets [%" PRIu64 ", %" PRIu64
                "] are not within the data, %" PRIu64 " bytes",
                begin, end, file->data_size);
    }
    if (end - begin != n_bytes) {
        return fail(reader, W4MOE_FORMAT,
                "data_offsets [%" PRIu64 ", %" PRIu64
                "] do not match %s, %" PRIu64 " bytes",
                begin, end, show_shape(reader).text, n_bytes);
    }
    tensor->dtype = reader->type->dtype;
    tensor->dtype_name = reader->type->name;
    tensor->data = file->data + begin;
    tensor->n_bytes = n_bytes;
    return W4MOE_OK;
}

w4moe_status
w4_st_tensor_read(struct w4_err *err, const struct w4_st_file *file,
        struct w4_json *json, struct w4_tensor *tensor)
{
    struct reader reader = {
            .err = err, .file = file, .json = json, .tensor = tensor};
    if (w4_json_next(json) != W4_JSON_OBJECT) {
        return fail(&reader, W4MOE_FORMAT, "is not an object");
    }
    while (w4_json_next(json) == W4_JSON_KEY) {
        w4moe_status status = read_field(&reader);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    if (reader.type == NULL || !reader.has_shape || !reader.has_range) {
        const char *key = reader.has_shape ? "data_offsets" : "shape";
        return fail(&reader, W4MOE_FORMAT, "%s is missing",
                reader.type == NULL ? "dtype" : key);
    }
    return finish(&reader);
}

size_t
w4_st_number_size(const struct w4_tensor *tensor)
{
    for (int i = 0; i < N_ST_TYPES; i++) {
        if (strcmp(st_types[i].name, tensor->dtype_name) == 0) {
            return st_types[i].number_size;
        }
    }
    return 1;
}
