/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "st_helpers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct w4_err st_err;

const char st_small[] =
        "{'__metadata__':{'format':'pt','a\\nb':''},"
        "'w':{'dtype':'F32','shape':[2,3],'data_offsets':[2,26]},"
        "'e':{'dtype':'I64','shape':[0],'data_offsets':[26,26]},"
        "'s':{'shape':[],'data_offsets':[0,2],'dtype':'BF16'},"
        "'n\\u00e9\\ud83d\\ude00\\/':"
        "{'dtype':'F4','shape':[6],'data_offsets':[26,29]}}   ";

const char *const st_small_names[4] = {
        "s", "w", "e", "n\xC3\xA9\xF0\x9F\x98\x80/"};

static char folder[512];

void
st_err_setup(void)
{
    w4_err_init(&st_err, NULL, NULL);
}

void
st_err_teardown(void)
{
    w4_err_fini(&st_err);
}

struct w4_st_set *
st_open_good(const char *path)
{
    struct w4_st_set *set = NULL;
    w4moe_status status = w4_st_open(&st_err, &set, path);
    ck_assert_msg(status == W4MOE_OK, "%s", w4_err_text(&st_err));
    return set;
}

void
st_open_bad(const char *path, w4moe_status wanted, const char *text)
{
    struct w4_st_set *set = NULL;
    w4moe_status status = w4_st_open(&st_err, &set, path);
    const char *got = w4_err_text(&st_err);
    ck_assert_msg(status == wanted && set == NULL,
            "%s: status %d, wanted %d ('%s'); text: '%s'", path, (int)status,
            (int)wanted, text, got);
    ck_assert_msg(strstr(got, text) != NULL, "'%s' lacks '%s'", got, text);
    /* Of a long path only the end is shown. */
    size_t n = strlen(path);
    ck_assert_msg(n > 150 || strncmp(got, path, n) == 0,
            "'%s' does not begin with '%s'", got, path);
}

void
st_folder_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/w4moe-io-XXXXXX",
            base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(99);
    }
}

static void
remove_all(const char *path)
{
    DIR *entries = opendir(path);
    struct dirent *entry;
    char name[1024];
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 ||
                strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        struct stat info;
        if (lstat(name, &info) == 0 && S_ISDIR(info.st_mode)) {
            remove_all(name);
        } else {
            unlink(name);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    rmdir(path);
}

void
st_folder_remove(void)
{
    remove_all(folder);
}

const char *
st_path(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

const char *
st_subfolder(const char *name)
{
    static char paths[32][1024];
    static unsigned n;
    ck_assert_uint_lt(n, 32);
    char *path = paths[n++];
    snprintf(path, sizeof(paths[0]), "%s", st_path(name));
    ck_assert_int_eq(mkdir(path, 0777), 0);
    return path;
}

const char *
st_write(const char *name, const void *bytes, size_t n)
{
    const char *path = st_path(name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* Copies a text and turns ' into ". */
static void
copy_quoted(unsigned char *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (unsigned char)(text[i] == '\'' ? '"' : text[i]);
    }
}

const char *
st_write_text(const char *name, const char *text)
{
    size_t n = strlen(text);
    unsigned char *bytes = malloc(n + 1);
    ck_assert_ptr_nonnull(bytes);
    copy_quoted(bytes, text, n);
    const char *path = st_write(name, bytes, n);
    free(bytes);
    return path;
}

const char *
st_write_file(const char *name, const char *json, size_t n_data)
{
    size_t n = strlen(json);
    unsigned char *bytes = malloc(8 + n + n_data);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)n >> (8 * i));
    }
    copy_quoted(bytes + 8, json, n);
    for (size_t i = 0; i < n_data; i++) {
        bytes[8 + n + i] = (unsigned char)i;
    }
    const char *path = st_write(name, bytes, 8 + n + n_data);
    free(bytes);
    return path;
}

int
st_has_unnamed(const char *path)
{
#ifdef O_TMPFILE
    int file = open(path, O_TMPFILE | O_RDWR, 0666);
    if (file >= 0) {
        close(file);
        return access("/proc/self/fd/0", F_OK) == 0;
    }
#endif
    (void)path;
    return 0;
}

unsigned char *
st_read(const char *path, size_t *n)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(stat(path, &info), 0);
    *n = (size_t)info.st_size;
    unsigned char *bytes = malloc(*n + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *n, file), *n);
    fclose(file);
    return bytes;
}

