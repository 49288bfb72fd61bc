/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Keys and values of a GGUF file's metadata.
 */
#ifndef W4_IO_GGUF_META_H
#define W4_IO_GGUF_META_H

#include "io/gguf.h"
#include "io/gguf_scan.h"

/** A key and its value. */
struct w4_gguf_key {
    const char *name;
    /** Of the value; if it is an array, of its elements. */
    uint32_t type;
    uint32_t is_array;
    /** Elements of an array; bytes of a string; else 1. */
    uint64_t n;
    /** In the file, little-endian. A string that is no text has none. */
    const void *data;
};

/** The fewest bytes that a key and its value can have. */
enum { W4_GGUF_KEY_MIN = 8 + 1 + 4 + 1 };

/** Reads the next key, whose name is scan->name then, and its value; name and
 * string values still stand in the file, without a NUL. Returns: OK; FORMAT;
 * UNSUPPORTED. */
extern w4moe_status w4_gguf_key_scan(
        struct w4_gguf_scan *scan, struct w4_gguf_key *key);

/** Sorts keys by their names, which are strings now. Returns: OK; FORMAT (a
 * key twice). */
extern w4moe_status w4_gguf_keys_sort(struct w4_err *err, const char *path,
        struct w4_gguf_key *keys, size_t n);

/** Finds one in a sorted table; NULL if there is none. */
extern const struct w4_gguf_key *w4_gguf_keys_find(
        const struct w4_gguf_key *keys, size_t n, const char *name);

/** A number at any address, if it is of an integer type and not negative. */
extern int w4_gguf_load_uint(uint32_t type, const void *data, uint64_t *value);

/** The value of a key, which may be NULL, if it is such a number. */
extern int w4_gguf_key_uint(const struct w4_gguf_key *key, uint64_t *value);

#endif
