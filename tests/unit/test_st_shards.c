/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Writing sets of safetensors files with an index, and single files, into
 * folders that may hold an older set. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "st_helpers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The file of each entry of st_entries, for limits of bytes. */
static const struct split {
    uint64_t limit;
    uint32_t n_files;
    uint32_t files[ST_N_ENTRIES];
    unsigned n_pads;
} splits[] = {
        {1, 7, {0, 1, 2, 3, 4, 5, 6}, 0}, {64, 6, {0, 1, 2, 3, 4, 4, 5}, 0},
        {127, 5, {0, 0, 1, 2, 3, 3, 4}, 1}, {191, 5, {0, 0, 1, 2, 3, 3, 4}, 1},
        {192, 4, {0, 0, 0, 1, 1, 2, 3}, 3}, {200, 3, {0, 0, 0, 1, 1, 1, 2}, 3},
        {1447, 2, {0, 0, 0, 0, 0, 0, 1}, 3}, {1448, 1, {0}, 4},
        {UINT64_MAX, 1, {0}, 4}, {0, 1, {0}, 4}, /* without an index */
};

static void
write_set(const char *folder, uint64_t limit)
{
    struct w4_st_writer *writer = NULL;
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, folder, st_entries,
            ST_N_ENTRIES, W4_ST_FOLDER, limit));
    ST_CHECK_OK(w4_st_writer_set(writer, "k", "value"));
    st_write_entries(writer);
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        const void *data = NULL;
        ST_CHECK_OK(w4_st_writer_read(writer, i, &data));
        for (uint64_t j = 0; j < st_sizes[i]; j++) {
            ck_assert_uint_eq(
                    ((const unsigned char *)data)[j], st_pattern(i, j));
        }
    }
    ST_CHECK_OK(w4_st_writer_set(writer, "k", "other"));
    ST_CHECK_OK(w4_st_writer_commit(writer));
}

/* Path of a file of a split. */
static const char *
file_path(const char *folder, const struct split *split, uint32_t file)
{
    static char path[1200];
    if (split->limit == 0) {
        snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    } else {
        snprintf(path, sizeof(path), "%s/model-%05u-of-%05u.safetensors",
                folder, (unsigned)file + 1, (unsigned)split->n_files);
    }
    return path;
}

static void
check_entry(const struct w4_st_set *set, const struct split *split, size_t i)
{
    const struct w4_tensor *tensor = w4_st_find(set, st_entries[i].name);
    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_eq(tensor->file, split->files[i]);
    ck_assert_int_eq(tensor->dtype, st_entries[i].dtype);
    ck_assert_uint_eq(tensor->n_bytes, st_sizes[i]);
    ck_assert_uint_eq((uintptr_t)tensor->data % 64, 0);
    for (uint64_t j = 0; j < st_sizes[i]; j++) {
        ck_assert_uint_eq(
                ((const unsigned char *)tensor->data)[j], st_pattern(i, j));
    }
}

/* A folder holds this set and nothing else. */
static void
check_set(const char *folder, const struct split *split)
{
    struct w4_st_set *set = st_open_good(folder);
    ck_assert_uint_eq(
            st_count(folder, ""), split->n_files + (split->limit > 0));
    ck_assert_uint_eq(w4_st_file_count(set), split->n_files);
    ck_assert_uint_eq(w4_st_count(set), ST_N_ENTRIES + split->n_pads);
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        check_entry(set, split, i);
    }
    for (unsigned i = 0; i < split->n_pads; i++) {
        char name[16];
        snprintf(name, sizeof(name), "pad.%u", i);
        ck_assert_ptr_nonnull(w4_st_find(set, name));
    }
    w4_st_close(set);
    /* Every file by itself, with the metadata of all. */
    for (uint32_t i = 0; i < split->n_files; i++) {
        const char *path = file_path(folder, split, i);
        set = st_open_good(path);
        ck_assert_str_eq(w4_st_metadata(set, "k"), "other");
        w4_st_close(set);
    }
}

