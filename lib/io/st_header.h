/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One safetensors file: its header, checked and turned into a table of
 * tensors. Sets of files are made of these in safetensors.c.
 */
#ifndef W4_IO_ST_HEADER_H
#define W4_IO_ST_HEADER_H

#include "io/map.h"
#include "io/safetensors.h"

/** A file; {0} is none. */
struct w4_st_file {
    char *path;
    struct w4_map map;
    /** The header's JSON and the data behind it, both in the mapping. */
    const char *header;
    size_t header_size;
    unsigned char *data;
    uint64_t data_size;
    /** Entries of the header. */
    size_t n_tensors;
    /** The names of the tensors, and keys and values of __metadata__. */
    char *strings;
    size_t n_strings;
    /** The keys of __metadata__, sorted; each is followed by its value. */
    const char **keys;
    size_t n_keys;
};

/** Maps a file, checks the header's length and grammar, and counts its
 * entries. In: path, which the file owns from then on, also on failure.
 * Returns: OK; IO; FORMAT. Release with w4_st_file_close(), also on failure. */
extern w4moe_status w4_st_file_open(
        struct w4_err *err, struct w4_st_file *file, char *path);

/** Reads the entries into tensors [n_tensors], in order of offset; `index` is
 * the file's number in its set. Each is checked by itself, but names may stand
 * twice. Returns: OK; FORMAT; UNSUPPORTED; NOMEM. */
extern w4moe_status w4_st_file_read(struct w4_err *err, struct w4_st_file *file,
        struct w4_tensor *tensors, uint32_t index);

/** Whether the tensors cover the data without hole or overlap.
 * Returns: OK; FORMAT. */
extern w4moe_status w4_st_file_check_cover(struct w4_err *err,
        const struct w4_st_file *file, const struct w4_tensor *tensors);

extern void w4_st_file_close(struct w4_st_file *file);

#endif
