/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Loops over items with threads: every item once, whoever calls. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/parallel.h"

enum { ITEMS_MAX = 1000, THREADS_MAX = 9 };

struct counts {
    _Atomic int of_item[ITEMS_MAX];
    /* Not atomic: the end of a loop must make them visible. */
    int plain[ITEMS_MAX];
};

static void
count(const void *counts, size_t i)
{
    struct counts *c = (struct counts *)(uintptr_t)counts;
    atomic_fetch_add(&c->of_item[i], 1);
    c->plain[i]++;
}

/* Runs n items and looks that each was done once more than before. */
static void
run_and_look(
        struct w4_team *team, struct counts *counts, size_t n, int n_before)
{
    w4_parallel(team, n, count, counts);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(atomic_load(&counts->of_item[i]), n_before + 1);
        ck_assert_int_eq(counts->plain[i], n_before + 1);
    }
}

START_TEST(every_item_is_done_once)
{
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 10, 100, ITEMS_MAX};
    for (int n_threads = 1; n_threads <= THREADS_MAX; n_threads++) {
        struct w4_team *team;
        ck_assert_int_eq(w4_team_create(NULL, &team, n_threads), W4MOE_OK);
        ck_assert_uint_eq(w4_team_size(team), (size_t)n_threads);
        ck_assert_int_eq(team == NULL, n_threads == 1);
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            struct counts *counts = calloc(1, sizeof(*counts));
            for (int i = 0; i < 200; i++) {
                run_and_look(team, counts, sizes[s], i);
            }
            free(counts);
        }
        w4_team_destroy(team);
    }
}
END_TEST

/* More threads than runs of items. */
START_TEST(a_large_team)
{
    struct w4_team *team;
    ck_assert_int_eq(w4_team_create(NULL, &team, 70), W4MOE_OK);
    struct counts *counts = calloc(1, sizeof(*counts));
    for (int i = 0; i < 20; i++) {
        run_and_look(team, counts, ITEMS_MAX, i);
    }
    free(counts);
    w4_team_destroy(team);
}
END_TEST

static void *
call_often(void *team)
{
    struct counts *counts = calloc(1, sizeof(*counts));
    for (int i = 0; i < 500; i++) {
        w4_parallel(team, 50, count, counts);
    }
    for (size_t i = 0; i < 50; i++) {
        if (counts->plain[i] != 500) {
            free(counts);
            return team;
        }
    }
    free(counts);
    return NULL;
}

START_TEST(several_callers_at_once)
{
    struct w4_team *team;
    pthread_t callers[4];
    ck_assert_int_eq(w4_team_create(NULL, &team, 3), W4MOE_OK);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(
                pthread_create(&callers[i], NULL, call_often, team), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(callers[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    w4_team_destroy(team);
}
END_TEST

struct nested {
    struct w4_team *team;
    struct counts *counts;
};

static void
loop_inside(const void *nested, size_t i)
{
    const struct nested *n = nested;
    (void)i;
    w4_parallel(n->team, 5, count, &n->counts[i]);
}

START_TEST(a_loop_inside_a_loop)
{
    struct w4_team *team;
    ck_assert_int_eq(w4_team_create(NULL, &team, 3), W4MOE_OK);
    struct nested nested = {team, calloc(20, sizeof(struct counts))};
    w4_parallel(team, 20, loop_inside, &nested);
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 0; j < 5; j++) {
            ck_assert_int_eq(nested.counts[i].plain[j], 1);
        }
    }
    free(nested.counts);
    w4_team_destroy(team);
}
END_TEST

/* Helpers asleep, awake and on their way when it ends. */
START_TEST(teams_come_and_go)
{
    for (int i = 0; i < 300; i++) {
        struct w4_team *team;
        ck_assert_int_eq(w4_team_create(NULL, &team, 1 + i % 5), W4MOE_OK);
        if (i % 3 != 0) {
            struct counts *counts = calloc(1, sizeof(*counts));
            run_and_look(team, counts, 10, 0);
            free(counts);
        }
        w4_team_destroy(team);
    }
    w4_team_destroy(NULL);
    ck_assert_int_ge(w4_processors(), 1);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("parallel");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, every_item_is_done_once);
    tcase_add_test(tc, a_large_team);
    tcase_add_test(tc, several_callers_at_once);
    tcase_add_test(tc, a_loop_inside_a_loop);
    tcase_add_test(tc, teams_come_and_go);
    Suite *suite = suite_create("parallel");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
