/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading damaged safetensors files: cut off, with flipped bits, with lengths
 * and nesting out of all proportion, and things that are no files at all. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "st_helpers.h"

START_TEST(cut_off)
{
    size_t n;
    unsigned char *bytes =
            st_read(st_write_file("whole", st_small, ST_SMALL_DATA), &n);
    ck_assert_uint_eq(n, 8 + strlen(st_small) + ST_SMALL_DATA);
    for (size_t i = 0; i < n; i++) {
        st_open_bad(st_write("cut", bytes, i), W4MOE_FORMAT, "");
    }
    st_open_bad(st_write("cut", bytes, 0), W4MOE_FORMAT, "is empty");
    st_open_bad(st_write("cut", bytes, 7), W4MOE_FORMAT, "7 bytes are too few");
    st_open_bad(st_write("cut", bytes, 8), W4MOE_FORMAT, "in a file of 8");

    unsigned char *longer = calloc(1, n + 1);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, bytes, n);
    st_open_bad(st_write("long", longer, n + 1), W4MOE_FORMAT,
            "the tensors end at 29 of 30 bytes");
    free(longer);
    free(bytes);
}
END_TEST

/* Whether byte `at` of the small file belongs to a name or to metadata, which
 * may hold anything. */
static int
is_free_text(const unsigned char *bytes, size_t at)
{
    if (at < 8) {
        return 0;
    }
    /* Within quotes, but not within those of an entry's own keys and types,
     * which stand at depth 2. */
    int depth = 0;
    int quoted = 0;
    int in_metadata = 0;
    for (size_t i = 8; i < at; i++) {
        if (bytes[i] == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            depth += (bytes[i] == '{') - (bytes[i] == '}');
        } else if (depth == 1) {
            in_metadata = bytes[i - 1] == '_';
        }
    }
    return quoted && (depth == 1 || in_metadata);
}

/* Whether an opened file has the tensors of the small one, apart from their
 * names if those may differ. */
static int
is_small(const struct w4_st_set *set, const struct w4_st_set *good, int named)
{
    if (w4_st_count(set) != w4_st_count(good)) {
        return 0;
    }
    for (size_t i = 0; i < w4_st_count(set); i++) {
        const struct w4_tensor *s = w4_st_at(set, i);
        const struct w4_tensor *t = w4_st_at(good, i);
        if (s->dtype != t->dtype || strcmp(s->dtype_name, t->dtype_name) != 0 ||
                s->n_dims != t->n_dims || s->n_bytes != t->n_bytes ||
                memcmp(s->shape, t->shape, sizeof(s->shape)) != 0 ||
                memcmp(s->data, t->data, (size_t)s->n_bytes) != 0 ||
                (named && strcmp(s->name, t->name) != 0)) {
            return 0;
        }
    }
    return 1;
}

START_TEST(flipped_bits)
{
    size_t n;
    const char *path = st_write_file("whole", st_small, ST_SMALL_DATA);
    struct w4_st_set *good = st_open_good(path);
    unsigned char *bytes = st_read(path, &n);
    unsigned n_opened = 0;
    for (size_t i = 0; i < (n - ST_SMALL_DATA) * 8; i++) {
        int may_rename = is_free_text(bytes, i / 8);
        struct w4_st_set *set = NULL;
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        w4moe_status status =
                w4_st_open(&st_err, &set, st_write("bit", bytes, n));
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        if (status == W4MOE_OK) {
            ck_assert_msg(is_small(set, good, !may_rename),
                    "bit %zu of byte %zu gives another table", i % 8, i / 8);
            n_opened++;
        } else {
            ck_assert_msg(status == W4MOE_FORMAT, "byte %zu: %s", i / 8,
                    w4_err_text(&st_err));
        }
        w4_st_close(set);
    }
    /* Some names and metadata may change; nothing else. */
    ck_assert_uint_ge(n_opened, 8);
    ck_assert_uint_lt(n_opened, 8 * 40);
    w4_st_close(good);
    free(bytes);
}
END_TEST

