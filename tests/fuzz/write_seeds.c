/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * usage: write_seeds TARGET FOLDER
 *
 * Writes the seeds of a fuzz target as files into a folder, for libFuzzer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "test_folder.h"

static char **arguments;

static void
write_seed(void *user, const char *name, const uint8_t *data, size_t size)
{
    unsigned *n = user;
    char path[4096];
    (void)name;
    snprintf(path, sizeof(path), "%s/seed-%02u", arguments[2], (*n)++);
    test_file_write(path, data, size);
}

START_TEST(write_seeds)
{
    unsigned n = 0;
    fuzz_seeds(arguments[1], write_seed, &n);
}
END_TEST

int
main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: write_seeds TARGET FOLDER\n");
        return 2;
    }
    arguments = argv;
    Suite *suite = suite_create("write_seeds");
    TCase *tc = tcase_create("write_seeds");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_test(tc, write_seeds);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
