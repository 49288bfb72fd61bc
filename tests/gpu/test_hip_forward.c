/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward() of the HIP backend against the oracle, with the kernels in
 * the layouts of every architecture: sizes, forms of weights, activations,
 * flags. Each call is made in both orders, which must give the same bytes. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "../kernel/act_kinds.h"
#include "../kernel/forward_case.h"
#include "hip_context.h"

static const w4moe_dtype halves[2] = {W4MOE_BF16, W4MOE_F16};

/* Sizes of layers. The kernels have one way for K and groups that are
 * multiples of 32, and one for others; tiles are 128 columns wide. */
static const struct shape {
    size_t hidden, inter, w13_group, w2_group;
} shapes[] = {
        /* Narrow tiles; groups of any size. */
        {80, 72, 32, 24},
        {136, 8, 8, 8},
        {8, 136, 8, 24},
        {8, 8, 8, 8},
        {200, 48, 96, 16},
        /* Multiples of 32: one tile, a narrow one, two and a narrow one. */
        {128, 64, 32, 32},
        {96, 160, 96, 160},
        {320, 96, 64, 32},
        /* A short last group; a group that is all of K. */
        {160, 32, 64, 32},
        {288, 96, 128, 64},
        {224, 64, 224, 64},
        /* One of the matrices has the one way, one the other. */
        {96, 72, 32, 24},
        {72, 96, 24, 32},
};

enum { N_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* Experts for 24 tokens of 3 experts each, and with them the rows of a block:
 * 1, 2, 4, 8; 16, 32, 64. */
static const size_t experts[] = {80, 36, 24, 12, 6, 3, 1};

enum { N_EXPERTS = sizeof(experts) / sizeof(experts[0]) };

static w4moe_ctx *ctx;

static void
setup(void)
{
    ctx = NULL;
}

static void
teardown(void)
{
    hip_context_end(ctx);
}

static struct forward_case
usual(uint64_t seed, const struct shape *shape)
{
    struct forward_case what = {
            .seed = seed,
            .n_experts = 4,
            .hidden = shape->hidden,
            .inter = shape->inter,
            .w13_group = shape->w13_group,
            .w2_group = shape->w2_group,
            .kind = W4MOE_ACT_SILU,
            .dtype = halves[seed % 2],
            .n_tokens = 5,
            .top_k = 2,
            .flags = W4MOE_HOST_IO,
            .out_pad = 5,
    };
    return what;
}

static void
check_problem(const struct forward_problem *p)
{
    void *tile = forward_once(ctx, p, W4MOE_ORDER_TILE);
    forward_judge(p, tile);
    void *rdna3 = forward_once(ctx, p, W4MOE_ORDER_RDNA3);
    forward_same(p, tile, rdna3, "in order rdna3");
    free(tile);
    free(rdna3);
}

static void
check_case(const struct forward_case *what)
{
    struct forward_problem p;
    forward_make(&p, what);
    check_problem(&p);
    forward_free(&p);
}

/* Few slots: every form, with each shape. Layouts differ in matrices only, of
 * which there are none here: each takes a third of the forms. */
START_TEST(few_slots)
{
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x5000;
    for (size_t s = 0; s < N_SHAPES; s++) {
        for (unsigned form = (unsigned)_i; form < N_WEIGHT_FORMS;
                form += N_HIP_ARCHS) {
            struct forward_case what = usual(seed++, &shapes[s]);
            what.form = form;
            what.n_tokens = 1 + seed % 3;
            what.dtype = halves[(s + form) % 2];
            check_case(&what);
        }
    }
}
END_TEST

/* Whether a shape can be done with matrices. */
static int
is_chunked(const struct shape *s)
{
    return (s->hidden | s->inter | s->w13_group | s->w2_group) % 32 == 0;
}

/* Many slots: every number of rows a block can have, with each shape; a form
 * that goes round. Without matrices one layout is enough. */
START_TEST(many_slots)
{
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x5100;
    for (size_t s = 0; s < N_SHAPES; s++) {
        for (size_t e = 0; e < N_EXPERTS; e++) {
            int matrices = experts[e] <= 6 && is_chunked(&shapes[s]);
            if (!matrices && (s + e) % N_HIP_ARCHS != (size_t)_i) {
                continue;
            }
            struct forward_case what = usual(seed++, &shapes[s]);
            what.form = (unsigned)(s + 5 * e + (size_t)_i) % N_WEIGHT_FORMS;
            what.n_experts = experts[e];
            what.n_tokens = 24;
            what.top_k = 3;
            what.dtype = halves[(s + e) % 2];
            check_case(&what);
        }
    }
}
END_TEST

/* Every form with matrix instructions and with dot products of several rows;
 * of the latter one layout. */
START_TEST(forms_of_blocks)
{
    static const struct shape shape = {160, 96, 64, 32};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4 * N_WEIGHT_FORMS; i++) {
        if (i % 4 >= 2 && i / 4 % N_HIP_ARCHS != (unsigned)_i) {
            continue;
        }
        struct forward_case what = usual(0x5200 + i, &shape);
        what.form = i / 4;
        what.dtype = halves[i % 2];
        what.n_experts = i % 4 < 2 ? 2 : 16;
        what.n_tokens = 33;
        what.kind = W4MOE_ACT_SWIGLUOAI;
        check_case(&what);
    }
}
END_TEST

