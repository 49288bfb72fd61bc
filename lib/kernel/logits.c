/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "kernel/logits.h"

#include "base/half.h"

/* Columns of out that an item has. */
enum { COLUMNS = 16 };

static size_t
items_of_token(const struct w4_logits_job *job)
{
    return (job->n_out + COLUMNS - 1) / COLUMNS;
}

static void
run_item(const void *logits_job, size_t item)
{
    const struct w4_logits_job *job = logits_job;
    size_t token = item / items_of_token(job);
    size_t first = item % items_of_token(job) * COLUMNS;
    size_t left = job->n_out - first;
    size_t x_size = w4moe_dtype_size(job->dtype);
    size_t row_size = job->n_in * w4moe_dtype_size(job->weight_dtype);
    struct w4_dot_rows args = {
            .out = job->out + token * job->n_out + first,
            .x = (const char *)job->x + token * job->x_stride * x_size,
            .dtype = job->dtype,
            .rows = (const char *)job->weight + first * row_size,
            .rows_dtype = job->weight_dtype,
            .n_rows = left < COLUMNS ? left : COLUMNS,
            .n = job->n_in,
    };
    job->kernels->dot_rows(&args);
    for (size_t i = 0; job->bias != NULL && i < args.n_rows; i++) {
        args.out[i] += w4_load_float(job->bias, job->bias_dtype, first + i);
    }
}

void
w4_logits(const struct w4_logits_job *job)
{
    w4_parallel(job->team, job->n_tokens * items_of_token(job), run_item, job);
}
