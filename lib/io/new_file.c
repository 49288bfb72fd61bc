/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "io/text.h"

enum { FD_PATH_MAX = 40 };

static w4moe_status
fail_os(const struct w4_new_file *file, const char *what, int code)
{
    return w4_fail(file->err, W4MOE_IO, "%s: %s: %s",
            w4_show_path(file->path).text, what, strerror(code));
}

/* The folder of a path, in memory of its own. */
static char *
folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".")
                         : strndup(path, (size_t)(slash - path) + 1);
}

/* ---------------------------------------------------------- temporary names */

static const char suffix[] = ".XXXXXX.partial";

/* Six letters and digits. They only have to be new: names that are taken are
 * refused. */
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

/* Takes a temporary name by a function that returns 0, or -1 and errno. */
static w4moe_status
take_temporary(struct w4_new_file *file,
        int (*take)(struct w4_new_file *file, const char *name),
        const char *what)
{
    char *digits = file->temporary + strlen(file->path) + 1;
    int failed = -1;
    for (uint64_t i = 0; i < 100 && failed != 0; i++) {
        make_name(digits, i);
        failed = take(file, file->temporary);
        if (failed != 0 && errno != EEXIST) {
            break;
        }
    }
    if (failed != 0) {
        return fail_os(file, what, errno);
    }
    file->has_temporary = 1;
    return W4MOE_OK;
}

/* Not mkstemp(): with open() the file gets the mode that the user's umask asks
 * for. */
static int
open_name(struct w4_new_file *file, const char *name)
{
    file->file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return file->file < 0 ? -1 : 0;
}

/* ------------------------------------------------ files without a name */

/* The path by which an open file can be linked, without privileges. */
static void
fd_path(char out[FD_PATH_MAX], int file)
{
    snprintf(out, FD_PATH_MAX, "/proc/self/fd/%d", file);
}

