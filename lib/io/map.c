/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/text.h"

static w4moe_status
fail_os(struct w4_err *err, const char *path, const char *what, int code)
{
    return w4_fail(err, W4MOE_IO, "%s: %s: %s", w4_show_path(path).text, what,
            strerror(code));
}

static w4moe_status
map_file(struct w4_err *err, struct w4_map *map, const char *path, int file)
{
    struct stat info;
    if (fstat(file, &info) != 0) {
        return fail_os(err, path, "cannot be examined", errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return w4_fail(err, W4MOE_IO, "%s: is not a regular file",
                w4_show_path(path).text);
    }
    uint64_t size = (uint64_t)info.st_size;
    if (size == 0) {
        return w4_fail(
                err, W4MOE_FORMAT, "%s: is empty", w4_show_path(path).text);
    }
    if (size > PTRDIFF_MAX) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes are beyond the address space",
                w4_show_path(path).text, size);
    }
    /* Private, so that w4_map_make_writable() can allow writing later. */
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED && errno == ENOMEM) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: no address space for its %" PRIu64 " bytes",
                w4_show_path(path).text, size);
    }
    if (data == MAP_FAILED) {
        return fail_os(err, path, "cannot be mapped", errno);
    }
    map->data = data;
    map->size = size;
    return W4MOE_OK;
}

w4moe_status
w4_map_open(struct w4_err *err, struct w4_map *map, const char *path)
{
    /* Non-blocking: a pipe without a writer must be refused, not waited
     * for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        return fail_os(err, path, "cannot be opened", errno);
    }
    w4moe_status status = map_file(err, map, path, file);
    close(file);
    return status;
}

w4moe_status
w4_map_make_writable(struct w4_err *err, struct w4_map *map, const char *path)
{
    if (mprotect(map->data, (size_t)map->size, PROT_READ | PROT_WRITE) != 0) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes cannot be made writable: %s",
                w4_show_path(path).text, map->size, strerror(errno));
    }
    return W4MOE_OK;
}

void
w4_map_close(struct w4_map *map)
{
    if (map->data != NULL) {
        munmap(map->data, (size_t)map->size);
        map->data = NULL;
        map->size = 0;
    }
}
