/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Where everything stands in a safetensors file that is to be written, or in
 * several ("shards"), and the texts of their headers. In memory only; the files
 * are for st_writer.c.
 */
#ifndef W4_IO_ST_LAYOUT_H
#define W4_IO_ST_LAYOUT_H

#include "io/json_put.h"
#include "io/st_writer.h"

/** Every tensor begins at a multiple of this in the file. */
enum { W4_ST_ALIGN = 64 };

/** A tensor and its place. */
struct w4_st_place {
    struct w4_st_entry entry;
    /** Which file it is in. */
    size_t shard;
    /** Where its data begin, from the end of that file's header on. */
    uint64_t begin;
    uint64_t n_bytes;
    /** Bytes of zero behind it, up to the next tensor. */
    uint64_t n_pad;
};

/** A file: entries one after the other. */
struct w4_st_shard {
    size_t first;
    size_t n_places;
    /** Number of its first padding: names must differ over all files. */
    size_t first_pad;
    uint64_t data_size;
};

/** One text of __metadata__. */
struct w4_st_value {
    char *key;
    char *value;
};

/** A layout; {0} is none. */
struct w4_st_layout {
    struct w4_st_place *places;
    size_t n_places;
    /** The names of the entries, copied. */
    char *names;
    /** At least one. */
    struct w4_st_shard *shards;
    size_t n_shards;
    /** Of all files: padding, and bytes of data. */
    size_t n_pads;
    uint64_t data_size;
    struct w4_st_value *values;
    size_t n_values;
};

/** Copies the entries and gives each its place. In: path: for the texts.
 * max_shard_bytes: an entry that would make a file's data larger gets the next
 * file; 0: one file for all.
 * Returns: OK; INVALID; NOMEM. Release it, also on failure. */
extern w4moe_status w4_st_layout_init(struct w4_err *err,
        struct w4_st_layout *layout, const char *path,
        const struct w4_st_entry *entries, size_t n, uint64_t max_shard_bytes);

extern void w4_st_layout_free(struct w4_st_layout *layout);

/** As w4_st_writer_set(). In: is_fixed: whether the header's size must stay as
 * it is. */
extern w4moe_status w4_st_layout_set(struct w4_err *err,
        struct w4_st_layout *layout, const char *path, const char *key,
        const char *value, int is_fixed);

/** The name of padding number n. */
extern void w4_st_put_pad_name(struct w4_json_sink *sink, uint64_t n);

/** Bytes of a file's header: its length in 8 bytes, the JSON, and spaces up to
 * a multiple of 64. Returns: OK; INVALID (more than readers take, or data
 * beyond 2^63 bytes). */
extern w4moe_status w4_st_layout_header_size(struct w4_err *err,
        const struct w4_st_layout *layout, const char *path, size_t shard,
        uint64_t *size_p);

/** Writes the header, of the size that w4_st_layout_header_size() told. */
extern void w4_st_layout_header(const struct w4_st_layout *layout, size_t shard,
        char *out, uint64_t size);

#endif