START_TEST(round_trip)
{
    char name[24];
    snprintf(name, sizeof(name), "round%d", _i);
    const char *folder = st_subfolder(name);
    const struct split *split = &splits[_i];
    struct w4_st_writer *writer = NULL;
    uint64_t planned = 0;
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, "", st_entries,
            ST_N_ENTRIES, W4_ST_FOLDER | W4_ST_DRY_RUN, split->limit));
    ST_CHECK_OK(w4_st_writer_set(writer, "k", "value"));
    ST_CHECK_OK(w4_st_writer_size(writer, &planned));
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_INVALID);

    write_set(folder, split->limit);
    check_set(folder, split);
    uint64_t written = 0;
    for (uint32_t i = 0; i < split->n_files; i++) {
        struct stat info;
        ck_assert_int_eq(stat(file_path(folder, split, i), &info), 0);
        written += (uint64_t)info.st_size;
    }
    ck_assert_uint_eq(written, planned);
}
END_TEST

/* Every kind of set after every other: nothing of the older one remains. */
START_TEST(replaces)
{
    const char *folder = st_subfolder("replaces");
    for (size_t i = 0; i < COUNT(splits); i++) {
        for (size_t j = 0; j < COUNT(splits); j++) {
            write_set(folder, splits[i].limit);
            write_set(folder, splits[j].limit);
            check_set(folder, &splits[j]);
        }
    }
}
END_TEST

START_TEST(index_text)
{
    static const char text[] =
            "{\n  \"metadata\": {\"total_size\": 1392},\n  \"weight_map\": {\n"
            "    \"a\": \"model-00001-of-00004.safetensors\",\n"
            "    \"pad.0\": \"model-00001-of-00004.safetensors\",\n"
            "    \"b\\\"\\\\\\u000a\xC3\xA9\": "
            "\"model-00001-of-00004.safetensors\",\n"
            "    \"pad.1\": \"model-00001-of-00004.safetensors\",\n"
            "    \"c\": \"model-00001-of-00004.safetensors\",\n"
            "    \"d\": \"model-00002-of-00004.safetensors\",\n"
            "    \"pad.2\": \"model-00002-of-00004.safetensors\",\n"
            "    \"e\": \"model-00002-of-00004.safetensors\",\n"
            "    \"f\": \"model-00003-of-00004.safetensors\",\n"
            "    \"g\": \"model-00004-of-00004.safetensors\"\n  }\n}\n";
    write_set(st_subfolder("text"), 192);
    st_check_same(st_path("text/model.safetensors.index.json"),
            st_write("expected", text, strlen(text)));
}
END_TEST

/* Files that no index names stay, and of those that one names, all that are
 * not safetensors. */
START_TEST(foreign_files)
{
    const char *folder = st_subfolder("foreign");
    st_write("foreign/config.json", "{}", 2);
    st_write("foreign/b.safetensors", "b", 1);
    st_write("foreign/a.safetensors", "a", 1);
    st_write("foreign/.safetensors", "a", 1);
    st_write_text("foreign/model.safetensors.index.json",
            "{'weight_map':{'x':'config.json','y':'a.safetensors',"
            "'z':'.safetensors'}}");
    write_set(folder, 200);
    ck_assert_uint_eq(st_count(folder, ""), 3 + 1 + 3);
    ck_assert_uint_eq(st_count(folder, "config.json"), 1);
    ck_assert_uint_eq(st_count(folder, "b.safetensors"), 1);
    w4_st_close(st_open_good(folder));

    /* An index that cannot be read names none. */
    st_write("foreign/model.safetensors.index.json", "{", 1);
    write_set(folder, 0);
    ck_assert_uint_eq(st_count(folder, "-of-00003.safetensors"), 3);
    ck_assert_uint_eq(st_count(folder, "index"), 0);
    w4_st_close(st_open_good(folder));
}
END_TEST

