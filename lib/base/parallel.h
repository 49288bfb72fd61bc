/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A loop over items with threads: the one way of the data path into OpenMP.
 */
#ifndef W4_BASE_PARALLEL_H
#define W4_BASE_PARALLEL_H

#include <stddef.h>

/** Does item i of a job. */
typedef void w4_item_fn(const void *job, size_t i);

/** Calls item(job, i) for every i below n, with up to n_threads threads, in no
 * particular order. With one thread no parallel region is entered (GNU OpenMP
 * allocates for a team of one each time). */
extern void w4_parallel(
        int n_threads, size_t n, w4_item_fn *item, const void *job);

#endif
