/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Models in several GGUF files: NAME-00001-of-0000N.gguf and so on, each with
 * split.no (from 0), split.count and split.tensors.count (of all).
 */
#ifndef W4_IO_GGUF_SPLIT_H
#define W4_IO_GGUF_SPLIT_H

#include "io/gguf_file.h"

/** A split, of which there is a part. */
struct w4_gguf_split {
    /** Which part, from 0, of how many; 0 of 1: a whole file. */
    uint64_t no;
    uint64_t count;
    /** Of all parts; if it is a whole file, not set. */
    uint64_t n_tensors;
};

/** What the keys of a file say. A split.count of 0 or 1, which is what merging
 * leaves, means a whole file. Returns: OK; FORMAT. */
extern w4moe_status w4_gguf_split_read(struct w4_err *err,
        const struct w4_gguf_file *file, struct w4_gguf_split *split);

/** Whether a file is the first part, by its keys and by its name, so that the
 * others can be found. Returns: OK; FORMAT, with the first part's name. */
extern w4moe_status w4_gguf_split_check_first(struct w4_err *err,
        const struct w4_gguf_file *file, const struct w4_gguf_split *split);

/** Path of part `no` in memory of its own, made of that of the first; NULL if
 * there is no memory. */
extern char *w4_gguf_split_path(
        const char *first, const struct w4_gguf_split *split, uint64_t no);

/** Whether a file is part `no` of a split. Returns: OK; FORMAT. */
extern w4moe_status w4_gguf_split_check(struct w4_err *err,
        const struct w4_gguf_file *file, const struct w4_gguf_split *split,
        uint64_t no);

#endif
