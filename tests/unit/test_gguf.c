/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading good GGUF files: tensors of every type, metadata of every type. */
#include <check.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "gguf_check.h"
#include "test_folder.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Blocks in a tensor of rank 1 to 4 of tensor_types. */
static const size_t n_blocks[] = {2, 6, 6, 12};

/* Bytes of one block, from the descriptions of the types. */
static const struct {
    enum w4_gguf_type type;
    const char *name;
    uint64_t block;
    size_t n_bytes;
} types[] = {
        {W4_GGUF_F32, "F32", 1, 4},
        {W4_GGUF_F16, "F16", 1, 2},
        {W4_GGUF_Q4_0, "Q4_0", 32, 18},
        {W4_GGUF_Q4_1, "Q4_1", 32, 20},
        {W4_GGUF_Q5_0, "Q5_0", 32, 22},
        {W4_GGUF_Q5_1, "Q5_1", 32, 24},
        {W4_GGUF_Q8_0, "Q8_0", 32, 34},
        {W4_GGUF_Q8_1, "Q8_1", 32, 36},
        {W4_GGUF_Q2_K, "Q2_K", 256, 84},
        {W4_GGUF_Q3_K, "Q3_K", 256, 110},
        {W4_GGUF_Q4_K, "Q4_K", 256, 144},
        {W4_GGUF_Q5_K, "Q5_K", 256, 176},
        {W4_GGUF_Q6_K, "Q6_K", 256, 210},
        {W4_GGUF_Q8_K, "Q8_K", 256, 292},
        {W4_GGUF_IQ2_XXS, "IQ2_XXS", 256, 66},
        {W4_GGUF_IQ2_XS, "IQ2_XS", 256, 74},
        {W4_GGUF_IQ3_XXS, "IQ3_XXS", 256, 98},
        {W4_GGUF_IQ1_S, "IQ1_S", 256, 50},
        {W4_GGUF_IQ4_NL, "IQ4_NL", 32, 18},
        {W4_GGUF_IQ3_S, "IQ3_S", 256, 110},
        {W4_GGUF_IQ2_S, "IQ2_S", 256, 82},
        {W4_GGUF_IQ4_XS, "IQ4_XS", 256, 136},
        {W4_GGUF_I8, "I8", 1, 1},
        {W4_GGUF_I16, "I16", 1, 2},
        {W4_GGUF_I32, "I32", 1, 4},
        {W4_GGUF_I64, "I64", 1, 8},
        {W4_GGUF_F64, "F64", 1, 8},
        {W4_GGUF_IQ1_M, "IQ1_M", 256, 56},
        {W4_GGUF_BF16, "BF16", 1, 2},
        {W4_GGUF_TQ1_0, "TQ1_0", 256, 54},
        {W4_GGUF_TQ2_0, "TQ2_0", 256, 66},
        {W4_GGUF_MXFP4, "MXFP4", 32, 17},
        {W4_GGUF_NVFP4, "NVFP4", 64, 36},
        {W4_GGUF_Q1_0, "Q1_0", 128, 18},
        {W4_GGUF_Q2_0, "Q2_0", 64, 18},
};

START_TEST(tensor_types)
{
    struct gguf_build build;
    gguf_begin(&build);
    for (size_t i = 0; i < LENGTH(types); i++) {
        const uint64_t shape[] = {2 * types[i].block, 3, 1, 2};
        uint32_t n_dims = 1 + (uint32_t)i % 4;
        gguf_tensor(&build, types[i].name, types[i].type, n_dims, shape, NULL,
                types[i].n_bytes * n_blocks[n_dims - 1]);
    }
    struct w4_gguf_set *set =
            gguf_open_good(gguf_write(&build, test_path("types.gguf")));
    ck_assert_uint_eq(w4_gguf_count(set), LENGTH(types));
    for (size_t i = 0; i < LENGTH(types); i++) {
        const struct w4_gguf_tensor *tensor = w4_gguf_at(set, i);
        const uint64_t shape[] = {2 * types[i].block, 3, 1, 2};
        uint32_t n_dims = 1 + (uint32_t)i % 4;
        ck_assert_str_eq(tensor->name, types[i].name);
        gguf_check_tensor(tensor, types[i].type, types[i].name, n_dims, shape,
                types[i].n_bytes * n_blocks[n_dims - 1]);
        ck_assert_ptr_eq(w4_gguf_find(set, types[i].name), tensor);
        ck_assert_uint_eq(tensor->file, 0);
    }
    ck_assert_ptr_null(w4_gguf_find(set, "Q4_"));
    ck_assert_ptr_null(w4_gguf_find(set, ""));
    ck_assert_ptr_null(w4_gguf_find(set, "Q4_K "));
    w4_gguf_close(set);
}
END_TEST

