/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Values of options. Each function returns TOOL_OK and sets *out, or prints
 * what is wrong with the option's name and value and returns TOOL_USAGE.
 */
#ifndef W4_TOOLS_ARGS_H
#define W4_TOOLS_ARGS_H

#include <w4moe.h>

/** A decimal number in [min, max]. */
extern int args_uint(const char *option, const char *text, uint32_t min,
        uint32_t max, uint32_t *out);

/** A multiple of step above 0, of at most 31 bits. */
extern int args_multiple(
        const char *option, const char *text, uint32_t step, size_t *out);

/** A number "A", or a range "A-B" of which B is part. Out: A, and how many
 * numbers there are. */
extern int args_range(
        const char *option, const char *text, size_t *first, size_t *n);

/** A number of bytes above 0, which may have a unit: K, M, G are powers of
 * 1000, KiB, MiB, GiB of 1024. */
extern int args_bytes(const char *option, const char *text, uint64_t *out);

/** A finite number above 0. */
extern int args_positive(const char *option, const char *text, double *out);

/** "tile" or "rdna3". */
extern int args_order(const char *option, const char *text, w4moe_order *out);

/** "bf16" or "f16". */
extern int args_dtype(const char *option, const char *text, w4moe_dtype *out);

/** Numbers with commas between them; release values with free(). */
struct args_list {
    uint32_t *values;
    size_t n;
};

/** A list such as "1,16,64" of numbers of at least min, in the order given. */
extern int args_list(const char *option, const char *text, uint32_t min,
        struct args_list *out);

/** A set such as "0-3,7", ascending and without repetitions. */
extern int args_set(
        const char *option, const char *text, struct args_list *out);

#endif
