/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A strict tokenizer of JSON (RFC 8259) over bytes in memory, for the headers
 * and the index of safetensors files.
 *
 * It checks the whole grammar, so that what it returns is always a correct
 * sequence of tokens, and never recurses or allocates. It builds no tree, does
 * not see keys that stand twice, and does not turn fractions into numbers:
 * the formats that are read with it have none. Strings must be valid UTF-8
 * and free of NUL.
 */
#ifndef W4_IO_JSON_SCAN_H
#define W4_IO_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

/** How deep objects and arrays may be nested. */
enum { W4_JSON_DEPTH_MAX = 8 };

enum w4_json_type {
    /** Not JSON; `why` and `where` are set. Every later call returns this. */
    W4_JSON_ERROR,
    /** The text is over. */
    W4_JSON_END,
    W4_JSON_OBJECT,
    W4_JSON_OBJECT_END,
    W4_JSON_ARRAY,
    W4_JSON_ARRAY_END,
    /** A string, and the colon after it. Its value comes next. */
    W4_JSON_KEY,
    W4_JSON_STRING,
    /** An integer within 0 to 2^64 - 1 without sign, fraction or exponent. */
    W4_JSON_INTEGER,
    /** Any other number. */
    W4_JSON_NUMBER,
    W4_JSON_TRUE,
    W4_JSON_FALSE,
    W4_JSON_NULL
};

enum w4_json_want {
    W4_JSON_WANT_VALUE,
    W4_JSON_WANT_VALUE_OR_END,
    W4_JSON_WANT_KEY,
    W4_JSON_WANT_KEY_OR_END,
    W4_JSON_WANT_COMMA_OR_END,
    W4_JSON_WANT_NOTHING
};

/** Where the tokenizer stands. Callers read the fields of the last token. */
struct w4_json {
    const char *begin;
    const char *at;
    const char *end;
    enum w4_json_want want;
    /** Objects and arrays that are open; bit d of is_object: the one that was
     * opened at depth d is an object. */
    unsigned depth;
    unsigned is_object;

    /* The last token. */
    enum w4_json_type type;
    /** Its bytes in the text; of a string those between the quotes. */
    const char *raw;
    size_t raw_size;
    /** Of a KEY or STRING: bytes without escapes. */
    size_t length;
    /** Of an INTEGER. */
    uint64_t integer;
    /** Of an ERROR: what is wrong, and at which byte of the text. */
    const char *why;
    size_t where;
};

/** Starts at the beginning of a text, which must stay where it is. */
extern void w4_json_init(struct w4_json *json, const char *text, size_t size);

/** Reads the next token; returns its type. */
extern enum w4_json_type w4_json_next(struct w4_json *json);

/** Reads a whole value, with all that is in it. Returns the type of its last
 * token: ERROR or anything else. */
extern enum w4_json_type w4_json_skip(struct w4_json *json);

/** Copies the last KEY or STRING without its escapes: length + 1 bytes, the
 * last of which is NUL. */
extern void w4_json_copy(const struct w4_json *json, char *out);

/** Whether the last KEY or STRING is `text`. */
extern int w4_json_is(const struct w4_json *json, const char *text);

#endif
