/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A caller's own rules for tensor names that the grammar does not know.
 *
 * A text file of lines "FROM TO", with blanks between and # for comments. FROM
 * is a name in which {l} and {e} stand for decimal numbers and {part}, at its
 * end, for the rest of the name. TO is a name of the grammar with the same
 * words, or "-" for tensors that are to be left out. The first line that fits
 * counts.
 */
#ifndef W4_FORMAT_NAME_MAP_H
#define W4_FORMAT_NAME_MAP_H

#include <stddef.h>

#include "base/err.h"

/** Longest file, and longest name that comes out, with its NUL. */
enum { W4_NAME_MAP_MAX = 1024 * 1024, W4_MAPPED_NAME_MAX = 512 };

struct w4_name_map;

/** Reads a file. Returns: OK; IO; FORMAT (the line, and what is wrong with
 * it); NOMEM. */
extern w4moe_status w4_name_map_read(
        struct w4_err *err, struct w4_name_map **map_p, const char *path);

/** map may be NULL. */
extern void w4_name_map_free(struct w4_name_map *map);

enum w4_mapping {
    /** No line fits. */
    W4_MAPPING_NONE,
    /** out is the name to use. */
    W4_MAPPING_NAME,
    /** The tensor is to be left out. */
    W4_MAPPING_SKIP,
    /** What comes out is too long for a name. */
    W4_MAPPING_TOO_LONG
};

/** Maps one name; counts that its line fits. */
extern enum w4_mapping w4_name_map_apply(struct w4_name_map *map,
        char out[W4_MAPPED_NAME_MAX], const char *name);

/** Line number of the next line after `line` (0: the first of all) that has
 * fitted no name; 0 if there is none. */
extern size_t w4_name_map_unused(const struct w4_name_map *map, size_t line);

#endif
