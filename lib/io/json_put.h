/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * JSON text into memory that is large enough, or into none, to count it.
 */
#ifndef W4_IO_JSON_PUT_H
#define W4_IO_JSON_PUT_H

#include <stddef.h>
#include <stdint.h>

/** Where a text goes; {0} only counts. */
struct w4_json_sink {
    char *out;
    uint64_t size;
};

/** Bytes as they are, and a text as it is. */
extern void w4_json_put_bytes(
        struct w4_json_sink *sink, const char *bytes, size_t n);
extern void w4_json_put(struct w4_json_sink *sink, const char *text);

extern void w4_json_put_number(struct w4_json_sink *sink, uint64_t number);

/** A string in quotes, with the escapes that JSON asks for. In: text is valid
 * UTF-8. */
extern void w4_json_put_string(struct w4_json_sink *sink, const char *text);

#endif
