/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A temporary folder for tests, and whole files in it. Needs nothing of the
 * library. What goes wrong here ends the test.
 */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#include <stddef.h>

/** Makes a folder under $TMPDIR or /tmp for the whole program; the second
 * removes it with all that is in it. For an unchecked fixture. */
extern void test_folder_make(void);
extern void test_folder_remove(void);

/** A path in that folder. Valid until the ninth call after this. */
extern const char *test_path(const char *format, ...)
        __attribute__((format(printf, 1, 2)));

/** Makes a folder; returns its path. */
extern const char *test_subfolder(const char *path);

/** Writes a file. */
extern void test_file_write(const char *path, const void *bytes, size_t n);

/** The whole content of a file, and a 0 behind it. Free it. */
extern unsigned char *test_file_read(const char *path, size_t *n);

/** Whether there is something of this name. */
extern int test_file_exists(const char *path);

/** Entries of a folder whose names contain a text. */
extern size_t test_folder_count(const char *folder, const char *part);

/** Path of a file of the source tree: below the environment's srcdir, or the
 * working directory. Valid as test_path()'s. */
extern const char *test_source_path(const char *name);

#endif