static void
set_activation(struct forward_problem *p, int kind)
{
    p->activation = kinds[kind];
    p->activation.struct_size = sizeof(p->activation);
}

/* The form without bias has none of the arrays; the other has all. */
START_TEST(every_activation)
{
    static const struct shape shape = {64, 96, 32, 32};
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < 4 * N_KINDS; i++) {
        struct forward_case what = usual(0x5300 + (uint64_t)i, &shape);
        what.kind = kinds[i / 4].kind;
        what.form = i % 2 != 0 ? FORM_OFFSETS_F32_BIAS : FORM_BF16;
        what.dtype = halves[i / 4 % 2];
        what.n_tokens = i % 4 < 2 ? 3 : 40;
        struct forward_problem p;
        forward_make(&p, &what);
        set_activation(&p, i / 4);
        check_problem(&p);
        forward_free(&p);
    }
}
END_TEST

/* Every number of tokens and choices around the one up to which there are no
 * blocks, the most that the backend takes among them. */
START_TEST(tokens_and_choices)
{
    static const size_t tokens[] = {0, 1, 2, 5, 9, 64};
    static const size_t choices[] = {1, 2, 3, 7, 8, 13, 32, 64};
    static const struct shape shape = {64, 32, 32, 32};
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x5400;
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 8 && tokens[i] * choices[k] <= 576; k++) {
            struct forward_case what = usual(seed++, &shape);
            what.n_tokens = tokens[i];
            what.top_k = choices[k];
            what.form = seed % 2 != 0 ? FORM_MXFP4_BIAS : FORM_ZEROS_F32_BIAS;
            check_case(&what);
        }
    }
}
END_TEST

/* Rows of x that begin anywhere. */
START_TEST(rows_anywhere)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 24; i++) {
        struct forward_case what = usual(0x5500 + i, &shapes[5 + i / 2 % 3]);
        what.x_pad = 3;
        what.form = i / 6;
        what.n_experts = i % 3 == 0 ? 20 : 3;
        what.n_tokens = i % 3 == 1 ? 3 : 40;
        check_case(&what);
    }
}
END_TEST

START_TEST(many_experts)
{
    static const struct shape shape = {32, 16, 32, 16};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 2; i++) {
        struct forward_case what = usual(0x5600 + 2 * (uint64_t)_i + i, &shape);
        what.n_experts = 513;
        what.n_tokens = i == 0 ? 1 : 70;
        what.top_k = 1 + (size_t)_i % 2;
        check_case(&what);
    }
}
END_TEST

/* The most choices among more experts than any model has. */
START_TEST(many_experts_and_choices)
{
    static const size_t n_experts[N_HIP_ARCHS] = {2049, 3000, 4096};
    static const struct shape shape = {16, 8, 16, 8};
    ctx = hip_context(hip_archs[_i], 0);
    struct forward_case what = usual(0x5680 + (uint64_t)_i, &shape);
    what.n_experts = n_experts[_i];
    what.n_tokens = 2;
    what.top_k = 64;
    check_case(&what);
}
END_TEST

START_TEST(long_sums)
{
    static const struct shape long_shapes[] = {{4096, 32, 128, 32},
            {32, 4096, 32, 64}, {4096, 8, 4096, 8}, {8, 2048, 8, 1024}};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 8; i++) {
        struct forward_case what = usual(0x5700 + i, &long_shapes[i / 2]);
        what.n_experts = 2;
        what.form = (7 * i) % N_WEIGHT_FORMS;
        what.n_tokens = i % 2 == 0 ? 1 : 33;
        what.dtype = halves[i / 2 % 2];
        check_case(&what);
    }
}
END_TEST

/* Sums that are exact have one right answer. */
START_TEST(exact_sums_have_the_right_bits)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 24; i++) {
        static const struct shape small[3] = {
                {16, 16, 8, 16}, {32, 32, 32, 32}, {64, 32, 32, 32}};
        struct forward_case what = usual(0x5800 + i, &small[i % 3]);
        what.kind = W4MOE_ACT_RELU2_NO_MUL;
        what.form = i % 2 == 0 ? FORM_BF16 : FORM_F16_PERM;
        what.exact = 1;
        what.dtype = halves[i / 2 % 2];
        what.n_tokens = i % 4 < 2 ? 4 : 40;
        what.n_experts = i % 8 < 4 ? 2 : 16;
        check_case(&what);
    }
}
END_TEST

