/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One GGUF file: its header, checked and turned into tables of keys and
 * tensors. Sets of files are made of these in gguf.c.
 */
#ifndef W4_IO_GGUF_FILE_H
#define W4_IO_GGUF_FILE_H

#include "io/gguf.h"
#include "io/gguf_meta.h"
#include "io/map.h"

/** A file; {0} is none. */
struct w4_gguf_file {
    /** Set by the caller, who also releases them. */
    char *path;
    struct w4_map map;
    /** What the header says. */
    size_t n_tensors;
    size_t n_keys;
    /** Sorted. */
    struct w4_gguf_key *keys;
    /** Names of tensors and keys, and strings that are values. */
    char *strings;
    size_t n_strings;
    uint64_t alignment;
    /** Where the tensors' entries and their data begin. */
    size_t entries;
    uint64_t data;
};

/** Checks the header and reads the metadata; counts the tensors. In: path and
 * map; the rest is 0. Returns: OK; FORMAT; UNSUPPORTED; NOMEM. Release with
 * w4_gguf_file_free(), also on failure. */
extern w4moe_status w4_gguf_file_read(
        struct w4_err *err, struct w4_gguf_file *file);

/** After that, and once: reads the tensors into tensors [n_tensors], in order
 * of offset; `index` is the file's number in its set. Names may stand twice.
 * Returns: OK; FORMAT. */
extern w4moe_status w4_gguf_file_tensors(struct w4_err *err,
        struct w4_gguf_file *file, struct w4_gguf_tensor *tensors,
        uint32_t index);

/** Finds a key; NULL if there is none. */
extern const struct w4_gguf_key *w4_gguf_file_find(
        const struct w4_gguf_file *file, const char *key);

extern void w4_gguf_file_free(struct w4_gguf_file *file);

#endif
