/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Room for rows, and numbers of a checkpoint. */
#include "format/weight.h"

#include <stdlib.h>

#include "base/half.h"
#include "base/size.h"

float
w4_read_number(const void *array, w4moe_dtype dtype, size_t i)
{
    size_t size = w4moe_dtype_size(dtype);
    uint32_t value = 0;
    memcpy(&value, (const char *)array + i * size, size);
    w4_swap_le(&value, size, 1);
    return w4_load_float(&value, dtype, 0);
}

void
w4_read_numbers(float *out, const void *array, w4moe_dtype dtype, size_t first,
        size_t n)
{
    const unsigned char *halves = (const unsigned char *)array + 2 * first;
    if (dtype == W4MOE_BF16) {
        for (size_t i = 0; i < n; i++) {
            out[i] = w4_float_of_bf16(w4_load_le16(halves + 2 * i));
        }
    } else if (dtype == W4MOE_F16) {
        for (size_t i = 0; i < n; i++) {
            out[i] = w4_float_of_f16(w4_load_le16(halves + 2 * i));
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            out[i] = w4_read_number(array, dtype, first + i);
        }
    }
}

w4moe_status
w4_rows_make(
        struct w4_err *err, struct w4_rows *rows, size_t n_in, size_t n_groups)
{
    enum { ALIGN = 64, NUMBER = sizeof(float) };
    uint64_t words = 0;
    uint64_t scales = 0;
    uint64_t zeros = 0;
    uint64_t offsets = 0;
    uint64_t values = 0;
    uint64_t end = 0;
    uint64_t n_words = (uint64_t)W4_ROWS_MAX * (n_in / W4_WORD_CODES);
    uint64_t n_numbers = (uint64_t)W4_ROWS_MAX * n_groups;
    uint64_t n_values = (uint64_t)W4_ROWS_OF_FLOATS * n_in;
    memset(rows, 0, sizeof(*rows));
    if (w4_lay_out(&words, &end, n_words, sizeof(uint32_t), ALIGN) &&
            w4_lay_out(&scales, &end, n_numbers, NUMBER, ALIGN) &&
            w4_lay_out(&offsets, &end, n_numbers, NUMBER, ALIGN) &&
            w4_lay_out(&zeros, &end, n_numbers, 1, ALIGN) &&
            w4_lay_out(&values, &end, n_values, sizeof(float), ALIGN) &&
            end <= PTRDIFF_MAX) {
        rows->memory = malloc((size_t)end);
    }
    char *memory = rows->memory;
    if (memory == NULL) {
        return w4_fail(err, W4MOE_NOMEM,
                "no memory for %d rows of %zu weights in %zu groups",
                W4_ROWS_MAX, n_in, n_groups);
    }
    rows->words = (unsigned char *)memory + words;
    rows->scales = memory + scales;
    rows->offsets = memory + offsets;
    rows->zeros = (uint8_t *)memory + zeros;
    rows->values = (float *)(void *)(memory + values);
    rows->n_in = n_in;
    rows->n_groups = n_groups;
    return W4MOE_OK;
}

void
w4_rows_free(struct w4_rows *rows)
{
    free(rows->memory);
    memset(rows, 0, sizeof(*rows));
}
