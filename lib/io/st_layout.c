/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/text.h"

/* What the names of padding begin with; a number follows. */
static const char pad_prefix[] = "pad.";

/* --------------------------------------------------------------- entries */

static int
is_utf8(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t size = w4_utf8_size((const unsigned char *)text, left);
        if (size == 0) {
            return 0;
        }
        text += size;
        left -= size;
    }
    return 1;
}

static int
is_pad_name(const char *name)
{
    size_t n = strlen(pad_prefix);
    if (strncmp(name, pad_prefix, n) != 0) {
        return 0;
    }
    return name[n] != '\0' &&
           strspn(name + n, "0123456789") == strlen(name + n);
}

static w4moe_status
check_name(struct w4_err *err, const char *path, const char *name)
{
    const char *why = NULL;
    if (strcmp(name, "__metadata__") == 0) {
        why = "is not a name of a tensor";
    } else if (is_pad_name(name)) {
        why = "is kept for padding";
    } else if (!is_utf8(name)) {
        why = "is not UTF-8";
    }
    if (why != NULL) {
        return w4_fail(err, W4MOE_INVALID, "%s: entry \"%s\": the name %s",
                w4_show_path(path).text, w4_show_string(name).text, why);
    }
    return W4MOE_OK;
}

/* Copies one entry to the end of the data. */
static w4moe_status
place_entry(struct w4_err *err, struct w4_st_layout *layout, const char *path,
        const struct w4_st_entry *entry, char *name)
{
    struct w4_st_place *place = &layout->places[layout->n_places];
    uint64_t n_bytes = w4moe_dtype_size(entry->dtype);
    uint64_t end = 0;
    w4moe_status status = check_name(err, path, entry->name);
    if (status != W4MOE_OK) {
        return status;
    }
    if (n_bytes == 0 || entry->n_dims > W4_ST_RANK_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: entry \"%s\": type %d with %" PRIu32 " dimensions",
                w4_show_path(path).text, w4_show_string(entry->name).text,
                (int)entry->dtype, entry->n_dims);
    }
    int fits = 1;
    int is_empty = 0;
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        is_empty |= entry->shape[i] == 0;
        /* The rest must fit even if the tensor is empty: so readers want. */
        fits &= entry->shape[i] == 0 ||
                w4_mul(&n_bytes, n_bytes, entry->shape[i]);
        place->entry.shape[i] = entry->shape[i];
    }
    fits &= n_bytes <= UINT64_MAX / 8;
    n_bytes = is_empty ? 0 : n_bytes;
    if (!fits || !w4_add(&end, layout->data_size, n_bytes) ||
            end > INT64_MAX - W4_ST_ALIGN) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: entry \"%s\" makes the file too large",
                w4_show_path(path).text, w4_show_string(entry->name).text);
    }
    strcpy(name, entry->name);
    place->entry.name = name;
    place->entry.dtype = entry->dtype;
    place->entry.n_dims = entry->n_dims;
    place->begin = layout->data_size;
    place->n_bytes = n_bytes;
    layout->data_size = end;
    layout->n_places++;
    return W4MOE_OK;
}

/* Padding between the last entry and the next one, if need be. */
static void
pad_last(struct w4_st_layout *layout)
{
    uint64_t used = layout->data_size % W4_ST_ALIGN;
    if (used != 0) {
        uint64_t n_pad = W4_ST_ALIGN - used;
        layout->places[layout->n_places - 1].n_pad = n_pad;
        layout->data_size += n_pad;
    }
}

static w4moe_status
check_repeated(
        struct w4_err *err, const struct w4_st_layout *layout, const char *path)
{
    size_t n = layout->n_places;
    w4moe_status status = W4MOE_OK;
    const char **names = calloc(n + 1, sizeof(*names));
    if (names == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %zu names",
                w4_show_path(path).text, n);
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = layout->places[i].entry.name;
    }
    w4_sort_strings(names, n);
    for (size_t i = 1; i < n && status == W4MOE_OK; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            status = w4_fail(err, W4MOE_INVALID, "%s: entry \"%s\" twice",
                    w4_show_path(path).text, w4_show_string(names[i]).text);
        }
    }
    free(names);
    return status;
}

w4moe_status
w4_st_layout_init(struct w4_err *err, struct w4_st_layout *layout,
        const char *path, const struct w4_st_entry *entries, size_t n)
{
    size_t n_names = 1;
    for (size_t i = 0; i < n; i++) {
        n_names += strlen(entries[i].name) + 1;
    }
    layout->names = malloc(n_names);
    layout->places = calloc(n != 0 ? n : 1, sizeof(*layout->places));
    if (layout->names == NULL || layout->places == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %zu entries",
                w4_show_path(path).text, n);
    }
    char *name = layout->names;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            pad_last(layout);
        }
        w4moe_status status = place_entry(err, layout, path, &entries[i], name);
        if (status != W4MOE_OK) {
            return status;
        }
        name += strlen(name) + 1;
    }
    return check_repeated(err, layout, path);
}

void
w4_st_layout_free(struct w4_st_layout *layout)
{
    for (size_t i = 0; i < layout->n_values; i++) {
        free(layout->values[i].value);
        free(layout->values[i].key);
    }
    free(layout->values);
    free(layout->names);
    free(layout->places);
    memset(layout, 0, sizeof(*layout));
}

/* ----------------------------------------------------------------- header */

/* Where the text of the header goes; without `out` it is only counted. */
struct sink {
    char *out;
    uint64_t size;
};

static void
put_bytes(struct sink *sink, const char *text, size_t size)
{
    if (sink->out != NULL) {
        memcpy(sink->out + sink->size, text, size);
    }
    sink->size += size;
}

