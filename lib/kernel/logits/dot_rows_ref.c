/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/half.h"
#include "kernel/kernel.h"

void
w4_dot_rows_ref(const struct w4_dot_rows *args)
{
    for (size_t r = 0; r < args->n_rows; r++) {
        /* Products of the inputs are exact in float64. */
        double sum = 0.0;
        for (size_t i = 0; i < args->n; i++) {
            double x = w4_load_float(args->x, args->dtype, i);
            sum += x * (double)w4_load_float(
                               args->rows, args->rows_dtype, r * args->n + i);
        }
        args->out[r] = (float)sum;
    }
}
