/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Predictions of moe-bench against cases that were calculated by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/plan/ep_model.h"

static const double eps = 1e-12;

/* Four experts on two ranks: of six pairs of experts five have one in the first
 * block. */
static const struct ep_case pairs = {
        .n_ranks = 2,
        .n_experts = 4,
        .top_k = 2,
        .hidden_size = 8,
        .n_tokens = 6,
        .chunk_tokens = 6,
};

static const struct ep_link slow = {
        .latency = 0.5, .gap = 0.25, .bandwidth = 1000.0};
static const struct ep_link free_link = {.bandwidth = INFINITY};

static const struct ep_costs costs = {.compute = 3.0, .pack = 0.5, .add = 0.25};
static const struct ep_costs less = {
        .compute = 1.0, .pack = 0.25, .add = 0.125};
static const struct ep_costs none = {0};

static struct ep_times
predict(const struct ep_case *what, const struct ep_link *link,
        const struct ep_costs *full, const struct ep_costs *last)
{
    struct ep_plan plan;
    struct ep_times times;
    ep_plan_make(&plan, what);
    ep_predict(&times, what, &plan, link, full, last, 0.125);
    ck_assert_double_eq_tol(times.total,
            times.prepare + times.pack + times.dispatch_wait + times.compute +
                    times.combine_wait + times.add,
            1e-9 * times.total);
    return times;
}

START_TEST(shares)
{
    ck_assert_double_eq_tol(ep_share(4, 2, 2), 5.0 / 6.0, eps);
    ck_assert_double_eq_tol(ep_share(4, 2, 1), 0.5, eps);
    ck_assert_double_eq_tol(ep_share(4, 2, 3), 1.0, eps);
    ck_assert_double_eq_tol(ep_share(4, 4, 1), 1.0, eps);
    ck_assert_double_eq_tol(ep_share(4, 1, 0), 0.0, eps);
    ck_assert_double_eq_tol(ep_share(128, 8, 1), 8.0 / 128.0, eps);
}
END_TEST

