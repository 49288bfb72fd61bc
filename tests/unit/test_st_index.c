/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading folders: one file, or shards with an index. In the texts, ' stands
 * for ". */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "st_helpers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define INDEX "model.safetensors.index.json"

/* Headers of two shards with 8 bytes of data each. */
static const char shard_1[] =
        "{'__metadata__':{'which':'first'},"
        "'b':{'dtype':'U8','shape':[3],'data_offsets':[5,8]},"
        "'a':{'dtype':'U8','shape':[5],'data_offsets':[0,5]}}";
static const char shard_2[] =
        "{'__metadata__':{'which':'second'},"
        "'c':{'dtype':'U16','shape':[4],'data_offsets':[0,8]}}";
static const char index_json[] =
        "{'metadata':{'total_size':16.5,'x':[{'y':null}]},\n 'weight_map':{\n"
        "'c':'s2','a':'s1','b':'s1'}}\n";

/* Makes a folder of the two shards and an index. */
static const char *
make_folder(const char *name, const char *json)
{
    char file[128];
    const char *path = st_subfolder(name);
    snprintf(file, sizeof(file), "%s/s1", name);
    st_write_file(file, shard_1, 8);
    snprintf(file, sizeof(file), "%s/s2", name);
    st_write_file(file, shard_2, 8);
    snprintf(file, sizeof(file), "%s/" INDEX, name);
    st_write_text(file, json);
    return path;
}

START_TEST(shards)
{
    const char *folder = make_folder("good", index_json);
    struct w4_st_set *set = st_open_good(folder);
    static const char *const names[] = {"a", "b", "c"};
    static const unsigned char first[] = {0, 5, 0};
    ck_assert_uint_eq(w4_st_count(set), 3);
    ck_assert_uint_eq(w4_st_file_count(set), 2);
    for (size_t i = 0; i < 3; i++) {
        const struct w4_tensor *tensor = w4_st_at(set, i);
        ck_assert_str_eq(tensor->name, names[i]);
        ck_assert_ptr_eq(w4_st_find(set, names[i]), tensor);
        ck_assert_uint_eq(tensor->file, i == 2);
        ck_assert_uint_eq(*(const unsigned char *)tensor->data, first[i]);
    }
    ck_assert_str_eq(w4_st_metadata(set, "which"), "first");
    ck_assert_str_eq(w4_st_file_path(set, 0), st_path("good/s1"));
    ck_assert_str_eq(w4_st_file_path(set, 1), st_path("good/s2"));
    ck_assert_uint_eq(w4_st_file_bytes(set),
            2 * (8 + 8) + strlen(shard_1) + strlen(shard_2));
    ck_assert_int_eq(w4_st_to_host(&st_err, set), W4MOE_OK);
    w4_st_close(set);
}
END_TEST

/* Shards may be links, and other files in the folder do not matter. */
START_TEST(links)
{
    const char *folder = make_folder("links", index_json);
    st_write("links/other.safetensors", "x", 1);
    ck_assert_int_eq(rename(st_path("links/s2"), st_path("blob")), 0);
    ck_assert_int_eq(symlink("../blob", st_path("links/s2")), 0);
    w4_st_close(st_open_good(folder));
    ck_assert_int_eq(unlink(st_path("blob")), 0);
    struct w4_st_set *set = NULL;
    ck_assert_int_eq(w4_st_open(&st_err, &set, folder), W4MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "s2: the index names"));
}
END_TEST

START_TEST(one_file)
{
    const char *folder = st_subfolder("single");
    st_write_file("single/model.safetensors", shard_2, 8);
    struct w4_st_set *set = st_open_good(folder);
    ck_assert_uint_eq(w4_st_count(set), 1);
    ck_assert_str_eq(
            w4_st_file_path(set, 0), st_path("single/model.safetensors"));
    w4_st_close(set);
    /* An index goes before it, also a wrong one. */
    st_write_text("single/" INDEX, "{}");
    st_open_bad(folder, W4MOE_FORMAT, "index.json: weight_map is missing");
}
END_TEST

