/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "io/gguf.h"
#include "io/text.h"

void
w4_gguf_scan_init(struct w4_gguf_scan *scan, struct w4_err *err,
        const char *path, const struct w4_map *map, size_t at)
{
    memset(scan, 0, sizeof(*scan));
    scan->err = err;
    scan->path = path;
    scan->bytes = map->data;
    scan->at = at;
    scan->is_capped = map->size > W4_GGUF_HEADER_MAX;
    scan->size = scan->is_capped ? W4_GGUF_HEADER_MAX : (size_t)map->size;
}

void
w4_gguf_scan_entry(struct w4_gguf_scan *scan, const char *kind, size_t number,
        size_t count)
{
    scan->kind = kind;
    scan->number = number;
    scan->count = count;
    scan->name.bytes = NULL;
    scan->name.size = 0;
}

w4moe_status
w4_gguf_scan_fail(const struct w4_gguf_scan *scan, w4moe_status status,
        const char *format, ...)
{
    char text[W4_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *path = scan->path;
    if (scan->kind == NULL) {
        return w4_fail(
                scan->err, status, "%s: %s", w4_show_path(path).text, text);
    }
    if (scan->name.bytes == NULL) {
        return w4_fail(scan->err, status, "%s: %s %zu of %zu: %s",
                w4_show_path(path).text, scan->kind, scan->number + 1,
                scan->count, text);
    }
    return w4_fail(scan->err, status, "%s: %s \"%s\": %s",
            w4_show_path(path).text, scan->kind,
            w4_show(scan->name.bytes, scan->name.size).text, text);
}

/* Whether n bytes more are there. */
static w4moe_status
need(const struct w4_gguf_scan *scan, uint64_t n)
{
    if (n <= scan->size - scan->at) {
        return W4MOE_OK;
    }
    if (scan->is_capped) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "the header goes on behind its first %d bytes, %" PRIu64
                " more from byte %zu on",
                W4_GGUF_HEADER_MAX, n, scan->at);
    }
    return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
            "%" PRIu64 " bytes from byte %zu on, but the file has %zu", n,
            scan->at, scan->size);
}

w4moe_status
w4_gguf_scan_u32(struct w4_gguf_scan *scan, uint32_t *value)
{
    w4moe_status status = need(scan, 4);
    if (status == W4MOE_OK) {
        *value = w4_load_le32(scan->bytes + scan->at);
        scan->at += 4;
    }
    return status;
}

w4moe_status
w4_gguf_scan_u64(struct w4_gguf_scan *scan, uint64_t *value)
{
    w4moe_status status = need(scan, 8);
    if (status == W4MOE_OK) {
        *value = w4_load_le64(scan->bytes + scan->at);
        scan->at += 8;
    }
    return status;
}

w4moe_status
w4_gguf_scan_skip(struct w4_gguf_scan *scan, uint64_t n)
{
    w4moe_status status = need(scan, n);
    if (status == W4MOE_OK) {
        scan->at += (size_t)n;
    }
    return status;
}

w4moe_status
w4_gguf_scan_string(struct w4_gguf_scan *scan, struct w4_gguf_text *text)
{
    uint64_t size = 0;
    w4moe_status status = w4_gguf_scan_u64(scan, &size);
    if (status != W4MOE_OK) {
        return status;
    }
    size_t begin = scan->at;
    status = w4_gguf_scan_skip(scan, size);
    if (status == W4MOE_OK) {
        text->bytes = (const char *)scan->bytes + begin;
        text->size = (size_t)size;
    }
    return status;
}

w4moe_status
w4_gguf_scan_name(struct w4_gguf_scan *scan)
{
    struct w4_gguf_text name = {0};
    w4moe_status status = w4_gguf_scan_string(scan, &name);
    if (status != W4MOE_OK) {
        return status;
    }
    if (name.size == 0 || name.size > W4_GGUF_NAME_MAX) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "a name of %zu bytes, 1 to %d are read", name.size,
                W4_GGUF_NAME_MAX);
    }
    if (!w4_gguf_is_text(&name)) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "its name, at byte %zu, is not UTF-8 or holds a NUL",
                scan->at - name.size);
    }
    scan->name = name;
    return W4MOE_OK;
}

int
w4_gguf_is_text(const struct w4_gguf_text *text)
{
    const unsigned char *at = (const unsigned char *)text->bytes;
    size_t left = text->size;
    while (left > 0) {
        size_t size = w4_utf8_size(at, left);
        if (size == 0 || *at == '\0') {
            return 0;
        }
        at += size;
        left -= size;
    }
    return 1;
}