/* As w4moe_mpi_workspace_create() cuts: 16 rows an expert, 16 tokens. */
START_TEST(chunks)
{
    static const struct {
        size_t n_ranks;
        size_t n_tokens;
        size_t given;
        size_t chunk;
        size_t n;
        size_t last;
    } cases[] = {
            {1, 512, 0, 512, 1, 512},
            {2, 512, 0, 128, 4, 128},
            {4, 500, 0, 64, 8, 52},
            {4, 33, 0, 33, 1, 33},
            {1024, 512, 0, 16, 32, 16},
            {1, 10, 4, 4, 3, 2},
            {4, 10, 64, 10, 1, 10},
            {4, 1, 1, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ep_case what = {
                .n_ranks = cases[i].n_ranks,
                .n_experts = 128,
                .top_k = 8,
                .hidden_size = 8,
                .n_tokens = cases[i].n_tokens,
                .chunk_tokens = cases[i].given,
        };
        struct ep_plan plan;
        ep_plan_make(&plan, &what);
        ck_assert_uint_eq(plan.chunk_tokens, cases[i].chunk);
        ck_assert_uint_eq(plan.n_chunks, cases[i].n);
        ck_assert_uint_eq(plan.full.tokens, cases[i].chunk);
        ck_assert_uint_eq(plan.last.tokens, cases[i].last);
    }
}
END_TEST

START_TEST(parts)
{
    struct ep_case what = pairs;
    struct ep_plan plan;
    ep_plan_make(&plan, &what);
    ck_assert_uint_eq(plan.block, 2);
    ck_assert_double_eq_tol(plan.last.rows, 10.0, eps);
    ck_assert_double_eq_tol(plan.last.slots, 12.0, eps);
    ck_assert_double_eq_tol(plan.last.rows_out, 10.0, eps);
    ck_assert_double_eq_tol(plan.last.results_back, 10.0, eps);
    ck_assert_double_eq_tol(plan.last.own_rows, 5.0, eps);
    ck_assert_double_eq_tol(plan.last.own_results, 5.0, eps);
    ck_assert_double_eq_tol(plan.last.link_rows, 5.0, eps);
    ck_assert_double_eq_tol(plan.last.link_results, 5.0, eps);
    ck_assert_double_eq_tol(plan.last.messages, 1.0 - pow(1.0 / 6.0, 6.0), eps);
    what.exact = 1;
    ep_plan_make(&plan, &what);
    ck_assert_double_eq_tol(plan.last.rows, 10.0, eps);
    ck_assert_double_eq_tol(plan.last.results_back, 12.0, eps);
    ck_assert_double_eq_tol(plan.last.own_results, 6.0, eps);
    ck_assert_double_eq_tol(plan.last.link_results, 6.0, eps);
}
END_TEST

START_TEST(one_rank)
{
    struct ep_case what = pairs;
    struct ep_plan plan;
    what.n_ranks = 1;
    ep_plan_make(&plan, &what);
    ck_assert_uint_eq(plan.block, 4);
    ck_assert_double_eq_tol(plan.last.rows, 6.0, eps);
    ck_assert_double_eq_tol(plan.last.slots, 12.0, eps);
    ck_assert_double_eq_tol(plan.last.link_rows, 0.0, eps);
    ck_assert_double_eq_tol(plan.last.messages, 0.0, eps);
    struct ep_times times = predict(&what, &slow, &costs, &costs);
    ck_assert_double_eq_tol(times.total, 0.125 + 0.5 + 3.0 + 0.25, eps);
}
END_TEST

/* Eight ranks, four experts: four ranks have one, the others none. A rank
 * without sends each token away; one with an expert gets a quarter of what the
 * seven others have. */
START_TEST(more_ranks_than_experts)
{
    const struct ep_case what = {
            .n_ranks = 8,
            .n_experts = 4,
            .top_k = 1,
            .hidden_size = 8,
            .n_tokens = 1,
    };
    struct ep_plan plan;
    ep_plan_make(&plan, &what);
    ck_assert_uint_eq(plan.block, 1);
    ck_assert_double_eq_tol(plan.last.rows, 2.0, eps);
    ck_assert_double_eq_tol(plan.last.slots, 2.0, eps);
    ck_assert_double_eq_tol(plan.last.rows_out, 1.0, eps);
    ck_assert_double_eq_tol(plan.last.link_rows, 1.75, eps);
    ck_assert_double_eq_tol(plan.last.messages, 1.75, eps);
}
END_TEST

/* Five experts on two ranks: blocks of three and two. The one with two sends
 * most of its tokens, 3/5; the one with three hears of as many. */
START_TEST(blocks_of_two_sizes)
{
    const struct ep_case what = {
            .n_ranks = 2,
            .n_experts = 5,
            .top_k = 1,
            .hidden_size = 8,
            .n_tokens = 10,
    };
    struct ep_plan plan;
    ep_plan_make(&plan, &what);
    ck_assert_uint_eq(plan.block, 3);
    ck_assert_double_eq_tol(plan.last.rows, 12.0, eps);
    ck_assert_double_eq_tol(plan.last.rows_out, 10.0, eps);
    ck_assert_double_eq_tol(plan.last.link_rows, 6.0, eps);
}
END_TEST

/* 24 bytes of header; 5 rows: choices of 16 bytes, rows of 16, results of
 * 32. */
START_TEST(one_chunk_is_the_sum)
{
    struct ep_times times = predict(&pairs, &slow, &costs, &costs);
    ck_assert_double_eq_tol(times.prepare, 0.125 + 0.5 + 0.024, eps);
    ck_assert_double_eq_tol(times.dispatch_wait, 0.08 + 0.08 + 0.5, eps);
    ck_assert_double_eq_tol(times.combine_wait, 0.16 + 0.5, eps);
    ck_assert_double_eq_tol(
            times.total, 0.125 + 0.524 + 0.5 + 0.66 + 3.0 + 0.66 + 0.25, 1e-9);
}
END_TEST

START_TEST(without_a_link_it_is_work)
{
    struct ep_case what = pairs;
    what.chunk_tokens = 4;
    for (what.n_ranks = 1; what.n_ranks <= 8; what.n_ranks++) {
        struct ep_times times = predict(&what, &free_link, &costs, &less);
        ck_assert_double_eq_tol(times.compute, 4.0, eps);
        ck_assert_double_eq_tol(times.pack, 0.75, eps);
        ck_assert_double_eq_tol(times.add, 0.375, eps);
        ck_assert_double_eq_tol(times.total, 0.125 + 5.125, eps);
    }
}
END_TEST

/* All chunks have 5 rows together: what is sent is what it was in one. */
START_TEST(without_work_it_is_transfers)
{
    struct ep_case what = pairs;
    const struct ep_link link = {.bandwidth = 1000.0};
    for (what.chunk_tokens = 1; what.chunk_tokens <= 6; what.chunk_tokens++) {
        struct ep_times times = predict(&what, &link, &none, &none);
        size_t n_chunks = (6 + what.chunk_tokens - 1) / what.chunk_tokens;
        double header = 0.004 * (double)(5 + n_chunks);
        ck_assert_double_eq_tol(
                times.total, 0.125 + header + 0.08 + 0.08 + 0.16, 1e-9);
    }
}
END_TEST

/* While a chunk is computed its successor's rows and its predecessor's results
 * travel: what is waited for is the choices, the first rows and the last
 * results; with work enough around them, the choices alone. */
START_TEST(chunks_hide)
{
    struct ep_case what = pairs;
    const struct ep_link link = {.bandwidth = 1000.0};
    const struct ep_costs compute = {.compute = 3.0};
    what.chunk_tokens = 2;
    struct ep_times times = predict(&what, &link, &compute, &compute);
    ck_assert_double_eq_tol(times.dispatch_wait, 0.08 + 0.08 / 3.0, 1e-9);
    ck_assert_double_eq_tol(times.combine_wait, 0.16 / 3.0, 1e-9);
    ck_assert_double_eq_tol(times.compute, 9.0, eps);
    times = predict(&what, &link, &costs, &costs);
    ck_assert_double_eq_tol(times.dispatch_wait, 0.08, 1e-9);
    ck_assert_double_eq_tol(times.combine_wait, 0.0, 1e-9);
}
END_TEST

/* Three messages to four experts' ranks: two gaps follow each other. */
START_TEST(gaps)
{
    const struct ep_case what = {
            .n_ranks = 4,
            .n_experts = 4,
            .top_k = 4,
            .hidden_size = 8,
            .n_tokens = 1,
    };
    const struct ep_link link = {
            .latency = 1.0, .gap = 0.25, .bandwidth = INFINITY};
    struct ep_times times = predict(&what, &link, &none, &none);
    /* Headers, to each by itself: 1 + 2 gaps. Choices and rows: 4 gaps and a
     * latency; results: 2 gaps and a latency. */
    ck_assert_double_eq_tol(times.prepare, 0.125 + 1.5, eps);
    ck_assert_double_eq_tol(times.dispatch_wait, 2.0, eps);
    ck_assert_double_eq_tol(times.combine_wait, 1.5, eps);
}
END_TEST

static double
total_of(size_t n_ranks, size_t chunk, int exact, const struct ep_link *link,
        const struct ep_costs *each)
{
    const struct ep_case what = {
            .n_ranks = n_ranks,
            .n_experts = 12,
            .top_k = 3,
            .hidden_size = 16,
            .n_tokens = 20,
            .chunk_tokens = chunk,
            .exact = exact,
    };
    return predict(&what, link, each, each).total;
}

START_TEST(monotone)
{
    for (size_t n_ranks = 2; n_ranks <= 16; n_ranks++) {
        for (size_t chunk = 1; chunk <= 20; chunk += 3) {
            struct ep_link link = slow;
            struct ep_costs each = costs;
            double before = total_of(n_ranks, chunk, 0, &link, &each);
            ck_assert_double_le(
                    before, total_of(n_ranks, chunk, 1, &link, &each) + eps);
            link.latency *= 2.0;
            double later = total_of(n_ranks, chunk, 0, &link, &each);
            ck_assert_double_gt(later, before);
            link.gap *= 2.0;
            double gap = total_of(n_ranks, chunk, 0, &link, &each);
            ck_assert_double_ge(gap, later - eps);
            link.bandwidth /= 3.0;
            double narrow = total_of(n_ranks, chunk, 0, &link, &each);
            ck_assert_double_gt(narrow, gap);
            each.compute += 1.0;
            ck_assert_double_ge(
                    total_of(n_ranks, chunk, 0, &link, &each), narrow - eps);
        }
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ep_model");
    TCase *tc = tcase_create("ep_model");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, shares);
    tcase_add_test(tc, chunks);
    tcase_add_test(tc, parts);
    tcase_add_test(tc, one_rank);
    tcase_add_test(tc, more_ranks_than_experts);
    tcase_add_test(tc, blocks_of_two_sizes);
    tcase_add_test(tc, one_chunk_is_the_sum);
    tcase_add_test(tc, without_a_link_it_is_work);
    tcase_add_test(tc, without_work_it_is_transfers);
    tcase_add_test(tc, chunks_hide);
    tcase_add_test(tc, gaps);
    tcase_add_test(tc, monotone);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
