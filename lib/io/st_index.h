/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * model.safetensors.index.json: which file of a folder holds which tensor.
 * The files themselves are opened by safetensors.c.
 */
#ifndef W4_IO_ST_INDEX_H
#define W4_IO_ST_INDEX_H

#include "io/safetensors.h"

/** An index; {0} is none. */
struct w4_st_index {
    char *path;
    char *strings;
    /** The names of the tensors, sorted; each is followed by that of its
     * file. */
    const char **names;
    size_t n_names;
    /** The names of the files, sorted, each once. */
    const char **files;
    size_t n_files;
};

/** Reads and checks an index: a strict JSON object with "weight_map", at least
 * one tensor, none twice, plain file names. "metadata" and other keys are
 * not looked at.
 * Returns: OK; IO; FORMAT; NOMEM. Release it, also on failure. */
extern w4moe_status w4_st_index_read(
        struct w4_err *err, struct w4_st_index *index, const char *path);

extern void w4_st_index_free(struct w4_st_index *index);

/** Whether all tensors of the files, sorted by name, are those of the index,
 * each in its place. In: tensor->file is a position in index->files.
 * Returns: OK; FORMAT. */
extern w4moe_status w4_st_index_check(struct w4_err *err,
        const struct w4_st_index *index, const struct w4_tensor *const *by_name,
        size_t n);

#endif
