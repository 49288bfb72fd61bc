/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_gemm() against the oracle: every switch, every form of matrix, sizes
 * at the ends. Ill-natured numbers are in test_gemm_numbers.c, what it refuses
 * in test_gemm_refusals.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "gemm_case.h"
#include "weight_form.h"

static const w4moe_dtype halves[2] = {W4MOE_BF16, W4MOE_F16};

/* Runs a problem in one order. */
static void *
run_packed(const struct gemm_problem *p, w4moe_order order, int context)
{
    w4moe_matrix b;
    oracle_pack(&b, &p->matrix, order);
    void *c = gemm_run(contexts[context], p, &b);
    oracle_pack_free(&b);
    return c;
}

/* Runs a problem in order tile with one thread, to be compared with the oracle,
 * and in order rdna3 with two, which must give the same bytes. */
static void
check_problem(const struct gemm_problem *p)
{
    void *tile = run_packed(p, W4MOE_ORDER_TILE, 0);
    gemm_judge(p, tile);
    void *rdna3 = run_packed(p, W4MOE_ORDER_RDNA3, 1);
    size_t n_bytes = p->c_rows * p->what.spec.n_out * 2;
    ck_assert_msg(memcmp(tile, rdna3, n_bytes) == 0,
            "%s: other bytes in order rdna3 with two threads", gemm_text(p));
    free(tile);
    free(rdna3);
}

static void
check_case(const struct gemm_case *what)
{
    struct gemm_problem p;
    gemm_make(&p, what);
    check_problem(&p);
    gemm_free(&p);
}

/* A case to vary. */
static struct gemm_case
usual(uint64_t seed)
{
    struct gemm_case what = {
            .spec = {.seed = seed,
                    .n_experts = 4,
                    .n_out = 48,
                    .n_in = 40,
                    .group_size = 16,
                    .code = W4MOE_CODE_INT4,
                    .scale_dtype = W4MOE_BF16},
            .dtype = halves[seed % 2],
            .n_rows = 5,
            .top_k = 2,
            .block_size = 4,
            .a_pad = 3,
            .c_pad = 5,
    };
    return what;
}

/* A form of weights; every second one is gated. */
static void
set_form(struct oracle_spec *spec, size_t form)
{
    spec->gated = form % 2 != 0;
    weight_form_set(spec, (enum weight_form)form);
}

/* top_k, block sizes, weights and sums by token, all with all. */
START_TEST(every_switch)
{
    static const size_t blocks[] = {1, 2, 3, 7, 16, 33, 64};
    uint64_t seed = 0x100;
    for (size_t k = 1; k <= 8; k++) {
        for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
            for (unsigned bits = 0; bits < 4; bits++) {
                struct gemm_case what = usual(seed++);
                what.top_k = k;
                what.block_size = blocks[i];
                what.weighted = (bits & 1) != 0;
                what.output_topk = (bits & 2) != 0 ? k : 0;
                what.uncovered = 10;
                what.elsewhere = 15;
                set_form(&what.spec, (size_t)(seed + seed / N_WEIGHT_FORMS) %
                                             N_WEIGHT_FORMS);
                check_case(&what);
            }
        }
    }
}
END_TEST

/* As for w2: a row for each slot, summed over the choices of a token. */
START_TEST(sums_of_slots_with_rows_of_their_own)
{
    for (size_t k = 1; k <= 8; k++) {
        struct gemm_case what = usual(0x200 + k);
        what.n_rows = 3 * k;
        what.top_k = 1;
        what.output_topk = k;
        what.weighted = 1;
        what.elsewhere = 20;
        check_case(&what);
    }
}
END_TEST

START_TEST(every_group_size)
{
    uint64_t seed = 0x300;
    for (size_t g = 8; g <= 136; g += 8) {
        for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
            struct gemm_case what = usual(seed++);
            what.spec.n_in = 136;
            what.spec.group_size = g;
            what.dtype = halves[(g / 8 + form) % 2];
            set_form(&what.spec, form);
            check_case(&what);
        }
    }
}
END_TEST

/* N around the width of a tile, whole and with a narrow last one. */
START_TEST(every_width)
{
    static const size_t widths[] = {
            8, 16, 24, 112, 120, 128, 136, 144, 248, 256, 264, 272, 384, 400};
    uint64_t seed = 0x400;
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
            struct gemm_case what = usual(seed++);
            what.spec.n_out = widths[i];
            what.spec.n_experts = 2;
            set_form(&what.spec, form);
            what.spec.gated = what.spec.gated && widths[i] % 16 == 0;
            if (!what.spec.gated && what.spec.n_perms == 2) {
                what.spec.n_perms = 1;
            }
            check_case(&what);
        }
    }
}
END_TEST

