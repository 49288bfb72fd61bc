/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One call of w4moe_gemm() made from a few numbers: inputs, blocks, guarded
 * output, and what the oracle says of it. For tests of w4moe_gemm() only.
 */
#ifndef W4_TESTS_GEMM_CASE_H
#define W4_TESTS_GEMM_CASE_H

#include "oracle.h"

/** What to compute. Zero in a field means none of it. */
struct gemm_case {
    struct oracle_spec spec;
    w4moe_dtype dtype;
    size_t n_rows;
    size_t top_k;
    size_t block_size;
    size_t output_topk;
    int weighted;
    /** Elements between rows. */
    size_t a_pad;
    size_t c_pad;
    /** In percent: slots in no block, slots in blocks of expert -1. */
    unsigned uncovered;
    unsigned elsewhere;
    /** Only the first slot is in a block. */
    int one_slot;
    /** Not NULL: how many slots each expert gets, [E], n_rows * top_k
     * together; without it each slot has a random one. */
    const unsigned *rows;
};

/** The call: everything is set but the matrix and the output. */
struct gemm_problem {
    struct gemm_case what;
    /** Begins messages; may be NULL. */
    const char *label;
    /** Besides the contract: see oracle_score. */
    double noise;
    struct oracle_matrix matrix;
    size_t n_slots;
    /** Rows of c, and distance of rows. */
    size_t c_rows;
    size_t c_stride;
    /** The rows of a, [n_rows][K], and as they are passed. */
    double *a;
    void *a_rows;
    float *weights;
    /** Expert of each slot; -1 elsewhere, -2 in no block. */
    int32_t *slot_experts;
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t n_padded;
    w4moe_gemm_args args;
};

extern void gemm_make(struct gemm_problem *p, const struct gemm_case *what);
extern void gemm_free(struct gemm_problem *p);

/** Stores p->a again in the rows that are passed, after a change. */
extern void gemm_store_rows(struct gemm_problem *p);

/** A call with an output and a workspace between guards, to be made with
 * w4moe_gemm() any number of times. */
struct gemm_call {
    const struct gemm_problem *p;
    w4moe_gemm_args args;
    unsigned char *guarded;
    unsigned char *workspace;
};

extern void gemm_open(struct gemm_call *call, const w4moe_ctx *ctx,
        const struct gemm_problem *p, const w4moe_matrix *b);

/** Fails the test if something beside the rows of c was written.
 * Returns: [c_rows][N] of the dtype, for free(). */
extern void *gemm_close(struct gemm_call *call);

/** All of that with one call; fails the test if it fails. */
extern void *gemm_run(const w4moe_ctx *ctx, const struct gemm_problem *p,
        const w4moe_matrix *b);

/** What the oracle says: exact and ideal, [c_rows][N]. */
extern void gemm_expect(
        double *exact, double *ideal, const struct gemm_problem *p);

/** Fails the test unless the accuracy contract holds for a result, with exact
 * numbers to the bit, and rows without a slot in a block of an expert are 0. */
extern void gemm_judge_by(const struct gemm_problem *p, const double *exact,
        const double *ideal, const void *c);

/** gemm_expect() and gemm_judge_by(). */
extern void gemm_judge(const struct gemm_problem *p, const void *c);

/** One line about a problem, for messages; overwritten by the next call. */
extern const char *gemm_text(const struct gemm_problem *p);

#endif
