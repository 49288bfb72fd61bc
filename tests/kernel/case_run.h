/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Running a problem of case_problem.h with a context: its arrays packed and
 * fenced once, then any number of calls, to be tested or timed.
 */
#ifndef W4_TESTS_CASE_RUN_H
#define W4_TESTS_CASE_RUN_H

#include "case_problem.h"
#include "fence.h"

/** A problem as it is passed to the library: every input array has its own
 * fence. */
struct case_place {
    const struct kernel_case *what;
    struct fence fence;
    /** In the order of case_problem's. */
    w4moe_matrix matrices[2];
    /** Copies whose arguments point to the fenced arrays. */
    struct gemm_problem gemm;
    struct forward_problem forward;
};

extern void case_place(struct case_place *place, const struct case_problem *p,
        const w4moe_ctx *ctx, enum fence_side side);
extern void case_place_free(struct case_place *place);

/** Calls of one context. */
struct case_run {
    const struct case_place *place;
    const w4moe_ctx *ctx;
    w4moe_layer *layer;
    struct gemm_call gemm;
    struct forward_call forward;
};

extern void case_open(struct case_run *run, const w4moe_ctx *ctx,
        const struct case_place *place);

/** The call itself: w4moe_gemm() or w4moe_forward(), nothing else. */
extern w4moe_status case_call(struct case_run *run);

/** Fails the test if something beside the results was written.
 * Returns: [out_rows][out_columns] of the dtype, for free(). */
extern void *case_close(struct case_run *run);

/** All of that with one call; fails the test if it fails. */
extern void *case_results(const w4moe_ctx *ctx, const struct case_place *place);

#endif
