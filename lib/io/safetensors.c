/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/safetensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/st_header.h"
#include "io/st_index.h"
#include "io/st_tensor.h"
#include "io/text.h"

struct w4_st_set {
    struct w4_st_file *files;
    size_t n_files;
    /** Of all files, in order of file and offset. */
    struct w4_tensor *tensors;
    size_t n_tensors;
    const struct w4_tensor **by_name;
    uint64_t n_bytes;
};

static w4moe_status
fail_memory(struct w4_err *err, const char *path)
{
    return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its tables",
            w4_show_path(path).text);
}

/* ------------------------------------------------------------------ names */

static int
compare_names(const void *a, const void *b)
{
    const struct w4_tensor *const *s = a;
    const struct w4_tensor *const *t = b;
    return strcmp((*s)->name, (*t)->name);
}

/* Sorts the names and refuses any that stands twice, in one file or two. */
static w4moe_status
sort_names(struct w4_err *err, struct w4_st_set *set)
{
    size_t n = set->n_tensors;
    set->by_name = calloc(n + 1, sizeof(*set->by_name));
    if (set->by_name == NULL) {
        return fail_memory(err, set->files[0].path);
    }
    for (size_t i = 0; i < n; i++) {
        set->by_name[i] = &set->tensors[i];
    }
    qsort(set->by_name, n, sizeof(*set->by_name), compare_names);
    for (size_t i = 1; i < n; i++) {
        const struct w4_tensor *s = set->by_name[i - 1];
        const struct w4_tensor *t = set->by_name[i];
        if (strcmp(s->name, t->name) == 0) {
            const char *path = set->files[t->file].path;
            const char *other = set->files[s->file].path;
            return w4_fail(err, W4MOE_FORMAT, "%s: tensor \"%s\" twice%s%s",
                    w4_show_path(path).text, w4_show_string(t->name).text,
                    s->file == t->file ? "" : ", also in ",
                    s->file == t->file ? "" : w4_show_path(other).text);
        }
    }
    return W4MOE_OK;
}

const struct w4_tensor *
w4_st_find(const struct w4_st_set *set, const char *name)
{
    const struct w4_tensor key = {.name = name};
    const struct w4_tensor *key_p = &key;
    const struct w4_tensor **found = bsearch(&key_p, set->by_name,
            set->n_tensors, sizeof(*set->by_name), compare_names);
    return found != NULL ? *found : NULL;
}

/* ---------------------------------------------------------------- opening */

/* Reads one file's header and appends its tensors. Owns path. */
static w4moe_status
add_file(struct w4_err *err, struct w4_st_set *set, char *path)
{
    size_t index = set->n_files++;
    struct w4_st_file *file = &set->files[index];
    w4moe_status status = w4_st_file_open(err, file, path);
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t size;
    size_t n = set->n_tensors + file->n_tensors;
    if (!w4_mul(&size, n + 1, sizeof(*set->tensors)) || size > PTRDIFF_MAX) {
        return fail_memory(err, path);
    }
    struct w4_tensor *tensors = realloc(set->tensors, (size_t)size);
    if (tensors == NULL) {
        return fail_memory(err, path);
    }
    set->tensors = tensors;
    status = w4_st_file_read(
            err, file, tensors + set->n_tensors, (uint32_t)index);
    if (status != W4MOE_OK) {
        return status;
    }
    set->n_tensors = n;
    set->n_bytes += file->map.size;
    return W4MOE_OK;
}

/* What has to wait until all files are read. */
static w4moe_status
check_set(struct w4_err *err, struct w4_st_set *set)
{
    w4moe_status status = sort_names(err, set);
    const struct w4_tensor *tensors = set->tensors;
    for (size_t i = 0; i < set->n_files && status == W4MOE_OK; i++) {
        status = w4_st_file_check_cover(err, &set->files[i], tensors);
        tensors += set->files[i].n_tensors;
    }
    return status;
}

static w4moe_status
open_file(struct w4_err *err, struct w4_st_set *set, const char *path)
{
    set->files = calloc(1, sizeof(*set->files));
    char *copy = strdup(path);
    if (set->files == NULL || copy == NULL) {
        free(copy);
        return fail_memory(err, path);
    }
    w4moe_status status = add_file(err, set, copy);
    if (status != W4MOE_OK) {
        return status;
    }
    return check_set(err, set);
}

/* Opens one file that the index names. */
static w4moe_status
open_shard(struct w4_err *err, struct w4_st_set *set, const char *folder,
        const char *name)
{
    struct stat info;
    char *path = w4_path_join(folder, name);
    if (path == NULL) {
        return fail_memory(err, folder);
    }
    /* No file has a name that is too long. */
    if (stat(path, &info) != 0 && (errno == ENOENT || errno == ENAMETOOLONG)) {
        w4moe_status status = w4_fail(err, W4MOE_FORMAT,
                "%s: the index names this file, but it is missing",
                w4_show_path(path).text);
        free(path);
        return status;
    }
    return add_file(err, set, path);
}

