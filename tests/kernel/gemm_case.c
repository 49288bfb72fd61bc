/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gemm_case.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements before and after an output, and their bytes. */
enum { GUARD = 64, GUARD_BYTE = 0xA5 };

static void
draw_inputs(struct gemm_problem *p, struct oracle_rng *rng)
{
    const struct gemm_case *what = &p->what;
    size_t n_in = what->spec.n_in;
    p->a = oracle_alloc(what->n_rows * n_in, sizeof(double));
    for (size_t i = 0; i < what->n_rows * n_in; i++) {
        double v = oracle_uniform(rng, -1, 1);
        p->a[i] = what->spec.exact ? (double)oracle_below(rng, 9) - 4
                                   : oracle_round(what->dtype, v);
    }
    size_t stride = n_in + what->a_pad;
    p->a_rows = oracle_alloc(what->n_rows * stride, 2);
    gemm_store_rows(p);
    p->weights = oracle_alloc(p->n_slots, sizeof(float));
    for (size_t slot = 0; slot < p->n_slots; slot++) {
        static const float powers[] = {0.5f, 1, 2, -1};
        p->weights[slot] = what->spec.exact
                                   ? powers[oracle_below(rng, 4)]
                                   : (float)oracle_uniform(rng, -0.5, 1.5);
    }
}

/* Between the rows stands NaN. */
void
gemm_store_rows(struct gemm_problem *p)
{
    size_t n_in = p->what.spec.n_in;
    size_t stride = n_in + p->what.a_pad;
    memset(p->a_rows, 0xFF, p->what.n_rows * stride * 2);
    for (size_t r = 0; r < p->what.n_rows; r++) {
        for (size_t i = 0; i < n_in; i++) {
            oracle_store(p->a_rows, p->what.dtype, r * stride + i,
                    p->a[r * n_in + i]);
        }
    }
}

/* Appends the slots of one expert in whole blocks. */
static void
append_blocks(struct gemm_problem *p, struct oracle_rng *rng, int32_t expert)
{
    size_t block = p->what.block_size;
    size_t row = (size_t)p->n_padded;
    for (size_t slot = 0; slot < p->n_slots; slot++) {
        if (p->slot_experts[slot] == expert) {
            p->expert_ids[row / block] = expert;
            p->sorted_slots[row++] = (int32_t)slot;
        }
    }
    for (; row % block != 0; row++) {
        /* Any number from n_slots up is padding. */
        size_t beyond = oracle_below(rng, 2) == 0 ? 0 : 1000;
        p->sorted_slots[row] = (int32_t)(p->n_slots + beyond);
    }
    p->n_padded = (int32_t)row;
}

static void
draw_blocks(struct gemm_problem *p, struct oracle_rng *rng)
{
    const struct gemm_case *what = &p->what;
    size_t n_experts = what->spec.n_experts;
    size_t capacity = (p->n_slots + n_experts + 1) * what->block_size;
    p->slot_experts = oracle_alloc(p->n_slots, sizeof(int32_t));
    p->sorted_slots = oracle_alloc(capacity, sizeof(int32_t));
    p->expert_ids = oracle_alloc(capacity / what->block_size, sizeof(int32_t));
    if (what->rows != NULL) {
        oracle_deal(rng, p->slot_experts, p->n_slots, what->rows, n_experts);
    }
    for (size_t slot = 0; slot < p->n_slots && what->rows == NULL; slot++) {
        size_t percent = oracle_below(rng, 100);
        int32_t expert = (int32_t)oracle_below(rng, n_experts);
        if (percent < what->uncovered || (what->one_slot && slot > 0)) {
            expert = -2;
        } else if (percent < what->uncovered + what->elsewhere) {
            expert = -1;
        }
        p->slot_experts[slot] = expert;
    }
    for (int32_t e = -1; e < (int32_t)n_experts; e++) {
        append_blocks(p, rng, e);
    }
    p->args.capacity = capacity;
}

