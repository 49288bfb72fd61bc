/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Classes of numbers that a case is run with, the ill-natured among them.
 */
#ifndef W4_TESTS_CASE_INPUTS_H
#define W4_TESTS_CASE_INPUTS_H

#include "case_problem.h"
#include "fence.h"

struct input_class {
    const char *name;
    /** Every sum is exact in fp32: there is one right answer, whatever the
     * variant and its order of the sums. */
    int exact;
    /** Weights may be 0 by cancellation (TOL_CANCELLED). */
    int cancels;
    /** Activations are subnormal numbers of their type. */
    int tiny;
    /** Where the forbidden page is. */
    enum fence_side side;
    /** For large cases, too. */
    int large;
    /** Changes the numbers that case_make() drew; NULL: they are random. */
    void (*change)(struct case_problem *p, const struct input_class *inputs);
    /** For `change`. */
    uint8_t code;
    /** Whether a case has such numbers; NULL: every one. */
    int (*fits)(const struct kernel_case *what);
};

/** The first is the random one. */
extern const struct input_class input_classes[];
extern const size_t n_input_classes;

/** Whether a case is run with a class. */
extern int inputs_fit(
        const struct input_class *inputs, const struct kernel_case *what);

/** Makes the problem of a case. */
extern void inputs_make(struct case_problem *p, const struct kernel_case *what,
        const struct input_class *inputs);

#endif
