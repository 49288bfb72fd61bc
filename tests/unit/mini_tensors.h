/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A small reader and writer of safetensors files for tests, which shares
 * nothing with lib/io. It believes what it reads: never point it at a file
 * that a test did not write. What goes wrong here ends the test.
 */
#ifndef MINI_TENSORS_H
#define MINI_TENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { MINI_NAME = 160, MINI_RANK = 4 };

struct mini_tensor {
    char name[MINI_NAME];
    char dtype[16];
    size_t n_dims;
    uint64_t shape[MINI_RANK];
    unsigned char *data;
    size_t n_bytes;
};

/** A file in memory: tensors in the order of their data. A test may change
 * anything in it before it is written. */
struct mini {
    struct mini_tensor *tensors;
    size_t n_tensors;
    /** __metadata__; NULL: none. */
    json_t *metadata;
};

/** Appends a tensor whose data is copied; {0} is an empty file. */
extern struct mini_tensor *mini_add(struct mini *mini, const char *name,
        const char *dtype, size_t n_dims, const uint64_t *shape,
        const void *data, size_t n_bytes);

/** A tensor by its name; NULL if there is none. */
extern struct mini_tensor *mini_find(const struct mini *mini, const char *name);

/** Removes a tensor, which must be there. */
extern void mini_remove(struct mini *mini, const char *name);

/** Sets a text of the metadata; value NULL removes it. */
extern void mini_set(struct mini *mini, const char *key, const char *value);

/** Writes a file; the header is padded so that the data start at a multiple
 * of align. */
extern void mini_write(const struct mini *mini, const char *path, size_t align);

/** Reads a file. */
extern void mini_read(struct mini *mini, const char *path);

extern void mini_free(struct mini *mini);

#endif
