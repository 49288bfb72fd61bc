/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Structs that grow: how those with a struct_size are taken in and given out.
 */
#ifndef W4_BASE_ABI_H
#define W4_BASE_ABI_H

#include "base/err.h"

/**
 * Copies a caller's struct into the library's own, larger or smaller, version.
 * Fields that an older caller does not have are cleared; fields that this
 * library does not know must be 0.
 *
 * In: size of the library's struct; min_size of the oldest version.
 * Returns: OK; INVALID (NULL, struct_size too small); UNSUPPORTED (a field
 *     that this version does not know is set).
 */
extern w4moe_status w4_struct_in(struct w4_err *err, void *own, size_t size,
        size_t min_size, const void *callers, const char *what);

/** Copies the library's struct out, as much as the caller's has room for, and
 * keeps its struct_size. Returns: OK; INVALID. */
extern w4moe_status w4_struct_out(struct w4_err *err, void *callers,
        const void *own, size_t size, size_t min_size, const char *what);

#endif
