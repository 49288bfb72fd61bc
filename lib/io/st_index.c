/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_scan.h"
#include "io/map.h"
#include "io/text.h"

static const char *
file_of(const char *name)
{
    return name + strlen(name) + 1;
}

static w4moe_status
fail_json(struct w4_err *err, const struct w4_st_index *index,
        const struct w4_json *json)
{
    return w4_fail(err, W4MOE_FORMAT, "%s: byte %zu: %s",
            w4_show_path(index->path).text, json->where, json->why);
}

static w4moe_status
fail_memory(struct w4_err *err, const struct w4_st_index *index)
{
    return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %zu names",
            w4_show_path(index->path).text, index->n_names);
}

/* Checks the grammar of the whole text. Out: what weight_map holds, if it is
 * what it should be. */
static w4moe_status
count_names(struct w4_err *err, struct w4_st_index *index,
        const struct w4_map *map, size_t *n_strings)
{
    struct w4_json json;
    int in_weight_map = 0;
    size_t size = 0;
    w4_json_init(&json, (const char *)map->data, (size_t)map->size);
    enum w4_json_type type = w4_json_next(&json);
    if (type != W4_JSON_ERROR && type != W4_JSON_OBJECT) {
        return w4_fail(err, W4MOE_FORMAT, "%s: is not a JSON object",
                w4_show_path(index->path).text);
    }
    while (type != W4_JSON_END && type != W4_JSON_ERROR) {
        if (type == W4_JSON_KEY && json.depth == 1) {
            in_weight_map = w4_json_is(&json, "weight_map");
        } else if (in_weight_map &&
                   (type == W4_JSON_KEY || type == W4_JSON_STRING)) {
            index->n_names += type == W4_JSON_KEY;
            size += json.length + 1;
        }
        type = w4_json_next(&json);
    }
    if (type == W4_JSON_ERROR) {
        return fail_json(err, index, &json);
    }
    *n_strings = size;
    return W4MOE_OK;
}

/* A name in this folder, and not another path. */
static int
is_plain(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Reads the value of weight_map. There is room for all of it. */
static w4moe_status
read_weight_map(
        struct w4_err *err, struct w4_st_index *index, struct w4_json *json)
{
    char *room = index->strings;
    size_t n = 0;
    if (w4_json_next(json) != W4_JSON_OBJECT) {
        return w4_fail(err, W4MOE_FORMAT, "%s: weight_map is not an object",
                w4_show_path(index->path).text);
    }
    while (w4_json_next(json) == W4_JSON_KEY) {
        const char *name = room;
        w4_json_copy(json, room);
        room += json->length + 1;
        if (w4_json_next(json) != W4_JSON_STRING) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: the file of tensor \"%s\" is not a string",
                    w4_show_path(index->path).text, w4_show_string(name).text);
        }
        const char *file = room;
        w4_json_copy(json, room);
        room += json->length + 1;
        if (!is_plain(file)) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: the file of tensor \"%s\" is '%s', not a name of "
                    "this folder",
                    w4_show_path(index->path).text, w4_show_string(name).text,
                    w4_show_string(file).text);
        }
        index->names[n++] = name;
    }
    index->n_names = n;
    return W4MOE_OK;
}

