/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Hand-made GGUF files for tests, good ones and such as no writer would make.
 * Needs nothing of the library. Running out of memory ends the test.
 */
#ifndef W4_TESTS_GGUF_HELPERS_H
#define W4_TESTS_GGUF_HELPERS_H

#include <stddef.h>
#include <stdint.h>

/** Bytes that grow. */
struct gguf_bytes {
    unsigned char *bytes;
    size_t n;
    size_t room;
};

/** Where in a file a number of 8 bytes stands, and of what kind it is: "count",
 * "length" (of a name, string or array), "dimension", "offset". */
struct gguf_field {
    size_t at;
    const char *kind;
};

enum { GGUF_MAX_FIELDS = 256 };

/** A file in the making. The fields may be changed before gguf_finish(). */
struct gguf_build {
    uint32_t version;
    /** What the data is padded to; a key general.alignment is the caller's. */
    uint64_t alignment;
    uint64_t n_keys;
    uint64_t n_tensors;
    struct gguf_bytes keys;
    struct gguf_bytes entries;
    struct gguf_bytes data;
    /** Within keys or, from the second on, entries; after gguf_finish() within
     * the file. */
    struct gguf_field fields[GGUF_MAX_FIELDS];
    size_t n_key_fields;
    size_t n_fields;
};

/** Begins a file of version 3 with alignment 32. All keys come before all
 * tensors. */
extern void gguf_begin(struct gguf_build *build);

/** Adds a key with any bytes as its value. */
extern void gguf_key(struct gguf_build *build, const char *key, uint32_t type,
        const void *value, size_t n_bytes);

/** Adds a number (enum w4_gguf_value) of 1, 2, 4 or 8 bytes: its lowest. */
extern void gguf_number(struct gguf_build *build, const char *key,
        uint32_t type, size_t n_bytes, uint64_t value);
extern void gguf_uint32(
        struct gguf_build *build, const char *key, uint32_t value);
extern void gguf_float32(
        struct gguf_build *build, const char *key, float value);
extern void gguf_float64(
        struct gguf_build *build, const char *key, double value);
extern void gguf_bool(struct gguf_build *build, const char *key, int value);

/** Adds a string of n bytes; one of the first NUL. */
extern void gguf_string_n(
        struct gguf_build *build, const char *key, const void *value, size_t n);
extern void gguf_string(
        struct gguf_build *build, const char *key, const char *value);

/** Adds an array of n numbers of n_bytes each; of n strings. */
extern void gguf_array(struct gguf_build *build, const char *key, uint32_t type,
        size_t n_bytes, const uint64_t *values, size_t n);
extern void gguf_strings(struct gguf_build *build, const char *key,
        const char *const *values, size_t n);

/** Adds the three keys of part `no` (from 0) of a split, as others do. */
extern void gguf_split(struct gguf_build *build, unsigned no, unsigned count,
        unsigned n_tensors);

/** Adds a tensor with its data at the next offset, shape in ggml's order;
 * data NULL: a pattern of the name's, see gguf_pattern(). */
extern void gguf_tensor(struct gguf_build *build, const char *name,
        uint32_t type, uint32_t n_dims, const uint64_t *shape, const void *data,
        size_t n_bytes);

/** Adds only an entry. */
extern void gguf_entry(struct gguf_build *build, const char *name, size_t n,
        uint32_t type, uint32_t n_dims, const uint64_t *shape, uint64_t offset);

/** Byte i of the pattern of a name. */
extern unsigned char gguf_pattern(const char *name, size_t i);

/** The file; the data begins at a multiple of the alignment. Free it. build is
 * empty then, but for the fields. */
extern unsigned char *gguf_finish(struct gguf_build *build, size_t *n);

/** The same into a file; returns path. */
extern const char *gguf_write(struct gguf_build *build, const char *path);

/** Stores a number little-endian. */
extern void gguf_store(void *bytes, size_t n_bytes, uint64_t value);

#endif
