/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Distances between results; see compare.h. */
#include "compare.h"

#include <math.h>

struct compare_class
compare_classify(const double *values, size_t n)
{
    struct compare_class result = {0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            continue;
        }
        if (result.n_nan + result.n_inf == 0) {
            result.first = i;
        }
        if (isnan(values[i])) {
            result.n_nan++;
        } else {
            result.n_inf++;
        }
    }
    return result;
}

static double
largest(const double *values, size_t n)
{
    double max = 0.0;
    for (size_t i = 0; i < n; i++) {
        max = fabs(values[i]) > max ? fabs(values[i]) : max;
    }
    return max;
}

int
compare_all_zero(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fpclassify(values[i]) != FP_ZERO) {
            return 0;
        }
    }
    return 1;
}

double
compare_rel_l2(const double *a, const double *b, size_t n)
{
    /* Scaled by the largest value, so that squares neither overflow nor
     * vanish. */
    double scale = largest(b, n);
    double difference = 0.0;
    double norm = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = (a[i] - b[i]) / scale;
        double r = b[i] / scale;
        difference += d * d;
        norm += r * r;
    }
    return sqrt(difference / norm);
}

double
compare_ratio(double distance, double yardstick)
{
    if (fpclassify(distance) == FP_ZERO && fpclassify(yardstick) == FP_ZERO) {
        return 0.0;
    }
    return distance / yardstick;
}
