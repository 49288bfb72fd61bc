/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/new_file.h"
#include "io/st_folder.h"
#include "io/st_layout.h"
#include "io/text.h"

/* One file. */
struct output {
    struct w4_new_file file;
    /** Known once the layout is fixed. */
    uint64_t header_size;
};

struct w4_st_writer {
    struct w4_err *err;
    /** Of the file, or of the folder. */
    char *path;
    unsigned flags;
    int is_sharded;
    /** One for each shard of the layout; closed ones in a dry run. */
    struct output *outputs;
    /** Protects `layout` and what follows it. */
    pthread_mutex_t lock;
    struct w4_st_layout layout;
    int is_fixed;
};

/* --------------------------------------------------------------- creation */

static void
destroy(struct w4_st_writer *writer)
{
    if (writer->outputs != NULL) {
        for (size_t i = 0; i < writer->layout.n_shards; i++) {
            w4_new_file_free(&writer->outputs[i].file);
        }
        free(writer->outputs);
    }
    w4_st_layout_free(&writer->layout);
    pthread_mutex_destroy(&writer->lock);
    free(writer->path);
    free(writer);
}

static w4moe_status
fail_memory(const struct w4_st_writer *writer)
{
    return w4_fail(writer->err, W4MOE_NOMEM, "%s: no memory for a writer",
            w4_show_path(writer->path).text);
}

/* Bytes of one file. */
static uint64_t
output_size(const struct w4_st_writer *writer, size_t i)
{
    return writer->outputs[i].header_size + writer->layout.shards[i].data_size;
}

static w4moe_status
measure_headers(struct w4_st_writer *writer)
{
    w4moe_status status = W4MOE_OK;
    for (size_t i = 0; i < writer->layout.n_shards && status == W4MOE_OK; i++) {
        status = w4_st_layout_header_size(writer->err, &writer->layout,
                writer->path, i, &writer->outputs[i].header_size);
    }
    return status;
}

/* Makes the files as long as they must be, if there is room for all, and each
 * can be mapped. */
static w4moe_status
reserve(struct w4_st_writer *writer)
{
    size_t n = writer->layout.n_shards;
    uint64_t n_more = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t size = output_size(writer, i);
        if (size > PTRDIFF_MAX) {
            return w4_fail(writer->err, W4MOE_NOMEM,
                    "%s: a file of %" PRIu64
                    " bytes is beyond the address space",
                    w4_show_path(writer->path).text, size);
        }
        uint64_t n_reserved = writer->outputs[i].file.n_reserved;
        n_more += size > n_reserved ? size - n_reserved : 0;
    }
    w4moe_status status =
            w4_new_file_check_room(&writer->outputs[0].file, n_more);
    for (size_t i = 0; i < n && status == W4MOE_OK; i++) {
        status = w4_new_file_reserve(
                &writer->outputs[i].file, output_size(writer, i));
    }
    return status;
}

static w4moe_status
open_output(struct w4_st_writer *writer, size_t i)
{
    char name[W4_ST_FILE_NAME];
    struct w4_new_file *file = &writer->outputs[i].file;
    if ((writer->flags & W4_ST_FOLDER) == 0) {
        return w4_new_file_open(writer->err, file, writer->path);
    }
    if (writer->is_sharded) {
        w4_st_shard_name(name, i, writer->layout.n_shards);
    } else {
        strcpy(name, w4_st_single_name);
    }
    char *path = w4_path_join(writer->path, name);
    if (path == NULL) {
        return fail_memory(writer);
    }
    w4moe_status status = w4_new_file_open(writer->err, file, path);
    free(path);
    return status;
}

/* Makes and reserves the files. The headers may still grow with metadata. */
static w4moe_status
prepare(struct w4_st_writer *writer, const struct w4_st_entry *entries,
        size_t n, uint64_t max_shard_bytes)
{
    struct w4_st_layout *layout = &writer->layout;
    w4moe_status status = w4_st_layout_init(
            writer->err, layout, writer->path, entries, n, max_shard_bytes);
    if (status != W4MOE_OK) {
        return status;
    }
    if (layout->n_shards > W4_ST_SHARDS_MAX) {
        return w4_fail(writer->err, W4MOE_INVALID,
                "%s: %zu files of %" PRIu64 " bytes, at most %d are made",
                w4_show_path(writer->path).text, layout->n_shards,
                max_shard_bytes, W4_ST_SHARDS_MAX);
    }
    writer->outputs = calloc(layout->n_shards, sizeof(*writer->outputs));
    if (writer->outputs == NULL) {
        return fail_memory(writer);
    }
    for (size_t i = 0; i < layout->n_shards; i++) {
        writer->outputs[i].file = W4_NEW_FILE_NONE;
    }
    status = measure_headers(writer);
    if ((writer->flags & W4_ST_DRY_RUN) != 0) {
        return status;
    }
    for (size_t i = 0; i < layout->n_shards && status == W4MOE_OK; i++) {
        status = open_output(writer, i);
    }
    return status == W4MOE_OK ? reserve(writer) : status;
}