static w4moe_status
open_index(struct w4_err *err, struct w4_st_set *set, const char *folder,
        const char *path)
{
    struct w4_st_index index = {0};
    w4moe_status status = w4_st_index_read(err, &index, path);
    if (status != W4MOE_OK) {
        goto done;
    }
    set->files = calloc(index.n_files, sizeof(*set->files));
    if (set->files == NULL) {
        status = fail_memory(err, path);
        goto done;
    }
    for (size_t i = 0; i < index.n_files && status == W4MOE_OK; i++) {
        status = open_shard(err, set, folder, index.files[i]);
    }
    if (status != W4MOE_OK) {
        goto done;
    }
    status = check_set(err, set);
    if (status != W4MOE_OK) {
        goto done;
    }
    status = w4_st_index_check(err, &index, set->by_name, set->n_tensors);
done:
    w4_st_index_free(&index);
    return status;
}

static w4moe_status
open_folder(struct w4_err *err, struct w4_st_set *set, const char *folder)
{
    struct stat info;
    w4moe_status status;
    char *index = w4_path_join(folder, "model.safetensors.index.json");
    char *single = w4_path_join(folder, "model.safetensors");
    if (index == NULL || single == NULL) {
        status = fail_memory(err, folder);
    } else if (stat(index, &info) == 0 || errno != ENOENT) {
        status = open_index(err, set, folder, index);
    } else if (stat(single, &info) == 0 || errno != ENOENT) {
        status = open_file(err, set, single);
    } else {
        status = w4_fail(err, W4MOE_IO,
                "%s: neither model.safetensors.index.json nor "
                "model.safetensors is in this folder",
                w4_show_path(folder).text);
    }
    free(single);
    free(index);
    return status;
}

w4moe_status
w4_st_open(struct w4_err *err, struct w4_st_set **set_p, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return w4_fail(err, W4MOE_IO, "%s: cannot be opened: %s",
                w4_show_path(path).text, strerror(errno));
    }
    struct w4_st_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return fail_memory(err, path);
    }
    w4moe_status status = S_ISDIR(info.st_mode) ? open_folder(err, set, path)
                                                : open_file(err, set, path);
    if (status != W4MOE_OK) {
        w4_st_close(set);
        return status;
    }
    *set_p = set;
    return W4MOE_OK;
}

void
w4_st_close(struct w4_st_set *set)
{
    if (set == NULL) {
        return;
    }
    free(set->by_name);
    free(set->tensors);
    for (size_t i = 0; i < set->n_files; i++) {
        w4_st_file_close(&set->files[i]);
    }
    free(set->files);
    free(set);
}

/* ---------------------------------------------------------------- reading */

size_t
w4_st_count(const struct w4_st_set *set)
{
    return set->n_tensors;
}

const struct w4_tensor *
w4_st_at(const struct w4_st_set *set, size_t i)
{
    return &set->tensors[i];
}

const char *
w4_st_metadata(const struct w4_st_set *set, const char *key)
{
    const struct w4_st_file *file = &set->files[0];
    size_t i = w4_find_string(file->keys, file->n_keys, key);
    return i < file->n_keys ? file->keys[i] + strlen(key) + 1 : NULL;
}

const char *
w4_st_metadata_key(const struct w4_st_set *set, size_t i)
{
    const struct w4_st_file *file = &set->files[0];
    return i < file->n_keys ? file->keys[i] : NULL;
}

size_t
w4_st_file_count(const struct w4_st_set *set)
{
    return set->n_files;
}

const char *
w4_st_file_path(const struct w4_st_set *set, size_t file)
{
    return set->files[file].path;
}

uint64_t
w4_st_file_bytes(const struct w4_st_set *set)
{
    return set->n_bytes;
}

w4moe_status
w4_st_to_host(struct w4_err *err, struct w4_st_set *set)
{
    if (!W4_BIG_ENDIAN) {
        return W4MOE_OK;
    }
    const struct w4_tensor *tensor = set->tensors;
    for (size_t i = 0; i < set->n_files; i++) {
        struct w4_st_file *file = &set->files[i];
        w4moe_status status = w4_map_make_writable(err, &file->map, file->path);
        if (status != W4MOE_OK) {
            return status;
        }
        unsigned char *data = file->data;
        for (size_t j = 0; j < file->n_tensors; j++, tensor++) {
            size_t size = w4_st_number_size(tensor);
            w4_swap_le(data, size, (size_t)(tensor->n_bytes / size));
            data += tensor->n_bytes;
        }
    }
    return W4MOE_OK;
}
