/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Weights of tests as GPTQ and AutoAWQ store them, by the definition. Shares
 * nothing with lib/format.
 */
#ifndef QWEIGHT_FIXTURE_H
#define QWEIGHT_FIXTURE_H

#include "ct_fixture.h"

enum qweight_scheme { GPTQ_V1, GPTQ_V2, AWQ, N_QWEIGHT_SCHEMES };

/** The tensors of a weight. */
struct qweight {
    unsigned char *qweight;
    unsigned char *scales;
    unsigned char *qzeros;
    size_t n_qweight;
    size_t n_scales;
    size_t n_qzeros;
    /* What the arrays stand in, `shift` bytes from its beginning. */
    unsigned char *memory[3];
};

/** Packs a weight. Arrays begin `shift` bytes from where malloc() puts them,
 * and end where their memory ends. */
extern struct qweight qweight_make(const struct ct_weight *weight,
        enum qweight_scheme scheme, size_t shift);
extern void qweight_free(struct qweight *arrays);

/** A number from 0 to n - 1 in each place, every number once. Free it. */
extern int32_t *qweight_random_order(struct test_random *random, size_t n);

#endif