static void
put(struct sink *sink, const char *text)
{
    put_bytes(sink, text, strlen(text));
}

static void
put_number(struct sink *sink, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    put(sink, text);
}

/* A string in quotes, with the escapes that JSON asks for. */
static void
put_string(struct sink *sink, const char *text)
{
    put(sink, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            char escape[8];
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            put(sink, escape);
        } else {
            if (c == '"' || c == '\\') {
                put(sink, "\\");
            }
            put_bytes(sink, text, 1);
        }
    }
    put(sink, "\"");
}

static void
put_range(struct sink *sink, uint64_t begin, uint64_t n_bytes)
{
    put(sink, "],\"data_offsets\":[");
    put_number(sink, begin);
    put(sink, ",");
    put_number(sink, begin + n_bytes);
    put(sink, "]}");
}

static void
put_place(struct sink *sink, const struct w4_st_place *place, uint64_t *n_pads)
{
    const struct w4_st_entry *entry = &place->entry;
    put_string(sink, entry->name);
    put(sink, ":{\"dtype\":\"");
    put(sink, w4moe_dtype_name(entry->dtype));
    put(sink, "\",\"shape\":[");
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        put(sink, i == 0 ? "" : ",");
        put_number(sink, entry->shape[i]);
    }
    put_range(sink, place->begin, place->n_bytes);
    if (place->n_pad != 0) {
        put(sink, ",\"");
        put(sink, pad_prefix);
        put_number(sink, (*n_pads)++);
        put(sink, "\":{\"dtype\":\"U8\",\"shape\":[");
        put_number(sink, place->n_pad);
        put_range(sink, place->begin + place->n_bytes, place->n_pad);
    }
}

/* Length, JSON, spaces. */
static void
put_header(struct sink *sink, const struct w4_st_layout *layout)
{
    uint64_t n_pads = 0;
    const char *comma = "";
    put_bytes(sink, "\0\0\0\0\0\0\0", 8);
    put(sink, "{");
    if (layout->n_values > 0) {
        put(sink, "\"__metadata__\":{");
        for (size_t i = 0; i < layout->n_values; i++) {
            put(sink, i == 0 ? "" : ",");
            put_string(sink, layout->values[i].key);
            put(sink, ":");
            put_string(sink, layout->values[i].value);
        }
        put(sink, "}");
        comma = ",";
    }
    for (size_t i = 0; i < layout->n_places; i++) {
        put(sink, comma);
        put_place(sink, &layout->places[i], &n_pads);
        comma = ",";
    }
    put(sink, "}");
    while (sink->size % W4_ST_ALIGN != 0) {
        put(sink, " ");
    }
}

w4moe_status
w4_st_layout_header_size(struct w4_err *err, const struct w4_st_layout *layout,
        const char *path, uint64_t *size_p)
{
    struct sink sink = {0};
    put_header(&sink, layout);
    if (sink.size - 8 > W4_ST_HEADER_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: a header of %" PRIu64 " bytes, at most %d can be read",
                w4_show_path(path).text, sink.size - 8, W4_ST_HEADER_MAX);
    }
    if (layout->data_size > INT64_MAX - sink.size) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: %" PRIu64 " bytes of data reach beyond 2^63 bytes",
                w4_show_path(path).text, layout->data_size);
    }
    *size_p = sink.size;
    return W4MOE_OK;
}

void
w4_st_layout_header(const struct w4_st_layout *layout, char *out, uint64_t size)
{
    struct sink sink = {.out = out};
    put_header(&sink, layout);
    w4_store_le64(out, size - 8);
}

/* ----------------------------------------------------------- __metadata__ */

static uint64_t
json_size(const char *text)
{
    struct sink sink = {0};
    put_string(&sink, text);
    return sink.size;
}

static w4moe_status
replace_value(struct w4_err *err, struct w4_st_value *pair, const char *path,
        const char *value, int is_fixed)
{
    if (is_fixed && (strlen(value) != strlen(pair->value) ||
                            json_size(value) != json_size(pair->value))) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: metadata \"%s\": %zu bytes cannot replace %zu",
                w4_show_path(path).text, w4_show_string(pair->key).text,
                strlen(value), strlen(pair->value));
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for metadata",
                w4_show_path(path).text);
    }
    free(pair->value);
    pair->value = copy;
    return W4MOE_OK;
}

static w4moe_status
add_value(struct w4_err *err, struct w4_st_layout *layout, const char *path,
        const char *key, const char *value)
{
    struct w4_st_value pair = {strdup(key), strdup(value)};
    struct w4_st_value *values =
            realloc(layout->values, (layout->n_values + 1) * sizeof(*values));
    if (values != NULL) {
        layout->values = values;
    }
    if (pair.key == NULL || pair.value == NULL || values == NULL) {
        free(pair.key);
        free(pair.value);
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for metadata",
                w4_show_path(path).text);
    }
    values[layout->n_values++] = pair;
    return W4MOE_OK;
}

w4moe_status
w4_st_layout_set(struct w4_err *err, struct w4_st_layout *layout,
        const char *path, const char *key, const char *value, int is_fixed)
{
    if (!is_utf8(key) || !is_utf8(value)) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: metadata \"%s\": key or value is not UTF-8",
                w4_show_path(path).text, w4_show_string(key).text);
    }
    for (size_t i = 0; i < layout->n_values; i++) {
        if (strcmp(layout->values[i].key, key) == 0) {
            return replace_value(
                    err, &layout->values[i], path, value, is_fixed);
        }
    }
    if (is_fixed) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: metadata \"%s\" is new, but the layout is fixed",
                w4_show_path(path).text, w4_show_string(key).text);
    }
    return add_value(err, layout, path, key, value);
}
