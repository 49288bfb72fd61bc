/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Routing of one token: logits to fp32, to what experts are chosen by, the k
 * best of these, their weights. Included by the files that compile it, with the
 * name of the function in W4_ROUTE_TOKEN.
 *
 * Loops over experts have no branches, so that the compiler makes vectors of
 * them. Nothing is allocated: there is room for the most experts on the stack.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "route/router.h"
#include "route/token.h"

#define W4_ROUTE_INLINE static inline
#define W4_ROUTE_SQRT sqrt
#include "route/scores.h"

enum {
    /** Values that are compared with the least of the chosen at a time. */
    SCAN = 16,
    /** Sums that run side by side. */
    SUMS = 8
};

struct row {
    size_t n;
    float logits[W4MOE_ROUTE_EXPERTS_MAX];
    /** What experts are chosen by; -Inf for those that cannot be. */
    double values[W4MOE_ROUTE_EXPERTS_MAX];
};

/* ------------------------------------------------------------------- logits */

static inline void
load_floats(
        float *to, const void *array, w4moe_dtype dtype, size_t first, size_t n)
{
    if (dtype == W4MOE_F32) {
        memcpy(to, (const float *)array + first, n * sizeof(*to));
    } else if (dtype == W4MOE_BF16) {
        const uint16_t *halves = (const uint16_t *)array + first;
        for (size_t i = 0; i < n; i++) {
            to[i] = w4_float_of_bf16(halves[i]);
        }
    } else {
        const uint16_t *halves = (const uint16_t *)array + first;
        for (size_t i = 0; i < n; i++) {
            to[i] = w4_float_of_f16(halves[i]);
        }
    }
}

static w4moe_status
refuse_logits(struct w4_err *err, const struct row *row, size_t token)
{
    for (size_t e = 0; e < row->n; e++) {
        if (isnan(row->logits[e]) || row->logits[e] == INFINITY) {
            return w4_fail(err, W4MOE_INVALID,
                    "token %zu, expert %zu: the logit is %s", token, e,
                    isnan(row->logits[e]) ? "NaN" : "+Inf");
        }
    }
    return w4_fail(err, W4MOE_INVALID, "token %zu: all %zu logits are -Inf",
            token, row->n);
}

static w4moe_status
load_logits(struct w4_err *err, struct row *row, const struct w4_route_job *job,
        size_t token)
{
    row->n = job->n_experts;
    load_floats(
            row->logits, job->logits, job->dtype, token * job->stride, row->n);
    uint32_t n_bad = 0;
    uint32_t n_finite = 0;
    for (size_t e = 0; e < row->n; e++) {
        n_bad += row->logits[e] < INFINITY ? 0 : 1;
        n_finite += row->logits[e] > -INFINITY ? 1 : 0;
    }
    return n_bad == 0 && n_finite != 0 ? W4MOE_OK
                                       : refuse_logits(err, row, token);
}

/* ---------------------------------------------------------------- choosing */

static double
score(w4moe_router_kind kind, double logit)
{
    return kind == W4MOE_ROUTER_SQRT_SOFTPLUS ? w4_route_sqrt_softplus(logit)
                                              : w4_route_sigmoid(logit);
}

static void
set_values(struct row *row, const w4moe_router *router)
{
    if (router->kind == W4MOE_ROUTER_SIGMOID) {
        for (size_t e = 0; e < row->n; e++) {
            row->values[e] = w4_route_sigmoid(row->logits[e]);
        }
    } else if (router->kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        for (size_t e = 0; e < row->n; e++) {
            row->values[e] = w4_route_sqrt_softplus(row->logits[e]);
        }
    } else {
        for (size_t e = 0; e < row->n; e++) {
            row->values[e] = row->logits[e];
        }
    }
    if (router->correction_bias != NULL) {
        float bias[W4MOE_ROUTE_EXPERTS_MAX];
        load_floats(bias, router->correction_bias,
                router->correction_bias_dtype, 0, row->n);
        for (size_t e = 0; e < row->n; e++) {
            row->values[e] += bias[e];
        }
    }
}

/* Puts an index into a list of the k best with n entries, in descending order
 * of their values. Indices come in ascending order, so among equals the new one
 * goes last. Returns: entries now. */
static size_t
insert(int32_t *best, size_t n, size_t k, const double *values, size_t index)
{
    double value = values[index];
    size_t i = n;
    if (n == k) {
        if (value <= values[best[k - 1]]) {
            return n;
        }
        i--;
    } else {
        n++;
    }
    for (; i > 0 && value > values[best[i - 1]]; i--) {
        best[i] = best[i - 1];
    }
    best[i] = (int32_t)index;
    return n;
}