/* Counts entries; the path of the last one is kept in `last`. */
static unsigned
search(const char *path, const char *part, char *last, size_t size)
{
    DIR *entries = opendir(path);
    struct dirent *entry;
    unsigned n = 0;
    ck_assert_ptr_nonnull(entries);
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
                strcmp(entry->d_name, "..") != 0 &&
                strstr(entry->d_name, part) != NULL) {
            snprintf(last, size, "%s/%s", path, entry->d_name);
            n++;
        }
    }
    closedir(entries);
    return n;
}

const char *
st_only(const char *path, const char *part)
{
    static char found[1024];
    ck_assert_uint_eq(search(path, part, found, sizeof(found)), 1);
    return found;
}

unsigned
st_count(const char *path, const char *part)
{
    char last[1024];
    return search(path, part, last, sizeof(last));
}

/* ---------------------------------------------------------------- writing */

const struct w4_st_entry st_entries[ST_N_ENTRIES] = {
        {"a", W4MOE_U8, 1, {1}},
        {"b\"\\\n\xC3\xA9", W4MOE_U8, 1, {63}},
        {"c", W4MOE_F32, 2, {4, 4}},
        {"d", W4MOE_BF16, 3, {5, 1, 13}},
        {"e", W4MOE_I64, 2, {0, 9}},
        {"f", W4MOE_F64, 0, {0}},
        {"g", W4MOE_F8_E8M0, 8, {1, 2, 1, 2, 1, 2, 1, 125}},
};
const uint64_t st_sizes[ST_N_ENTRIES] = {1, 63, 64, 130, 0, 8, 1000};

unsigned char
st_pattern(size_t entry, uint64_t offset)
{
    return (unsigned char)(entry * 37 + offset * 11 + (offset >> 8) + 1);
}

w4moe_status
st_write_part(
        struct w4_st_writer *writer, size_t entry, uint64_t begin, uint64_t end)
{
    unsigned char bytes[1024];
    for (uint64_t i = begin; i < end; i++) {
        bytes[i - begin] = st_pattern(entry, i);
    }
    return w4_st_writer_write(writer, entry, begin, bytes, end - begin);
}

void
st_write_entries(struct w4_st_writer *writer)
{
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        ST_CHECK_OK(st_write_part(writer, i, 0, st_sizes[i]));
    }
}

struct w4_st_writer *
st_create(const char *path)
{
    struct w4_st_writer *writer = NULL;
    ST_CHECK_OK(w4_st_writer_create(
            &st_err, &writer, path, st_entries, ST_N_ENTRIES, 0, 0));
    return writer;
}

void
st_check_written(const char *path)
{
    struct w4_st_set *set = st_open_good(path);
    ck_assert_uint_eq(w4_st_count(set), ST_N_ENTRIES + ST_N_PADS);
    for (size_t i = 0; i < ST_N_ENTRIES; i++) {
        const struct w4_tensor *tensor = w4_st_find(set, st_entries[i].name);
        ck_assert_ptr_nonnull(tensor);
        ck_assert_int_eq(tensor->dtype, st_entries[i].dtype);
        ck_assert_uint_eq(tensor->n_dims, st_entries[i].n_dims);
        for (size_t j = 0; j < st_entries[i].n_dims; j++) {
            ck_assert_uint_eq(tensor->shape[j], st_entries[i].shape[j]);
        }
        ck_assert_uint_eq(tensor->n_bytes, st_sizes[i]);
        /* The mapping begins at a page, so this is the offset in the file. */
        ck_assert_uint_eq((uintptr_t)tensor->data % 64, 0);
        for (uint64_t j = 0; j < st_sizes[i]; j++) {
            ck_assert_uint_eq(
                    ((const unsigned char *)tensor->data)[j], st_pattern(i, j));
        }
    }
    for (unsigned i = 0; i < ST_N_PADS; i++) {
        static const uint64_t pads[ST_N_PADS] = {63, 1, 62, 56};
        char name[16];
        snprintf(name, sizeof(name), "pad.%u", i);
        const struct w4_tensor *pad = w4_st_find(set, name);
        ck_assert_ptr_nonnull(pad);
        ck_assert_int_eq(pad->dtype, W4MOE_U8);
        ck_assert_uint_eq(pad->n_bytes, pads[i]);
        for (uint64_t j = 0; j < pads[i]; j++) {
            ck_assert_uint_eq(((const unsigned char *)pad->data)[j], 0);
        }
    }
    w4_st_close(set);
}

void
st_check_same(const char *path, const char *other)
{
    size_t n, n_other;
    unsigned char *bytes = st_read(path, &n);
    unsigned char *others = st_read(other, &n_other);
    ck_assert_uint_eq(n, n_other);
    ck_assert_mem_eq(bytes, others, n);
    free(others);
    free(bytes);
}