/* All numbers that are none of a type, and rows that are not in blocks. */
START_TEST(unknown_types)
{
    const uint64_t shape[] = {256, 1};
    for (uint32_t type = 0; type < 300; type++) {
        int is_known = 0;
        for (size_t i = 0; i < LENGTH(types); i++) {
            is_known |= types[i].type == type;
        }
        if (!is_known) {
            struct gguf_build build;
            char text[64];
            snprintf(text, sizeof(text), "tensor \"w\": type %u is not known",
                    type);
            gguf_begin(&build);
            gguf_tensor(&build, "w", type, 2, shape, NULL, 1024);
            gguf_build_bad(&build, W4MOE_UNSUPPORTED, text);
        }
    }
    for (size_t i = 0; i < LENGTH(types); i++) {
        if (types[i].block > 1) {
            const uint64_t odd[] = {types[i].block / 2, 4};
            struct gguf_build build;
            char text[64];
            snprintf(text, sizeof(text), "whole blocks of %u",
                    (unsigned)types[i].block);
            gguf_begin(&build);
            gguf_tensor(&build, "w", types[i].type, 2, odd, NULL, 1024);
            gguf_build_bad(&build, W4MOE_FORMAT, text);
        }
    }
}
END_TEST

/* ---------------------------------------------------------------- metadata */

static const struct {
    const char *key;
    enum w4_gguf_value type;
    size_t n_bytes;
    uint64_t value;
    int is_fit;
} integers[] = {
        {"u8", W4_GGUF_VALUE_UINT8, 1, 255, 1},
        {"u16", W4_GGUF_VALUE_UINT16, 2, 65535, 1},
        {"u32", W4_GGUF_VALUE_UINT32, 4, 0xFFFFFFFFu, 1},
        {"u64", W4_GGUF_VALUE_UINT64, 8, UINT64_MAX, 1},
        {"i8", W4_GGUF_VALUE_INT8, 1, 127, 1},
        {"i16", W4_GGUF_VALUE_INT16, 2, 32767, 1},
        {"i32", W4_GGUF_VALUE_INT32, 4, 0x7FFFFFFF, 1},
        {"i64", W4_GGUF_VALUE_INT64, 8, INT64_MAX, 1},
        {"i8.negative", W4_GGUF_VALUE_INT8, 1, 0x80, 0},
        {"i16.negative", W4_GGUF_VALUE_INT16, 2, 0xFFFF, 0},
        {"i32.negative", W4_GGUF_VALUE_INT32, 4, 0x80000000u, 0},
        {"i64.negative", W4_GGUF_VALUE_INT64, 8, UINT64_MAX, 0},
};

START_TEST(integer_keys)
{
    struct gguf_build build;
    gguf_begin(&build);
    for (size_t i = 0; i < LENGTH(integers); i++) {
        gguf_number(&build, integers[i].key, integers[i].type,
                integers[i].n_bytes, integers[i].value);
        char key[32];
        const uint64_t values[] = {7, integers[i].value};
        snprintf(key, sizeof(key), "array.%s", integers[i].key);
        gguf_array(
                &build, key, integers[i].type, integers[i].n_bytes, values, 2);
    }
    struct w4_gguf_set *set =
            gguf_open_good(gguf_write(&build, test_path("integers.gguf")));
    ck_assert_uint_eq(w4_gguf_count(set), 0);
    for (size_t i = 0; i < LENGTH(integers); i++) {
        uint64_t value = 12345;
        uint64_t wanted = integers[i].is_fit ? integers[i].value : 12345;
        ck_assert_int_eq(w4_gguf_get_uint(set, integers[i].key, &value),
                integers[i].is_fit);
        ck_assert_uint_eq(value, wanted);

        char key[32];
        struct w4_gguf_array array = {0};
        snprintf(key, sizeof(key), "array.%s", integers[i].key);
        ck_assert_int_eq(w4_gguf_get_uint(set, key, &value), 0);
        ck_assert_int_eq(w4_gguf_get_array(set, integers[i].key, &array), 0);
        ck_assert_int_eq(w4_gguf_get_array(set, key, &array), 1);
        ck_assert_uint_eq(array.type, integers[i].type);
        ck_assert_uint_eq(array.n, 2);
        ck_assert_int_eq(w4_gguf_array_uint(&array, 0, &value), 1);
        ck_assert_uint_eq(value, 7);
        value = 12345;
        ck_assert_int_eq(
                w4_gguf_array_uint(&array, 1, &value), integers[i].is_fit);
        ck_assert_uint_eq(value, wanted);
    }
    w4_gguf_close(set);
}
END_TEST

