/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Where failures go: texts by thread, the log, the first failure of a parallel
 * region. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* What the log received last, and how many lines. */
struct logged {
    pthread_mutex_t lock;
    unsigned n_lines;
    w4moe_log_level level;
    char text[2 * W4_ERR_TEXT];
};

static struct logged logged = {.lock = PTHREAD_MUTEX_INITIALIZER};
static struct w4_err err;

static void
take_line(void *user, w4moe_log_level level, const char *text)
{
    struct logged *l = user;
    pthread_mutex_lock(&l->lock);
    l->n_lines++;
    l->level = level;
    snprintf(l->text, sizeof(l->text), "%s", text);
    pthread_mutex_unlock(&l->lock);
}

static void
setup(void)
{
    logged.n_lines = 0;
    logged.text[0] = '\0';
    w4_err_init(&err, take_line, &logged);
}

static void
teardown(void)
{
    w4_err_fini(&err);
}

START_TEST(one_thread)
{
    ck_assert_str_eq(w4_err_text(&err), "");
    ck_assert_int_eq(w4_fail(&err, W4MOE_IO, "%s: %d", "file", 5), W4MOE_IO);
    ck_assert_str_eq(w4_err_text(&err), "file: 5");
    ck_assert_uint_eq(logged.n_lines, 1);
    ck_assert_int_eq(logged.level, W4MOE_LOG_ERROR);
    ck_assert_str_eq(logged.text, "file: 5");
    /* The last one counts; its own text may be part of a new one. */
    ck_assert_int_eq(
            w4_fail(&err, W4MOE_NOMEM, "[%s]", w4_err_text(&err)), W4MOE_NOMEM);
    ck_assert_str_eq(w4_err_text(&err), "[file: 5]");
    /* A line for the log only. */
    w4_log(&err, W4MOE_LOG_WARNING, "%d%%", 7);
    ck_assert_uint_eq(logged.n_lines, 3);
    ck_assert_int_eq(logged.level, W4MOE_LOG_WARNING);
    ck_assert_str_eq(logged.text, "7%");
    ck_assert_str_eq(w4_err_text(&err), "[file: 5]");
}
END_TEST

/* Names from a file may have anything in them; a text stays one line. */
START_TEST(controls)
{
    static const char name[] = "a\nb\t\x7F\x1B[0m\xC2\x85\xC3\xA9";
    static const char shown[] = "a?b???[0m??\xC3\xA9, \xC2";
    (void)w4_fail(&err, W4MOE_FORMAT, "%s, \xC2", name);
    ck_assert_str_eq(w4_err_text(&err), shown);
    ck_assert_str_eq(logged.text, shown);
    w4_log(&err, W4MOE_LOG_INFO, "%s", name);
    ck_assert_str_eq(logged.text, "a?b???[0m??\xC3\xA9");
}
END_TEST

START_TEST(no_sink_and_no_log)
{
    struct w4_err quiet;
    ck_assert_int_eq(w4_fail(NULL, W4MOE_FORMAT, "%d", 1), W4MOE_FORMAT);
    w4_log(NULL, W4MOE_LOG_INFO, "%d", 1);
    w4_err_init(&quiet, NULL, NULL);
    ck_assert_int_eq(w4_fail(&quiet, W4MOE_FORMAT, "%d", 1), W4MOE_FORMAT);
    w4_log(&quiet, W4MOE_LOG_INFO, "%d", 2);
    ck_assert_str_eq(w4_err_text(&quiet), "1");
    ck_assert_str_eq(w4_err_text(&err), "");
    w4_err_fini(&quiet);
}
END_TEST

START_TEST(long_text)
{
    char text[3 * W4_ERR_TEXT];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t n = W4_ERR_TEXT - 2; n <= W4_ERR_TEXT + 1; n++) {
        size_t kept = n < W4_ERR_TEXT ? n : W4_ERR_TEXT - 1;
        ck_assert_int_eq(w4_fail(&err, W4MOE_INVALID, "%.*s", (int)n, text),
                W4MOE_INVALID);
        ck_assert_uint_eq(strlen(w4_err_text(&err)), kept);
        ck_assert_uint_eq(strlen(logged.text), kept);
    }
    ck_assert_int_eq(w4_fail(&err, W4MOE_INVALID, "%s", text), W4MOE_INVALID);
    ck_assert_uint_eq(strlen(w4_err_text(&err)), W4_ERR_TEXT - 1);
    w4_log(&err, W4MOE_LOG_INFO, "%s", text);
    ck_assert_uint_eq(strlen(logged.text), W4_ERR_TEXT - 1);
    struct w4_first first = {0};
    ck_assert_int_eq(w4_first_note(&first, &err, W4MOE_IO), W4MOE_IO);
    ck_assert_int_eq(w4_first_raise(&first, &err), W4MOE_IO);
    ck_assert_uint_eq(strlen(w4_err_text(&err)), W4_ERR_TEXT - 1);
}
END_TEST

