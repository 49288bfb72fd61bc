/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Writing safetensors files: whatever fails leaves the old file and nothing
 * else. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "st_helpers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(abort_leaves_old)
{
    const char *folder = st_subfolder("abort");
    const char *path = st_path("abort/x");
    const void *data;
    st_write("abort/x", "old", 3);
    w4_st_writer_abort(st_create(path));
    struct w4_st_writer *writer = st_create(path);
    st_write_entries(writer);
    ST_CHECK_OK(w4_st_writer_read(writer, 0, &data));
    w4_st_writer_abort(writer);
    w4_st_writer_abort(NULL);
    ck_assert_uint_eq(st_count(folder, ""), 1);
    st_check_same(path, st_write("old", "old", 3));
}
END_TEST

START_TEST(failed_commit)
{
    const char *folder = st_subfolder("failed");
    const char *target = st_subfolder("failed/x");
    st_write("failed/x/inside", "y", 1);
    struct w4_st_writer *writer = st_create(target);
    st_write_entries(writer);
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_IO);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "/failed/x: "));
    ck_assert_uint_eq(st_count(folder, ""), 1);
    ck_assert_uint_eq(st_count(target, "inside"), 1);
}
END_TEST

/* A process that dies before the commit leaves nothing, or where there are no
 * files without a name, one that does not open. */
START_TEST(killed)
{
    const char *folder = st_subfolder("killed");
    const char *path = st_path("killed/x");
    st_write("killed/x", "old", 3);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct w4_st_writer *writer = st_create(path);
        st_write_entries(writer);
        kill(getpid(), SIGKILL);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    if (st_has_unnamed(folder)) {
        ck_assert_uint_eq(st_count(folder, ""), 1);
    } else {
        st_open_bad(st_only(folder, ".partial"), W4MOE_FORMAT,
                "does not begin with '{'");
    }
    st_check_same(path, st_write("old", "old", 3));

    /* What is left does not disturb the next one. */
    struct w4_st_writer *writer = st_create(path);
    st_write_entries(writer);
    ST_CHECK_OK(w4_st_writer_commit(writer));
    st_check_written(path);
}
END_TEST

/* A limit on the size of files stands for a full disk. */
static void
limit_files(rlim_t size)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(full_disk)
{
    static const struct w4_st_entry large[] = {
            {"a", W4MOE_F32, 2, {1000, 1000}}};
    struct w4_st_writer *writer = NULL;
    const char *folder = st_subfolder("full");
    const char *path = st_path("full/x");
    st_write("full/x", "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);

    limit_files(65536);
    ck_assert_int_eq(
            w4_st_writer_create(&st_err, &writer, path, large, 1, 0, 0),
            W4MOE_IO);
    ck_assert_ptr_null(writer);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err),
            "full/x: no room for 4000128 bytes: File too large"));
    ck_assert_uint_eq(st_count(folder, ""), 1);

    /* Metadata that do not fit any more. */
    writer = st_create(path);
    char *text = calloc(1, 70000);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', 69999);
    ST_CHECK_OK(w4_st_writer_set(writer, "k", text));
    free(text);
    ck_assert_int_eq(st_write_part(writer, 0, 0, 1), W4MOE_IO);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "no room for"));
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_IO);
    ck_assert_uint_eq(st_count(folder, ""), 1);

    /* Data, and the header. */
    writer = st_create(path);
    st_write_entries(writer);
    limit_files(0);
    ck_assert_int_eq(st_write_part(writer, 2, 0, 64), W4MOE_IO);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "writing 64 bytes at"));
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_IO);
    ck_assert_uint_eq(st_count(folder, ""), 1);

    limit_files(before.rlim_cur);
    signal(SIGXFSZ, SIG_DFL);
    st_check_same(path, st_write("old", "old", 3));
}
END_TEST

/* More than any disk has, known before anything is reserved; or more than can
 * be mapped to be read back. */
START_TEST(too_large)
{
    static const struct w4_st_entry huge[] = {
            {"a", W4MOE_U8, 1, {UINT64_C(1) << 60}}};
    struct w4_st_writer *writer = NULL;
    const int has_space = (uint64_t)PTRDIFF_MAX >> 60 != 0;
    const char *folder = st_subfolder("huge");
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, st_path("huge/x"),
                             huge, 1, 0, 0),
            has_space ? W4MOE_IO : W4MOE_NOMEM);
    ck_assert_ptr_null(writer);
    const char *text = w4_err_text(&st_err);
    ck_assert_msg(
            strstr(text, has_space
                                 ? "huge/x: needs 1152.9 PB, "
                                 : "huge/x: a file of 11529215046068") != NULL,
            "%s", text);
    ck_assert_msg(strstr(text, has_space ? "B are free"
                                         : "beyond the address space") != NULL,
            "%s", text);
    ck_assert_uint_eq(st_count(folder, ""), 0);
}
END_TEST