/* ------------------------------------------------------------- flags, maps */

START_TEST(every_flag)
{
    static const unsigned flags[] = {W4MOE_ROUTER_WEIGHT_ON_INPUT,
            W4MOE_ACCUMULATE, W4MOE_ROUTER_WEIGHT_ON_INPUT | W4MOE_ACCUMULATE,
            W4MOE_BATCH_INVARIANT, W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE};
    static const struct shape shape = {96, 64, 32, 64};
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x5900;
    for (unsigned i = 0; i < 30; i++) {
        struct forward_case what = usual(seed++, &shape);
        what.flags |= flags[i % 5];
        what.n_tokens = i / 5 % 2 == 0 ? 5 : 40;
        what.n_experts = i / 5 == 5 ? 20 : 4;
        what.form = i / 5 % 3 == 0   ? FORM_MXFP4_BIAS
                    : i / 5 % 3 == 1 ? FORM_ZEROS_F32_BIAS
                                     : FORM_OFFSETS_F32_BIAS;
        what.kind = i % 2 != 0 ? W4MOE_ACT_GELU_NO_MUL : W4MOE_ACT_SWIGLUOAI;
        check_case(&what);
    }
}
END_TEST

/* 9 experts globally, of which the layer has 4 in another order; and ids that
 * are none, which add nothing. */
START_TEST(maps_and_bad_ids)
{
    static const int32_t map[9] = {-1, 2, -1, 0, 3, -1, 1, -1, -1};
    static const int32_t good[9] = {0, 1, 2, 3, -1, -1, -1, -1, -1};
    static const int32_t bad[5] = {-1, 9, INT32_MAX, INT32_MIN, 1 << 24};
    static const struct shape shape = {64, 64, 32, 32};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 12; i++) {
        struct forward_case what = usual(0x5A00 + i, &shape);
        what.n_tokens = i % 2 == 0 ? 5 : 40;
        what.top_k = 3;
        what.flags |= i % 4 < 2 ? 0 : W4MOE_ACCUMULATE;
        what.form = i % 3 == 0 ? FORM_BF16 : FORM_OFFSETS_F32_BIAS;
        struct forward_problem p;
        forward_make(&p, &what);
        struct oracle_rng rng = {what.seed};
        size_t n_slots = what.n_tokens * 3;
        int32_t *ids = oracle_alloc(n_slots, sizeof(*ids));
        for (size_t slot = 0; slot < n_slots; slot++) {
            ids[slot] = p.ids[slot] = (int32_t)oracle_below(&rng, 9);
            if (i >= 8 && oracle_below(&rng, 4) == 0) {
                ids[slot] = bad[oracle_below(&rng, 5)];
                /* The oracle gets one that is not here. */
                p.ids[slot] = 8;
            }
        }
        p.args.expert_map = i < 4 ? map : good;
        p.args.n_experts_global = 9;
        double *exact =
                oracle_alloc(2 * what.n_tokens * what.hidden, sizeof(*exact));
        double *ideal = exact + what.n_tokens * what.hidden;
        forward_expect(exact, ideal, &p);
        p.args.ids = ids;
        void *out = forward_once(ctx, &p, W4MOE_ORDER_TILE);
        forward_judge_by(&p, exact, ideal, out);
        free(out);
        free(exact);
        free(ids);
        forward_free(&p);
    }
}
END_TEST

/* What is elsewhere adds nothing, not even its NaN weight. */
START_TEST(weights_of_dropped_slots_do_not_matter)
{
    static const int32_t map[4] = {0, -1, 2, -1};
    static const struct shape shape = {64, 64, 32, 32};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4; i++) {
        struct forward_case what = usual(0x5B00 + i, &shape);
        what.n_tokens = i < 2 ? 5 : 40;
        what.form = FORM_ZEROS_F32_BIAS;
        struct forward_problem p;
        forward_make(&p, &what);
        p.args.expert_map = map;
        void *out = forward_once(ctx, &p, W4MOE_ORDER_TILE);
        forward_judge(&p, out);
        for (size_t slot = 0; slot < what.n_tokens * 2; slot++) {
            if (map[p.ids[slot]] < 0) {
                p.weights[slot] = NAN;
            }
        }
        void *again = forward_once(ctx, &p, W4MOE_ORDER_TILE);
        forward_same(&p, out, again, "with NaN weights of dropped slots");
        free(out);
        free(again);
        forward_free(&p);
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {few_slots, many_slots, forms_of_blocks,
            every_activation, tokens_and_choices, rows_anywhere, many_experts,
            many_experts_and_choices, long_sums, exact_sums_have_the_right_bits,
            every_flag, maps_and_bad_ids,
            weights_of_dropped_slots_do_not_matter};
    return hip_run_tests("hip forward", tests, sizeof(tests) / sizeof(tests[0]),
            setup, teardown);
}