START_TEST(other_keys)
{
    static const char *const words[] = {"", "a", "b\xC3\xA9"};
    const uint64_t flags[] = {1, 0, 1};
    uint32_t floats[] = {0x3FC00000u, 0xC0000000u};
    const uint64_t float_bits[] = {floats[0], floats[1]};
    struct gguf_build build;
    gguf_begin(&build);
    gguf_float32(&build, "f32", -1.5f);
    gguf_float64(&build, "f64", DBL_MIN);
    gguf_float32(&build, "inf", INFINITY);
    gguf_bool(&build, "yes", 1);
    gguf_bool(&build, "no", 0);
    gguf_string(&build, "string", "na\xC3\xAFve");
    gguf_string(&build, "empty", "");
    gguf_string_n(&build, "nul", "a\0b", 3);
    gguf_string_n(&build, "latin", "a\xEF", 2);
    gguf_strings(&build, "words", words, 3);
    gguf_strings(&build, "no words", words, 0);
    gguf_array(&build, "flags", W4_GGUF_VALUE_BOOL, 1, flags, 3);
    gguf_array(&build, "floats", W4_GGUF_VALUE_FLOAT32, 4, float_bits, 2);
    gguf_array(&build, "nothing", W4_GGUF_VALUE_INT64, 8, flags, 0);
    gguf_uint32(&build, "z", 1);
    struct w4_gguf_set *set =
            gguf_open_good(gguf_write(&build, test_path("others.gguf")));

    double real = 0;
    ck_assert_int_eq(w4_gguf_get_float(set, "f32", &real), 1);
    ck_assert_double_eq(real, -1.5);
    ck_assert_int_eq(w4_gguf_get_float(set, "f64", &real), 1);
    ck_assert_double_eq(real, DBL_MIN);
    ck_assert_int_eq(w4_gguf_get_float(set, "inf", &real), 1);
    ck_assert(isinf(real));
    ck_assert_int_eq(w4_gguf_get_float(set, "z", &real), 0);
    ck_assert_int_eq(w4_gguf_get_float(set, "floats", &real), 0);

    int flag = 7;
    ck_assert_int_eq(w4_gguf_get_bool(set, "z", &flag), 0);
    ck_assert_int_eq(w4_gguf_get_bool(set, "flags", &flag), 0);
    ck_assert_int_eq(flag, 7);
    ck_assert_int_eq(w4_gguf_get_bool(set, "yes", &flag), 1);
    ck_assert_int_eq(flag, 1);
    ck_assert_int_eq(w4_gguf_get_bool(set, "no", &flag), 1);
    ck_assert_int_eq(flag, 0);

    ck_assert_str_eq(w4_gguf_get_string(set, "string"), "na\xC3\xAFve");
    ck_assert_str_eq(w4_gguf_get_string(set, "empty"), "");
    static const char *const none[] = {"nul", "latin", "words", "z", "absent"};
    for (size_t i = 0; i < LENGTH(none); i++) {
        ck_assert_ptr_null(w4_gguf_get_string(set, none[i]));
    }

    uint64_t value = 0;
    struct w4_gguf_array array = {0};
    ck_assert_int_eq(w4_gguf_get_uint(set, "yes", &value), 0);
    ck_assert_int_eq(w4_gguf_get_uint(set, "f32", &value), 0);
    ck_assert_int_eq(w4_gguf_get_uint(set, "absent", &value), 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "words", &array), 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "no words", &array), 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "string", &array), 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "nothing", &array), 1);
    ck_assert_uint_eq(array.n, 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "flags", &array), 1);
    ck_assert_uint_eq(array.n, 3);
    ck_assert_mem_eq(array.data, "\1\0\1", 3);
    ck_assert_int_eq(w4_gguf_array_uint(&array, 0, &value), 0);
    ck_assert_int_eq(w4_gguf_get_array(set, "floats", &array), 1);
    ck_assert_uint_eq(array.type, W4_GGUF_VALUE_FLOAT32);
    ck_assert_uint_eq(w4_load_le32((const char *)array.data + 4), floats[1]);
    w4_gguf_close(set);
}
END_TEST

/* ------------------------------------------------------------------- files */

