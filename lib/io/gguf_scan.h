/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The bytes of a GGUF header, one after the other. Nothing is read that is not
 * there; the text of a failure says of what entry it is.
 */
#ifndef W4_IO_GGUF_SCAN_H
#define W4_IO_GGUF_SCAN_H

#include "base/err.h"
#include "io/map.h"

/** A text in the file, without a NUL at its end. */
struct w4_gguf_text {
    const char *bytes;
    size_t size;
};

struct w4_gguf_scan {
    struct w4_err *err;
    /** For messages. */
    const char *path;
    const unsigned char *bytes;
    /** Where the next byte is, and where the last may be. */
    size_t at;
    size_t size;
    /** Whether the file goes on behind that. */
    int is_capped;
    /** The entry, for messages: of what kind ("key", "tensor", NULL: none),
     * which of how many, and its name, as soon as it is known. */
    const char *kind;
    size_t number;
    size_t count;
    struct w4_gguf_text name;
};

/** Begins at byte `at` of a mapped file. */
extern void w4_gguf_scan_init(struct w4_gguf_scan *scan, struct w4_err *err,
        const char *path, const struct w4_map *map, size_t at);

/** Entry `number`, from 0, of `count` begins; kind NULL: their end. */
extern void w4_gguf_scan_entry(struct w4_gguf_scan *scan, const char *kind,
        size_t number, size_t count);

/** Fails, with path and entry before the text. */
extern w4moe_status w4_gguf_scan_fail(const struct w4_gguf_scan *scan,
        w4moe_status status, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/** The next bytes. Each returns OK or FORMAT. */
extern w4moe_status w4_gguf_scan_u32(
        struct w4_gguf_scan *scan, uint32_t *value);
extern w4moe_status w4_gguf_scan_u64(
        struct w4_gguf_scan *scan, uint64_t *value);
extern w4moe_status w4_gguf_scan_skip(struct w4_gguf_scan *scan, uint64_t n);

/** The next string, which may hold anything. */
extern w4moe_status w4_gguf_scan_string(
        struct w4_gguf_scan *scan, struct w4_gguf_text *text);

/** The name of the entry, which becomes scan->name: a text, not empty, not
 * beyond W4_GGUF_NAME_MAX. */
extern w4moe_status w4_gguf_scan_name(struct w4_gguf_scan *scan);

/** Whether a string is UTF-8 and holds no NUL. */
extern int w4_gguf_is_text(const struct w4_gguf_text *text);

#endif
