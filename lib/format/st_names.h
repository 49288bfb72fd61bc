/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The names that the tensors of a safetensors checkpoint are read as: their
 * own, or what a caller's map makes of them.
 */
#ifndef W4_FORMAT_ST_NAMES_H
#define W4_FORMAT_ST_NAMES_H

#include "io/safetensors.h"

/** Zeros are the names of no set. */
struct w4_st_names {
    const struct w4_st_set *set;
    /** [w4_st_count(set)], NULL for a tensor that is to be left out; the whole
     * is NULL without a map. */
    char **mapped;
};

/** Reads the map, if a path is given, and applies it to all names; rules that
 * fit none are logged. Returns OK, IO, FORMAT or NOMEM. */
extern w4moe_status w4_st_names_make(struct w4_err *err,
        struct w4_st_names *names, const struct w4_st_set *set,
        const char *map_path);

extern void w4_st_names_free(struct w4_st_names *names);

/** The name of tensor t; "" for one that is to be left out. */
extern const char *w4_st_names_at(const struct w4_st_names *names, size_t t);

#endif