void
gemm_make(struct gemm_problem *p, const struct gemm_case *what)
{
    struct oracle_rng rng = {what->spec.seed ^ 0x5EED};
    memset(p, 0, sizeof(*p));
    p->what = *what;
    p->n_slots = what->n_rows * what->top_k;
    p->c_rows = what->output_topk != 0 ? p->n_slots / what->output_topk
                                       : p->n_slots;
    p->c_stride = what->spec.n_out + what->c_pad;
    oracle_make(&p->matrix, &what->spec);
    draw_inputs(p, &rng);
    draw_blocks(p, &rng);
    p->args.struct_size = sizeof(p->args);
    p->args.c_stride = what->c_pad != 0 ? p->c_stride : 0;
    p->args.a = p->a_rows;
    p->args.a_stride = what->a_pad != 0 ? what->spec.n_in + what->a_pad : 0;
    p->args.n_rows = what->n_rows;
    p->args.dtype = what->dtype;
    p->args.sorted_slots = p->sorted_slots;
    p->args.expert_ids = p->expert_ids;
    p->args.n_padded = &p->n_padded;
    p->args.block_size = what->block_size;
    p->args.top_k = what->top_k;
    p->args.topk_weights = what->weighted ? p->weights : NULL;
    p->args.output_topk = what->output_topk;
}

void
gemm_free(struct gemm_problem *p)
{
    oracle_free(&p->matrix);
    free(p->a);
    free(p->a_rows);
    free(p->weights);
    free(p->slot_experts);
    free(p->sorted_slots);
    free(p->expert_ids);
}

/* Whether byte i of the guarded output belongs to a row. */
static int
is_result(const struct gemm_problem *p, size_t i)
{
    size_t at = i / 2;
    if (at < GUARD || at - GUARD >= p->c_rows * p->c_stride) {
        return 0;
    }
    return (at - GUARD) % p->c_stride < p->what.spec.n_out;
}

/* Bytes of the guarded output, and of the workspace with what follows it. */
static size_t
guarded_bytes(const struct gemm_problem *p)
{
    return 2 * (2 * GUARD + p->c_rows * p->c_stride);
}

static size_t
workspace_bytes(const struct gemm_call *call)
{
    return ((size_t)call->args.workspace_size + 63) / 64 * 64 + 64;
}

