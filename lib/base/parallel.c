/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/parallel.h"

void
w4_parallel(int n_threads, size_t n, w4_item_fn *item, const void *job)
{
    if (n_threads <= 1 || n <= 1) {
        for (size_t i = 0; i < n; i++) {
            item(job, i);
        }
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(n_threads)
    for (size_t i = 0; i < n; i++) {
        item(job, i);
    }
}
