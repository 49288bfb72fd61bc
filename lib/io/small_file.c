/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static w4moe_status
fail_os(struct w4_err *err, const char *path, int code)
{
    return w4_fail(err, W4MOE_IO, "%s: %s", path, strerror(code));
}

/* Reads n bytes. */
static w4moe_status
read_all(struct w4_err *err, char *text, size_t n, const char *path, int file)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(file, text + done, n - done);
        if (got < 0 && errno != EINTR) {
            return fail_os(err, path, errno);
        }
        if (got == 0) {
            return w4_fail(err, W4MOE_IO, "%s: it has become shorter", path);
        }
        done += got > 0 ? (size_t)got : 0;
    }
    text[n] = '\0';
    return W4MOE_OK;
}

static w4moe_status
read_open(struct w4_err *err, char **text_p, size_t *size_p, const char *path,
        size_t max, int file)
{
    struct stat info;
    if (fstat(file, &info) != 0) {
        return fail_os(err, path, errno);
    }
    if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size > max) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: no regular file of at most %zu bytes", path, max);
    }
    size_t n = (size_t)info.st_size;
    char *text = malloc(n + 1);
    if (text == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "%s: no memory for %zu bytes", path, n);
    }
    w4moe_status status = read_all(err, text, n, path, file);
    if (status != W4MOE_OK) {
        free(text);
        return status;
    }
    *text_p = text;
    *size_p = n;
    return W4MOE_OK;
}

w4moe_status
w4_small_file_read(struct w4_err *err, char **text_p, size_t *size_p,
        const char *path, size_t max)
{
    /* Non-blocking: a pipe without a writer must be refused, not waited
     * for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        return fail_os(err, path, errno);
    }
    w4moe_status status = read_open(err, text_p, size_p, path, max, file);
    close(file);
    return status;
}