START_TEST(wrong_entries)
{
    static const struct {
        struct w4_st_entry pair[2];
        const char *text;
    } cases[] = {
            {{{"a", W4MOE_U8, 1, {1}}, {"a", W4MOE_U8, 1, {2}}},
                    "entry \"a\" twice"},
            {{{"a", W4MOE_U8, 1, {1}}, {"pad.0", W4MOE_U8, 1, {1}}},
                    "\"pad.0\": the name is kept for padding"},
            {{{"__metadata__", W4MOE_U8, 1, {1}}, {"a", W4MOE_U8, 1, {1}}},
                    "is not a name of a tensor"},
            {{{"\xC3", W4MOE_U8, 1, {1}}, {"a", W4MOE_U8, 1, {1}}},
                    "is not UTF-8"},
            {{{"b", W4MOE_U8, 1, {1}}, {"a", W4MOE_DTYPE_NONE, 1, {1}}},
                    "entry \"a\": type 0"},
            {{{"b", W4MOE_U8, 1, {1}}, {"a", (w4moe_dtype)99, 1, {1}}},
                    "entry \"a\": type 99"},
            {{{"b", W4MOE_U8, 1, {1}}, {"a", W4MOE_U8, 9, {1}}},
                    "with 9 dimensions"},
            {{{"b", W4MOE_U8, 1, {1}},
                     {"a", W4MOE_U8, 2, {1ull << 32, 1ull << 32}}},
                    "entry \"a\" makes the file too large"},
            {{{"b", W4MOE_U8, 1, {1}},
                     {"a", W4MOE_U8, 3, {0, 1ull << 32, 1ull << 32}}},
                    "entry \"a\" makes the file too large"},
            {{{"b", W4MOE_F64, 1, {1}}, {"a", W4MOE_F64, 1, {1ull << 58}}},
                    "entry \"a\" makes the file too large"},
    };
    const char *folder = st_subfolder("wrong");
    const char *path = st_path("wrong/x");
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int dry_run = 0; dry_run < 2; dry_run++) {
            struct w4_st_writer *writer = NULL;
            w4moe_status status = w4_st_writer_create(&st_err, &writer, path,
                    cases[i].pair, 2, dry_run ? W4_ST_DRY_RUN : 0, 0);
            const char *text = w4_err_text(&st_err);
            ck_assert_int_eq(status, W4MOE_INVALID);
            ck_assert_ptr_null(writer);
            ck_assert_msg(strstr(text, cases[i].text) != NULL,
                    "'%s' lacks '%s'", text, cases[i].text);
        }
    }
    /* Together beyond 2^63. */
    struct w4_st_entry many[8];
    struct w4_st_writer *writer = NULL;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < 8; i++) {
        many[i] = (struct w4_st_entry){
                names[i], W4MOE_U8, 1, {(1ull << 60) + (1ull << 59)}};
    }
    ck_assert_int_eq(w4_st_writer_create(
                             &st_err, &writer, path, many, 8, W4_ST_DRY_RUN, 0),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "entry \"f\" makes"));
    ck_assert_uint_eq(st_count(folder, ""), 0);
}
END_TEST

START_TEST(wrong_calls)
{
    struct w4_st_writer *writer = NULL;
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, st_path("nowhere/x"),
                             st_entries, ST_N_ENTRIES, 0, 0),
            W4MOE_IO);
    ck_assert_ptr_nonnull(
            strstr(w4_err_text(&st_err), "nowhere/x: cannot be made: No such"));
    writer = st_create(st_path("calls"));
    const void *data = NULL;
    ck_assert_int_eq(
            w4_st_writer_write(writer, ST_N_ENTRIES, 0, "x", 0), W4MOE_INVALID);
    ck_assert_int_eq(
            w4_st_writer_read(writer, ST_N_ENTRIES, &data), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_write(writer, 0, 1, "x", 1), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_write(writer, 0, 0, "xx", 2), W4MOE_INVALID);
    ck_assert_int_eq(
            w4_st_writer_write(writer, 0, UINT64_MAX, "x", 2), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "entry \"a\": 2 bytes"));
    ck_assert_int_eq(
            w4_st_writer_write(writer, 0, 1, "x", UINT64_MAX), W4MOE_INVALID);
    ST_CHECK_OK(w4_st_writer_write(writer, 0, 1, "", 0));
    w4_st_writer_abort(writer);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("st_writer_failures");
    TCase *tc = tcase_create("writing");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_test(tc, abort_leaves_old);
    tcase_add_test(tc, failed_commit);
    tcase_add_test(tc, killed);
    tcase_add_test(tc, full_disk);
    tcase_add_test(tc, too_large);
    tcase_add_test(tc, wrong_entries);
    tcase_add_test(tc, wrong_calls);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
