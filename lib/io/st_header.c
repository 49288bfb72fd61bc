/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/st_tensor.h"
#include "io/text.h"

/* Bytes of the shortest entry:
 * "":{"dtype":"U8","shape":[],"data_offsets":[0,0]} */
enum { ENTRY_MIN = 49 };

/* What is known while the entries are read. */
struct reader {
    struct w4_err *err;
    struct w4_st_file *file;
    struct w4_json json;
    /* Free room in file->strings. */
    char *room;
    int has_metadata;
};

/* ------------------------------------------------------- the whole header */

static w4moe_status
find_header(struct w4_err *err, struct w4_st_file *file)
{
    const struct w4_map *map = &file->map;
    if (map->size < 8) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: %" PRIu64 " bytes are too few for a safetensors file",
                w4_show_path(file->path).text, map->size);
    }
    uint64_t size = w4_load_le64(map->data);
    if (size > W4_ST_HEADER_MAX) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: header of %" PRIu64 " bytes, at most %d are read",
                w4_show_path(file->path).text, size, W4_ST_HEADER_MAX);
    }
    if (size > map->size - 8) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: header of %" PRIu64 " bytes in a file of %" PRIu64,
                w4_show_path(file->path).text, size, map->size);
    }
    if (size == 0 || map->data[8] != '{') {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: the header does not begin with '{'",
                w4_show_path(file->path).text);
    }
    file->header = (const char *)map->data + 8;
    file->header_size = (size_t)size;
    file->data = map->data + 8 + size;
    file->data_size = map->size - 8 - size;
    return W4MOE_OK;
}

/* Checks the grammar and counts what has to be kept. */
static w4moe_status
count_entries(struct w4_err *err, struct w4_st_file *file)
{
    struct w4_json json;
    int in_metadata = 0;
    size_t end = 0;
    w4_json_init(&json, file->header, file->header_size);
    enum w4_json_type type = w4_json_next(&json);
    while (type != W4_JSON_END && type != W4_JSON_ERROR) {
        int is_string = type == W4_JSON_KEY || type == W4_JSON_STRING;
        if (type == W4_JSON_KEY && json.depth == 1) {
            in_metadata = w4_json_is(&json, "__metadata__");
            file->n_tensors += !in_metadata;
            file->n_strings += in_metadata ? 0 : json.length + 1;
        } else if (is_string && in_metadata) {
            file->n_keys += type == W4_JSON_KEY;
            file->n_strings += json.length + 1;
        }
        end = (size_t)(json.at - json.begin);
        type = w4_json_next(&json);
    }
    if (type == W4_JSON_ERROR) {
        return w4_fail(err, W4MOE_FORMAT, "%s: header, byte %zu: %s",
                w4_show_path(file->path).text, json.where, json.why);
    }
    if (file->n_tensors > 64 + file->header_size / ENTRY_MIN) {
        /* So that memory for the table is in proportion to the file. */
        return w4_fail(err, W4MOE_FORMAT,
                "%s: %zu entries in a header of %zu bytes: not all are of "
                "tensors",
                w4_show_path(file->path).text, file->n_tensors,
                file->header_size);
    }
    for (; end < file->header_size; end++) {
        if (file->header[end] != ' ') {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: header, byte %zu: only spaces may follow",
                    w4_show_path(file->path).text, end);
        }
    }
    return W4MOE_OK;
}

w4moe_status
w4_st_file_open(struct w4_err *err, struct w4_st_file *file, char *path)
{
    file->path = path;
    w4moe_status status = w4_map_open(err, &file->map, path);
    if (status != W4MOE_OK) {
        return status;
    }
    status = find_header(err, file);
    if (status != W4MOE_OK) {
        return status;
    }
    return count_entries(err, file);
}

void
w4_st_file_close(struct w4_st_file *file)
{
    free(file->keys);
    free(file->strings);
    w4_map_close(&file->map);
    free(file->path);
    memset(file, 0, sizeof(*file));
}

/* ---------------------------------------------------------------- entries */

/* Moves the last string into file->strings. count_entries() has made sure
 * that there is room. */
static const char *
keep_string(struct reader *reader)
{
    char *kept = reader->room;
    w4_json_copy(&reader->json, kept);
    reader->room += reader->json.length + 1;
    return kept;
}

