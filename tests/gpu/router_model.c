/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "router_model.h"

#include <math.h>
#include <stdlib.h>

#include "../kernel/oracle.h"

static double
sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double
sqrt_softplus(double x)
{
    return sqrt((x < 0 ? 0 : x) + log1p(exp(-fabs(x))));
}

static int
is_softmax(w4moe_router_kind kind)
{
    return kind == W4MOE_ROUTER_SOFTMAX_TOPK ||
           kind == W4MOE_ROUTER_TOPK_SOFTMAX;
}

static int
has_scores(w4moe_router_kind kind)
{
    return kind == W4MOE_ROUTER_SIGMOID || kind == W4MOE_ROUTER_SQRT_SOFTPLUS;
}

/* Number of the largest of n values that is not taken. */
static size_t
largest(const double *values, const char *taken, size_t n)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        if (!taken[i] && (best == n || values[i] > values[best])) {
            best = i;
        }
    }
    return best;
}

/* Takes the experts of the groups that are not kept. */
static void
drop_groups(const double *c, char *taken, size_t n, const w4moe_router *router)
{
    size_t n_group = router->n_group;
    size_t length = n / n_group;
    double *values = oracle_alloc(n_group, sizeof(*values));
    char *kept = oracle_alloc(n_group, 1);
    char *seen = oracle_alloc(length, 1);
    for (size_t g = 0; g < n_group; g++) {
        const double *group = c + g * length;
        size_t first = largest(group, seen, length);
        values[g] = group[first];
        seen[first] = 1;
        if (length > 1) {
            values[g] += group[largest(group, seen, length)];
        }
        seen[first] = 0;
    }
    for (size_t i = 0; i < router->topk_group; i++) {
        kept[largest(values, kept, n_group)] = 1;
    }
    for (size_t e = 0; e < n; e++) {
        taken[e] = !kept[e / length];
    }
    free(values);
    free(kept);
    free(seen);
}

/* Weights before the division by a sum. */
static double
weight_of(w4moe_router_kind kind, double logit, double max)
{
    return is_softmax(kind)                     ? exp(logit - max)
           : kind == W4MOE_ROUTER_SQRT_SOFTPLUS ? sqrt_softplus(logit)
                                                : sigmoid(logit);
}

static void
weigh(double *weights, const int32_t *ids, const double *logits, size_t n,
        size_t top_k, const w4moe_router *router)
{
    double max = logits[ids[0]];
    double chosen = 0;
    double all = 0;
    for (size_t j = 0; j < top_k; j++) {
        weights[j] = weight_of(router->kind, logits[ids[j]], max);
        chosen += weights[j];
    }
    for (size_t e = 0; e < n; e++) {
        all += exp(logits[e] - max);
    }
    double sum =
            router->renormalize || router->kind == W4MOE_ROUTER_TOPK_SOFTMAX
                    ? chosen
            : router->kind == W4MOE_ROUTER_SOFTMAX_TOPK ? all
                                                        : 1;
    for (size_t j = 0; j < top_k; j++) {
        weights[j] = (sum == 0 ? 0 : weights[j] / sum) * (double)router->scale;
    }
}

void
router_model(int32_t *ids, double *weights, const double *logits,
        const double *bias, size_t n_experts, size_t top_k,
        const w4moe_router *router)
{
    double *c = oracle_alloc(n_experts, sizeof(*c));
    char *taken = oracle_alloc(n_experts, 1);
    for (size_t e = 0; e < n_experts; e++) {
        c[e] = logits[e];
        if (has_scores(router->kind)) {
            c[e] = weight_of(router->kind, logits[e], 0) +
                   (bias != NULL ? bias[e] : 0);
        }
    }
    if (router->n_group != 0) {
        drop_groups(c, taken, n_experts, router);
    }
    for (size_t j = 0; j < top_k; j++) {
        ids[j] = (int32_t)largest(c, taken, n_experts);
        taken[ids[j]] = 1;
    }
    weigh(weights, ids, logits, n_experts, top_k, router);
    free(c);
    free(taken);
}