START_TEST(header_lengths)
{
    static const struct {
        uint64_t length;
        const char *text;
    } cases[] = {
            {0, "does not begin with '{'"},
            {1, "a key is missing"},
            {3, "the tensors end at 0 of 5 bytes"},
            {9, "header of 9 bytes in a file of 16"},
            {100000000, "header of 100000000 bytes in a file of 16"},
            {100000001, "header of 100000001 bytes, at most 100000000"},
            {UINT64_MAX - 7, "header of 18446744073709551608 bytes, at most"},
            {UINT64_MAX, "header of 18446744073709551615 bytes, at most"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char bytes[16] = "........{}      ";
        for (size_t j = 0; j < 8; j++) {
            bytes[j] = (unsigned char)(cases[i].length >> (8 * j));
        }
        st_open_bad(st_write("length", bytes, 16), W4MOE_FORMAT, cases[i].text);
    }
}
END_TEST

/* 2 million brackets must neither use the stack nor be read to their end. */
START_TEST(deep_nesting)
{
    enum { N = 2000000 };
    char *json = malloc(N + 8);
    ck_assert_ptr_nonnull(json);
    strcpy(json, "{'a':");
    memset(json + 5, '[', N);
    json[5 + N] = '\0';
    st_open_bad(st_write_file("deep", json, 0), W4MOE_FORMAT,
            "byte 12: nested too deeply");
    free(json);
}
END_TEST

/* Many tiny entries that are none must not make the table large. */
START_TEST(many_entries)
{
    enum { N = 100000 };
    char *json = malloc(N * 5 + 8);
    ck_assert_ptr_nonnull(json);
    json[0] = '{';
    for (size_t i = 0; i < N; i++) {
        memcpy(json + 1 + 5 * i, "'':0,", 5);
    }
    strcpy(json + 5 * N, "}");
    st_open_bad(st_write_file("many", json, 0), W4MOE_FORMAT,
            "100000 entries in a header of 500001 bytes");
    free(json);
}
END_TEST

/* Names of any length and content make no wrong text. */
START_TEST(foreign_names)
{
    char json[2048];
    char name[1024];
    memset(name, 'x', sizeof(name));
    memcpy(name + 1000, "\xC3\xA9", 3);
    snprintf(json, sizeof(json), "{'%s':0}", name);
    const char *path = st_write_file("name", json, 0);
    st_open_bad(path, W4MOE_FORMAT, "xxx...\": is not an object");
    st_open_bad(st_write_file("name", "{'a\\nb\\u009bc\\u007f':0}", 0),
            W4MOE_FORMAT, "tensor \"a?b??c?\": is not an object");
    /* A cut never splits a character. */
    for (size_t i = 60; i < 80; i++) {
        memset(name, 'x', i);
        strcpy(name + i, "\xF0\x9F\x98\x80\xF0\x9F\x98\x80");
        memset(name + i + 8, 'y', 40);
        name[i + 48] = '\0';
        snprintf(json, sizeof(json), "{'%s':0}", name);
        st_open_bad(st_write_file("name", json, 0), W4MOE_FORMAT, "...\"");
        const char *dots = strstr(w4_err_text(&st_err), "...");
        char last = dots[-1];
        ck_assert(last == 'x' || last == 'y' || last == '\x80');
    }
}
END_TEST

START_TEST(no_files)
{
    st_open_bad(st_path("missing"), W4MOE_IO, "No such file");
    st_open_bad(st_subfolder("folder"), W4MOE_IO, "model.safetensors");
    ck_assert_int_eq(mkfifo(st_path("pipe"), 0666), 0);
    st_open_bad(st_path("pipe"), W4MOE_IO, "is not a regular file");
    st_open_bad("/dev/null", W4MOE_IO, "is not a regular file");
    st_open_bad(st_write("empty", "", 0), W4MOE_FORMAT, "is empty");
    const char *link = st_path("link");
    const char *path = st_write_file("whole", st_small, ST_SMALL_DATA);
    ck_assert_int_eq(symlink(path, link), 0);
    w4_st_close(st_open_good(link));
    /* The text of a long path is short, and shows its end. */
    char longer[1024];
    size_t n = (size_t)snprintf(longer, sizeof(longer), "%s", st_path(""));
    memset(longer + n, 'x', 240);
    memcpy(longer + n + 230, "/yyyyyyyy", 10);
    struct w4_st_set *set = NULL;
    ck_assert_int_eq(w4_st_open(&st_err, &set, longer), W4MOE_IO);
    ck_assert_int_eq(strncmp(w4_err_text(&st_err), "...xx", 5), 0);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "x/yyyyyyyy: cannot"));
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("st_damage");
    TCase *tc = tcase_create("damage");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_test(tc, cut_off);
    tcase_add_test(tc, flipped_bits);
    tcase_add_test(tc, header_lengths);
    tcase_add_test(tc, deep_nesting);
    tcase_add_test(tc, many_entries);
    tcase_add_test(tc, foreign_names);
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