/* ------------------------------------------------------------------ threads */

enum { N_THREADS = W4_ERR_THREADS + 8 };

static pthread_barrier_t barrier;

/* What a thread may see of its last text. */
enum seen_text { NO_TEXT, OWN_TEXT, OTHER_TEXT };

/* Of one thread: its number in, what it found out. */
struct seen {
    int number;
    enum seen_text before;
    enum seen_text after;
};

static enum seen_text
look(const char *expected)
{
    const char *text = w4_err_text(&err);
    return text[0] == '\0'               ? NO_TEXT
           : strcmp(text, expected) == 0 ? OWN_TEXT
                                         : OTHER_TEXT;
}

/* Fails many times while all the others do, and looks at its text once all
 * are through. */
static void *
failing_thread(void *user)
{
    struct seen *seen = user;
    char expected[32];
    seen->before = look("");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i <= 50; i++) {
        snprintf(expected, sizeof(expected), "thread %d, %d", seen->number, i);
        (void)w4_fail(&err, W4MOE_DEVICE, "%s", expected);
    }
    pthread_barrier_wait(&barrier);
    seen->after = look(expected);
    pthread_barrier_wait(&barrier);
    return NULL;
}

/* Each thread sees its own text and never another's. There is room for
 * W4_ERR_THREADS of them, the latest. */
static void
run_threads(unsigned n_threads, unsigned n_kept)
{
    pthread_t threads[N_THREADS];
    struct seen seen[N_THREADS];
    unsigned n_own = 0;
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, n_threads), 0);
    for (unsigned i = 0; i < n_threads; i++) {
        seen[i].number = (int)i;
        ck_assert_int_eq(
                pthread_create(&threads[i], NULL, failing_thread, &seen[i]), 0);
    }
    for (unsigned i = 0; i < n_threads; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(seen[i].before, NO_TEXT);
        ck_assert_int_ne(seen[i].after, OTHER_TEXT);
        n_own += seen[i].after == OWN_TEXT;
    }
    ck_assert_uint_eq(n_own, n_kept);
    ck_assert_uint_eq(logged.n_lines, 51 * n_threads);
    pthread_barrier_destroy(&barrier);
}

static void *
fail_once(void *user)
{
    (void)user;
    (void)w4_fail(&err, W4MOE_IO, "of a thread that is gone");
    return NULL;
}

static void *
only_look(void *user)
{
    struct seen *seen = user;
    seen->before = look("of a thread that is gone");
    return NULL;
}

/* A new thread has no text, even if it has the pthread_t of a dead one. */
START_TEST(thread_after_thread)
{
    pthread_t thread;
    struct seen seen;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_once, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, only_look, &seen), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(seen.before, NO_TEXT);
}
END_TEST

START_TEST(some_threads)
{
    run_threads(W4_ERR_THREADS, W4_ERR_THREADS);
    ck_assert_str_eq(w4_err_text(&err), "");
}
END_TEST

START_TEST(more_threads_than_texts)
{
    run_threads(N_THREADS, W4_ERR_THREADS);
}
END_TEST

/* -------------------------------------------------------- parallel regions */

static struct w4_first first;

static void *
noting_thread(void *user)
{
    int number = *(const int *)user;
    ck_assert_int_eq(w4_first_note(&first, &err, W4MOE_OK), W4MOE_OK);
    w4moe_status status = w4_fail(&err, W4MOE_IO, "from %d", number);
    (void)w4_first_note(&first, &err, status);
    return NULL;
}

START_TEST(first_of_a_region)
{
    static const int numbers[] = {1, 2, 3};
    memset(&first, 0, sizeof(first));
    ck_assert_int_eq(w4_first_any(&first, &err), 0);
    ck_assert_int_eq(w4_first_raise(&first, &err), W4MOE_OK);
    ck_assert_int_eq(w4_fail(&err, W4MOE_INVALID, "mine"), W4MOE_INVALID);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *user = (void *)(uintptr_t)&numbers[i];
        ck_assert_int_eq(pthread_create(&thread, NULL, noting_thread, user), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_int_ne(w4_first_any(&first, &err), 0);
    }
    ck_assert_str_eq(w4_err_text(&err), "mine");
    unsigned n_lines = logged.n_lines;
    ck_assert_int_eq(w4_first_raise(&first, &err), W4MOE_IO);
    ck_assert_str_eq(w4_err_text(&err), "from 1");
    ck_assert_uint_eq(logged.n_lines, n_lines);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("err");
    TCase *tc = tcase_create("err");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, one_thread);
    tcase_add_test(tc, controls);
    tcase_add_test(tc, no_sink_and_no_log);
    tcase_add_test(tc, long_text);
    tcase_add_test(tc, thread_after_thread);
    tcase_add_test(tc, some_threads);
    tcase_add_test(tc, more_threads_than_texts);
    tcase_add_test(tc, first_of_a_region);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
