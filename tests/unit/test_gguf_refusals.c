/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Entries of GGUF files that must be refused: keys, names, shapes, offsets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf_check.h"
#include "test_folder.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* -------------------------------------------------------------------- keys */

START_TEST(keys)
{
    struct gguf_build build;
    unsigned char value[24] = {0};
    gguf_begin(&build);
    gguf_uint32(&build, "b", 0);
    gguf_uint32(&build, "a", 0);
    gguf_string(&build, "b", "");
    gguf_build_bad(&build, W4MOE_FORMAT, "key \"b\" twice");

    static const uint32_t unknown[] = {13, 14, 255, UINT32_MAX};
    for (size_t i = 0; i < LENGTH(unknown); i++) {
        char text[64];
        gguf_begin(&build);
        gguf_key(&build, "k", unknown[i], value, 8);
        snprintf(text, sizeof(text), "key \"k\": a value of unknown type %u",
                unknown[i]);
        gguf_build_bad(&build, W4MOE_FORMAT, text);
        gguf_begin(&build);
        gguf_store(value, 4, unknown[i]);
        gguf_key(&build, "k", W4_GGUF_VALUE_ARRAY, value, 12);
        snprintf(text, sizeof(text), "key \"k\": an array of unknown type %u",
                unknown[i]);
        gguf_build_bad(&build, W4MOE_FORMAT, text);
    }
    gguf_begin(&build);
    gguf_store(value, 4, W4_GGUF_VALUE_ARRAY);
    gguf_store(value + 4, 8, 3);
    gguf_key(&build, "k", W4_GGUF_VALUE_ARRAY, value, 24);
    gguf_build_bad(
            &build, W4MOE_UNSUPPORTED, "key \"k\": an array of 3 arrays");
    /* 8 times this is 8. */
    gguf_begin(&build);
    gguf_store(value, 4, W4_GGUF_VALUE_INT64);
    gguf_store(value + 4, 8, (UINT64_C(1) << 61) + 1);
    gguf_key(&build, "k", W4_GGUF_VALUE_ARRAY, value, 20);
    gguf_build_bad(&build, W4MOE_FORMAT,
            "key \"k\": an array of 2305843009213693953 elements");
    /* More strings than there can be. */
    gguf_begin(&build);
    gguf_store(value, 4, W4_GGUF_VALUE_STRING);
    gguf_store(value + 4, 8, UINT64_MAX);
    gguf_key(&build, "k", W4_GGUF_VALUE_ARRAY, value, 12);
    gguf_build_bad(&build, W4MOE_FORMAT,
            "key \"k\": 8 bytes from byte 49 on, but the file has 49");
}
END_TEST

START_TEST(alignments)
{
    static const uint32_t bad[] = {0, 3, 48, 1 << 21, 1u << 31, UINT32_MAX};
    struct gguf_build build;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char text[64];
        gguf_begin(&build);
        gguf_uint32(&build, "general.alignment", bad[i]);
        snprintf(text, sizeof(text),
                "general.alignment is %u, not a power of two", bad[i]);
        gguf_build_bad(&build, W4MOE_FORMAT, text);
    }
    const uint64_t list[] = {32};
    gguf_begin(&build);
    gguf_array(&build, "general.alignment", W4_GGUF_VALUE_UINT32, 4, list, 1);
    gguf_build_bad(&build, W4MOE_FORMAT, "general.alignment is not a number");
    gguf_begin(&build);
    gguf_string(&build, "general.alignment", "32");
    gguf_build_bad(&build, W4MOE_FORMAT, "general.alignment is not a number");
}
END_TEST

/* ------------------------------------------------------------------- names */

START_TEST(names)
{
    const uint64_t shape[] = {1};
    struct gguf_build build;
    gguf_begin(&build);
    gguf_tensor(&build, "b", W4_GGUF_I8, 1, shape, NULL, 1);
    gguf_tensor(&build, "a", W4_GGUF_I8, 1, shape, NULL, 1);
    gguf_tensor(&build, "b", W4_GGUF_I8, 1, shape, NULL, 1);
    gguf_build_bad(&build, W4MOE_FORMAT, "tensor \"b\" twice");

    static const struct {
        const char *name;
        size_t n;
    } bad[] = {{"a\0b", 3}, {"\0", 1}, {"a\xFF", 2}, {"\xC3", 1},
            {"\xED\xA0\x80", 3}};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        gguf_begin(&build);
        gguf_entry(&build, bad[i].name, bad[i].n, W4_GGUF_I8, 1, shape, 0);
        gguf_build_bad(&build, W4MOE_FORMAT,
                "tensor 1 of 1: its name, at byte 32, is not UTF-8 or holds");
        gguf_begin(&build);
        gguf_string_n(&build, "k", bad[i].name, bad[i].n);
        w4_gguf_close(gguf_open_good(gguf_write(&build, test_path("value"))));
    }
    gguf_begin(&build);
    gguf_uint32(&build, "\xFF", 0);
    gguf_build_bad(&build, W4MOE_FORMAT, "key 1 of 1: its name, at byte 32");
    gguf_begin(&build);
    gguf_entry(&build, "", 0, W4_GGUF_I8, 1, shape, 0);
    gguf_build_bad(&build, W4MOE_FORMAT, "a name of 0 bytes");
    /* Of control characters nothing reaches the text. */
    gguf_begin(&build);
    gguf_entry(&build, "a\nb\x1B[2J", 7, 77, 1, shape, 0);
    gguf_build_bad(&build, W4MOE_UNSUPPORTED,
            "tensor \"a?b?[2J\": type 77 is not known");
}
END_TEST