/* Finds weight_map among the keys. */
static w4moe_status
read_keys(
        struct w4_err *err, struct w4_st_index *index, const struct w4_map *map)
{
    struct w4_json json;
    int has_weight_map = 0;
    w4_json_init(&json, (const char *)map->data, (size_t)map->size);
    w4_json_next(&json);
    while (w4_json_next(&json) == W4_JSON_KEY) {
        if (!w4_json_is(&json, "weight_map")) {
            w4_json_skip(&json);
            continue;
        }
        if (has_weight_map) {
            return w4_fail(err, W4MOE_FORMAT, "%s: weight_map twice",
                    w4_show_path(index->path).text);
        }
        has_weight_map = 1;
        w4moe_status status = read_weight_map(err, index, &json);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    if (!has_weight_map || index->n_names == 0) {
        return w4_fail(err, W4MOE_FORMAT, "%s: weight_map %s",
                w4_show_path(index->path).text,
                has_weight_map ? "is empty" : "is missing");
    }
    return W4MOE_OK;
}

static w4moe_status
sort_names(struct w4_err *err, struct w4_st_index *index)
{
    w4_sort_strings(index->names, index->n_names);
    for (size_t i = 1; i < index->n_names; i++) {
        if (strcmp(index->names[i - 1], index->names[i]) == 0) {
            return w4_fail(err, W4MOE_FORMAT, "%s: tensor \"%s\" twice",
                    w4_show_path(index->path).text,
                    w4_show_string(index->names[i]).text);
        }
    }
    index->files = calloc(index->n_names, sizeof(*index->files));
    if (index->files == NULL) {
        return fail_memory(err, index);
    }
    for (size_t i = 0; i < index->n_names; i++) {
        index->files[i] = file_of(index->names[i]);
    }
    w4_sort_strings(index->files, index->n_names);
    size_t n = 1;
    for (size_t i = 1; i < index->n_names; i++) {
        if (strcmp(index->files[n - 1], index->files[i]) != 0) {
            index->files[n++] = index->files[i];
        }
    }
    index->n_files = n;
    return W4MOE_OK;
}

static w4moe_status
read_text(
        struct w4_err *err, struct w4_st_index *index, const struct w4_map *map)
{
    size_t n_strings = 0;
    if (map->size > W4_ST_HEADER_MAX) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: %" PRIu64 " bytes, at most %d are read",
                w4_show_path(index->path).text, map->size, W4_ST_HEADER_MAX);
    }
    w4moe_status status = count_names(err, index, map, &n_strings);
    if (status != W4MOE_OK) {
        return status;
    }
    index->strings = malloc(n_strings + 1);
    index->names = calloc(index->n_names + 1, sizeof(*index->names));
    if (index->strings == NULL || index->names == NULL) {
        return fail_memory(err, index);
    }
    status = read_keys(err, index, map);
    if (status != W4MOE_OK) {
        return status;
    }
    return sort_names(err, index);
}

w4moe_status
w4_st_index_read(
        struct w4_err *err, struct w4_st_index *index, const char *path)
{
    struct w4_map map = {0};
    index->path = strdup(path);
    if (index->path == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its path",
                w4_show_path(path).text);
    }
    w4moe_status status = w4_map_open(err, &map, path);
    if (status == W4MOE_OK) {
        status = read_text(err, index, &map);
        w4_map_close(&map);
    }
    return status;
}

void
w4_st_index_free(struct w4_st_index *index)
{
    free(index->files);
    free(index->names);
    free(index->strings);
    free(index->path);
    memset(index, 0, sizeof(*index));
}

w4moe_status
w4_st_index_check(struct w4_err *err, const struct w4_st_index *index,
        const struct w4_tensor *const *by_name, size_t n)
{
    const char *path = index->path;
    for (size_t i = 0; i < n || i < index->n_names; i++) {
        /* Both are sorted and without repetition: the first difference is a
         * name that only one of them has. */
        const struct w4_tensor *tensor = i < n ? by_name[i] : NULL;
        const char *name = i < index->n_names ? index->names[i] : NULL;
        int order = tensor == NULL ? 1
                    : name == NULL ? -1
                                   : strcmp(tensor->name, name);
        if (order > 0) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%s\" is not in '%s' nor in another file",
                    w4_show_path(path).text, w4_show_string(name).text,
                    w4_show_string(file_of(name)).text);
        }
        const char *file = index->files[tensor->file];
        if (order < 0) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%s\" of '%s' is missing here",
                    w4_show_path(path).text, w4_show_string(tensor->name).text,
                    w4_show_string(file).text);
        }
        if (strcmp(file, file_of(name)) != 0) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%s\" is in '%s', not in '%s'",
                    w4_show_path(path).text, w4_show_string(name).text,
                    w4_show_string(file).text,
                    w4_show_string(file_of(name)).text);
        }
    }
    return W4MOE_OK;
}
