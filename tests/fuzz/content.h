/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a safetensors file holds, for a mutator: read from a good file, and
 * written as one.
 */
#ifndef FUZZ_CONTENT_H
#define FUZZ_CONTENT_H

#include "io/safetensors.h"

/** What there is room for. */
enum { FUZZ_TENSORS_MAX = 256, FUZZ_KEYS_MAX = 320, FUZZ_TEXT = 160 };

/** A tensor. */
struct fuzz_item {
    char name[FUZZ_TEXT];
    const char *dtype;
    /** Bits of an element. */
    uint64_t bits;
    uint32_t n_dims;
    uint64_t shape[W4_ST_RANK_MAX];
    /** Of what was read. Where n_bytes, the size to be written, is larger,
     * data are repeated. */
    const uint8_t *data;
    uint64_t n_data;
    uint64_t n_bytes;
};

/** A text of __metadata__. */
struct fuzz_text {
    char key[FUZZ_TEXT];
    char value[FUZZ_TEXT];
};

struct fuzz_content {
    struct fuzz_item items[FUZZ_TENSORS_MAX];
    size_t n_items;
    struct fuzz_text texts[FUZZ_KEYS_MAX];
    size_t n_texts;
};

/** Takes all of a set, but for padding, into content that is clear. Returns 0
 * if it has no tensor, or more than there is room for. */
extern int fuzz_content_read(
        struct fuzz_content *content, const struct w4_st_set *set);

/** Writes a file in which every tensor begins at a multiple of 64 bytes.
 * Returns its size, or 0 if it does not fit into size bytes. */
extern size_t fuzz_content_write(
        const struct fuzz_content *content, uint8_t *out, size_t size);

#endif
