/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The forms of weights that tests of kernels go through: codes, types of
 * scales, zero points or offsets, permutations, bias.
 */
#ifndef W4_TESTS_WEIGHT_FORM_H
#define W4_TESTS_WEIGHT_FORM_H

#include "oracle.h"

/** Every type of every array is in one of them. Those with two permutations
 * have odd numbers: tests may make the odd ones gated. */
enum weight_form {
    /** Symmetric codes alone. */
    FORM_BF16,
    FORM_ZEROS_F16_PERM,
    FORM_ZEROS_F32_BIAS,
    FORM_OFFSETS_PERM2,
    FORM_OFFSETS_F32_BIAS,
    FORM_MXFP4_PERM2,
    FORM_E2M1_BIAS_PERM,
    FORM_F16_PERM,
    FORM_OFFSETS_BF16_BIAS,
    FORM_ZEROS_PERM2,
    FORM_MXFP4_BIAS,
    FORM_ZEROS,
    N_WEIGHT_FORMS
};

extern const char *weight_form_name(enum weight_form form);

/** Sets what a form says in a spec. Of two permutations a matrix that is not
 * gated gets one. */
extern void weight_form_set(struct oracle_spec *spec, enum weight_form form);

#endif