static int
link_name(struct w4_new_file *file, const char *name)
{
    char from[FD_PATH_MAX];
    fd_path(from, file->file);
    return linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* Leaves file->file at -1 where there are no such files, or none that could be
 * linked. Whatever else is wrong, a temporary name will show. */
static void
open_unnamed(struct w4_new_file *file)
{
#ifdef O_TMPFILE
    char from[FD_PATH_MAX];
    file->file = open(file->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (file->file >= 0) {
        fd_path(from, file->file);
        if (access(from, F_OK) != 0) {
            close(file->file);
            file->file = -1;
        }
    }
#else
    (void)file;
#endif
}

/* Room for all names. */
static w4moe_status
make_names(struct w4_new_file *file, const char *path)
{
    size_t n = strlen(path);
    file->path = strdup(path);
    file->folder = folder_of(path);
    file->temporary = malloc(n + sizeof(suffix));
    if (file->path == NULL || file->folder == NULL || file->temporary == NULL) {
        return w4_fail(file->err, W4MOE_NOMEM, "%s: no memory for a name",
                w4_show_path(path).text);
    }
    memcpy(file->temporary, path, n);
    memcpy(file->temporary + n, suffix, sizeof(suffix));
    return W4MOE_OK;
}

w4moe_status
w4_new_file_open(struct w4_err *err, struct w4_new_file *file, const char *path)
{
    *file = W4_NEW_FILE_NONE;
    file->err = err;
    w4moe_status status = make_names(file, path);
    if (status == W4MOE_OK) {
        open_unnamed(file);
    }
    if (status == W4MOE_OK && file->file < 0) {
        status = take_temporary(file, open_name, "cannot be made");
    }
    if (status != W4MOE_OK) {
        w4_new_file_free(file);
    }
    return status;
}

/* --------------------------------------------------------------------- room */

/* For example "12.3 GB". */
static void
show_bytes(char *out, size_t size, uint64_t n_bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    double value = (double)n_bytes;
    while (value >= 1000.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000.0;
        unit++;
    }
    snprintf(out, size, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
}

static w4moe_status
fail_room(const struct w4_new_file *file, uint64_t n_bytes, uint64_t n_free)
{
    char needed[32];
    char left[32];
    show_bytes(needed, sizeof(needed), n_bytes);
    show_bytes(left, sizeof(left), n_free);
    if (strcmp(needed, left) == 0) {
        snprintf(needed, sizeof(needed), "%" PRIu64 " bytes", n_bytes);
        snprintf(left, sizeof(left), "%" PRIu64 " bytes", n_free);
    }
    return w4_fail(file->err, W4MOE_IO, "%s: needs %s, %s are free",
            w4_show_path(file->path).text, needed, left);
}

/* Bytes that this user may take. Returns 0 if the file system does not tell,
 * as some do that have no blocks. */
static int
free_bytes(const struct w4_new_file *file, uint64_t *n_free)
{
    struct statvfs info;
    if (fstatvfs(file->file, &info) != 0 || info.f_blocks == 0) {
        return 0;
    }
    uint64_t size = info.f_frsize != 0 ? info.f_frsize : info.f_bsize;
    uint64_t n = info.f_bavail;
    *n_free = size != 0 && n > UINT64_MAX / size ? UINT64_MAX : n * size;
    return 1;
}

w4moe_status
w4_new_file_check_room(const struct w4_new_file *file, uint64_t n_bytes)
{
    uint64_t n_free;
    if (free_bytes(file, &n_free) && n_bytes > n_free) {
        return fail_room(file, n_bytes, n_free);
    }
    return W4MOE_OK;
}

/* Not posix_fallocate(): where the file system cannot do it, that writes a byte
 * into every block. */
static int
allocate(int file, uint64_t offset, uint64_t n)
{
#ifdef __linux__
    int failed;
    do {
        failed = fallocate(file, 0, (off_t)offset, (off_t)n);
    } while (failed != 0 && errno == EINTR);
    if (failed == 0 ||
            (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) {
        return failed;
    }
#endif
    return ftruncate(file, (off_t)(offset + n));
}

w4moe_status
w4_new_file_reserve(struct w4_new_file *file, uint64_t size)
{
    if (size <= file->n_reserved) {
        return W4MOE_OK;
    }
    uint64_t n_more = size - file->n_reserved;
    if (allocate(file->file, file->n_reserved, n_more) != 0) {
        int code = errno;
        uint64_t n_free;
        if (code == ENOSPC && free_bytes(file, &n_free) && n_more > n_free) {
            return fail_room(file, n_more, n_free);
        }
        return w4_fail(file->err, W4MOE_IO,
                "%s: no room for %" PRIu64 " bytes: %s",
                w4_show_path(file->path).text, size, strerror(code));
    }
    file->n_reserved = size;
    return W4MOE_OK;
}

/* -------------------------------------------------------- content and name */

w4moe_status
w4_new_file_write(const struct w4_new_file *file, uint64_t offset,
        const void *data, uint64_t n)
{
    const char *at = data;
    while (n > 0) {
        /* Linux writes less than 2^31 bytes at once. */
        size_t part = n < 1u << 30 ? (size_t)n : 1u << 30;
        ssize_t written = pwrite(file->file, at, part, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return w4_fail(file->err, W4MOE_IO,
                    "%s: writing %" PRIu64 " bytes at %" PRIu64 ": %s",
                    w4_show_path(file->path).text, n, offset,
                    strerror(written < 0 ? errno : EIO));
        }
        at += written;
        offset += (uint64_t)written;
        n -= (uint64_t)written;
    }
    return W4MOE_OK;
}

w4moe_status
w4_new_file_map(struct w4_new_file *file, const char **data_p, uint64_t n)
{
    static const char what[] = "cannot be mapped";
    if (file->mapping == NULL) {
        void *mapping =
                mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, file->file, 0);
        if (mapping == MAP_FAILED && errno == ENOMEM) {
            return w4_fail(file->err, W4MOE_NOMEM,
                    "%s: no address space for its %" PRIu64 " bytes",
                    w4_show_path(file->path).text, n);
        }
        if (mapping == MAP_FAILED) {
            return fail_os(file, what, errno);
        }
        file->mapping = mapping;
        file->n_mapped = (size_t)n;
    }
    *data_p = file->mapping;
    return W4MOE_OK;
}

w4moe_status
w4_new_file_sync(const struct w4_new_file *file)
{
    if (fsync(file->file) != 0) {
        return fail_os(file, "cannot be synced", errno);
    }
    return W4MOE_OK;
}

w4moe_status
w4_new_file_publish(struct w4_new_file *file)
{
    static const char what[] = "cannot get its name";
    if (!file->has_temporary) {
        if (link_name(file, file->path) == 0) {
            return W4MOE_OK;
        }
        if (errno != EEXIST) {
            return fail_os(file, what, errno);
        }
        /* Links do not replace names; renaming does. */
        w4moe_status status = take_temporary(file, link_name, what);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    if (rename(file->temporary, file->path) != 0) {
        return fail_os(file, what, errno);
    }
    file->has_temporary = 0;
    return W4MOE_OK;
}

void
w4_new_file_free(struct w4_new_file *file)
{
    if (file->mapping != NULL) {
        munmap(file->mapping, file->n_mapped);
    }
    if (file->file >= 0) {
        close(file->file);
    }
    if (file->has_temporary) {
        unlink(file->temporary);
    }
    free(file->temporary);
    free(file->folder);
    free(file->path);
    *file = W4_NEW_FILE_NONE;
}

w4moe_status
w4_sync_folder(struct w4_err *err, const char *folder)
{
    w4moe_status status = W4MOE_OK;
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        if (fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) {
            status = w4_fail(err, W4MOE_IO,
                    "%s: the folder cannot be synced: %s",
                    w4_show_path(folder).text, strerror(errno));
        }
        close(file);
    }
    return status;
}

w4moe_status
w4_new_file_sync_folder(const struct w4_new_file *file)
{
    return w4_sync_folder(file->err, file->folder);
}
