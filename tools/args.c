/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Values of options; see args.h. */
#include "args.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* Far beyond any model's layers; keeps "0-4000000000" from taking memory. */
enum { LIST_MAX = 65536 };

/* Reads digits at *p and moves it behind them. Returns 0 if there are none or
 * the number has more than 32 bits. */
static int
read_digits(const char **p, uint32_t *out)
{
    uint64_t value = 0;
    const char *q = *p;
    if (!isdigit((unsigned char)*q)) {
        return 0;
    }
    for (; isdigit((unsigned char)*q); q++) {
        value = value * 10 + (uint64_t)(*q - '0');
        if (value > UINT32_MAX) {
            return 0;
        }
    }
    *p = q;
    *out = (uint32_t)value;
    return 1;
}

int
args_uint(const char *option, const char *text, uint32_t min, uint32_t max,
        uint32_t *out)
{
    const char *p = text;
    uint32_t value = 0;
    if (!read_digits(&p, &value) || *p != '\0' || value < min || value > max) {
        return tool_usage("%s '%s': a number from %lu to %lu is needed", option,
                text, (unsigned long)min, (unsigned long)max);
    }
    *out = value;
    return TOOL_OK;
}

int
args_multiple(const char *option, const char *text, uint32_t step, size_t *out)
{
    const char *p = text;
    uint32_t value = 0;
    if (!read_digits(&p, &value) || *p != '\0' || value == 0 ||
            value > INT32_MAX || value % step != 0) {
        return tool_usage("%s '%s': a multiple of %lu is needed", option, text,
                (unsigned long)step);
    }
    *out = value;
    return TOOL_OK;
}

/* What a unit multiplies by; 0 if it is none. */
static uint64_t
unit_bytes(const char *unit)
{
    static const char letters[] = "KMG";
    uint64_t bytes = 1;
    if (*unit == '\0') {
        return 1;
    }
    const char *letter = strchr(letters, *unit);
    int is_binary = strcmp(unit + 1, "iB") == 0;
    if (letter == NULL || (unit[1] != '\0' && !is_binary)) {
        return 0;
    }
    for (const char *p = letters; p <= letter; p++) {
        bytes *= is_binary ? 1024 : 1000;
    }
    return bytes;
}

int
args_bytes(const char *option, const char *text, uint64_t *out)
{
    const char *p = text;
    uint64_t value = 0;
    int fits = isdigit((unsigned char)*p) != 0;
    for (; isdigit((unsigned char)*p) && fits; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        fits = value <= (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    uint64_t unit = fits ? unit_bytes(p) : 0;
    if (unit == 0 || value == 0 || value > UINT64_MAX / unit) {
        return tool_usage("%s '%s': bytes are needed, such as 500000, 500K, "
                          "5G or 4GiB",
                option, text);
    }
    *out = value * unit;
    return TOOL_OK;
}

int
args_positive(const char *option, const char *text, double *out)
{
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0.0) {
        return tool_usage("%s '%s': a number above 0 is needed", option, text);
    }
    *out = value;
    return TOOL_OK;
}

int
args_order(const char *option, const char *text, w4moe_order *out)
{
    if (strcmp(text, "tile") == 0) {
        *out = W4MOE_ORDER_TILE;
    } else if (strcmp(text, "rdna3") == 0) {
        *out = W4MOE_ORDER_RDNA3;
    } else {
        return tool_usage("%s '%s': must be tile or rdna3", option, text);
    }
    return TOOL_OK;
}

int
args_dtype(const char *option, const char *text, w4moe_dtype *out)
{
    if (strcmp(text, "bf16") == 0) {
        *out = W4MOE_BF16;
    } else if (strcmp(text, "f16") == 0) {
        *out = W4MOE_F16;
    } else {
        return tool_usage("%s '%s': must be bf16 or f16", option, text);
    }
    return TOOL_OK;
}

/* Reads "A", or with ranges "A-B", at *p and moves it behind. Returns 0 if the
 * text is neither. */
static int
read_range(const char **p, int ranges, uint32_t *first, uint32_t *last)
{
    if (!read_digits(p, first)) {
        return 0;
    }
    *last = *first;
    if (!ranges || **p != '-') {
        return 1;
    }
    (*p)++;
    return read_digits(p, last) && *last >= *first;
}

int
args_range(const char *option, const char *text, size_t *first, size_t *n)
{
    const char *p = text;
    uint32_t a = 0;
    uint32_t b = 0;
    if (!read_range(&p, 1, &a, &b) || *p != '\0' || b > INT32_MAX) {
        return tool_usage(
                "%s '%s': a number or a range such as 32-63 is needed", option,
                text);
    }
    *first = a;
    *n = (size_t)(b - a) + 1;
    return TOOL_OK;
}

/* Appends first..last. Returns 0 if the list gets too long. */
static int
append(uint32_t *values, size_t *n, uint32_t first, uint32_t last)
{
    if (last - first >= LIST_MAX - *n) {
        return 0;
    }
    for (uint64_t v = first; v <= last; v++) {
        values[(*n)++] = (uint32_t)v;
    }
    return 1;
}

/* The part of both kinds of list. Returns 0 if the text is not one. */
static int
read_list(
        const char *text, int ranges, uint32_t min, uint32_t *values, size_t *n)
{
    const char *p = text;
    for (;;) {
        uint32_t first = 0;
        uint32_t last = 0;
        if (!read_range(&p, ranges, &first, &last) || first < min ||
                !append(values, n, first, last)) {
            return 0;
        }
        if (*p == '\0') {
            return 1;
        }
        if (*p++ != ',') {
            return 0;
        }
    }
}

static int
list_new(const char *option, const char *text, const char *needed, int ranges,
        uint32_t min, struct args_list *out)
{
    size_t n = 0;
    uint32_t *values = tool_alloc(LIST_MAX, sizeof(values[0]), option);
    if (values == NULL) {
        return TOOL_ERROR;
    }
    if (!read_list(text, ranges, min, values, &n)) {
        free(values);
        return tool_usage("%s '%s': %s is needed", option, text, needed);
    }
    free(out->values);
    out->values = values;
    out->n = n;
    return TOOL_OK;
}

int
args_list(const char *option, const char *text, uint32_t min,
        struct args_list *out)
{
    return list_new(option, text,
            min > 0 ? "a list of numbers above 0 such as 1,16,64"
                    : "a list of numbers such as 0,16,64",
            0, min, out);
}

static int
compare_values(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int
args_set(const char *option, const char *text, struct args_list *out)
{
    int code = list_new(option, text,
            "a list of numbers and ranges such as 0-3,7", 1, 0, out);
    if (code != TOOL_OK) {
        return code;
    }
    size_t n = 0;
    qsort(out->values, out->n, sizeof(out->values[0]), compare_values);
    for (size_t i = 0; i < out->n; i++) {
        if (i == 0 || out->values[i] != out->values[i - 1]) {
            out->values[n++] = out->values[i];
        }
    }
    out->n = n;
    return TOOL_OK;
}