w4moe_status
w4_st_writer_create(struct w4_err *err, struct w4_st_writer **writer_p,
        const char *path, const struct w4_st_entry *entries, size_t n,
        unsigned flags, uint64_t max_shard_bytes)
{
    if (max_shard_bytes != 0 && ((flags & W4_ST_FOLDER) == 0 || n == 0)) {
        return w4_fail(err, W4MOE_INVALID, "%s: %s is not split into files",
                w4_show_path(path).text, n == 0 ? "nothing" : "a file");
    }
    struct w4_st_writer *writer = calloc(1, sizeof(*writer));
    char *copy = strdup(path);
    if (writer == NULL || copy == NULL) {
        free(copy);
        free(writer);
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for a writer",
                w4_show_path(path).text);
    }
    writer->err = err;
    writer->path = copy;
    writer->flags = flags;
    writer->is_sharded = max_shard_bytes != 0;
    pthread_mutex_init(&writer->lock, NULL);
    w4moe_status status = prepare(writer, entries, n, max_shard_bytes);
    if (status != W4MOE_OK) {
        destroy(writer);
        return status;
    }
    *writer_p = writer;
    return W4MOE_OK;
}

/* --------------------------------------------------------- data, metadata */

w4moe_status
w4_st_writer_set(
        struct w4_st_writer *writer, const char *key, const char *value)
{
    pthread_mutex_lock(&writer->lock);
    w4moe_status status = w4_st_layout_set(writer->err, &writer->layout,
            writer->path, key, value, writer->is_fixed);
    pthread_mutex_unlock(&writer->lock);
    return status;
}

/* Fixes the layout if it is not fixed yet. */
static w4moe_status
fix(struct w4_st_writer *writer)
{
    w4moe_status status = W4MOE_OK;
    pthread_mutex_lock(&writer->lock);
    if (!writer->is_fixed) {
        status = measure_headers(writer);
        if (status == W4MOE_OK && (writer->flags & W4_ST_DRY_RUN) == 0) {
            status = reserve(writer);
        }
        writer->is_fixed = status == W4MOE_OK;
    }
    pthread_mutex_unlock(&writer->lock);
    return status;
}

w4moe_status
w4_st_writer_size(struct w4_st_writer *writer, uint64_t *n_bytes)
{
    w4moe_status status = fix(writer);
    if (status == W4MOE_OK) {
        *n_bytes = 0;
        for (size_t i = 0; i < writer->layout.n_shards; i++) {
            *n_bytes += output_size(writer, i);
        }
    }
    return status;
}

static w4moe_status
check_wet(const struct w4_st_writer *writer)
{
    if ((writer->flags & W4_ST_DRY_RUN) != 0) {
        return w4_fail(writer->err, W4MOE_INVALID, "%s: a dry run has no data",
                w4_show_path(writer->path).text);
    }
    return W4MOE_OK;
}

/* For what needs a file, and an entry of it. */
static w4moe_status
check_call(struct w4_st_writer *writer, size_t entry)
{
    w4moe_status status = check_wet(writer);
    if (status != W4MOE_OK) {
        return status;
    }
    if (entry >= writer->layout.n_places) {
        return w4_fail(writer->err, W4MOE_INVALID, "%s: entry %zu of %zu",
                w4_show_path(writer->path).text, entry,
                writer->layout.n_places);
    }
    return fix(writer);
}

w4moe_status
w4_st_writer_write(struct w4_st_writer *writer, size_t entry, uint64_t offset,
        const void *data, uint64_t n)
{
    w4moe_status status = check_call(writer, entry);
    if (status != W4MOE_OK) {
        return status;
    }
    const struct w4_st_place *place = &writer->layout.places[entry];
    if (offset > place->n_bytes || n > place->n_bytes - offset) {
        return w4_fail(writer->err, W4MOE_INVALID,
                "%s: entry \"%s\": %" PRIu64 " bytes at %" PRIu64
                " of %" PRIu64,
                w4_show_path(writer->path).text,
                w4_show_string(place->entry.name).text, n, offset,
                place->n_bytes);
    }
    const struct output *output = &writer->outputs[place->shard];
    return w4_new_file_write(&output->file,
            output->header_size + place->begin + offset, data, n);
}

w4moe_status
w4_st_writer_read(
        struct w4_st_writer *writer, size_t entry, const void **data_p)
{
    w4moe_status status = check_call(writer, entry);
    if (status != W4MOE_OK) {
        return status;
    }
    const char *bytes;
    const struct w4_st_place *place = &writer->layout.places[entry];
    struct output *output = &writer->outputs[place->shard];
    status = w4_new_file_map(
            &output->file, &bytes, output_size(writer, place->shard));
    if (status == W4MOE_OK) {
        *data_p = bytes + output->header_size + place->begin;
    }
    return status;
}

