/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Writing safetensors files: what is written is read back. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "st_helpers.h"

START_TEST(round_trip)
{
    static const char begin[] =
            "{\"__metadata__\":{\"z\":\"1\",\"\\\"\\\\\\u000a\":\"\","
            "\"a\":\"\xC3\xA9\"},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
            "\"data_offsets\":[0,1]},\"pad.0\":{";
    const char *paths[2] = {st_path("first"), st_path("second")};
    for (int i = 0; i < 2; i++) {
        struct w4_st_writer *writer = st_create(paths[i]);
        uint64_t n_bytes;
        ST_CHECK_OK(w4_st_writer_set(writer, "z", "zero"));
        ST_CHECK_OK(w4_st_writer_set(writer, "\"\\\n", ""));
        ST_CHECK_OK(w4_st_writer_set(writer, "a", "\xC3\xA9"));
        ST_CHECK_OK(w4_st_writer_set(writer, "z", "1"));
        ST_CHECK_OK(w4_st_writer_size(writer, &n_bytes));
        st_write_entries(writer);
        ST_CHECK_OK(w4_st_writer_commit(writer));
        struct stat info;
        ck_assert_int_eq(stat(paths[i], &info), 0);
        ck_assert_uint_eq((uint64_t)info.st_size, n_bytes);
        st_check_written(paths[i]);
    }
    st_check_same(paths[0], paths[1]);

    size_t n;
    unsigned char *bytes = st_read(paths[0], &n);
    ck_assert_uint_eq((8 + bytes[0] + 256u * bytes[1]) % 64, 0);
    ck_assert_mem_eq(bytes + 8, begin, strlen(begin));
    free(bytes);
    struct w4_st_set *set = st_open_good(paths[0]);
    ck_assert_str_eq(w4_st_metadata(set, "z"), "1");
    ck_assert_str_eq(w4_st_metadata(set, "\"\\\n"), "");
    ck_assert_str_eq(w4_st_metadata(set, "a"), "\xC3\xA9");
    w4_st_close(set);
}
END_TEST

START_TEST(no_entries)
{
    struct w4_st_writer *writer = NULL;
    const char *path = st_path("none");
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, path, NULL, 0, 0, 0));
    ST_CHECK_OK(w4_st_writer_commit(writer));
    struct w4_st_set *set = st_open_good(path);
    ck_assert_uint_eq(w4_st_count(set), 0);
    ck_assert_uint_eq(w4_st_file_bytes(set), 64);
    w4_st_close(set);
}
END_TEST

struct worker {
    pthread_t thread;
    struct w4_st_writer *writer;
    size_t index;
    w4moe_status status;
};

/* Writes every fourth piece of 7 bytes of each entry. */
static void *
work(void *user)
{
    struct worker *worker = user;
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        for (uint64_t j = 7 * worker->index; j < st_sizes[i]; j += 28) {
            uint64_t end = j + 7 < st_sizes[i] ? j + 7 : st_sizes[i];
            w4moe_status status = st_write_part(worker->writer, i, j, end);
            worker->status = status != W4MOE_OK ? status : worker->status;
        }
    }
    return NULL;
}

START_TEST(threads)
{
    const char *path = st_path("threads");
    struct w4_st_writer *writer = st_create(path);
    struct worker workers[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        workers[i].writer = writer;
        workers[i].index = i;
        ck_assert_int_eq(
                pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].status, W4MOE_OK);
    }
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        const void *data = NULL;
        ST_CHECK_OK(w4_st_writer_read(writer, i, &data));
        for (uint64_t j = 0; j < st_sizes[i]; j++) {
            ck_assert_uint_eq(
                    ((const unsigned char *)data)[j], st_pattern(i, j));
        }
    }
    ST_CHECK_OK(w4_st_writer_commit(writer));
    st_check_written(path);
}
END_TEST

START_TEST(metadata_length)
{
    const char *path = st_path("metadata");
    struct w4_st_writer *writer = st_create(path);
    ST_CHECK_OK(w4_st_writer_set(writer, "hash", "0000"));
    ST_CHECK_OK(w4_st_writer_set(writer, "other", "x"));
    st_write_entries(writer);
    ck_assert_int_eq(w4_st_writer_set(writer, "hash", "123"), W4MOE_INVALID);
    ck_assert_ptr_nonnull(
            strstr(w4_err_text(&st_err), "\"hash\": 3 bytes cannot replace 4"));
    ck_assert_int_eq(w4_st_writer_set(writer, "hash", "12345"), W4MOE_INVALID);
    /* The same length, but longer or shorter in JSON. */
    ck_assert_int_eq(w4_st_writer_set(writer, "hash", "12\"4"), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_set(writer, "hash", "1\"4"), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_set(writer, "new", ""), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_set(writer, "other", "\x80"), W4MOE_INVALID);
    ST_CHECK_OK(w4_st_writer_set(writer, "hash", "1234"));
    ST_CHECK_OK(w4_st_writer_set(writer, "hash", "abcd"));
    ST_CHECK_OK(w4_st_writer_commit(writer));
    st_check_written(path);
    struct w4_st_set *set = st_open_good(path);
    ck_assert_str_eq(w4_st_metadata(set, "hash"), "abcd");
    ck_assert_str_eq(w4_st_metadata(set, "other"), "x");
    ck_assert_ptr_null(w4_st_metadata(set, "new"));
    w4_st_close(set);
}
END_TEST

