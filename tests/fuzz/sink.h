/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Where fuzz targets and mutators write a text or a file of limited length.
 */
#ifndef W4_TESTS_FUZZ_SINK_H
#define W4_TESTS_FUZZ_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** What is written, as far as there is room. */
struct sink {
    uint8_t *out;
    size_t room;
    size_t size;
};

static inline void
sink_put(struct sink *sink, const void *bytes, size_t n)
{
    if (n <= sink->room - sink->size) {
        memcpy(sink->out + sink->size, bytes, n);
        sink->size += n;
    } else {
        sink->size = sink->room;
    }
}

#endif
