/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The numbers of a case of the table, whatever its operation, and what the
 * oracle says of them.
 */
#ifndef W4_TESTS_CASE_PROBLEM_H
#define W4_TESTS_CASE_PROBLEM_H

#include "case_table.h"
#include "forward_case.h"
#include "gemm_case.h"

struct case_problem {
    const struct kernel_case *what;
    /** That of the operation is made. */
    struct gemm_problem gemm;
    struct forward_problem forward;
    /** The numbers in it; after a change: case_store(). */
    struct oracle_matrix *matrices[2];
    size_t n_matrices;
    /** Activations, [n_rows][n_in]. */
    double *a;
    size_t n_rows;
    /** Results: rows, and columns of each. */
    size_t out_rows;
    size_t out_columns;
    /** Begins messages; set by case_label(). */
    char label[160];
};

/** Draws the numbers. exact: results will be judged to the bit. The problem
 * may not be moved. */
extern void case_make(
        struct case_problem *p, const struct kernel_case *what, int exact);
extern void case_free(struct case_problem *p);

/** Takes changed numbers over: weights, rows as they are passed. */
extern void case_store(struct case_problem *p);

/** Says what is done with it: class of numbers, variant, threads. */
extern void case_label(struct case_problem *p, const char *inputs,
        const char *variant, unsigned n_threads);

/** Whether a row of activations goes into a row of results. */
extern int case_depends(
        const struct case_problem *p, size_t out_row, size_t row);

/** Results of the oracle, [out_rows][out_columns]. */
struct case_expected {
    double *exact;
    double *ideal;
};

extern void case_expect(
        struct case_expected *expected, const struct case_problem *p);
extern void case_expected_free(struct case_expected *expected);

/** Fails the test unless results have the classes (NaN, Inf) of the ideal ones
 * and keep the accuracy contract. */
extern void case_judge(const struct case_problem *p,
        const struct case_expected *expected, const void *out);

#endif
