/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * A fuzz target as a test, without libFuzzer: its seeds, the files of its
 * corpus folder, and of each some that begin like it and some that are changed
 * a little, the same in every run.
 *
 * usage: fuzz_TARGET [FILE...]
 *
 * With files, it is only those, as they are.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "test_folder.h"
#include "test_random.h"

/* Of each input, how many beginnings and how many changed ones at most; and by
 * how much changes may make it longer. */
enum { N_BEGINNINGS = 200, N_CHANGED = 200, GROWTH = 64 };

/* Targets may have none. */
extern size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
        size_t max_size, unsigned seed) __attribute__((weak));

static struct test_random random_state;

static const char *target;

static void
run(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(data, size);
    ck_assert_int_eq(LLVMFuzzerTestOneInput((uint8_t *)copy, size), 0);
    free(copy);
}

/* Turns one byte into another, moves bytes from one place to another, or takes
 * some away. */
size_t
LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    if (size == 0) {
        return 0;
    }
    size_t at = test_random_below(&random_state, size);
    size_t from = test_random_below(&random_state, size);
    size_t n = 1 + test_random_below(&random_state, 8);
    switch (test_random_below(&random_state, 4)) {
    case 0:
        data[at] = (uint8_t)test_random(&random_state);
        return size;
    case 1:
        data[at] ^= (uint8_t)(1u << test_random_below(&random_state, 8));
        return size;
    case 2:
        n = n < size - at ? n : size - at;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    default:
        n = n < size - from ? n : size - from;
        if (size + n > max_size) {
            return size;
        }
        memmove(data + at + n, data + at, size - at);
        memmove(data + at, data + (from < at ? from : from + n), n);
        return size + n;
    }
}

static size_t
change(uint8_t *data, size_t size, size_t max_size)
{
    if (LLVMFuzzerCustomMutator != NULL) {
        unsigned seed = (unsigned)test_random(&random_state);
        return LLVMFuzzerCustomMutator(data, size, max_size, seed);
    }
    return LLVMFuzzerMutate(data, size, max_size);
}

/* An input, and what can be made of it. */
static void
run_all(void *user, const char *name, const uint8_t *data, size_t size)
{
    size_t *n_inputs = user;
    size_t step = size / N_BEGINNINGS + 1;
    size_t max_size = size + GROWTH;
    uint8_t *changed = malloc(max_size);
    ck_assert_ptr_nonnull(changed);
    /* Stands in the log if the process ends. */
    printf("%s: %s, %zu bytes\n", target, name, size);
    fflush(stdout);
    ++*n_inputs;
    run(data, size);
    for (size_t n = 0; n < size; n += step) {
        run(data, n);
    }
    size_t n = 0;
    for (int i = 0; i < N_CHANGED && size > 0; i++) {
        /* A few changes in a row, then from the beginning. */
        if (i % 4 == 0) {
            memcpy(changed, data, size);
            n = size;
        }
        n = change(changed, n, max_size);
        run(changed, n);
    }
    free(changed);
}

START_TEST(seeds)
{
    size_t n_inputs = 0;
    random_state.counter = 1;
    fuzz_seeds(target, run_all, &n_inputs);
}
END_TEST

START_TEST(corpus)
{
    char folder[256];
    size_t n_inputs = 0;
    random_state.counter = 2;
    snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", target);
    struct dirent **names;
    int n = scandir(test_source_path(folder), &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            size_t size;
            unsigned char *data = test_file_read(test_source_path(path), &size);
            run_all(&n_inputs, names[i]->d_name, data, size);
            free(data);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
    /* A folder that is not found must not pass for an empty one. */
    ck_assert_uint_gt(n_inputs, 0);
}
END_TEST

static char **files;

START_TEST(given)
{
    size_t size;
    unsigned char *data = test_file_read(files[_i], &size);
    run(data, size);
    free(data);
}
END_TEST

/* "st_header" of "tests/fuzz/.libs/lt-fuzz_st_header". */
static const char *
name_of(const char *program)
{
    const char *name = strstr(program, "fuzz_");
    while (name != NULL && strchr(name, '/') != NULL) {
        name = strstr(name + 1, "fuzz_");
    }
    return name != NULL ? name + 5 : "";
}

int
main(int argc, char **argv)
{
    target = name_of(argv[0]);
    files = argv + 1;
    Suite *suite = suite_create(argv[0]);
    TCase *tc = tcase_create(target);
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    if (argc > 1) {
        tcase_add_loop_test(tc, given, 0, argc - 1);
    } else {
        tcase_add_test(tc, seeds);
        tcase_add_test(tc, corpus);
    }
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