/* The k largest of n values. */
static void
choose(int32_t *best, size_t k, const double *values, size_t n)
{
    size_t n_best = 0;
    for (size_t first = 0; first < n; first += SCAN) {
        size_t last = n - first < SCAN ? n : first + SCAN;
        if (n_best == k && last - first == SCAN) {
            double least = values[best[k - 1]];
            uint64_t n_above = 0;
            for (size_t i = 0; i < SCAN; i++) {
                n_above += values[first + i] > least ? 1 : 0;
            }
            if (n_above == 0) {
                continue;
            }
        }
        for (size_t i = first; i < last; i++) {
            n_best = insert(best, n_best, k, values, i);
        }
    }
}

/* The sum of the two largest of n values; of one, that. */
static double
group_value(const double *values, size_t n)
{
    double first = values[0];
    double second = n > 1 ? -INFINITY : 0.0;
    for (size_t i = 1; i < n; i++) {
        double lesser = values[i] > first ? first : values[i];
        first = values[i] > first ? values[i] : first;
        second = lesser > second ? lesser : second;
    }
    return first + second;
}

/* Experts of groups that are not among the best cannot be chosen. */
static void
drop_groups(struct row *row, const w4moe_router *router)
{
    double values[W4_ROUTE_GROUPS_MAX];
    int32_t best[W4_ROUTE_GROUPS_MAX];
    char kept[W4_ROUTE_GROUPS_MAX] = {0};
    size_t size = row->n / router->n_group;
    for (size_t g = 0; g < router->n_group; g++) {
        values[g] = group_value(row->values + g * size, size);
    }
    choose(best, router->topk_group, values, router->n_group);
    for (size_t i = 0; i < router->topk_group; i++) {
        kept[best[i]] = 1;
    }
    for (size_t g = 0; g < router->n_group; g++) {
        for (size_t e = 0; e < size && !kept[g]; e++) {
            row->values[g * size + e] = -INFINITY;
        }
    }
}

/* ----------------------------------------------------------------- weights */

/* The softmax's denominator. Writes over the values. */
static double
denominator(struct row *row, double max)
{
    double sums[SUMS] = {0};
    for (size_t e = 0; e < row->n; e++) {
        row->values[e] = w4_route_exp(row->logits[e] - max);
    }
    size_t e = 0;
    for (; e + SUMS <= row->n; e += SUMS) {
        for (size_t i = 0; i < SUMS; i++) {
            sums[i] += row->values[e + i];
        }
    }
    for (; e < row->n; e++) {
        sums[e % SUMS] += row->values[e];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* Weights of the chosen. Writes over the values. */
static void
set_weights(float *weights, const int32_t *ids, struct row *row, size_t k,
        const w4moe_router *router)
{
    int is_softmax = router->kind == W4MOE_ROUTER_SOFTMAX_TOPK ||
                     router->kind == W4MOE_ROUTER_TOPK_SOFTMAX;
    /* With renormalisation the sum over all experts cancels out. */
    int over_chosen = router->kind == W4MOE_ROUTER_TOPK_SOFTMAX ||
                      router->renormalize != 0;
    double max = row->logits[ids[0]];
    double divisor = 1.0;
    if (is_softmax && !over_chosen) {
        divisor = denominator(row, max);
    }
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        double logit = row->logits[ids[j]];
        row->values[j] = is_softmax ? w4_route_exp(logit - max)
                                    : score(router->kind, logit);
        sum += row->values[j];
    }
    if (over_chosen) {
        divisor = sum != 0.0 ? sum : 1.0;
    }
    for (size_t j = 0; j < k; j++) {
        weights[j] = (float)(row->values[j] / divisor * (double)router->scale);
    }
}

w4moe_status
W4_ROUTE_TOKEN(struct w4_err *err, const struct w4_route_job *job, size_t token)
{
    struct row row;
    int32_t *ids = job->ids + token * job->top_k;
    float *weights = job->weights + token * job->top_k;
    w4moe_status status = load_logits(err, &row, job, token);
    if (status != W4MOE_OK) {
        return status;
    }
    set_values(&row, &job->router);
    if (job->router.n_group != 0) {
        drop_groups(&row, &job->router);
    }
    choose(ids, job->top_k, row.values, row.n);
    set_weights(weights, ids, &row, job->top_k, &job->router);
    return W4MOE_OK;
}
