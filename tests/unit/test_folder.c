/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "test_folder.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_PATHS = 8, PATH_SIZE = 4096 };

static char root[PATH_SIZE / 2];
static char paths[N_PATHS][PATH_SIZE];
static unsigned next_path;

void
test_folder_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof(root), "%s/w4moe-test-XXXXXX",
            tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    ck_assert_msg(mkdtemp(root) != NULL, "%s: %s", root, strerror(errno));
}

static int
remove_entry(
        const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void
test_folder_remove(void)
{
    ck_assert_int_eq(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *
test_path(const char *format, ...)
{
    char *path = paths[next_path++ % N_PATHS];
    int n = snprintf(path, PATH_SIZE, "%s/", root);
    va_list args;
    va_start(args, format);
    vsnprintf(path + n, PATH_SIZE - (size_t)n, format, args);
    va_end(args);
    return path;
}

const char *
test_subfolder(const char *path)
{
    ck_assert_msg(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %s", path,
            strerror(errno));
    return path;
}

void
test_file_write(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(n != 0 ? fwrite(bytes, 1, n, file) : 0, n);
    ck_assert_int_eq(fclose(file), 0);
}

unsigned char *
test_file_read(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    ck_assert_int_ge(size, 0);
    rewind(file);
    unsigned char *bytes = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, (size_t)size, file), (size_t)size);
    bytes[size] = 0;
    fclose(file);
    *n = (size_t)size;
    return bytes;
}

int
test_file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

size_t
test_folder_count(const char *folder, const char *part)
{
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s: %s", folder, strerror(errno));
    size_t n = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL;
            entry = readdir(dir)) {
        n += strstr(entry->d_name, part) != NULL;
    }
    closedir(dir);
    return n;
}

const char *
test_source_path(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char *path = paths[next_path++ % N_PATHS];
    snprintf(path, PATH_SIZE, "%s/%s", srcdir != NULL ? srcdir : ".", name);
    return path;
}
