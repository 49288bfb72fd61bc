/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading damaged GGUF files: cut off, with flipped bits, with numbers out of
 * all proportion, and things that are no files at all. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gguf_check.h"
#include "io/gguf_file.h"
#include "test_folder.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A small file with a bit of everything. Its last byte belongs to a tensor. */
static unsigned char *
make_small(struct gguf_build *build, size_t *n)
{
    static const char *const words[] = {"ab", "", "c"};
    const uint64_t numbers[] = {1, 2, 3};
    const uint64_t shape[] = {32, 3, 2, 1};
    gguf_begin(build);
    gguf_uint32(build, "general.alignment", 32);
    gguf_string(build, "name", "x");
    gguf_strings(build, "words", words, 3);
    gguf_array(build, "numbers", W4_GGUF_VALUE_INT16, 2, numbers, 3);
    gguf_float64(build, "real", 0.5);
    gguf_bool(build, "flag", 1);
    gguf_tensor(build, "a", W4_GGUF_Q4_0, 2, shape, NULL, 3 * 18);
    gguf_tensor(build, "bb", W4_GGUF_F32, 1, shape, NULL, 128);
    gguf_tensor(build, "c", W4_GGUF_I8, 4, shape, NULL, 192);
    return gguf_finish(build, n);
}

/* Reads a file that is in memory of its own, so that sanitizers see a read
 * beyond its end. */
static w4moe_status
read_memory(const unsigned char *bytes, size_t n)
{
    char path[] = "memory";
    struct w4_gguf_file file = {.path = path};
    struct w4_gguf_tensor *tensors = NULL;
    file.map.data = malloc(n + (n == 0));
    file.map.size = n;
    ck_assert_ptr_nonnull(file.map.data);
    memcpy(file.map.data, bytes, n);
    w4moe_status status = w4_gguf_file_read(&gguf_err, &file);
    if (status == W4MOE_OK) {
        tensors = calloc(file.n_tensors + 1, sizeof(*tensors));
        ck_assert_ptr_nonnull(tensors);
        status = w4_gguf_file_tensors(&gguf_err, &file, tensors, 0);
    }
    free(tensors);
    w4_gguf_file_free(&file);
    free(file.map.data);
    return status;
}

START_TEST(cut_off)
{
    struct gguf_build build;
    size_t n;
    unsigned char *bytes = make_small(&build, &n);
    const char *path = test_path("cut.gguf");
    test_file_write(path, bytes, n);
    w4_gguf_close(gguf_open_good(path));
    ck_assert_int_eq(read_memory(bytes, n), W4MOE_OK);
    for (size_t i = 0; i < n; i++) {
        test_file_write(path, bytes, i);
        gguf_open_bad(path, W4MOE_FORMAT, "");
        ck_assert_int_eq(read_memory(bytes, i), W4MOE_FORMAT);
    }
    test_file_write(path, bytes, 0);
    gguf_open_bad(path, W4MOE_FORMAT, "is empty");
    test_file_write(path, bytes, 23);
    gguf_open_bad(path, W4MOE_FORMAT, "is too short for a GGUF file");
    test_file_write(path, bytes, n - 1);
    gguf_open_bad(path, W4MOE_FORMAT,
            "tensor \"c\": 192 bytes at offset 192 of the data, which has 383");
    free(bytes);
}
END_TEST

/* Opens a damaged small file, which may be refused or must make sense. */
static w4moe_status
open_damaged(const unsigned char *bytes, size_t n)
{
    const char *path = test_path("damaged.gguf");
    struct w4_gguf_set *set = NULL;
    test_file_write(path, bytes, n);
    w4moe_status status = w4_gguf_open(&gguf_err, &set, path);
    ck_assert_msg(status == W4MOE_OK || status == W4MOE_FORMAT ||
                          status == W4MOE_UNSUPPORTED,
            "status %d: %s", (int)status, w4_err_text(&gguf_err));
    if (status == W4MOE_OK) {
        gguf_check_sane(set);
        w4_gguf_close(set);
    }
    /* Only a set knows of tensors that stand twice. */
    const char *text = w4_err_text(&gguf_err);
    int is_twice = status == W4MOE_FORMAT && strstr(text, ": tensor \"") &&
                   strstr(text, "\" twice");
    w4moe_status again = read_memory(bytes, n);
    ck_assert_int_eq(again, is_twice ? W4MOE_OK : status);
    return status;
}

/* Every number of 8 bytes by numbers that readers trip over. */
START_TEST(lengths)
{
    static const uint64_t values[] = {0, 1, UINT64_C(1) << 31,
            UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX / 2,
            UINT64_C(1) << 61, UINT64_C(1) << 32};
    struct gguf_build build;
    size_t n;
    unsigned char *bytes = make_small(&build, &n);
    unsigned n_opened = 0;
    for (size_t i = 0; i < build.n_fields; i++) {
        unsigned char *at = bytes + build.fields[i].at;
        unsigned char kept[8];
        memcpy(kept, at, 8);
        for (size_t j = 0; j < LENGTH(values); j++) {
            gguf_store(at, 8, values[j]);
            if (memcmp(kept, at, 8) == 0) {
                continue;
            }
            w4moe_status status = open_damaged(bytes, n);
            n_opened += status == W4MOE_OK;
            /* Only fewer tensors and shorter last ones can make sense. */
            ck_assert_msg(status != W4MOE_OK || values[j] <= 1,
                    "%s at %zu: %" PRIu64 " is accepted", build.fields[i].kind,
                    build.fields[i].at, values[j]);
        }
        memcpy(at, kept, 8);
    }
    /* Counts, names of keys, a string, strings, an array; names, shapes and
     * offsets of tensors. */
    ck_assert_uint_eq(build.n_fields, 2 + 6 + 1 + 4 + 1 + 3 + 7 + 3);
    /* No tensors, one tensor, and one of the three dimensions of the last that
     * are not 1 becomes so. */
    ck_assert_uint_eq(n_opened, 5);
    free(bytes);
}
END_TEST