/* Every version, alignment and rank; names that are not ASCII; order. */
START_TEST(layouts)
{
    const uint64_t shape[] = {3, 5};
    for (uint32_t version = 2; version <= 3; version++) {
        for (uint64_t alignment = 1; alignment <= 1 << 20; alignment *= 4) {
            struct gguf_build build;
            gguf_begin(&build);
            build.version = version;
            build.alignment = alignment;
            gguf_uint32(&build, "general.alignment", (uint32_t)alignment);
            gguf_tensor(&build, "z\xC3\xA9", W4_GGUF_I8, 2, shape, NULL, 15);
            gguf_tensor(&build, "scalar", W4_GGUF_F64, 0, NULL, NULL, 8);
            gguf_tensor(&build, "a", W4_GGUF_F16, 2, shape, NULL, 30);
            const char *path = gguf_write(&build, test_path("layout.gguf"));
            struct w4_gguf_set *set = gguf_open_good(path);
            ck_assert_uint_eq(w4_gguf_count(set), 3);
            gguf_check_tensor(w4_gguf_find(set, "z\xC3\xA9"), W4_GGUF_I8, "I8",
                    2, shape, 15);
            gguf_check_tensor(w4_gguf_find(set, "scalar"), W4_GGUF_F64, "F64",
                    0, NULL, 8);
            gguf_check_tensor(
                    w4_gguf_find(set, "a"), W4_GGUF_F16, "F16", 2, shape, 30);
            ck_assert_str_eq(w4_gguf_at(set, 2)->name, "a");
            ck_assert_uint_eq(w4_gguf_file_count(set), 1);
            ck_assert_str_eq(w4_gguf_file_path(set, 0), path);
            struct stat info;
            ck_assert_int_eq(stat(path, &info), 0);
            ck_assert_uint_eq(w4_gguf_file_bytes(set), (uint64_t)info.st_size);
            w4_gguf_close(set);
        }
    }
}
END_TEST

/* Neither keys nor tensors; padding and more behind the last tensor. */
START_TEST(ends)
{
    const uint64_t shape[] = {4};
    struct gguf_build build;
    gguf_begin(&build);
    struct w4_gguf_set *set =
            gguf_open_good(gguf_write(&build, test_path("empty.gguf")));
    uint64_t value;
    ck_assert_uint_eq(w4_gguf_count(set), 0);
    ck_assert_ptr_null(w4_gguf_find(set, "a"));
    ck_assert_int_eq(w4_gguf_get_uint(set, "a", &value), 0);
    w4_gguf_close(set);

    gguf_begin(&build);
    gguf_tensor(&build, "a", W4_GGUF_I8, 1, shape, NULL, 4);
    size_t n;
    unsigned char *bytes = gguf_finish(&build, &n);
    for (size_t n_more = 0; n_more < 70; n_more += 23) {
        unsigned char *longer = calloc(1, n + n_more);
        ck_assert_ptr_nonnull(longer);
        memcpy(longer, bytes, n);
        test_file_write(test_path("longer.gguf"), longer, n + n_more);
        free(longer);
        set = gguf_open_good(test_path("longer.gguf"));
        gguf_check_tensor(w4_gguf_at(set, 0), W4_GGUF_I8, "I8", 1, shape, 4);
        w4_gguf_close(set);
    }
    free(bytes);
}
END_TEST

START_TEST(is_gguf)
{
    struct gguf_build build;
    gguf_begin(&build);
    ck_assert(w4_gguf_is(gguf_write(&build, test_path("is.gguf"))));
    test_file_write(test_path("short"), "GGUF", 4);
    ck_assert(w4_gguf_is(test_path("short")));
    test_file_write(test_path("short"), "GGU", 3);
    ck_assert(!w4_gguf_is(test_path("short")));
    test_file_write(test_path("other"), "FGGUF", 5);
    ck_assert(!w4_gguf_is(test_path("other")));
    ck_assert(!w4_gguf_is("/"));
    ck_assert(!w4_gguf_is(test_path("missing")));
    ck_assert_int_eq(mkfifo(test_path("pipe"), 0666), 0);
    ck_assert(!w4_gguf_is(test_path("pipe")));
    /* Nothing is taken out of a pipe to find out. */
    char magic[5] = "GGUF";
    int pipe = open(test_path("pipe"), O_RDWR | O_NONBLOCK);
    ck_assert_int_eq(write(pipe, magic, 4), 4);
    ck_assert(!w4_gguf_is(test_path("pipe")));
    ck_assert_int_eq(read(pipe, magic, 4), 4);
    close(pipe);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tc = tcase_create("good");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, gguf_err_setup, gguf_err_teardown);
    tcase_add_test(tc, tensor_types);
    tcase_add_test(tc, unknown_types);
    tcase_add_test(tc, integer_keys);
    tcase_add_test(tc, other_keys);
    tcase_add_test(tc, layouts);
    tcase_add_test(tc, ends);
    tcase_add_test(tc, is_gguf);
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
