/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gguf_helpers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

/* GGUF's numbers of types, written out a second time on purpose. */
enum { UINT16 = 2, UINT32 = 4, INT32 = 5, FLOAT32 = 6, BOOL = 7 };
enum { STRING = 8, ARRAY = 9, FLOAT64 = 12, HEAD_SIZE = 24 };

/* ------------------------------------------------------------------- bytes */

void
gguf_store(void *bytes, size_t n_bytes, uint64_t value)
{
    unsigned char *p = bytes;
    for (size_t i = 0; i < n_bytes; i++) {
        p[i] = (unsigned char)(value >> (8 * i));
    }
}

static void
put(struct gguf_bytes *to, const void *bytes, size_t n)
{
    if (to->n + n > to->room) {
        to->room = 2 * (to->n + n) + 256;
        to->bytes = realloc(to->bytes, to->room);
        ck_assert_ptr_nonnull(to->bytes);
    }
    if (n > 0) {
        memcpy(to->bytes + to->n, bytes, n);
    }
    to->n += n;
}

static void
put_number(struct gguf_bytes *to, size_t n_bytes, uint64_t value)
{
    unsigned char bytes[8];
    gguf_store(bytes, sizeof(bytes), value);
    put(to, bytes, n_bytes);
}

static void
put_zeros(struct gguf_bytes *to, size_t n)
{
    for (; n > 0; n--) {
        put(to, "", 1);
    }
}

/* A number of 8 bytes that tests may damage. */
static void
put_field(struct gguf_build *build, struct gguf_bytes *to, const char *kind,
        uint64_t value)
{
    if (build->n_fields < GGUF_MAX_FIELDS) {
        build->fields[build->n_fields].at = to->n;
        build->fields[build->n_fields++].kind = kind;
    }
    put_number(to, 8, value);
}

static void
put_string(struct gguf_build *build, struct gguf_bytes *to, const void *text,
        size_t n)
{
    put_field(build, to, "length", n);
    put(to, text, n);
}

/* -------------------------------------------------------------------- keys */

void
gguf_begin(struct gguf_build *build)
{
    memset(build, 0, sizeof(*build));
    build->version = 3;
    build->alignment = 32;
}

static void
begin_key(struct gguf_build *build, const char *key, uint32_t type)
{
    build->n_keys++;
    put_string(build, &build->keys, key, strlen(key));
    put_number(&build->keys, 4, type);
}

void
gguf_key(struct gguf_build *build, const char *key, uint32_t type,
        const void *value, size_t n_bytes)
{
    begin_key(build, key, type);
    put(&build->keys, value, n_bytes);
}

void
gguf_number(struct gguf_build *build, const char *key, uint32_t type,
        size_t n_bytes, uint64_t value)
{
    begin_key(build, key, type);
    put_number(&build->keys, n_bytes, value);
}

void
gguf_uint32(struct gguf_build *build, const char *key, uint32_t value)
{
    gguf_number(build, key, UINT32, 4, value);
}

void
gguf_float32(struct gguf_build *build, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    gguf_number(build, key, FLOAT32, 4, bits);
}

void
gguf_float64(struct gguf_build *build, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    gguf_number(build, key, FLOAT64, 8, bits);
}

void
gguf_bool(struct gguf_build *build, const char *key, int value)
{
    gguf_number(build, key, BOOL, 1, value != 0);
}

void
gguf_string_n(
        struct gguf_build *build, const char *key, const void *value, size_t n)
{
    begin_key(build, key, STRING);
    put_string(build, &build->keys, value, n);
}

void
gguf_string(struct gguf_build *build, const char *key, const char *value)
{
    gguf_string_n(build, key, value, strlen(value));
}

static void
begin_array(struct gguf_build *build, const char *key, uint32_t type, size_t n)
{
    begin_key(build, key, ARRAY);
    put_number(&build->keys, 4, type);
    put_field(build, &build->keys, "length", n);
}

void
gguf_array(struct gguf_build *build, const char *key, uint32_t type,
        size_t n_bytes, const uint64_t *values, size_t n)
{
    begin_array(build, key, type, n);
    for (size_t i = 0; i < n; i++) {
        put_number(&build->keys, n_bytes, values[i]);
    }
}

