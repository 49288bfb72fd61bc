/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/json_put.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
w4_json_put_bytes(struct w4_json_sink *sink, const char *bytes, size_t n)
{
    if (sink->out != NULL) {
        memcpy(sink->out + sink->size, bytes, n);
    }
    sink->size += n;
}

void
w4_json_put(struct w4_json_sink *sink, const char *text)
{
    w4_json_put_bytes(sink, text, strlen(text));
}

void
w4_json_put_number(struct w4_json_sink *sink, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    w4_json_put(sink, text);
}

void
w4_json_put_string(struct w4_json_sink *sink, const char *text)
{
    w4_json_put(sink, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            char escape[8];
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            w4_json_put(sink, escape);
        } else {
            if (c == '"' || c == '\\') {
                w4_json_put(sink, "\\");
            }
            w4_json_put_bytes(sink, text, 1);
        }
    }
    w4_json_put(sink, "\"");
}