START_TEST(commit_replaces)
{
    const char *folder = st_subfolder("replace");
    st_write("replace/x", "old", 3);
    const char *path = st_path("replace/x");
    mode_t mask = umask(027);
    struct w4_st_writer *writer = st_create(path);
    st_write_entries(writer);
    umask(mask);
    if (st_has_unnamed(folder)) {
        ck_assert_uint_eq(st_count(folder, ""), 1);
    } else {
        ck_assert_uint_eq(st_count(folder, ""), 2);
        ck_assert_ptr_nonnull(strstr(st_only(folder, ".partial"), "/x."));
    }
    ST_CHECK_OK(w4_st_writer_commit(writer));
    ck_assert_uint_eq(st_count(folder, ""), 1);
    st_check_written(path);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
}
END_TEST

/* A target that is not there yet, and one that comes while it is written. */
START_TEST(commit_names)
{
    const char *folder = st_subfolder("names");
    const char *path = st_path("names/x");
    for (int i = 0; i < 2; i++) {
        mode_t mask = umask(027);
        struct w4_st_writer *writer = st_create(path);
        umask(mask);
        st_write_entries(writer);
        if (i > 0) {
            st_write("names/x", "new", 3);
        }
        ST_CHECK_OK(w4_st_writer_commit(writer));
        ck_assert_uint_eq(st_count(folder, ""), 1);
        st_check_written(path);
        struct stat info;
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_uint_eq(info.st_mode & 0777, 0640);
        ck_assert_uint_eq(info.st_nlink, 1);
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST

/* A link is replaced, not what it points to. */
START_TEST(commit_replaces_link)
{
    const char *folder = st_subfolder("link");
    const char *path = st_path("link/x");
    const char *other = st_write("link/other", "old", 3);
    ck_assert_int_eq(symlink("other", path), 0);
    struct w4_st_writer *writer = st_create(path);
    st_write_entries(writer);
    ST_CHECK_OK(w4_st_writer_commit(writer));
    struct stat info;
    ck_assert_int_eq(lstat(path, &info), 0);
    ck_assert(S_ISREG(info.st_mode));
    st_check_written(path);
    st_check_same(other, st_write("old", "old", 3));
    ck_assert_uint_eq(st_count(folder, ""), 2);
}
END_TEST

/* A name without folder is in the current one. */
START_TEST(current_folder)
{
    char before[1024];
    const char *folder = st_subfolder("current");
    ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
    ck_assert_int_eq(chdir(folder), 0);
    struct w4_st_writer *writer = st_create("x");
    st_write_entries(writer);
    ST_CHECK_OK(w4_st_writer_commit(writer));
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_uint_eq(st_count(folder, ""), 1);
    st_check_written(st_only(folder, "x"));
}
END_TEST

START_TEST(dry_run)
{
    const char *folder = st_subfolder("dry");
    const char *path = st_path("dry/x");
    struct w4_st_writer *writer = NULL;
    struct w4_st_writer *wet = st_create(st_path("wet"));
    uint64_t n_bytes = 0;
    uint64_t n_wet = 1;
    const void *data;
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, path, st_entries,
            ST_N_ENTRIES, W4_ST_DRY_RUN, 0));
    ST_CHECK_OK(w4_st_writer_set(writer, "k", "value"));
    ST_CHECK_OK(w4_st_writer_set(wet, "k", "other"));
    ST_CHECK_OK(w4_st_writer_size(writer, &n_bytes));
    ST_CHECK_OK(w4_st_writer_size(wet, &n_wet));
    ck_assert_uint_eq(n_bytes, n_wet);
    ck_assert_uint_eq(st_count(folder, ""), 0);
    ck_assert_int_eq(w4_st_writer_write(writer, 0, 0, "x", 1), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_read(writer, 0, &data), W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_INVALID);
    ck_assert_uint_eq(st_count(folder, ""), 0);
    w4_st_writer_abort(wet);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("st_writer");
    TCase *tc = tcase_create("writing");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, no_entries);
    tcase_add_test(tc, threads);
    tcase_add_test(tc, metadata_length);
    tcase_add_test(tc, commit_replaces);
    tcase_add_test(tc, commit_names);
    tcase_add_test(tc, commit_replaces_link);
    tcase_add_test(tc, current_folder);
    tcase_add_test(tc, dry_run);
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