void
gguf_strings(struct gguf_build *build, const char *key,
        const char *const *values, size_t n)
{
    begin_array(build, key, STRING, n);
    for (size_t i = 0; i < n; i++) {
        put_string(build, &build->keys, values[i], strlen(values[i]));
    }
}

void
gguf_split(struct gguf_build *build, unsigned no, unsigned count,
        unsigned n_tensors)
{
    gguf_number(build, "split.no", UINT16, 2, no);
    gguf_number(build, "split.count", UINT16, 2, count);
    gguf_number(build, "split.tensors.count", INT32, 4, n_tensors);
}

/* ----------------------------------------------------------------- tensors */

void
gguf_entry(struct gguf_build *build, const char *name, size_t n, uint32_t type,
        uint32_t n_dims, const uint64_t *shape, uint64_t offset)
{
    if (build->n_tensors++ == 0) {
        build->n_key_fields = build->n_fields;
    }
    put_string(build, &build->entries, name, n);
    put_number(&build->entries, 4, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) {
        put_field(build, &build->entries, "dimension", shape[i]);
    }
    put_number(&build->entries, 4, type);
    put_field(build, &build->entries, "offset", offset);
}

unsigned char
gguf_pattern(const char *name, size_t i)
{
    size_t n = strlen(name);
    return (unsigned char)((unsigned char)name[i % n] + 31 * i + i / 251);
}

/* Zeros up to a multiple of the alignment. */
static void
pad(const struct gguf_build *build, struct gguf_bytes *bytes)
{
    size_t used = bytes->n % (size_t)build->alignment;
    put_zeros(bytes, used != 0 ? (size_t)build->alignment - used : 0);
}

void
gguf_tensor(struct gguf_build *build, const char *name, uint32_t type,
        uint32_t n_dims, const uint64_t *shape, const void *data,
        size_t n_bytes)
{
    struct gguf_bytes *to = &build->data;
    pad(build, to);
    gguf_entry(build, name, strlen(name), type, n_dims, shape, to->n);
    if (data != NULL) {
        put(to, data, n_bytes);
        return;
    }
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned char byte = gguf_pattern(name, i);
        put(to, &byte, 1);
    }
}

/* ---------------------------------------------------------------- the file */

/* Field positions become those of the file; the counts come first. */
static void
place_fields(struct gguf_build *build, size_t n_key_bytes)
{
    if (build->n_tensors == 0) {
        build->n_key_fields = build->n_fields;
    }
    for (size_t i = 0; i < build->n_fields; i++) {
        size_t before = i < build->n_key_fields ? 0 : n_key_bytes;
        build->fields[i].at += HEAD_SIZE + before;
    }
    for (size_t at = 8; at < HEAD_SIZE && build->n_fields < GGUF_MAX_FIELDS;
            at += 8) {
        build->fields[build->n_fields].at = at;
        build->fields[build->n_fields++].kind = "count";
    }
}

unsigned char *
gguf_finish(struct gguf_build *build, size_t *n)
{
    struct gguf_bytes file = {0};
    put(&file, "GGUF", 4);
    put_number(&file, 4, build->version);
    put_number(&file, 8, build->n_tensors);
    put_number(&file, 8, build->n_keys);
    place_fields(build, build->keys.n);
    put(&file, build->keys.bytes, build->keys.n);
    put(&file, build->entries.bytes, build->entries.n);
    if (build->data.n > 0) {
        pad(build, &file);
        put(&file, build->data.bytes, build->data.n);
    }
    struct gguf_bytes *parts[] = {&build->keys, &build->entries, &build->data};
    for (size_t i = 0; i < 3; i++) {
        free(parts[i]->bytes);
        memset(parts[i], 0, sizeof(*parts[i]));
    }
    *n = file.n;
    return file.bytes;
}

const char *
gguf_write(struct gguf_build *build, const char *path)
{
    size_t n;
    unsigned char *bytes = gguf_finish(build, &n);
    test_file_write(path, bytes, n);
    free(bytes);
    return path;
}
