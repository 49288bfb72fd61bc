/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* One weight of a checkpoint: codes, zero points, scales, order. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ct_fixture.h"

static size_t
size_of(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 ? 4 : 2;
}

/* A finite number's pattern, of any size that keeps products finite, of either
 * sign, sometimes 0 or subnormal. */
static uint32_t
random_scale(struct test_random *random, w4moe_dtype dtype)
{
    uint32_t bits = (uint32_t)test_random(random);
    switch (dtype) {
    case W4MOE_F16: /* exponent 0 to 29 of 30 */
        return (bits & 0x83FFu) | (bits >> 16) % 30 << 10;
    case W4MOE_BF16: /* 0 to 249 of 254 */
        return (bits & 0x807Fu) | (bits >> 16) % 250 << 7;
    default:
        return (bits & 0x807FFFFFu) | (bits >> 13) % 250 << 23;
    }
}

/* Groups of the right sizes in random order, and the columns sorted by them. */
static void
make_order(struct test_random *random, struct ct_weight *w)
{
    w->g_idx = calloc(w->n_in, sizeof(*w->g_idx));
    w->order = calloc(w->n_in, sizeof(*w->order));
    ck_assert(w->g_idx != NULL && w->order != NULL);
    for (size_t i = 0; i < w->n_in; i++) {
        w->g_idx[i] = (int32_t)(i / w->group_size);
    }
    for (size_t i = w->n_in - 1; i > 0; i--) {
        size_t j = test_random_below(random, i + 1);
        int32_t group = w->g_idx[i];
        w->g_idx[i] = w->g_idx[j];
        w->g_idx[j] = group;
    }
    size_t n = 0;
    for (size_t group = 0; group < w->n_groups; group++) {
        for (size_t i = 0; i < w->n_in; i++) {
            if ((size_t)w->g_idx[i] == group) {
                w->order[n++] = (int32_t)i;
            }
        }
    }
}

struct ct_weight
ct_weight_make(struct test_random *random, size_t n_out, size_t n_in,
        size_t group_size, w4moe_dtype scale_dtype, unsigned flags)
{
    struct ct_weight w = {.n_out = n_out,
            .n_in = n_in,
            .group_size = group_size,
            .n_groups = (n_in + group_size - 1) / group_size,
            .scale_dtype = scale_dtype};
    size_t n_scales = n_out * w.n_groups;
    size_t size = size_of(scale_dtype);
    w.codes = malloc(n_out * n_in);
    w.zeros = malloc(n_scales);
    w.scales = malloc(n_scales * size);
    ck_assert(w.codes != NULL && w.zeros != NULL && w.scales != NULL);
    for (size_t i = 0; i < n_out * n_in; i++) {
        w.codes[i] = (uint8_t)test_random_below(random, 16);
    }
    for (size_t i = 0; i < n_scales; i++) {
        uint32_t scale = random_scale(random, scale_dtype);
        w.zeros[i] = (flags & CT_ZERO_POINTS) != 0
                             ? (uint8_t)test_random_below(random, 16)
                             : 8;
        for (size_t b = 0; b < size; b++) {
            w.scales[i * size + b] = (unsigned char)(scale >> 8 * b);
        }
    }
    if ((flags & CT_ACT_ORDER) != 0) {
        make_order(random, &w);
    }
    return w;
}

void
ct_weight_free(struct ct_weight *w)
{
    free(w->codes);
    free(w->zeros);
    free(w->scales);
    free(w->g_idx);
    free(w->order);
    memset(w, 0, sizeof(*w));
}

float
ct_weight_scale(const struct ct_weight *w, size_t n, size_t group)
{
    size_t size = size_of(w->scale_dtype);
    const unsigned char *bytes = w->scales + (n * w->n_groups + group) * size;
    uint32_t bits = 0;
    for (size_t b = 0; b < size; b++) {
        bits |= (uint32_t)bytes[b] << 8 * b;
    }
    if (w->scale_dtype == W4MOE_F16) {
        int exponent = (int)(bits >> 10 & 31u);
        double mantissa = (double)(bits & 1023u) + (exponent != 0 ? 1024 : 0);
        double value = ldexp(mantissa, (exponent != 0 ? exponent : 1) - 25);
        return (float)((bits & 0x8000u) != 0 ? -value : value);
    }
    bits = w->scale_dtype == W4MOE_BF16 ? bits << 16 : bits;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

float
ct_weight_at(const struct ct_weight *w, size_t n, size_t i)
{
    size_t group = w->g_idx != NULL ? (size_t)w->g_idx[i] : i / w->group_size;
    int code = w->codes[n * w->n_in + i];
    int zero = w->zeros[n * w->n_groups + group];
    return (float)((double)(code - zero) *
                   (double)ct_weight_scale(w, n, group));
}

unsigned char *
ct_weight_packed(const struct ct_weight *w, size_t *n_bytes)
{
    *n_bytes = w->n_out * w->n_in / 2;
    unsigned char *bytes = calloc(1, *n_bytes);
    ck_assert_ptr_nonnull(bytes);
    /* Eight codes in a word, the first in the lowest bits, and words
     * little-endian: two codes in a byte, the first in the low half. */
    for (size_t i = 0; i < w->n_out * w->n_in; i++) {
        bytes[i / 2] |= (unsigned char)(w->codes[i] << 4 * (i % 2));
    }
    return bytes;
}

unsigned char *
ct_weight_zero_point(const struct ct_weight *w, size_t *n_bytes)
{
    size_t n_rows = (w->n_out + 7) / 8;
    *n_bytes = 4 * n_rows * w->n_groups;
    unsigned char *bytes = calloc(1, *n_bytes);
    ck_assert_ptr_nonnull(bytes);
    for (size_t n = 0; n < w->n_out; n++) {
        for (size_t group = 0; group < w->n_groups; group++) {
            size_t word = n / 8 * w->n_groups + group;
            bytes[4 * word + n % 8 / 2] |=
                    (unsigned char)(w->zeros[n * w->n_groups + group]
                                    << 4 * (n % 2));
        }
    }
    return bytes;
}