/* A name that cannot be had: what got its name before has none any more. */
START_TEST(failed_commit)
{
    static const char *const taken[] = {
            "model-00003-of-00003.safetensors", "model.safetensors.index.json"};
    const char *folder = st_subfolder("failed");
    for (size_t i = 0; i < COUNT(taken); i++) {
        char name[100];
        struct w4_st_writer *writer = NULL;
        snprintf(name, sizeof(name), "failed/%s", taken[i]);
        ck_assert_int_eq(mkdir(st_path(name), 0777), 0);
        snprintf(name, sizeof(name), "failed/%s/inside", taken[i]);
        st_write(name, "x", 1);
        ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, folder, st_entries,
                ST_N_ENTRIES, W4_ST_FOLDER, 200));
        st_write_entries(writer);
        ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_IO);
        ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), taken[i]));
        ck_assert_uint_eq(st_count(folder, ""), 1);
        unlink(st_path(name));
        snprintf(name, sizeof(name), "failed/%s", taken[i]);
        rmdir(st_path(name));
    }
    /* An older set of other names is whole then. */
    write_set(folder, 64);
    ck_assert_int_eq(
            mkdir(st_path("failed/model-00003-of-00003.safetensors"), 0777), 0);
    struct w4_st_writer *writer = NULL;
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, folder, st_entries,
            ST_N_ENTRIES, W4_ST_FOLDER, 200));
    st_write_entries(writer);
    ck_assert_int_eq(w4_st_writer_commit(writer), W4MOE_IO);
    rmdir(st_path("failed/model-00003-of-00003.safetensors"));
    check_set(folder, &splits[1]);
}
END_TEST

START_TEST(abort_leaves_old)
{
    const char *folder = st_subfolder("abort");
    struct w4_st_writer *writer = NULL;
    write_set(folder, 200);
    ST_CHECK_OK(w4_st_writer_create(&st_err, &writer, folder, st_entries,
            ST_N_ENTRIES, W4_ST_FOLDER, 200));
    st_write_entries(writer);
    w4_st_writer_abort(writer);
    check_set(folder, &splits[5]);
}
END_TEST

START_TEST(wrong_calls)
{
    struct w4_st_writer *writer = NULL;
    const char *folder = st_subfolder("wrong");
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, st_path("wrong/x"),
                             st_entries, ST_N_ENTRIES, 0, 200),
            W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, folder, NULL, 0,
                             W4_ST_FOLDER, 200),
            W4MOE_INVALID);
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, st_path("nowhere"),
                             st_entries, ST_N_ENTRIES, W4_ST_FOLDER, 200),
            W4MOE_IO);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err),
            "nowhere/model-00001-of-00003.safetensors: cannot be made"));
    ck_assert_ptr_null(writer);
    ck_assert_uint_eq(st_count(folder, ""), 0);
}
END_TEST

START_TEST(too_many)
{
    enum { N = 100000 };
    struct w4_st_writer *writer = NULL;
    struct w4_st_entry *entries = calloc(N, sizeof(*entries));
    char(*names)[8] = calloc(N, sizeof(*names));
    ck_assert(entries != NULL && names != NULL);
    for (unsigned i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "%u", i);
        entries[i] = (struct w4_st_entry){names[i], W4MOE_U8, 1, {1}};
    }
    ck_assert_int_eq(w4_st_writer_create(&st_err, &writer, "", entries, N,
                             W4_ST_FOLDER | W4_ST_DRY_RUN, 1),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(
            strstr(w4_err_text(&st_err), "100000 files of 1 bytes"));
    free(names);
    free(entries);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("st_shards");
    TCase *tc = tcase_create("writing");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_loop_test(tc, round_trip, 0, COUNT(splits));
    tcase_add_test(tc, replaces);
    tcase_add_test(tc, index_text);
    tcase_add_test(tc, foreign_files);
    tcase_add_test(tc, failed_commit);
    tcase_add_test(tc, abort_leaves_old);
    tcase_add_test(tc, wrong_calls);
    tcase_add_test(tc, too_many);
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
