/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/abi.h"

#include <string.h>

/* Every such struct begins with its size. */
static w4moe_status
read_size(struct w4_err *err, size_t *struct_size, const void *callers,
        size_t min_size, const char *what)
{
    if (callers == NULL) {
        return w4_fail(err, W4MOE_INVALID, "%s is NULL", what);
    }
    memcpy(struct_size, callers, sizeof(*struct_size));
    if (*struct_size < min_size) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: struct_size is %zu, at least %zu is needed", what,
                *struct_size, min_size);
    }
    return W4MOE_OK;
}

w4moe_status
w4_struct_in(struct w4_err *err, void *own, size_t size, size_t min_size,
        const void *callers, const char *what)
{
    size_t given = 0;
    w4moe_status status = read_size(err, &given, callers, min_size, what);
    if (status != W4MOE_OK) {
        return status;
    }
    const unsigned char *bytes = callers;
    for (size_t i = size; i < given; i++) {
        if (bytes[i] != 0) {
            return w4_fail(err, W4MOE_UNSUPPORTED,
                    "%s: the field at byte %zu is set, but this library knows "
                    "only %zu bytes",
                    what, i, size);
        }
    }
    memset(own, 0, size);
    memcpy(own, callers, given < size ? given : size);
    memcpy(own, &size, sizeof(size));
    return W4MOE_OK;
}

w4moe_status
w4_struct_out(struct w4_err *err, void *callers, const void *own, size_t size,
        size_t min_size, const char *what)
{
    size_t given = 0;
    w4moe_status status = read_size(err, &given, callers, min_size, what);
    if (status != W4MOE_OK) {
        return status;
    }
    size_t n = given < size ? given : size;
    memset(callers, 0, given);
    memcpy(callers, own, n);
    memcpy(callers, &given, sizeof(given));
    return W4MOE_OK;
}
