/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/findings.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"

static const char *const texts[W4_N_FINDINGS] = {
        "scales that are NaN or infinite", "scales of 0", "denormal scales",
        "matrices whose codes are all the same",
        "experts with the codes of another one"};

/* The least magnitude of a type that is not denormal. */
static float
least_normal(w4moe_dtype dtype)
{
    return dtype == W4MOE_F16 ? 0x1p-14f : 0x1p-126f;
}

static void
look_at_scales(struct w4_findings *findings, const w4moe_matrix *m)
{
    struct w4_layout layout = w4_matrix_layout(m);
    size_t n = (size_t)(layout.n_groups * layout.n_out);
    float least = least_normal(m->scale_dtype);
    if (m->scale_dtype == W4MOE_F8_E8M0) {
        return; /* powers of 2 without zero; NaN is refused */
    }
    for (size_t i = 0; i < n; i++) {
        float scale = fabsf(w4_load_float(m->scales, m->scale_dtype, i));
        if (scale >= least && scale <= FLT_MAX) {
            continue;
        }
        enum w4_finding finding = scale == 0.0f   ? W4_FINDING_ZERO
                                  : scale < least ? W4_FINDING_DENORMAL
                                                  : W4_FINDING_NOT_FINITE;
        findings->counts[finding]++;
    }
}

static size_t
n_words(const w4moe_matrix *m)
{
    return m->n_in / W4_WORD_CODES * m->n_out;
}

/* Whether every code is the same: the first word has one, and all words are
 * the first. */
static int
is_uniform(const w4moe_matrix *m)
{
    uint32_t first = m->qweight[0];
    if (first != (first & 15u) * 0x11111111u) {
        return 0;
    }
    for (size_t i = 1; i < n_words(m); i++) {
        if (m->qweight[i] != first) {
            return 0;
        }
    }
    return 1;
}

void
w4_findings_of_expert(struct w4_findings *findings, const w4moe_matrix *w13,
        const w4moe_matrix *w2)
{
    *findings = (struct w4_findings){0};
    look_at_scales(findings, w13);
    look_at_scales(findings, w2);
    findings->counts[W4_FINDING_UNIFORM] =
            (uint64_t)is_uniform(w13) + (uint64_t)is_uniform(w2);
}

/* An expert by its hash; of equal ones the lower number first. */
struct hashed {
    uint64_t hash;
    size_t expert;
};

static int
compare_hashed(const void *a, const void *b)
{
    const struct hashed *x = a;
    const struct hashed *y = b;
    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return (x->expert > y->expert) - (x->expert < y->expert);
}

w4moe_status
w4_findings_of_layer(struct w4_err *err, struct w4_findings *experts, size_t n)
{
    struct hashed *sorted = calloc(n, sizeof(*sorted));
    if (sorted == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for %zu hashes", n);
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = (struct hashed){experts[i].hash, i};
    }
    qsort(sorted, n, sizeof(*sorted), compare_hashed);
    for (size_t i = 1; i < n; i++) {
        experts[sorted[i].expert].counts[W4_FINDING_DUPLICATE] =
                sorted[i].hash == sorted[i - 1].hash;
    }
    free(sorted);
    return W4MOE_OK;
}

void
w4_findings_add(struct w4_err *err, struct w4_findings *all,
        const struct w4_findings *one, uint32_t layer, size_t expert)
{
    for (int f = 0; f < W4_N_FINDINGS; f++) {
        if (all->counts[f] == 0 && one->counts[f] != 0) {
            w4_log(err, W4MOE_LOG_WARNING,
                    "layer %" PRIu32 ", expert %zu: %" PRIu64 " %s", layer,
                    expert, one->counts[f], texts[f]);
        }
        all->counts[f] += one->counts[f];
    }
}

void
w4_findings_sum(struct w4_err *err, const struct w4_findings *all)
{
    for (int f = 0; f < W4_N_FINDINGS; f++) {
        if (all->counts[f] > 1) {
            w4_log(err, W4MOE_LOG_WARNING, "in all %" PRIu64 " %s",
                    all->counts[f], texts[f]);
        }
    }
}
