/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "mini_tensors.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

struct mini_tensor *
mini_add(struct mini *mini, const char *name, const char *dtype, size_t n_dims,
        const uint64_t *shape, const void *data, size_t n_bytes)
{
    size_t size = (mini->n_tensors + 1) * sizeof(*mini->tensors);
    mini->tensors = realloc(mini->tensors, size);
    ck_assert_ptr_nonnull(mini->tensors);
    struct mini_tensor *tensor = &mini->tensors[mini->n_tensors++];
    memset(tensor, 0, sizeof(*tensor));
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    snprintf(tensor->dtype, sizeof(tensor->dtype), "%s", dtype);
    ck_assert_uint_le(n_dims, MINI_RANK);
    tensor->n_dims = n_dims;
    if (n_dims != 0) {
        memcpy(tensor->shape, shape, n_dims * sizeof(*shape));
    }
    tensor->n_bytes = n_bytes;
    tensor->data = malloc(n_bytes + 1);
    ck_assert_ptr_nonnull(tensor->data);
    if (n_bytes != 0) {
        memcpy(tensor->data, data, n_bytes);
    }
    return tensor;
}

struct mini_tensor *
mini_find(const struct mini *mini, const char *name)
{
    for (size_t i = 0; i < mini->n_tensors; i++) {
        if (strcmp(mini->tensors[i].name, name) == 0) {
            return &mini->tensors[i];
        }
    }
    return NULL;
}

void
mini_remove(struct mini *mini, const char *name)
{
    struct mini_tensor *tensor = mini_find(mini, name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    free(tensor->data);
    mini->n_tensors--;
    size_t n_behind = mini->n_tensors - (size_t)(tensor - mini->tensors);
    memmove(tensor, tensor + 1, n_behind * sizeof(*tensor));
}

void
mini_set(struct mini *mini, const char *key, const char *value)
{
    if (mini->metadata == NULL) {
        mini->metadata = json_object();
    }
    if (value == NULL) {
        json_object_del(mini->metadata, key);
    } else {
        json_object_set_new(mini->metadata, key, json_string(value));
    }
}

static json_t *
entry_of(const struct mini_tensor *tensor, size_t begin)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < tensor->n_dims; i++) {
        json_array_append_new(
                shape, json_integer((json_int_t)tensor->shape[i]));
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape",
            shape, "data_offsets", (json_int_t)begin,
            (json_int_t)(begin + tensor->n_bytes));
}

void
mini_write(const struct mini *mini, const char *path, size_t align)
{
    json_t *header = json_object();
    if (mini->metadata != NULL) {
        json_object_set(header, "__metadata__", mini->metadata);
    }
    size_t n_data = 0;
    for (size_t i = 0; i < mini->n_tensors; i++) {
        const struct mini_tensor *tensor = &mini->tensors[i];
        json_object_set_new(header, tensor->name, entry_of(tensor, n_data));
        n_data += tensor->n_bytes;
    }
    char *text = json_dumps(header, JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    size_t n_text = strlen(text);
    size_t n_header = (8 + n_text + align - 1) / align * align - 8;
    unsigned char *bytes = malloc(8 + n_header + n_data);
    ck_assert_ptr_nonnull(bytes);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)n_header >> 8 * i);
    }
    memcpy(bytes + 8, text, n_text);
    memset(bytes + 8 + n_text, ' ', n_header - n_text);
    unsigned char *next = bytes + 8 + n_header;
    for (size_t i = 0; i < mini->n_tensors; i++) {
        memcpy(next, mini->tensors[i].data, mini->tensors[i].n_bytes);
        next += mini->tensors[i].n_bytes;
    }
    test_file_write(path, bytes, 8 + n_header + n_data);
    free(bytes);
    free(text);
    json_decref(header);
}

/* Reads one entry of the header. */
static void
read_entry(struct mini *mini, const char *name, const json_t *entry,
        const unsigned char *data)
{
    uint64_t shape[MINI_RANK] = {0};
    const json_t *dims = json_object_get(entry, "shape");
    const json_t *range = json_object_get(entry, "data_offsets");
    size_t n_dims = json_array_size(dims);
    ck_assert_uint_le(n_dims, MINI_RANK);
    for (size_t i = 0; i < n_dims; i++) {
        shape[i] = (uint64_t)json_integer_value(json_array_get(dims, i));
    }
    size_t begin = (size_t)json_integer_value(json_array_get(range, 0));
    size_t end = (size_t)json_integer_value(json_array_get(range, 1));
    mini_add(mini, name, json_string_value(json_object_get(entry, "dtype")),
            n_dims, shape, data + begin, end - begin);
}

/* The position of the entry whose data begin at a place, among those that are
 * not read yet; entries may stand in any order. */
static const char *
name_at(json_t *header, size_t begin, const struct mini *mini)
{
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        const json_t *range = json_object_get(entry, "data_offsets");
        if (range != NULL && mini_find(mini, name) == NULL &&
                (size_t)json_integer_value(json_array_get(range, 0)) == begin) {
            return name;
        }
    }
    return NULL;
}

void
mini_read(struct mini *mini, const char *path)
{
    size_t n_file;
    unsigned char *bytes = test_file_read(path, &n_file);
    uint64_t n_header = 0;
    for (int i = 0; i < 8; i++) {
        n_header |= (uint64_t)bytes[i] << 8 * i;
    }
    json_t *header =
            json_loadb((const char *)bytes + 8, (size_t)n_header, 0, NULL);
    ck_assert_msg(header != NULL, "%s: no header", path);
    memset(mini, 0, sizeof(*mini));
    mini->metadata = json_incref(json_object_get(header, "__metadata__"));
    const unsigned char *data = bytes + 8 + n_header;
    size_t begin = 0;
    for (const char *name = name_at(header, begin, mini); name != NULL;
            name = name_at(header, begin, mini)) {
        read_entry(mini, name, json_object_get(header, name), data);
        begin += mini->tensors[mini->n_tensors - 1].n_bytes;
    }
    ck_assert_uint_eq(8 + n_header + begin, n_file);
    json_decref(header);
    free(bytes);
}

void
mini_free(struct mini *mini)
{
    for (size_t i = 0; i < mini->n_tensors; i++) {
        free(mini->tensors[i].data);
    }
    free(mini->tensors);
    json_decref(mini->metadata);
    memset(mini, 0, sizeof(*mini));
}