START_TEST(bad_index)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
            {"", INDEX ": is empty"},
            {"[]", "is not a JSON object"},
            {"1", "is not a JSON object"},
            {"{'weight_map':{'a':'s1'}", "byte 24: a comma or an end"},
            {"{} x", "more text"},
            {"{'metadata':{}}", "weight_map is missing"},
            {"{'weight_map':{}}", "weight_map is empty"},
            {"{'weight_map':[]}", "weight_map is not an object"},
            {"{'weight_map':'s1'}", "weight_map is not an object"},
            {"{'weight_map':{'a':1}}", "file of tensor \"a\" is not a string"},
            {"{'weight_map':{'a':['s1']}}", "is not a string"},
            {"{'weight_map':{'a':{'b':'s1'}}}", "is not a string"},
            {"{'weight_map':{'a':'s1'},'weight_map':{'a':'s1'}}",
                    "weight_map twice"},
            {"{'weight_map':{'a':'s1','b':'s1','a':'s2','c':'s2'}}",
                    "tensor \"a\" twice"},
            {"{'weight_map':{'a':''}}", "not a name of this folder"},
            {"{'weight_map':{'a':'.'}}", "not a name of this folder"},
            {"{'weight_map':{'a':'..'}}", "not a name of this folder"},
            {"{'weight_map':{'a':'./s1'}}", "'./s1', not a name"},
            {"{'weight_map':{'a':'..\\/s1'}}", "'../s1', not a name"},
            {"{'weight_map':{'a':'/etc/passwd'}}", "not a name"},
            {"{'weight_map':{'a':'\\u002fx'}}", "not a name"},
            {"{'weight_map':{'a':'s\\u0000'}}", "one of NUL"},
            {"{'weight_map':{'a':'s1','b':'s1','c':'s3'}}",
                    "s3: the index names this file, but it is missing"},
            {"{'weight_map':{'a':'s1','b':'s1','c':'s1'}}",
                    "tensor \"c\" is not in 's1'"},
            {"{'weight_map':{'a':'s1','b':'s1','c':'s2','d':'s2'}}",
                    "tensor \"d\" is not in 's2'"},
            {"{'weight_map':{'a':'s1','b':'s1','bb':'s2','c':'s2'}}",
                    "tensor \"bb\" is not in 's2'"},
            {"{'weight_map':{'a':'s1','c':'s2'}}",
                    "tensor \"b\" of 's1' is missing here"},
            {"{'weight_map':{'a':'s1'}}",
                    "tensor \"b\" of 's1' is missing here"},
            {"{'weight_map':{'a':'s1','b':'s2','c':'s2'}}",
                    "tensor \"b\" is in 's1', not in 's2'"},
            {"{'weight_map':{'a':'s2','b':'s2','c':'s1'}}",
                    "tensor \"a\" is in 's1', not in 's2'"},
    };
    const char *folder = make_folder("bad", index_json);
    for (size_t i = 0; i < COUNT(cases); i++) {
        st_write_text("bad/" INDEX, cases[i].json);
        st_open_bad(folder, W4MOE_FORMAT, cases[i].text);
    }
}
END_TEST

START_TEST(bad_shards)
{
    const char *folder = make_folder("twice", index_json);
    st_write_file("twice/s2",
            "{'a':{'dtype':'U8','shape':[8],'data_offsets':[0,8]}}", 8);
    st_open_bad(folder, W4MOE_FORMAT, "s2: tensor \"a\" twice, also in ");
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "twice/s1"));

    st_write_file("twice/s2", shard_2, 7);
    st_open_bad(folder, W4MOE_FORMAT, "s2: tensor \"c\": data_offsets");

    ck_assert_int_eq(unlink(st_path("twice/s2")), 0);
    ck_assert_int_eq(mkdir(st_path("twice/s2"), 0777), 0);
    st_open_bad(folder, W4MOE_IO, "s2: is not a regular file");
}
END_TEST

/* Holes are found in every shard. */
START_TEST(shard_holes)
{
    const char *folder = make_folder("holes", index_json);
    st_write_file("holes/s2", shard_2, 9);
    st_open_bad(folder, W4MOE_FORMAT, "s2: the tensors end at 8 of 9 bytes");
    st_write_file("holes/s2", shard_2, 8);
    w4_st_close(st_open_good(folder));
    st_write_file("holes/s1", shard_1, 9);
    st_open_bad(folder, W4MOE_FORMAT, "s1: the tensors end at 8 of 9 bytes");
}
END_TEST

/* An index that is cut off anywhere does not open, apart from the newline at
 * its end. */
START_TEST(cut_index)
{
    const char *folder = make_folder("cut", index_json);
    char text[sizeof(index_json)];
    for (size_t i = 0; i + 2 < sizeof(index_json); i++) {
        memcpy(text, index_json, i);
        text[i] = '\0';
        st_write_text("cut/" INDEX, text);
        st_open_bad(folder, W4MOE_FORMAT, INDEX);
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("st_index");
    TCase *tc = tcase_create("folders");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_test(tc, shards);
    tcase_add_test(tc, links);
    tcase_add_test(tc, one_file);
    tcase_add_test(tc, bad_index);
    tcase_add_test(tc, bad_shards);
    tcase_add_test(tc, shard_holes);
    tcase_add_test(tc, cut_index);
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