void
gemm_open(struct gemm_call *call, const w4moe_ctx *ctx,
        const struct gemm_problem *p, const w4moe_matrix *b)
{
    call->p = p;
    call->args = p->args;
    call->args.b = b;
    w4moe_status status =
            w4moe_gemm_workspace(ctx, &call->args.workspace_size, &call->args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    ck_assert_int_eq(call->args.workspace_size != 0,
            p->what.output_topk != 0 && p->n_slots != 0);
    call->guarded = oracle_alloc(guarded_bytes(p), 1);
    memset(call->guarded, GUARD_BYTE, guarded_bytes(p));
    call->args.c = call->guarded + 2 * (size_t)GUARD;
    call->workspace = aligned_alloc(64, workspace_bytes(call));
    ck_assert_ptr_nonnull(call->workspace);
    memset(call->workspace, GUARD_BYTE, workspace_bytes(call));
    call->args.workspace =
            call->args.workspace_size != 0 ? call->workspace : NULL;
}

void *
gemm_close(struct gemm_call *call)
{
    const struct gemm_problem *p = call->p;
    size_t row_bytes = 2 * p->what.spec.n_out;
    size_t stride_bytes = 2 * p->c_stride;
    for (size_t i = (size_t)call->args.workspace_size;
            i < workspace_bytes(call); i++) {
        if (call->workspace[i] != GUARD_BYTE) {
            ck_abort_msg("%s: byte %zu of a workspace of %zu was written",
                    gemm_text(p), i, (size_t)call->args.workspace_size);
        }
    }
    for (size_t i = 0; i < guarded_bytes(p); i++) {
        if (!is_result(p, i) && call->guarded[i] != GUARD_BYTE) {
            ck_abort_msg("%s: byte %td beside the rows of c was written",
                    gemm_text(p), (ptrdiff_t)i - 2 * GUARD);
        }
    }
    unsigned char *packed = oracle_alloc(p->c_rows, row_bytes);
    for (size_t r = 0; r < p->c_rows; r++) {
        memcpy(packed + r * row_bytes,
                (unsigned char *)call->args.c + r * stride_bytes, row_bytes);
    }
    free(call->workspace);
    free(call->guarded);
    return packed;
}

void *
gemm_run(const w4moe_ctx *ctx, const struct gemm_problem *p,
        const w4moe_matrix *b)
{
    struct gemm_call call;
    gemm_open(&call, ctx, p, b);
    w4moe_status status = w4moe_gemm(ctx, &call.args);
    ck_assert_msg(
            status == W4MOE_OK, "%s: %s", gemm_text(p), w4moe_ctx_error(ctx));
    return gemm_close(&call);
}

void
gemm_expect(double *exact, double *ideal, const struct gemm_problem *p)
{
    size_t n_in = p->what.spec.n_in;
    size_t n_out = p->what.spec.n_out;
    size_t per_row = p->what.output_topk != 0 ? p->what.output_topk : 1;
    double *y = oracle_alloc(n_out, sizeof(double));
    memset(exact, 0, p->c_rows * n_out * sizeof(double));
    for (size_t slot = 0; slot < p->n_slots; slot++) {
        if (p->slot_experts[slot] < 0) {
            continue;
        }
        oracle_product(y, &p->matrix, (size_t)p->slot_experts[slot],
                p->a + slot / p->what.top_k * n_in);
        double weight = p->what.weighted ? (double)p->weights[slot] : 1;
        for (size_t n = 0; n < n_out; n++) {
            exact[slot / per_row * n_out + n] += y[n] * weight;
        }
    }
    for (size_t i = 0; i < p->c_rows * n_out; i++) {
        ideal[i] = oracle_round(p->what.dtype, exact[i]);
    }
    free(y);
}

/* Whether a row of c has no slot in a block of an expert, so that it is 0. */
static int
row_is_empty(const struct gemm_problem *p, size_t row)
{
    size_t per_row = p->what.output_topk != 0 ? p->what.output_topk : 1;
    for (size_t j = 0; j < per_row; j++) {
        if (p->slot_experts[row * per_row + j] >= 0) {
            return 0;
        }
    }
    return 1;
}

void
gemm_judge_by(const struct gemm_problem *p, const double *exact,
        const double *ideal, const void *c)
{
    size_t n_out = p->what.spec.n_out;
    size_t n = p->c_rows * n_out;
    struct oracle_score score = {.noise = p->noise};
    oracle_score_row(&score, c, p->what.dtype, exact, ideal, n);
    ck_assert_msg(oracle_accept(&score),
            "%s: ratio %g, %zu of %zu results of a wrong class", gemm_text(p),
            oracle_ratio(&score), score.n_wrong, score.n);
    for (size_t i = 0; i < n && p->what.spec.exact; i++) {
        double got = oracle_load(c, p->what.dtype, i);
        if (got != ideal[i]) {
            ck_abort_msg("%s: result %zu of row %zu is %a, not %a",
                    gemm_text(p), i % n_out, i / n_out, got, ideal[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (row_is_empty(p, i / n_out) && ((const uint16_t *)c)[i] != 0) {
            ck_abort_msg("%s: row %zu is not zero", gemm_text(p), i / n_out);
        }
    }
}

void
gemm_judge(const struct gemm_problem *p, const void *c)
{
    size_t n = p->c_rows * p->what.spec.n_out;
    double *exact = oracle_alloc(n, sizeof(double));
    double *ideal = oracle_alloc(n, sizeof(double));
    gemm_expect(exact, ideal, p);
    gemm_judge_by(p, exact, ideal, c);
    free(exact);
    free(ideal);
}

const char *
gemm_text(const struct gemm_problem *p)
{
    static char text[512];
    const struct gemm_case *what = &p->what;
    const struct oracle_spec *spec = &what->spec;
    snprintf(text, sizeof(text),
            "%s: seed %#llx: %zu experts of %zu x %zu%s, g %zu, code %d, "
            "scales %s, zeros %d, offsets %s, perms %zu, bias %s, %s; %zu "
            "rows, top_k %zu, block %zu, output_topk %zu, weighted %d, pads "
            "%zu %zu",
            p->label != NULL ? p->label : "gemm",
            (unsigned long long)spec->seed, spec->n_experts, spec->n_out,
            spec->n_in, spec->gated ? " gated" : "", spec->group_size,
            (int)spec->code, w4moe_dtype_name(spec->scale_dtype), spec->zeros,
            w4moe_dtype_name(spec->offset_dtype), spec->n_perms,
            w4moe_dtype_name(spec->bias_dtype), w4moe_dtype_name(what->dtype),
            what->n_rows, what->top_k, what->block_size, what->output_topk,
            what->weighted, what->a_pad, what->c_pad);
    return text;
}