START_TEST(sizes_at_the_ends)
{
    static const struct {
        size_t n_experts, n_out, n_in, group_size;
    } sizes[] = {{1, 8, 8, 8}, {1, 16, 8, 8}, {3, 128, 8, 8},
            {2, 16, 16384, 128}, {1, 16, 16384, 16384}, {1, 16, 16384, 32},
            {1, 24, 16384, 8}, {1, 8, 11008, 4096}, {1, 1040, 16, 8}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t form = 0; form < N_WEIGHT_FORMS; form += 2) {
            struct gemm_case what = usual(0x500 + 16 * i + form / 2);
            what.spec.n_experts = sizes[i].n_experts;
            what.spec.n_out = sizes[i].n_out;
            what.spec.n_in = sizes[i].n_in;
            what.spec.group_size = sizes[i].group_size;
            what.a_pad = 0;
            what.c_pad = 0;
            what.top_k = 1;
            what.n_rows = 2;
            set_form(&what.spec, form);
            check_case(&what);
        }
    }
}
END_TEST

START_TEST(many_experts_and_one_slot)
{
    static const size_t experts[] = {1, 128, 512, 513};
    for (size_t i = 0; i < sizeof(experts) / sizeof(experts[0]); i++) {
        struct gemm_case what = usual(0x600 + i);
        what.spec.n_experts = experts[i];
        what.spec.n_out = 16;
        what.spec.n_in = 24;
        what.spec.group_size = 8;
        what.n_rows = 1;
        what.top_k = 1;
        check_case(&what);
        what.n_rows = 40;
        what.top_k = 8;
        what.output_topk = 8 * (i % 2);
        what.one_slot = 1;
        check_case(&what);
    }
}
END_TEST

START_TEST(same_bytes_for_any_threads_and_again)
{
    for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
        struct gemm_case what = usual(0x680 + form);
        what.spec.n_out = 272;
        what.n_rows = 20;
        what.top_k = 4;
        what.weighted = 1;
        what.output_topk = form % 2 != 0 ? 4 : 0;
        set_form(&what.spec, form);
        struct gemm_problem p;
        gemm_make(&p, &what);
        void *first = run_packed(&p, W4MOE_ORDER_TILE, 0);
        size_t n_bytes = p.c_rows * what.spec.n_out * 2;
        for (int i = 0; i < 2 * N_CONTEXTS; i++) {
            void *c = run_packed(&p, W4MOE_ORDER_TILE, i % N_CONTEXTS);
            ck_assert_msg(memcmp(first, c, n_bytes) == 0,
                    "%s: other bytes with %u threads", gemm_text(&p),
                    context_threads[i % N_CONTEXTS]);
            free(c);
        }
        free(first);
        gemm_free(&p);
    }
}
END_TEST

/* Nothing to do: all rows are zero, or there are none. */
START_TEST(no_blocks)
{
    for (size_t k = 0; k <= 2; k += 2) {
        struct gemm_case what = usual(0x700);
        what.uncovered = 100;
        what.output_topk = k;
        struct gemm_problem p;
        gemm_make(&p, &what);
        ck_assert_int_eq(p.n_padded, 0);
        check_problem(&p);
        gemm_free(&p);
        what.uncovered = 0;
        what.elsewhere = 100;
        check_case(&what);
        what.n_rows = 0;
        check_case(&what);
    }
}
END_TEST

/* Sums of small whole numbers are exact in fp32: there is one right answer. */
START_TEST(exact_sums_have_the_right_bits)
{
    static const size_t widths[] = {16, 112, 144, 272};
    uint64_t seed = 0x800;
    for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
        for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
            for (unsigned bits = 0; bits < 4; bits++) {
                struct gemm_case what = usual(seed++);
                set_form(&what.spec, form);
                what.spec.exact = 1;
                what.spec.n_out = widths[i];
                what.spec.n_in = 104 + 8 * i;
                what.spec.group_size = 8 * (1 + (size_t)(seed + form) % 7);
                what.dtype = halves[bits % 2];
                what.top_k = 3;
                what.block_size = 5;
                what.weighted = bits / 2 != 0;
                what.output_topk = bits / 2 != 0 ? 3 : 0;
                check_case(&what);
            }
        }
    }
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("gemm");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, every_switch);
    tcase_add_test(tc, sums_of_slots_with_rows_of_their_own);
    tcase_add_test(tc, every_group_size);
    tcase_add_test(tc, every_width);
    tcase_add_test(tc, sizes_at_the_ends);
    tcase_add_test(tc, many_experts_and_one_slot);
    tcase_add_test(tc, same_bytes_for_any_threads_and_again);
    tcase_add_test(tc, no_blocks);
    tcase_add_test(tc, exact_sums_have_the_right_bits);
    Suite *suite = suite_create("gemm");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
