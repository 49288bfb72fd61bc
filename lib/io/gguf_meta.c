/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_meta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/gguf_types.h"
#include "io/text.h"

static w4moe_status
fail_type(const struct w4_gguf_scan *scan, const struct w4_gguf_key *key)
{
    return w4_gguf_scan_fail(scan, W4MOE_FORMAT, "%s of unknown type %" PRIu32,
            key->is_array ? "an array" : "a value", key->type);
}

static w4moe_status
scan_string(struct w4_gguf_scan *scan, struct w4_gguf_key *key)
{
    struct w4_gguf_text text = {0};
    w4moe_status status = w4_gguf_scan_string(scan, &text);
    if (status == W4MOE_OK) {
        key->n = text.size;
        key->data = w4_gguf_is_text(&text) ? text.bytes : NULL;
    }
    return status;
}

/* Strings have to be passed one by one. Each has 8 bytes at least, so a file
 * cannot make this longer than it is itself. */
static w4moe_status
skip_strings(struct w4_gguf_scan *scan, uint64_t n)
{
    struct w4_gguf_text text = {0};
    w4moe_status status = W4MOE_OK;
    for (uint64_t i = 0; i < n && status == W4MOE_OK; i++) {
        status = w4_gguf_scan_string(scan, &text);
    }
    return status;
}

static w4moe_status
scan_numbers(struct w4_gguf_scan *scan, struct w4_gguf_key *key)
{
    uint64_t n_bytes = 0;
    size_t size = w4_gguf_value_size(key->type);
    if (size == 0) {
        return fail_type(scan, key);
    }
    if (!w4_mul(&n_bytes, key->n, size)) {
        return w4_gguf_scan_fail(
                scan, W4MOE_FORMAT, "an array of %" PRIu64 " elements", key->n);
    }
    key->data = scan->bytes + scan->at;
    return w4_gguf_scan_skip(scan, n_bytes);
}

static w4moe_status
scan_array(struct w4_gguf_scan *scan, struct w4_gguf_key *key)
{
    w4moe_status status = w4_gguf_scan_u32(scan, &key->type);
    if (status != W4MOE_OK) {
        return status;
    }
    key->is_array = 1;
    status = w4_gguf_scan_u64(scan, &key->n);
    if (status != W4MOE_OK) {
        return status;
    }
    if (key->type == W4_GGUF_VALUE_ARRAY) {
        return w4_gguf_scan_fail(scan, W4MOE_UNSUPPORTED,
                "an array of %" PRIu64 " arrays", key->n);
    }
    if (key->type == W4_GGUF_VALUE_STRING) {
        return skip_strings(scan, key->n);
    }
    return scan_numbers(scan, key);
}

w4moe_status
w4_gguf_key_scan(struct w4_gguf_scan *scan, struct w4_gguf_key *key)
{
    memset(key, 0, sizeof(*key));
    w4moe_status status = w4_gguf_scan_name(scan);
    if (status != W4MOE_OK) {
        return status;
    }
    key->name = scan->name.bytes;
    key->n = 1;
    status = w4_gguf_scan_u32(scan, &key->type);
    if (status != W4MOE_OK) {
        return status;
    }
    if (key->type == W4_GGUF_VALUE_ARRAY) {
        return scan_array(scan, key);
    }
    if (key->type == W4_GGUF_VALUE_STRING) {
        return scan_string(scan, key);
    }
    return scan_numbers(scan, key);
}

/* ------------------------------------------------------------------ tables */

static int
compare_keys(const void *a, const void *b)
{
    const struct w4_gguf_key *s = a;
    const struct w4_gguf_key *t = b;
    return strcmp(s->name, t->name);
}

w4moe_status
w4_gguf_keys_sort(struct w4_err *err, const char *path,
        struct w4_gguf_key *keys, size_t n)
{
    if (n > 1) {
        qsort(keys, n, sizeof(*keys), compare_keys);
    }
    for (size_t i = 1; i < n; i++) {
        if (strcmp(keys[i - 1].name, keys[i].name) == 0) {
            return w4_fail(err, W4MOE_FORMAT, "%s: key \"%s\" twice",
                    w4_show_path(path).text, w4_show_string(keys[i].name).text);
        }
    }
    return W4MOE_OK;
}

const struct w4_gguf_key *
w4_gguf_keys_find(const struct w4_gguf_key *keys, size_t n, const char *name)
{
    const struct w4_gguf_key wanted = {.name = name};
    return n == 0 ? NULL
                  : bsearch(&wanted, keys, n, sizeof(*keys), compare_keys);
}

int
w4_gguf_load_uint(uint32_t type, const void *data, uint64_t *value)
{
    unsigned is_signed = 0;
    switch (type) {
    case W4_GGUF_VALUE_INT8:
    case W4_GGUF_VALUE_INT16:
    case W4_GGUF_VALUE_INT32:
    case W4_GGUF_VALUE_INT64:
        is_signed = 1;
        break;
    case W4_GGUF_VALUE_UINT8:
    case W4_GGUF_VALUE_UINT16:
    case W4_GGUF_VALUE_UINT32:
    case W4_GGUF_VALUE_UINT64:
        break;
    default:
        return 0;
    }
    unsigned char bytes[8] = {0};
    size_t size = w4_gguf_value_size(type);
    memcpy(bytes, data, size);
    if (is_signed && (bytes[size - 1] & 0x80u) != 0) {
        return 0;
    }
    *value = w4_load_le64(bytes);
    return 1;
}

int
w4_gguf_key_uint(const struct w4_gguf_key *key, uint64_t *value)
{
    return key != NULL && !key->is_array &&
           w4_gguf_load_uint(key->type, key->data, value);
}
