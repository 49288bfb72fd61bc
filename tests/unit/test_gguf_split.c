/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* GGUF models in several files, whole and with parts that do not fit. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_check.h"
#include "test_folder.h"

static const uint64_t shape[] = {32, 2};
enum { N_BYTES = 2 * 34 };

/* Path of part `no` of `count` in a folder. */
static const char *
part_path(const char *folder, unsigned no, unsigned count)
{
    return test_path("%s/m-%05u-of-%05u.gguf", folder, no + 1, count);
}

/* Begins part `no` with the keys of a split of six tensors in three parts. */
static void
begin_part(struct gguf_build *build, unsigned no)
{
    gguf_begin(build);
    gguf_uint32(build, "part", no);
    gguf_split(build, no, 3, 6);
}

static void
add_tensors(struct gguf_build *build, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", 9 - i);
        gguf_tensor(build, name, W4_GGUF_Q8_0, 2, shape, NULL, N_BYTES);
    }
}

/* Writes a good part: two tensors each. */
static const char *
write_part(const char *folder, unsigned no)
{
    struct gguf_build build;
    begin_part(&build, no);
    add_tensors(&build, 2 * no, 2);
    return gguf_write(&build, part_path(folder, no, 3));
}

/* A folder with three parts that fit; path of the first. */
static const char *
write_split(const char *folder)
{
    test_subfolder(test_path("%s", folder));
    write_part(folder, 2);
    write_part(folder, 1);
    return write_part(folder, 0);
}

static void
check_split(const char *path)
{
    struct w4_gguf_set *set = gguf_open_good(path);
    ck_assert_uint_eq(w4_gguf_count(set), 6);
    ck_assert_uint_eq(w4_gguf_file_count(set), 3);
    for (unsigned i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", 9 - i);
        const struct w4_gguf_tensor *tensor = w4_gguf_find(set, name);
        gguf_check_tensor(tensor, W4_GGUF_Q8_0, "Q8_0", 2, shape, N_BYTES);
        ck_assert_ptr_eq(tensor, w4_gguf_at(set, i));
        ck_assert_uint_eq(tensor->file, i / 2);
    }
    uint64_t part = 9;
    ck_assert_int_eq(w4_gguf_get_uint(set, "part", &part), 1);
    ck_assert_uint_eq(part, 0);
    for (size_t i = 0; i < 3; i++) {
        char ending[32];
        const char *file = w4_gguf_file_path(set, i);
        snprintf(ending, sizeof(ending), "-%05zu-of-00003.gguf", i + 1);
        ck_assert_str_eq(file + strlen(file) - strlen(ending), ending);
    }
    w4_gguf_close(set);
}

START_TEST(whole)
{
    check_split(write_split("whole"));
    /* Also without a folder in the path. */
    ck_assert_int_eq(chdir(test_path("whole")), 0);
    check_split("m-00001-of-00003.gguf");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Hub caches have links with proper names to files without. */
START_TEST(links)
{
    write_split("blobs");
    test_subfolder(test_path("links"));
    for (unsigned i = 0; i < 3; i++) {
        const char *blob = test_path("blobs/%u", i);
        ck_assert_int_eq(rename(part_path("blobs", i, 3), blob), 0);
        ck_assert_int_eq(symlink(blob, part_path("links", i, 3)), 0);
    }
    check_split(part_path("links", 0, 3));
    gguf_open_bad(test_path("blobs/0"), W4MOE_FORMAT,
            "is part 1 of 3, but its name does not end with "
            "\"-00001-of-00003.gguf\"");
}
END_TEST

START_TEST(not_the_first)
{
    write_split("later");
    gguf_open_bad(part_path("later", 1, 3), W4MOE_FORMAT,
            "is part 2 of 3; open the first, m-00001-of-00003.gguf");
    const char *wrong = test_path("later/m-00002-of-00004.gguf");
    ck_assert_int_eq(rename(part_path("later", 1, 3), wrong), 0);
    gguf_open_bad(wrong, W4MOE_FORMAT,
            "is part 2 of 3, but its name does not end with "
            "\"-00002-of-00003.gguf\"");
}
END_TEST

START_TEST(missing_part)
{
    const char *first = write_split("missing");
    ck_assert_int_eq(unlink(part_path("missing", 1, 3)), 0);
    gguf_open_bad(first, W4MOE_FORMAT,
            "m-00002-of-00003.gguf: part 2 of 3 is missing");
    test_subfolder(part_path("missing", 1, 3));
    gguf_open_bad(
            first, W4MOE_IO, "m-00002-of-00003.gguf: is not a regular file");
    ck_assert_int_eq(rmdir(part_path("missing", 1, 3)), 0);
    test_file_write(part_path("missing", 1, 3), "GGUF", 4);
    gguf_open_bad(first, W4MOE_FORMAT, "m-00002-of-00003.gguf: is too short");
}
END_TEST

/* Parts that say that they are something else. */
START_TEST(wrong_part)
{
    static const struct {
        unsigned no;
        unsigned count;
        unsigned n_tensors;
        const char *text;
    } cases[] = {
            {2, 3, 6, "is part 3 of 3 with 6 tensors, but part 2 of 3 with 6"},
            {0, 3, 6, "is part 1 of 3 with 6 tensors, but part 2 of 3 with 6"},
            {1, 4, 6, "is part 2 of 4 with 6 tensors, but part 2 of 3 with 6"},
            {1, 3, 7, "is part 2 of 3 with 7 tensors, but part 2 of 3 with 6"},
            {1, 0, 6, "is part 1 of 1 with 0 tensors, but part 2 of 3 with 6"},
    };
    const char *first = write_split("wrong");
    struct gguf_build build;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gguf_begin(&build);
        gguf_split(&build, cases[i].no, cases[i].count, cases[i].n_tensors);
        add_tensors(&build, 2, 2);
        gguf_write(&build, part_path("wrong", 1, 3));
        gguf_open_bad(first, W4MOE_FORMAT, cases[i].text);
    }
    gguf_begin(&build);
    add_tensors(&build, 2, 2);
    gguf_write(&build, part_path("wrong", 1, 3));
    gguf_open_bad(first, W4MOE_FORMAT, "is part 1 of 1 with 0 tensors");
}
END_TEST