START_TEST(long_names)
{
    const uint64_t shape[] = {1};
    char *name = malloc(W4_GGUF_NAME_MAX + 2);
    ck_assert_ptr_nonnull(name);
    memset(name, 'n', W4_GGUF_NAME_MAX + 1);
    name[W4_GGUF_NAME_MAX + 1] = '\0';
    struct gguf_build build;
    gguf_begin(&build);
    gguf_tensor(&build, name, W4_GGUF_I8, 1, shape, NULL, 1);
    gguf_build_bad(&build, W4MOE_FORMAT, "a name of 65536 bytes, 1 to 65535");
    gguf_begin(&build);
    gguf_uint32(&build, name, 7);
    gguf_build_bad(&build, W4MOE_FORMAT, "a name of 65536 bytes, 1 to 65535");
    gguf_begin(&build);
    gguf_uint32(&build, name + 1, 7);
    gguf_tensor(&build, name + 1, W4_GGUF_I8, 1, shape, NULL, 1);
    struct w4_gguf_set *set =
            gguf_open_good(gguf_write(&build, test_path("name.gguf")));
    uint64_t value = 0;
    ck_assert_int_eq(w4_gguf_get_uint(set, name + 1, &value), 1);
    ck_assert_uint_eq(value, 7);
    ck_assert_ptr_nonnull(w4_gguf_find(set, name + 1));
    w4_gguf_close(set);
    free(name);
}
END_TEST

/* ----------------------------------------------------------------- tensors */

START_TEST(shapes)
{
    static const struct {
        uint32_t type;
        uint32_t n_dims;
        uint64_t shape[6];
        const char *text;
    } cases[] = {
            {W4_GGUF_I8, 5, {1, 1, 1, 1, 1}, "5 dimensions, at most 4"},
            {W4_GGUF_I8, 0x7FFFFFFF, {1}, "2147483647 dimensions"},
            {W4_GGUF_I8, 3, {4, 0, 2}, "I8 [4, 0, 2] is empty"},
            {W4_GGUF_Q4_0, 1, {0}, "Q4_0 [0] is empty"},
            /* Products that would wrap to 0, to 64, to a few bytes. */
            {W4_GGUF_I8, 2, {UINT64_C(1) << 32, UINT64_C(1) << 32},
                    "I8 [4294967296, 4294967296] is beyond 2^64 elements"},
            {W4_GGUF_Q4_0, 3, {64, (UINT64_C(1) << 63) + 1, 2},
                    "is beyond 2^64 elements"},
            {W4_GGUF_F32, 1, {(UINT64_C(1) << 62) + 4},
                    "F32 [4611686018427387908] is beyond 2^64 bytes"},
            {W4_GGUF_I64, 4, {UINT64_C(1) << 20, 1 << 20, 1 << 20, 2},
                    "is beyond 2^64 bytes"},
            {W4_GGUF_I8, 1, {UINT64_MAX},
                    "18446744073709551615 bytes at offset 0 of the data"},
            {W4_GGUF_Q4_K, 2, {256, UINT64_MAX / 256},
                    "10376293541461622640 bytes at offset 0 of the data"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gguf_build build;
        uint32_t n_dims = cases[i].n_dims < 6 ? cases[i].n_dims : 1;
        gguf_begin(&build);
        gguf_tensor(
                &build, "w", cases[i].type, n_dims, cases[i].shape, NULL, 64);
        /* Behind the name's length and its one byte. */
        gguf_store(build.entries.bytes + 9, 4, cases[i].n_dims);
        gguf_build_bad(&build, W4MOE_FORMAT, cases[i].text);
    }
}
END_TEST

START_TEST(offsets)
{
    static const struct {
        uint64_t first;
        uint64_t second;
        const char *text;
    } cases[] = {
            {32, 64,
                    "tensor \"a\": offset 32, but the data before it, padded "
                    "to 32, ends at 0"},
            {0, 0,
                    "tensor \"b\": offset 0, but the data before it, padded to "
                    "32, ends at 64"},
            {0, 32, "tensor \"b\": offset 32"},
            {0, 40, "tensor \"b\": offset 40"},
            {0, 65, "tensor \"b\": offset 65"},
            {0, 96, "tensor \"b\": offset 96"},
            {64, 0, "tensor \"a\": offset 64"},
            {0, UINT64_MAX, "tensor \"b\": offset 18446744073709551615"},
            {0, UINT64_MAX - 31, "tensor \"b\": offset 18446744073709551584"},
    };
    const uint64_t shape[] = {40};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct gguf_build build;
        gguf_begin(&build);
        gguf_entry(&build, "a", 1, W4_GGUF_I8, 1, shape, cases[i].first);
        gguf_entry(&build, "b", 1, W4_GGUF_I8, 1, shape, cases[i].second);
        build.data.bytes = calloc(1, 1024);
        build.data.n = 1024;
        gguf_build_bad(&build, W4MOE_FORMAT, cases[i].text);
    }
    /* A header that ends with the file, which is before the padding. */
    struct gguf_build build;
    gguf_begin(&build);
    gguf_entry(&build, "a", 1, W4_GGUF_I8, 1, shape, 0);
    gguf_build_bad(&build, W4MOE_FORMAT,
            "40 bytes at offset 0 of the data, which has 0");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("gguf_refusals");
    TCase *tc = tcase_create("refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, gguf_err_setup, gguf_err_teardown);
    tcase_add_test(tc, keys);
    tcase_add_test(tc, alignments);
    tcase_add_test(tc, names);
    tcase_add_test(tc, long_names);
    tcase_add_test(tc, shapes);
    tcase_add_test(tc, offsets);
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
