/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "case_problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements between rows: rows begin at any address, and what is written beside
 * them is seen. Large cases are timed, too: theirs are packed. */
enum { IN_PAD = 3, OUT_PAD = 5 };

/* Slots of all experts together. */
static size_t
count_slots(const struct kernel_case *what)
{
    size_t n = 0;
    for (size_t e = 0; e < what->n_experts; e++) {
        n += what->rows[e];
    }
    return n;
}

static uint64_t
seed_of(const struct kernel_case *what)
{
    return 0x40000 + 0x100 * (uint64_t)(what - kernel_cases);
}

static void
make_gemm(struct case_problem *p, const struct kernel_case *what, int exact)
{
    struct gemm_case gemm = {
            .spec = {.seed = seed_of(what),
                    .n_experts = what->n_experts,
                    .n_out = what->n_out,
                    .n_in = what->n_in,
                    .group_size = what->group,
                    .gated = what->kind != 0 &&
                             w4moe_activation_gated(what->kind),
                    .exact = exact},
            .dtype = what->dtype,
            .n_rows = count_slots(what) / what->top_k,
            .top_k = what->top_k,
            .block_size = what->block,
            .output_topk = what->mode == SUMMED ? what->top_k : 0,
            .weighted = what->mode != PER_SLOT,
            .a_pad = what->large ? 0 : IN_PAD,
            .c_pad = what->large ? 0 : OUT_PAD,
            .rows = what->rows,
    };
    weight_form_set(&gemm.spec, what->form);
    gemm_make(&p->gemm, &gemm);
    p->gemm.label = p->label;
    p->matrices[0] = &p->gemm.matrix;
    p->n_matrices = 1;
    p->a = p->gemm.a;
    p->n_rows = gemm.n_rows;
    p->out_rows = p->gemm.c_rows;
    p->out_columns = what->n_out;
}

static void
make_forward(struct case_problem *p, const struct kernel_case *what, int exact)
{
    struct forward_case forward = {
            .seed = seed_of(what),
            .n_experts = what->n_experts,
            .hidden = what->n_in,
            .inter = what->n_out,
            .w13_group = what->group,
            .w2_group = what->w2_group,
            .kind = what->kind,
            .form = what->form,
            .exact = exact,
            .dtype = what->dtype,
            .n_tokens = count_slots(what) / what->top_k,
            .top_k = what->top_k,
            .x_pad = what->large ? 0 : IN_PAD,
            .out_pad = what->large ? 0 : OUT_PAD,
            .rows = what->rows,
    };
    forward_make(&p->forward, &forward);
    p->forward.label = p->label;
    p->matrices[0] = &p->forward.w13;
    p->matrices[1] = &p->forward.w2;
    p->n_matrices = 2;
    p->a = p->forward.x;
    p->n_rows = forward.n_tokens;
    p->out_rows = forward.n_tokens;
    p->out_columns = what->n_in;
}

void
case_make(struct case_problem *p, const struct kernel_case *what, int exact)
{
    memset(p, 0, sizeof(*p));
    p->what = what;
    if (what->op == OP_GEMM) {
        make_gemm(p, what, exact);
    } else {
        make_forward(p, what, exact);
    }
}

void
case_free(struct case_problem *p)
{
    if (p->what->op == OP_GEMM) {
        gemm_free(&p->gemm);
    } else {
        forward_free(&p->forward);
    }
}

void
case_store(struct case_problem *p)
{
    for (size_t i = 0; i < p->n_matrices; i++) {
        oracle_finish(p->matrices[i]);
    }
    if (p->what->op == OP_GEMM) {
        gemm_store_rows(&p->gemm);
    } else {
        forward_store_rows(&p->forward);
    }
}

void
case_label(struct case_problem *p, const char *inputs, const char *variant,
        unsigned n_threads)
{
    snprintf(p->label, sizeof(p->label),
            "case %s, inputs %s, variant %s, threads %u", p->what->name, inputs,
            variant, n_threads);
}

int
case_depends(const struct case_problem *p, size_t out_row, size_t row)
{
    int by_slot = p->what->op == OP_GEMM && p->what->mode != SUMMED;
    return (by_slot ? out_row / p->what->top_k : out_row) == row;
}

void
case_expect(struct case_expected *expected, const struct case_problem *p)
{
    size_t n = p->out_rows * p->out_columns;
    expected->exact = oracle_alloc(n, sizeof(double));
    expected->ideal = oracle_alloc(n, sizeof(double));
    if (p->what->op == OP_GEMM) {
        gemm_expect(expected->exact, expected->ideal, &p->gemm);
    } else {
        forward_expect(expected->exact, expected->ideal, &p->forward);
    }
}

void
case_expected_free(struct case_expected *expected)
{
    free(expected->exact);
    free(expected->ideal);
}

void
case_judge(const struct case_problem *p, const struct case_expected *expected,
        const void *out)
{
    if (p->what->op == OP_GEMM) {
        gemm_judge_by(&p->gemm, expected->exact, expected->ideal, out);
    } else {
        forward_judge_by(&p->forward, expected->exact, expected->ideal, out);
    }
}