/* Reads the value of __metadata__. */
static w4moe_status
read_metadata(struct reader *reader)
{
    struct w4_st_file *file = reader->file;
    struct w4_json *json = &reader->json;
    const char *path = file->path;
    if (reader->has_metadata) {
        return w4_fail(reader->err, W4MOE_FORMAT, "%s: __metadata__ twice",
                w4_show_path(path).text);
    }
    reader->has_metadata = 1;
    if (w4_json_next(json) != W4_JSON_OBJECT) {
        return w4_fail(reader->err, W4MOE_FORMAT,
                "%s: __metadata__ is not an object", w4_show_path(path).text);
    }
    while (w4_json_next(json) == W4_JSON_KEY) {
        const char *key = keep_string(reader);
        file->keys[file->n_keys++] = key;
        if (w4_json_next(json) != W4_JSON_STRING) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: __metadata__ \"%s\" is not a string",
                    w4_show_path(path).text, w4_show_string(key).text);
        }
        keep_string(reader);
    }
    w4_sort_strings(file->keys, file->n_keys);
    for (size_t i = 1; i < file->n_keys; i++) {
        if (strcmp(file->keys[i - 1], file->keys[i]) == 0) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: __metadata__ \"%s\" twice", w4_show_path(path).text,
                    w4_show_string(file->keys[i]).text);
        }
    }
    return W4MOE_OK;
}

/* By offset, empty tensors first; by name where neither tells. */
static int
compare_tensors(const void *a, const void *b)
{
    const struct w4_tensor *s = a;
    const struct w4_tensor *t = b;
    if (s->data != t->data) {
        return (const char *)s->data < (const char *)t->data ? -1 : 1;
    }
    if (s->n_bytes != t->n_bytes) {
        return s->n_bytes < t->n_bytes ? -1 : 1;
    }
    return strcmp(s->name, t->name);
}

static void
sort_tensors(struct w4_tensor *tensors, size_t n)
{
    size_t i = 1;
    while (i < n && compare_tensors(&tensors[i - 1], &tensors[i]) <= 0) {
        i++;
    }
    if (i < n) {
        qsort(tensors, n, sizeof(*tensors), compare_tensors);
    }
}

w4moe_status
w4_st_file_read(struct w4_err *err, struct w4_st_file *file,
        struct w4_tensor *tensors, uint32_t index)
{
    file->strings = malloc(file->n_strings + 1);
    file->keys = calloc(file->n_keys + 1, sizeof(*file->keys));
    if (file->strings == NULL || file->keys == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its names",
                w4_show_path(file->path).text);
    }
    file->n_keys = 0;
    struct reader reader = {.err = err, .file = file, .room = file->strings};
    struct w4_tensor *tensor = tensors;
    w4_json_init(&reader.json, file->header, file->header_size);
    w4_json_next(&reader.json);
    while (w4_json_next(&reader.json) == W4_JSON_KEY) {
        w4moe_status status;
        if (w4_json_is(&reader.json, "__metadata__")) {
            status = read_metadata(&reader);
        } else {
            memset(tensor, 0, sizeof(*tensor));
            tensor->name = keep_string(&reader);
            tensor->file = index;
            status = w4_st_tensor_read(err, file, &reader.json, tensor);
            tensor++;
        }
        if (status != W4MOE_OK) {
            return status;
        }
    }
    sort_tensors(tensors, file->n_tensors);
    return W4MOE_OK;
}

w4moe_status
w4_st_file_check_cover(struct w4_err *err, const struct w4_st_file *file,
        const struct w4_tensor *tensors)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct w4_tensor *tensor = &tensors[i];
        const unsigned char *data = tensor->data;
        uint64_t begin = (uint64_t)(data - file->data);
        if (begin != covered) {
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: tensor \"%s\": data begin at %" PRIu64
                    ", but those before end at %" PRIu64 " (%s)",
                    w4_show_path(file->path).text,
                    w4_show_string(tensor->name).text, begin, covered,
                    begin < covered ? "overlap" : "hole");
        }
        covered += tensor->n_bytes;
    }
    if (covered != file->data_size) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: the tensors end at %" PRIu64 " of %" PRIu64
                " bytes of data",
                w4_show_path(file->path).text, covered, file->data_size);
    }
    return W4MOE_OK;
}