/* ------------------------------------------------------------------ commit */

/* Writes the header of one file, and brings the file to the disk. */
static w4moe_status
complete(const struct w4_st_writer *writer, size_t i)
{
    const struct output *output = &writer->outputs[i];
    char *header = malloc((size_t)output->header_size);
    if (header == NULL) {
        return w4_fail(writer->err, W4MOE_NOMEM,
                "%s: no memory for a header of %" PRIu64 " bytes",
                w4_show_path(writer->path).text, output->header_size);
    }
    w4_st_layout_header(&writer->layout, i, header, output->header_size);
    w4moe_status status =
            w4_new_file_write(&output->file, 0, header, output->header_size);
    free(header);
    return status == W4MOE_OK ? w4_new_file_sync(&output->file) : status;
}

/* Makes the index, complete but without its name. */
static w4moe_status
make_index(const struct w4_st_writer *writer, struct w4_new_file *index)
{
    uint64_t size = 0;
    char *text = NULL;
    char *path = w4_path_join(writer->path, w4_st_index_name);
    if (path == NULL) {
        return fail_memory(writer);
    }
    w4moe_status status = w4_new_file_open(writer->err, index, path);
    free(path);
    if (status == W4MOE_OK) {
        status = w4_st_folder_index(
                writer->err, &writer->layout, writer->path, &text, &size);
    }
    if (status == W4MOE_OK) {
        status = w4_new_file_write(index, 0, text, size);
    }
    free(text);
    return status == W4MOE_OK ? w4_new_file_sync(index) : status;
}

/* Gives all files their names, the index last; or none if that fails. */
static w4moe_status
publish(struct w4_st_writer *writer, struct w4_new_file *index)
{
    size_t n = 0;
    w4moe_status status = W4MOE_OK;
    while (n < writer->layout.n_shards && status == W4MOE_OK) {
        status = w4_new_file_publish(&writer->outputs[n].file);
        n += status == W4MOE_OK;
    }
    if (status == W4MOE_OK) {
        status = w4_new_file_sync_folder(&writer->outputs[0].file);
    }
    if (writer->is_sharded && status == W4MOE_OK) {
        status = w4_new_file_publish(index);
    }
    if (writer->is_sharded && status != W4MOE_OK) {
        for (size_t i = 0; i < n; i++) {
            unlink(writer->outputs[i].file.path);
        }
        return status;
    }
    return writer->is_sharded && status == W4MOE_OK
                   ? w4_sync_folder(writer->err, writer->path)
                   : status;
}

/* Names of the files, sorted. Free the array. */
static const char **
output_names(const struct w4_st_writer *writer)
{
    size_t n = writer->layout.n_shards;
    const char **names = calloc(n, sizeof(*names));
    for (size_t i = 0; i < n && names != NULL; i++) {
        names[i] = strrchr(writer->outputs[i].file.path, '/') + 1;
    }
    return names;
}

/* The same where an older set makes way. */
static w4moe_status
publish_in_folder(struct w4_st_writer *writer)
{
    struct w4_st_folder folder = {0};
    struct w4_new_file index = W4_NEW_FILE_NONE;
    w4moe_status status = W4MOE_OK;
    const char **names = output_names(writer);
    if (names == NULL) {
        return fail_memory(writer);
    }
    if (writer->is_sharded) {
        status = make_index(writer, &index);
    }
    if (status == W4MOE_OK) {
        status = w4_st_folder_open(writer->err, &folder, writer->path, names,
                writer->layout.n_shards, writer->is_sharded);
    }
    if (status == W4MOE_OK) {
        status = w4_st_folder_retire(&folder);
    }
    if (status == W4MOE_OK) {
        status = publish(writer, &index);
    }
    if (status == W4MOE_OK) {
        status = w4_st_folder_remove(&folder);
    }
    w4_st_folder_free(&folder);
    w4_new_file_free(&index);
    free(names);
    return status;
}

w4moe_status
w4_st_writer_commit(struct w4_st_writer *writer)
{
    w4moe_status status = check_wet(writer);
    if (status == W4MOE_OK) {
        status = fix(writer);
    }
    for (size_t i = 0; i < writer->layout.n_shards && status == W4MOE_OK; i++) {
        status = complete(writer, i);
    }
    if (status == W4MOE_OK) {
        status = (writer->flags & W4_ST_FOLDER) != 0 ? publish_in_folder(writer)
                                                     : publish(writer, NULL);
    }
    destroy(writer);
    return status;
}

void
w4_st_writer_abort(struct w4_st_writer *writer)
{
    if (writer != NULL) {
        destroy(writer);
    }
}