START_TEST(flipped_bits)
{
    struct gguf_build build;
    size_t n;
    unsigned char *bytes = make_small(&build, &n);
    unsigned n_opened = 0;
    for (size_t i = 0; i < (n - 384) * 8; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        n_opened += open_damaged(bytes, n) == W4MOE_OK;
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    /* Letters, numbers in values, padding; hardly anything else. */
    ck_assert_uint_ge(n_opened, 8 * 20);
    ck_assert_uint_lt(n_opened, 8 * 100);
    free(bytes);
}
END_TEST

/* -------------------------------------------------------------------- head */

START_TEST(versions)
{
    static const struct {
        uint32_t version;
        const char *text;
    } cases[] = {
            {0, "version 0 of GGUF, 2 and 3 are read"},
            {1, "version 1 of GGUF"},
            {4, "version 4 of GGUF"},
            {0x01000000, "a big-endian GGUF file, of version 1"},
            {0x03000000, "a big-endian GGUF file, of version 3"},
            {0x04000000, "version 67108864 of GGUF"},
            {UINT32_MAX, "version 4294967295 of GGUF"},
    };
    struct gguf_build build;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        gguf_begin(&build);
        build.version = cases[i].version;
        gguf_build_bad(&build, W4MOE_UNSUPPORTED, cases[i].text);
    }
    test_file_write(test_path("magic"), "GGUf....................", 24);
    gguf_open_bad(
            test_path("magic"), W4MOE_FORMAT, "does not begin with \"GGUF\"");
}
END_TEST

START_TEST(counts)
{
    struct gguf_build build;
    gguf_begin(&build);
    gguf_uint32(&build, "abc", 0);
    build.n_keys = 2;
    gguf_build_bad(&build, W4MOE_FORMAT,
            "2 keys in the 19 bytes that follow, which are of at least 14");
    gguf_begin(&build);
    gguf_uint32(&build, "abcdefgh", 0);
    build.n_tensors = UINT64_MAX;
    gguf_build_bad(&build, W4MOE_FORMAT,
            "18446744073709551615 tensors in the 24 bytes that follow");
    gguf_begin(&build);
    gguf_uint32(&build, "abcdefghi", 0);
    build.n_tensors = 1;
    gguf_build_bad(&build, W4MOE_FORMAT,
            "tensor 1 of 1: 8 bytes from byte 49 on, but the file has 49");
}
END_TEST

/* Makes a file as long as `n` bytes without writing them. */
static const char *
write_long(struct gguf_build *build, off_t n)
{
    const char *path = gguf_write(build, test_path("long.gguf"));
    ck_assert_int_eq(truncate(path, n), 0);
    return path;
}

/* Counts that fit into the file, which has nothing but zeros; headers that go
 * on and on. */
START_TEST(long_files)
{
    struct gguf_build build;
    gguf_begin(&build);
    build.n_tensors = W4_GGUF_HEADER_MAX / 25 - 1;
    gguf_open_bad(write_long(&build, (off_t)W4_GGUF_HEADER_MAX * 4),
            W4MOE_FORMAT,
            "tensor 1 of 10737417: a name of 0 bytes, 1 to 65535");
    gguf_begin(&build);
    build.n_keys = W4_GGUF_HEADER_MAX / 14 - 2;
    gguf_open_bad(write_long(&build, W4_GGUF_HEADER_MAX), W4MOE_FORMAT,
            "key 1 of 19173959: a name of 0 bytes");
    gguf_begin(&build);
    unsigned char array[12] = {W4_GGUF_VALUE_UINT8};
    gguf_store(array + 4, 8, W4_GGUF_HEADER_MAX);
    gguf_key(&build, "long", W4_GGUF_VALUE_ARRAY, array, 12);
    gguf_open_bad(write_long(&build, (off_t)W4_GGUF_HEADER_MAX * 2),
            W4MOE_FORMAT,
            "key \"long\": the header goes on behind its first 268435456 "
            "bytes");
    ck_assert_int_eq(unlink(test_path("long.gguf")), 0);
}
END_TEST

START_TEST(no_files)
{
    gguf_open_bad(test_path("missing"), W4MOE_IO, "No such file");
    gguf_open_bad(test_subfolder(test_path("folder")), W4MOE_IO,
            "is not a regular file");
    ck_assert_int_eq(mkfifo(test_path("pipe"), 0666), 0);
    gguf_open_bad(test_path("pipe"), W4MOE_IO, "is not a regular file");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("gguf_damage");
    TCase *tc = tcase_create("damage");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, gguf_err_setup, gguf_err_teardown);
    tcase_add_test(tc, cut_off);
    tcase_add_test(tc, lengths);
    tcase_add_test(tc, flipped_bits);
    tcase_add_test(tc, versions);
    tcase_add_test(tc, counts);
    tcase_add_test(tc, long_files);
    tcase_add_test(tc, no_files);
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
