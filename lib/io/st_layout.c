/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/json_put.h"
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

/* Checks an entry and copies it. */
static w4moe_status
take_entry(struct w4_err *err, struct w4_st_layout *layout, const char *path,
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
    place->n_bytes = n_bytes;
    return W4MOE_OK;
}

/* Padding between the last entry and the next one in its file, if need be. */
static void
pad_last(struct w4_st_layout *layout, struct w4_st_shard *shard)
{
    uint64_t used = shard->data_size % W4_ST_ALIGN;
    if (used != 0) {
        uint64_t n_pad = W4_ST_ALIGN - used;
        layout->places[layout->n_places - 1].n_pad = n_pad;
        shard->data_size += n_pad;
        layout->data_size += n_pad;
        layout->n_pads++;
    }
}

/* Puts the next entry behind the others, or into a new file if it would not
 * fit. */
static void
place_entry(struct w4_st_layout *layout, uint64_t max_shard_bytes)
{
    struct w4_st_place *place = &layout->places[layout->n_places];
    struct w4_st_shard *shard = &layout->shards[layout->n_shards - 1];
    uint64_t rest = -shard->data_size % W4_ST_ALIGN;
    uint64_t begin = shard->data_size + rest;
    if (shard->n_places > 0 && max_shard_bytes != 0 &&
            (begin > max_shard_bytes ||
                    place->n_bytes > max_shard_bytes - begin)) {
        shard = &layout->shards[layout->n_shards++];
        shard->first = layout->n_places;
        shard->first_pad = layout->n_pads;
    } else if (shard->n_places > 0) {
        pad_last(layout, shard);
    }
    place->shard = layout->n_shards - 1;
    place->begin = shard->data_size;
    shard->data_size += place->n_bytes;
    shard->n_places++;
    layout->data_size += place->n_bytes;
    layout->n_places++;
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
        const char *path, const struct w4_st_entry *entries, size_t n,
        uint64_t max_shard_bytes)
{
    size_t n_names = 1;
    for (size_t i = 0; i < n; i++) {
        n_names += strlen(entries[i].name) + 1;
    }
    layout->names = malloc(n_names);
    layout->places = calloc(n + 1, sizeof(*layout->places));
    layout->shards = calloc(n + 1, sizeof(*layout->shards));
    if (layout->names == NULL || layout->places == NULL ||
            layout->shards == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %zu entries",
                w4_show_path(path).text, n);
    }
    char *name = layout->names;
    layout->n_shards = 1;
    for (size_t i = 0; i < n; i++) {
        w4moe_status status = take_entry(err, layout, path, &entries[i], name);
        if (status != W4MOE_OK) {
            return status;
        }
        place_entry(layout, max_shard_bytes);
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
    free(layout->shards);
    free(layout->places);
    memset(layout, 0, sizeof(*layout));
}

/* ----------------------------------------------------------------- header */

void
w4_st_put_pad_name(struct w4_json_sink *sink, uint64_t n)
{
    w4_json_put(sink, pad_prefix);
    w4_json_put_number(sink, n);
}

static void
put_range(struct w4_json_sink *sink, uint64_t begin, uint64_t n_bytes)
{
    w4_json_put(sink, "],\"data_offsets\":[");
    w4_json_put_number(sink, begin);
    w4_json_put(sink, ",");
    w4_json_put_number(sink, begin + n_bytes);
    w4_json_put(sink, "]}");
}

static void
put_place(struct w4_json_sink *sink, const struct w4_st_place *place,
        uint64_t *n_pads)
{
    const struct w4_st_entry *entry = &place->entry;
    w4_json_put_string(sink, entry->name);
    w4_json_put(sink, ":{\"dtype\":\"");
    w4_json_put(sink, w4moe_dtype_name(entry->dtype));
    w4_json_put(sink, "\",\"shape\":[");
    for (uint32_t i = 0; i < entry->n_dims; i++) {
        w4_json_put(sink, i == 0 ? "" : ",");
        w4_json_put_number(sink, entry->shape[i]);
    }
    put_range(sink, place->begin, place->n_bytes);
    if (place->n_pad != 0) {
        w4_json_put(sink, ",\"");
        w4_st_put_pad_name(sink, (*n_pads)++);
        w4_json_put(sink, "\":{\"dtype\":\"U8\",\"shape\":[");
        w4_json_put_number(sink, place->n_pad);
        put_range(sink, place->begin + place->n_bytes, place->n_pad);
    }
}

/* Length, JSON, spaces. */
static void
put_header(struct w4_json_sink *sink, const struct w4_st_layout *layout,
        const struct w4_st_shard *shard)
{
    uint64_t n_pads = shard->first_pad;
    const char *comma = "";
    w4_json_put_bytes(sink, "\0\0\0\0\0\0\0", 8);
    w4_json_put(sink, "{");
    if (layout->n_values > 0) {
        w4_json_put(sink, "\"__metadata__\":{");
        for (size_t i = 0; i < layout->n_values; i++) {
            w4_json_put(sink, i == 0 ? "" : ",");
            w4_json_put_string(sink, layout->values[i].key);
            w4_json_put(sink, ":");
            w4_json_put_string(sink, layout->values[i].value);
        }
        w4_json_put(sink, "}");
        comma = ",";
    }
    for (size_t i = 0; i < shard->n_places; i++) {
        w4_json_put(sink, comma);
        put_place(sink, &layout->places[shard->first + i], &n_pads);
        comma = ",";
    }
    w4_json_put(sink, "}");
    while (sink->size % W4_ST_ALIGN != 0) {
        w4_json_put(sink, " ");
    }
}

w4moe_status
w4_st_layout_header_size(struct w4_err *err, const struct w4_st_layout *layout,
        const char *path, size_t shard, uint64_t *size_p)
{
    struct w4_json_sink sink = {0};
    put_header(&sink, layout, &layout->shards[shard]);
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
w4_st_layout_header(const struct w4_st_layout *layout, size_t shard, char *out,
        uint64_t size)
{
    struct w4_json_sink sink = {.out = out};
    put_header(&sink, layout, &layout->shards[shard]);
    w4_store_le64(out, size - 8);
}

/* ----------------------------------------------------------- __metadata__ */

static uint64_t
json_size(const char *text)
{
    struct w4_json_sink sink = {0};
    w4_json_put_string(&sink, text);
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
