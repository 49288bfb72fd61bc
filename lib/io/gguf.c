/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/gguf_file.h"
#include "io/gguf_split.h"
#include "io/gguf_types.h"
#include "io/text.h"

struct w4_gguf_set {
    /** The paths are the set's. */
    struct w4_gguf_file *files;
    size_t n_files;
    /** Of all files, in order of file and offset. */
    struct w4_gguf_tensor *tensors;
    size_t n_tensors;
    const struct w4_gguf_tensor **by_name;
    uint64_t n_bytes;
};

static w4moe_status
fail_memory(struct w4_err *err, const char *path)
{
    return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its tables",
            w4_show_path(path).text);
}

int
w4_gguf_is(const char *path)
{
    /* Non-blocking: of a pipe nobody may write into. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    char magic[4];
    if (file < 0) {
        return 0;
    }
    int is_gguf = fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
                  read(file, magic, 4) == 4 && memcmp(magic, "GGUF", 4) == 0;
    close(file);
    return is_gguf;
}

/* ------------------------------------------------------------------- names */

static int
compare_names(const void *a, const void *b)
{
    const struct w4_gguf_tensor *const *s = a;
    const struct w4_gguf_tensor *const *t = b;
    return strcmp((*s)->name, (*t)->name);
}

/* Sorts the names and refuses any that stands twice, in one file or two. */
static w4moe_status
sort_names(struct w4_err *err, struct w4_gguf_set *set)
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
        const struct w4_gguf_tensor *s = set->by_name[i - 1];
        const struct w4_gguf_tensor *t = set->by_name[i];
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

const struct w4_gguf_tensor *
w4_gguf_find(const struct w4_gguf_set *set, const char *name)
{
    const struct w4_gguf_tensor key = {.name = name};
    const struct w4_gguf_tensor *key_p = &key;
    const struct w4_gguf_tensor **found = bsearch(&key_p, set->by_name,
            set->n_tensors, sizeof(*set->by_name), compare_names);
    return found != NULL ? *found : NULL;
}

/* ----------------------------------------------------------------- opening */

/* Maps a file and reads its header. Owns path. */
static w4moe_status
add_file(struct w4_err *err, struct w4_gguf_set *set, char *path)
{
    struct w4_gguf_file *files =
            realloc(set->files, (set->n_files + 1) * sizeof(*files));
    if (files == NULL) {
        w4moe_status status = fail_memory(err, path);
        free(path);
        return status;
    }
    set->files = files;
    struct w4_gguf_file *file = &files[set->n_files++];
    memset(file, 0, sizeof(*file));
    file->path = path;
    w4moe_status status = w4_map_open(err, &file->map, path);
    if (status != W4MOE_OK) {
        return status;
    }
    set->n_bytes += file->map.size;
    return w4_gguf_file_read(err, file);
}

/* Opens the parts of a split other than the first, which is open. */
static w4moe_status
add_parts(struct w4_err *err, struct w4_gguf_set *set,
        const struct w4_gguf_split *split)
{
    for (uint64_t no = 1; no < split->count; no++) {
        struct stat info;
        char *path = w4_gguf_split_path(set->files[0].path, split, no);
        if (path == NULL) {
            return fail_memory(err, set->files[0].path);
        }
        if (stat(path, &info) != 0 && errno == ENOENT) {
            w4moe_status status = w4_fail(err, W4MOE_FORMAT,
                    "%s: part %" PRIu64 " of %" PRIu64 " is missing",
                    w4_show_path(path).text, no + 1, split->count);
            free(path);
            return status;
        }
        w4moe_status status = add_file(err, set, path);
        if (status != W4MOE_OK) {
            return status;
        }
        status = w4_gguf_split_check(err, &set->files[no], split, no);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    return W4MOE_OK;
}

/* Reads the tensors of all files. */
static w4moe_status
read_tensors(struct w4_err *err, struct w4_gguf_set *set)
{
    size_t n = 0;
    uint64_t size;
    const char *path = set->files[0].path;
    for (size_t i = 0; i < set->n_files; i++) {
        n += set->files[i].n_tensors;
    }
    if (!w4_mul(&size, (uint64_t)n + 1, sizeof(*set->tensors)) ||
            size > PTRDIFF_MAX) {
        return fail_memory(err, path);
    }
    set->tensors = malloc((size_t)size);
    if (set->tensors == NULL) {
        return fail_memory(err, path);
    }
    for (size_t i = 0; i < set->n_files; i++) {
        struct w4_gguf_file *file = &set->files[i];
        w4moe_status status = w4_gguf_file_tensors(
                err, file, set->tensors + set->n_tensors, (uint32_t)i);
        if (status != W4MOE_OK) {
            return status;
        }
        set->n_tensors += file->n_tensors;
    }
    return sort_names(err, set);
}

static w4moe_status
open_set(struct w4_err *err, struct w4_gguf_set *set, const char *path)
{
    struct w4_gguf_split split;
    char *copy = strdup(path);
    if (copy == NULL) {
        return fail_memory(err, path);
    }
    w4moe_status status = add_file(err, set, copy);
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_gguf_split_read(err, &set->files[0], &split);
    if (status != W4MOE_OK) {
        return status;
    }
    if (split.count > 1) {
        status = w4_gguf_split_check_first(err, &set->files[0], &split);
        if (status != W4MOE_OK) {
            return status;
        }
        status = add_parts(err, set, &split);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    status = read_tensors(err, set);
    if (status != W4MOE_OK) {
        return status;
    }
    if (split.count > 1 && set->n_tensors != split.n_tensors) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: %zu tensors in %" PRIu64
                " parts, but split.tensors.count is %" PRIu64,
                w4_show_path(path).text, set->n_tensors, split.count,
                split.n_tensors);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_open(struct w4_err *err, struct w4_gguf_set **set_p, const char *path)
{
    struct w4_gguf_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return fail_memory(err, path);
    }
    w4moe_status status = open_set(err, set, path);
    if (status != W4MOE_OK) {
        w4_gguf_close(set);
        return status;
    }
    *set_p = set;
    return W4MOE_OK;
}

void
w4_gguf_close(struct w4_gguf_set *set)
{
    if (set == NULL) {
        return;
    }
    free(set->by_name);
    free(set->tensors);
    for (size_t i = 0; i < set->n_files; i++) {
        struct w4_gguf_file *file = &set->files[i];
        w4_gguf_file_free(file);
        w4_map_close(&file->map);
        free(file->path);
    }
    free(set->files);
    free(set);
}

/* ----------------------------------------------------------------- reading */

size_t
w4_gguf_count(const struct w4_gguf_set *set)
{
    return set->n_tensors;
}

const struct w4_gguf_tensor *
w4_gguf_at(const struct w4_gguf_set *set, size_t i)
{
    return &set->tensors[i];
}

size_t
w4_gguf_file_count(const struct w4_gguf_set *set)
{
    return set->n_files;
}

const char *
w4_gguf_file_path(const struct w4_gguf_set *set, size_t file)
{
    return set->files[file].path;
}

uint64_t
w4_gguf_file_bytes(const struct w4_gguf_set *set)
{
    return set->n_bytes;
}

/* ---------------------------------------------------------------- metadata */

/* The value of a key, if it is not an array. */
static const struct w4_gguf_key *
find_single(const struct w4_gguf_set *set, const char *key)
{
    const struct w4_gguf_key *found = w4_gguf_file_find(&set->files[0], key);
    return found != NULL && !found->is_array ? found : NULL;
}

int
w4_gguf_get_uint(
        const struct w4_gguf_set *set, const char *key, uint64_t *value)
{
    return w4_gguf_key_uint(w4_gguf_file_find(&set->files[0], key), value);
}

int
w4_gguf_get_float(const struct w4_gguf_set *set, const char *key, double *value)
{
    const struct w4_gguf_key *found = find_single(set, key);
    if (found != NULL && found->type == W4_GGUF_VALUE_FLOAT32) {
        uint32_t bits = w4_load_le32(found->data);
        float single;
        memcpy(&single, &bits, sizeof(single));
        *value = (double)single;
        return 1;
    }
    if (found != NULL && found->type == W4_GGUF_VALUE_FLOAT64) {
        uint64_t bits = w4_load_le64(found->data);
        memcpy(value, &bits, sizeof(*value));
        return 1;
    }
    return 0;
}

int
w4_gguf_get_bool(const struct w4_gguf_set *set, const char *key, int *value)
{
    const struct w4_gguf_key *found = find_single(set, key);
    if (found == NULL || found->type != W4_GGUF_VALUE_BOOL) {
        return 0;
    }
    *value = *(const unsigned char *)found->data != 0;
    return 1;
}

const char *
w4_gguf_get_string(const struct w4_gguf_set *set, const char *key)
{
    const struct w4_gguf_key *found = find_single(set, key);
    return found != NULL && found->type == W4_GGUF_VALUE_STRING ? found->data
                                                                : NULL;
}

int
w4_gguf_get_array(const struct w4_gguf_set *set, const char *key,
        struct w4_gguf_array *array)
{
    const struct w4_gguf_key *found = w4_gguf_file_find(&set->files[0], key);
    if (found == NULL || !found->is_array ||
            found->type == W4_GGUF_VALUE_STRING) {
        return 0;
    }
    array->type = found->type;
    array->n = found->n;
    array->data = found->data;
    return 1;
}

int
w4_gguf_array_uint(
        const struct w4_gguf_array *array, uint64_t i, uint64_t *value)
{
    const unsigned char *data = array->data;
    size_t size = w4_gguf_value_size(array->type);
    return w4_gguf_load_uint(array->type, data + i * size, value);
}
