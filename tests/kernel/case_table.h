/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The cases on which every variant of the kernels is compared
 * (test_variants.c) and timed (bench/bench_cases.c). To add one is to add a
 * line to the table; case_problem.h makes its numbers.
 */
#ifndef W4_TESTS_CASE_TABLE_H
#define W4_TESTS_CASE_TABLE_H

#include "weight_form.h"

enum kernel_op {
    /** w4moe_gemm() */
    OP_GEMM,
    /** w4moe_forward() */
    OP_FORWARD
};

/** What w4moe_gemm() writes: a row for each slot, the same times the slot's
 * weight, or the sum over a token's slots. */
enum gemm_mode { PER_SLOT, WEIGHTED, SUMMED };

enum { CASE_EXPERTS_MAX = 8 };

struct kernel_case {
    const char *name;
    enum kernel_op op;
    w4moe_order order;
    w4moe_dtype dtype;
    enum weight_form form;
    /** K and N; of a layer H and I. */
    size_t n_in;
    size_t n_out;
    /** g; of a layer, of w13 and of w2. */
    size_t group;
    size_t w2_group;
    /** Of a layer. w4moe_gemm(): a gated kind makes the matrix gated. */
    w4moe_activation_kind kind;
    size_t top_k;
    /** For w4moe_gemm(). */
    size_t block;
    enum gemm_mode mode;
    /** Slots that each expert gets. */
    size_t n_experts;
    unsigned rows[CASE_EXPERTS_MAX];
    /** Takes so long that it is left out under a sanitizer, and has few input
     * classes. */
    int large;
};

extern const struct kernel_case kernel_cases[];
extern const size_t n_kernel_cases;

#endif
