/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A regular file as memory.
 */
#ifndef W4_IO_MAP_H
#define W4_IO_MAP_H

#include "base/err.h"

/** A mapped file; {0} is none. Nothing is ever written back to the file. */
struct w4_map {
    unsigned char *data;
    uint64_t size;
};

/** Maps a whole file for reading. Links are followed; folders, pipes, devices
 * and empty files are refused. Returns: OK; IO; FORMAT (an empty file); NOMEM
 * (no address space). */
extern w4moe_status w4_map_open(
        struct w4_err *err, struct w4_map *map, const char *path);

/** Makes the mapping writable, for this process only. path is for the text.
 * Returns: OK; NOMEM. */
extern w4moe_status w4_map_make_writable(
        struct w4_err *err, struct w4_map *map, const char *path);

/** Unmaps; map may be {0}, and is so afterwards. */
extern void w4_map_close(struct w4_map *map);

#endif
