/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/new_file.h"
#include "io/st_layout.h"
#include "io/text.h"

struct w4_st_writer {
    struct w4_err *err;
    char *path;
    int dry_run;
    struct w4_new_file file;
    /** Protects `layout` and what follows it. */
    pthread_mutex_t lock;
    struct w4_st_layout layout;
    int is_fixed;
    /** Known once the layout is fixed. */
    uint64_t header_size;
    uint64_t file_size;
};

static void
destroy(struct w4_st_writer *writer)
{
    w4_new_file_free(&writer->file);
    w4_st_layout_free(&writer->layout);
    pthread_mutex_destroy(&writer->lock);
    free(writer->path);
    free(writer);
}

/* Makes the file `size` bytes long, if there is room. */
static w4moe_status
reserve(struct w4_st_writer *writer, uint64_t size)
{
    uint64_t n_reserved = writer->file.n_reserved;
    w4moe_status status = w4_new_file_check_room(
            &writer->file, size > n_reserved ? size - n_reserved : 0);
    return status == W4MOE_OK ? w4_new_file_reserve(&writer->file, size)
                              : status;
}

/* Makes and reserves the file. The header may still grow with metadata. */
static w4moe_status
prepare(struct w4_st_writer *writer, const struct w4_st_entry *entries,
        size_t n)
{
    uint64_t header_size;
    struct w4_st_layout *layout = &writer->layout;
    w4moe_status status =
            w4_st_layout_init(writer->err, layout, writer->path, entries, n);
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_st_layout_header_size(
            writer->err, layout, writer->path, &header_size);
    if (status != W4MOE_OK || writer->dry_run) {
        return status;
    }
    status = w4_new_file_open(writer->err, &writer->file, writer->path);
    if (status != W4MOE_OK) {
        return status;
    }
    return reserve(writer, header_size + layout->data_size);
}

w4moe_status
w4_st_writer_create(struct w4_err *err, struct w4_st_writer **writer_p,
        const char *path, const struct w4_st_entry *entries, size_t n,
        int dry_run)
{
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
    writer->file = W4_NEW_FILE_NONE;
    writer->dry_run = dry_run;
    pthread_mutex_init(&writer->lock, NULL);
    w4moe_status status = prepare(writer, entries, n);
    if (status != W4MOE_OK) {
        destroy(writer);
        return status;
    }
    *writer_p = writer;
    return W4MOE_OK;
}

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

/* Fixes the layout if it is not fixed yet. Locked. */
static w4moe_status
fix(struct w4_st_writer *writer)
{
    uint64_t header_size;
    if (writer->is_fixed) {
        return W4MOE_OK;
    }
    w4moe_status status = w4_st_layout_header_size(
            writer->err, &writer->layout, writer->path, &header_size);
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t file_size = header_size + writer->layout.data_size;
    if (!writer->dry_run) {
        status = reserve(writer, file_size);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    writer->header_size = header_size;
    writer->file_size = file_size;
    writer->is_fixed = 1;
    return W4MOE_OK;
}

static w4moe_status
fix_locked(struct w4_st_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    w4moe_status status = fix(writer);
    pthread_mutex_unlock(&writer->lock);
    return status;
}

w4moe_status
w4_st_writer_size(struct w4_st_writer *writer, uint64_t *n_bytes)
{
    w4moe_status status = fix_locked(writer);
    if (status == W4MOE_OK) {
        *n_bytes = writer->file_size;
    }
    return status;
}

/* For what needs a file, and an entry of it. */
static w4moe_status
check_call(struct w4_st_writer *writer, size_t entry)
{
    if (writer->dry_run) {
        return w4_fail(writer->err, W4MOE_INVALID, "%s: a dry run has no data",
                w4_show_path(writer->path).text);
    }
    if (entry >= writer->layout.n_places) {
        return w4_fail(writer->err, W4MOE_INVALID, "%s: entry %zu of %zu",
                w4_show_path(writer->path).text, entry,
                writer->layout.n_places);
    }
    return fix_locked(writer);
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
    return w4_new_file_write(&writer->file,
            writer->header_size + place->begin + offset, data, n);
}

w4moe_status
w4_st_writer_read(
        struct w4_st_writer *writer, size_t entry, const void **data_p)
{
    w4moe_status status = check_call(writer, entry);
    if (status != W4MOE_OK) {
        return status;
    }
    const char *file;
    status = w4_new_file_map(&writer->file, &file, writer->file_size);
    if (status == W4MOE_OK) {
        *data_p =
                file + writer->header_size + writer->layout.places[entry].begin;
    }
    return status;
}

static w4moe_status
write_header(const struct w4_st_writer *writer)
{
    char *header = malloc((size_t)writer->header_size);
    if (header == NULL) {
        return w4_fail(writer->err, W4MOE_NOMEM,
                "%s: no memory for a header of %" PRIu64 " bytes",
                w4_show_path(writer->path).text, writer->header_size);
    }
    w4_st_layout_header(&writer->layout, header, writer->header_size);
    w4moe_status status =
            w4_new_file_write(&writer->file, 0, header, writer->header_size);
    free(header);
    return status;
}

w4moe_status
w4_st_writer_commit(struct w4_st_writer *writer)
{
    w4moe_status status;
    if (writer->dry_run) {
        status = w4_fail(writer->err, W4MOE_INVALID,
                "%s: a dry run has no data", w4_show_path(writer->path).text);
        goto done;
    }
    status = fix_locked(writer);
    if (status != W4MOE_OK) {
        goto done;
    }
    status = write_header(writer);
    if (status == W4MOE_OK) {
        status = w4_new_file_sync(&writer->file);
    }
    if (status == W4MOE_OK) {
        status = w4_new_file_publish(&writer->file);
    }
    if (status == W4MOE_OK) {
        status = w4_sync_folder_of(writer->err, writer->path);
    }
done:
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