START_TEST(wrong_tensors)
{
    const char *first = write_split("tensors");
    struct gguf_build build;
    begin_part(&build, 2);
    add_tensors(&build, 4, 1);
    gguf_write(&build, part_path("tensors", 2, 3));
    gguf_open_bad(first, W4MOE_FORMAT,
            "5 tensors in 3 parts, but split.tensors.count is 6");
    begin_part(&build, 2);
    add_tensors(&build, 3, 2);
    gguf_write(&build, part_path("tensors", 2, 3));
    gguf_open_bad(first, W4MOE_FORMAT, "tensor \"t6\" twice, also in ");
    begin_part(&build, 2);
    add_tensors(&build, 4, 2);
    build.data.n -= 1;
    gguf_write(&build, part_path("tensors", 2, 3));
    gguf_open_bad(first, W4MOE_FORMAT,
            "m-00003-of-00003.gguf: tensor \"t4\": 68 bytes at offset 96 of "
            "the data, which has 163");
}
END_TEST

/* Keys of the first part that make no split. */
START_TEST(wrong_keys)
{
    static const struct {
        unsigned no;
        uint64_t count;
        const char *text;
    } cases[] = {
            {3, 3, "split.no is 3, split.count 3"},
            {0, 100000, "split.no is 0, split.count 100000, at most 99999"},
            {0, UINT64_MAX, "split.count 18446744073709551615, at most"},
            {0, 99999, "does not end with \"-00001-of-99999.gguf\""},
    };
    struct gguf_build build;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gguf_begin(&build);
        gguf_uint32(&build, "split.no", cases[i].no);
        gguf_number(
                &build, "split.count", W4_GGUF_VALUE_UINT64, 8, cases[i].count);
        gguf_uint32(&build, "split.tensors.count", 1);
        gguf_build_bad(&build, W4MOE_FORMAT, cases[i].text);
    }
    gguf_begin(&build);
    gguf_string(&build, "split.count", "3");
    gguf_build_bad(&build, W4MOE_FORMAT, "key \"split.count\" is not a number");
    gguf_begin(&build);
    gguf_uint32(&build, "split.count", 3);
    gguf_build_bad(
            &build, W4MOE_FORMAT, "key \"split.no\" of a split is missing");
    gguf_begin(&build);
    gguf_uint32(&build, "split.count", 3);
    gguf_uint32(&build, "split.no", 0);
    gguf_build_bad(&build, W4MOE_FORMAT,
            "key \"split.tensors.count\" of a split is missing");
}
END_TEST

/* What merging leaves: a count of 0 or 1 and whatever else there was. */
START_TEST(merged)
{
    for (unsigned count = 0; count <= 1; count++) {
        struct gguf_build build;
        gguf_begin(&build);
        gguf_split(&build, 5, count, 77);
        add_tensors(&build, 0, 2);
        struct w4_gguf_set *set =
                gguf_open_good(gguf_write(&build, test_path("merged.gguf")));
        ck_assert_uint_eq(w4_gguf_count(set), 2);
        ck_assert_uint_eq(w4_gguf_file_count(set), 1);
        w4_gguf_close(set);
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("gguf_split");
    TCase *tc = tcase_create("split");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, gguf_err_setup, gguf_err_teardown);
    tcase_add_test(tc, whole);
    tcase_add_test(tc, links);
    tcase_add_test(tc, not_the_first);
    tcase_add_test(tc, missing_part);
    tcase_add_test(tc, wrong_part);
    tcase_add_test(tc, wrong_tensors);
    tcase_add_test(tc, wrong_keys);
    tcase_add_test(tc, merged);
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
