/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "qweight_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Columns of AutoAWQ's nibbles, from the lowest bits up. */
static const unsigned awq_columns[8] = {0, 2, 4, 6, 1, 3, 5, 7};

/* Sets a nibble of an array of little-endian words; it was 0. */
static void
set_nibble(unsigned char *words, size_t word, size_t nibble, unsigned value)
{
    words[4 * word + nibble / 2] |=
            (unsigned char)(value << (nibble % 2 == 0 ? 0 : 4));
}

/* Nibble of output feature n in its word. */
static size_t
column_nibble(enum qweight_scheme scheme, size_t n)
{
    size_t nibble = n % 8;
    for (size_t i = 0; scheme == AWQ && i < 8; i++) {
        if (awq_columns[i] == n % 8) {
            nibble = i;
        }
    }
    return nibble;
}

static unsigned char *
make_array(unsigned char **memory, size_t n_bytes, size_t shift)
{
    *memory = calloc(1, n_bytes + shift);
    ck_assert_ptr_nonnull(*memory);
    return *memory + shift;
}

static void
pack_codes(struct qweight *q, const struct ct_weight *w,
        enum qweight_scheme scheme)
{
    for (size_t n = 0; n < w->n_out; n++) {
        for (size_t k = 0; k < w->n_in; k++) {
            unsigned code = w->codes[n * w->n_in + k];
            if (scheme == AWQ) {
                set_nibble(q->qweight, k * (w->n_out / 8) + n / 8,
                        column_nibble(scheme, n), code);
            } else {
                set_nibble(q->qweight, k / 8 * w->n_out + n, k % 8, code);
            }
        }
    }
}

struct qweight
qweight_make(
        const struct ct_weight *w, enum qweight_scheme scheme, size_t shift)
{
    size_t size = w->scale_dtype == W4MOE_F32 ? 4 : 2;
    struct qweight q = {
            .n_qweight = w->n_out * w->n_in / 2,
            .n_scales = w->n_out * w->n_groups * size,
            .n_qzeros = w->n_out * w->n_groups / 2,
    };
    q.qweight = make_array(&q.memory[0], q.n_qweight, shift);
    q.scales = make_array(&q.memory[1], q.n_scales, shift);
    q.qzeros = make_array(&q.memory[2], q.n_qzeros, shift);
    pack_codes(&q, w, scheme);
    for (size_t n = 0; n < w->n_out; n++) {
        for (size_t g = 0; g < w->n_groups; g++) {
            unsigned zero = w->zeros[n * w->n_groups + g];
            unsigned stored = scheme != GPTQ_V1 ? zero
                              : zero == 0       ? 15
                                                : zero - 1;
            set_nibble(q.qzeros, g * (w->n_out / 8) + n / 8,
                    column_nibble(scheme, n), stored);
            memcpy(q.scales + (g * w->n_out + n) * size,
                    w->scales + (n * w->n_groups + g) * size, size);
        }
    }
    return q;
}

void
qweight_free(struct qweight *q)
{
    for (int i = 0; i < 3; i++) {
        free(q->memory[i]);
    }
    memset(q, 0, sizeof(*q));
}

int32_t *
qweight_random_order(struct test_random *random, size_t n)
{
    int32_t *order = calloc(n, sizeof(*order));
    ck_assert_ptr_nonnull(order);
    for (size_t i = 0; i < n; i++) {
        size_t j = test_random_below(random, i + 1);
        order[i] = order[j];
        order[j] = (int32_t)i;
    }
    return order;
}
