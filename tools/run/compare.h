/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Distances between results, and what is allowed.
 */
#ifndef W4_TOOLS_COMPARE_H
#define W4_TOOLS_COMPARE_H

#include <stddef.h>

/** How many values of an array are not finite, and where the first is. */
struct compare_class {
    size_t n_nan;
    size_t n_inf;
    size_t first;
};

extern struct compare_class compare_classify(const double *values, size_t n);

/** ||a - b|| / ||b|| in L2; NaN if b is 0 throughout or anything is NaN. */
extern double compare_rel_l2(const double *a, const double *b, size_t n);

/** Whether all values are 0. */
extern int compare_all_zero(const double *values, size_t n);

/** distance / yardstick; 0 for 0 / 0, because nothing was lost. */
extern double compare_ratio(double distance, double yardstick);

#endif
