/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "io/st_layout.h"
#include "io/text.h"

struct w4_st_writer {
    struct w4_err *err;
    char *path;
    /** NULL: there is no temporary file (yet, or any more). */
    char *temporary;
    /** -1: closed, or a dry run. */
    int file;
    int dry_run;
    /** Protects `layout` and what follows it. */
    pthread_mutex_t lock;
    struct w4_st_layout layout;
    int is_fixed;
    /** Known once the layout is fixed. */
    uint64_t header_size;
    uint64_t file_size;
    void *mapping;
};

static w4moe_status
fail_os(const struct w4_st_writer *writer, const char *what, int code)
{
    return w4_fail(writer->err, W4MOE_IO, "%s: %s: %s",
            w4_show_path(writer->path).text, what, strerror(code));
}

/* --------------------------------------------------- the temporary file */

/* Six letters and digits. They only have to be new: open() refuses names that
 * are taken. */
static void
make_name(char *out, uint64_t attempt)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t x = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^
                 (uint64_t)getpid() << 40 ^ attempt;
    x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 32;
    for (int i = 0; i < 6; i++) {
        out[i] = digits[x % 36];
        x /= 36;
    }
}

static w4moe_status
make_temporary(struct w4_st_writer *writer)
{
    static const char suffix[] = ".XXXXXX.partial";
    size_t n = strlen(writer->path);
    char *name = malloc(n + sizeof(suffix));
    if (name == NULL) {
        return w4_fail(writer->err, W4MOE_NOMEM, "%s: no memory for a name",
                w4_show_path(writer->path).text);
    }
    memcpy(name, writer->path, n);
    memcpy(name + n, suffix, sizeof(suffix));
    int file = -1;
    for (uint64_t i = 0; i < 100 && file < 0; i++) {
        make_name(name + n + 1, i);
        /* Not mkstemp(): with open() the file gets the mode that the user's
         * umask asks for. */
        file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST) {
            break;
        }
    }
    if (file < 0) {
        int code = errno;
        free(name);
        return fail_os(writer, "cannot be made", code);
    }
    writer->temporary = name;
    writer->file = file;
    return W4MOE_OK;
}

/* Makes the file `size` bytes long, on the disk. */
static w4moe_status
reserve(const struct w4_st_writer *writer, uint64_t size)
{
    int code;
    do {
        code = posix_fallocate(writer->file, 0, (off_t)size);
    } while (code == EINTR);
    if (code == EOPNOTSUPP || code == EINVAL) {
        code = ftruncate(writer->file, (off_t)size) != 0 ? errno : 0;
    }
    if (code != 0) {
        return w4_fail(writer->err, W4MOE_IO,
                "%s: no room for %" PRIu64 " bytes: %s",
                w4_show_path(writer->path).text, size, strerror(code));
    }
    return W4MOE_OK;
}

static w4moe_status
write_all(const struct w4_st_writer *writer, uint64_t offset, const void *data,
        uint64_t n)
{
    const char *at = data;
    while (n > 0) {
        /* Linux writes less than 2^31 bytes at once. */
        size_t part = n < 1u << 30 ? (size_t)n : 1u << 30;
        ssize_t written = pwrite(writer->file, at, part, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return w4_fail(writer->err, W4MOE_IO,
                    "%s: writing %" PRIu64 " bytes at %" PRIu64 ": %s",
                    w4_show_path(writer->path).text, n, offset,
                    strerror(written < 0 ? errno : EIO));
        }
        at += written;
        offset += (uint64_t)written;
        n -= (uint64_t)written;
    }
    return W4MOE_OK;
}

/* Makes the rename last. Where folders cannot be synced, nothing is lost but
 * the promise that it survives a crash of the system. */
static w4moe_status
sync_folder(const struct w4_st_writer *writer)
{
    const char *slash = strrchr(writer->path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - writer->path) + 1;
    char *folder = n == 0 ? strdup(".") : strndup(writer->path, n);
    if (folder == NULL) {
        return w4_fail(writer->err, W4MOE_NOMEM, "%s: no memory for a name",
                w4_show_path(writer->path).text);
    }
    w4moe_status status = W4MOE_OK;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) {
            status = fail_os(writer, "its folder cannot be synced", errno);
        }
        close(file);
    }
    free(folder);
    return status;
}

/* ----------------------------------------------------------------- writer */

static void
destroy(struct w4_st_writer *writer)
{
    if (writer->mapping != NULL) {
        munmap(writer->mapping, (size_t)writer->file_size);
    }
    if (writer->file >= 0) {
        close(writer->file);
    }
    if (writer->temporary != NULL) {
        unlink(writer->temporary);
        free(writer->temporary);
    }
    w4_st_layout_free(&writer->layout);
    pthread_mutex_destroy(&writer->lock);
    free(writer->path);
    free(writer);
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
    status = make_temporary(writer);
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
    writer->file = -1;
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
    return write_all(
            writer, writer->header_size + place->begin + offset, data, n);
}

w4moe_status
w4_st_writer_read(
        struct w4_st_writer *writer, size_t entry, const void **data_p)
{
    w4moe_status status = check_call(writer, entry);
    if (status != W4MOE_OK) {
        return status;
    }
    if (writer->mapping == NULL) {
        if (writer->file_size > PTRDIFF_MAX) {
            return fail_os(writer, "cannot be mapped", EFBIG);
        }
        void *mapping = mmap(NULL, (size_t)writer->file_size, PROT_READ,
                MAP_SHARED, writer->file, 0);
        if (mapping == MAP_FAILED) {
            return fail_os(writer, "cannot be mapped", errno);
        }
        writer->mapping = mapping;
    }
    *data_p = (const char *)writer->mapping + writer->header_size +
              writer->layout.places[entry].begin;
    return W4MOE_OK;
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
    w4moe_status status = write_all(writer, 0, header, writer->header_size);
    free(header);
    return status;
}

/* Brings the file to the disk and gives it its name. */
static w4moe_status
publish(struct w4_st_writer *writer)
{
    if (fsync(writer->file) != 0) {
        return fail_os(writer, "cannot be synced", errno);
    }
    int file = writer->file;
    writer->file = -1;
    if (close(file) != 0) {
        return fail_os(writer, "cannot be closed", errno);
    }
    if (rename(writer->temporary, writer->path) != 0) {
        return fail_os(writer, "cannot get its name", errno);
    }
    free(writer->temporary);
    writer->temporary = NULL;
    return sync_folder(writer);
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
    if (status != W4MOE_OK) {
        goto done;
    }
    status = publish(writer);
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
