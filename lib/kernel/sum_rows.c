/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "kernel/sum_rows.h"

#include "base/half.h"

/* Columns whose sums are made together, on the stack. */
enum { COLUMNS = 512 };

static void
load_floats(float *values, const void *row, w4moe_dtype dtype, size_t first,
        size_t n)
{
    for (size_t c = 0; c < n; c++) {
        values[c] = w4_load_float(row, dtype, first + c);
    }
}

static void
add_floats(
        float *sums, const void *row, w4moe_dtype dtype, size_t first, size_t n)
{
    if (dtype == W4MOE_F32) {
        const float *values = (const float *)row + first;
        for (size_t c = 0; c < n; c++) {
            sums[c] += values[c];
        }
        return;
    }
    for (size_t c = 0; c < n; c++) {
        sums[c] += w4_load_float(row, dtype, first + c);
    }
}

struct loop {
    const w4moe_combine_args *args;
    int accumulate;
};

/* Some columns of a token. */
static void
sum_columns(const struct loop *loop, size_t token, size_t first, size_t n)
{
    const w4moe_combine_args *args = loop->args;
    size_t row_size = args->row_stride * w4moe_dtype_size(args->row_dtype);
    size_t out_size = args->out_stride * w4moe_dtype_size(args->out_dtype);
    char *out = (char *)args->out + token * out_size;
    float sums[COLUMNS] = {0.0f};
    if (loop->accumulate) {
        load_floats(sums, out, args->out_dtype, first, n);
    }
    for (size_t j = 0; j < args->k; j++) {
        size_t place = token * args->k + j;
        if (args->row_ids != NULL && args->row_ids[place] < 0) {
            continue;
        }
        size_t row =
                args->row_ids != NULL ? (size_t)args->row_ids[place] : place;
        add_floats(sums, (const char *)args->rows + row * row_size,
                args->row_dtype, first, n);
    }
    w4_store_floats(out, args->out_dtype, first, sums, n);
}

static void
sum_token(const void *rows_loop, size_t token)
{
    const struct loop *loop = rows_loop;
    for (size_t first = 0; first < loop->args->n_columns; first += COLUMNS) {
        size_t left = loop->args->n_columns - first;
        sum_columns(loop, token, first, left < COLUMNS ? left : COLUMNS);
    }
}

void
w4_sum_rows(
        struct w4_team *team, const w4moe_combine_args *args, int accumulate)
{
    const struct loop loop = {.args = args, .accumulate = accumulate};
    w4_parallel(team, args->n_tokens, sum_token, &loop);
}
