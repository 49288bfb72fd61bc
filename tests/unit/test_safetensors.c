/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Reading one safetensors file: good ones, and headers that break a rule. In
 * the texts, ' stands for ". */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/map.h"
#include "io/safetensors.h"
#include "st_helpers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(good_file)
{
    const char *path = st_write_file("good", st_small, ST_SMALL_DATA);
    struct w4_st_set *set = st_open_good(path);
    ck_assert_uint_eq(w4_st_count(set), 4);
    for (size_t i = 0; i < 4; i++) {
        const struct w4_tensor *tensor = w4_st_at(set, i);
        ck_assert_str_eq(tensor->name, st_small_names[i]);
        ck_assert_ptr_eq(w4_st_find(set, st_small_names[i]), tensor);
        ck_assert_uint_eq(tensor->file, 0);
    }
    ck_assert_ptr_null(w4_st_find(set, "x"));
    ck_assert_ptr_null(w4_st_find(set, ""));

    const struct w4_tensor *w = w4_st_find(set, "w");
    const unsigned char *data = w->data;
    ck_assert_int_eq(w->dtype, W4MOE_F32);
    ck_assert_str_eq(w->dtype_name, "F32");
    ck_assert_uint_eq(w->n_dims, 2);
    ck_assert_uint_eq(w->shape[0], 2);
    ck_assert_uint_eq(w->shape[1], 3);
    ck_assert_uint_eq(w->n_bytes, 24);
    ck_assert_uint_eq(data[0], 2);
    ck_assert_uint_eq(data[23], 25);

    const struct w4_tensor *f4 = w4_st_at(set, 3);
    ck_assert_int_eq(f4->dtype, W4MOE_DTYPE_NONE);
    ck_assert_str_eq(f4->dtype_name, "F4");
    ck_assert_uint_eq(f4->n_bytes, 3);
    ck_assert_uint_eq(w4_st_at(set, 0)->n_dims, 0);
    ck_assert_uint_eq(w4_st_at(set, 2)->n_bytes, 0);

    ck_assert_str_eq(w4_st_metadata(set, "format"), "pt");
    ck_assert_str_eq(w4_st_metadata(set, "a\nb"), "");
    ck_assert_ptr_null(w4_st_metadata(set, "b"));
    ck_assert_uint_eq(w4_st_file_count(set), 1);
    ck_assert_str_eq(w4_st_file_path(set, 0), path);
    ck_assert_uint_eq(
            w4_st_file_bytes(set), 8 + strlen(st_small) + ST_SMALL_DATA);
    ck_assert_int_eq(w4_st_to_host(&st_err, set), W4MOE_OK);
    w4_st_close(set);
    w4_st_close(NULL);
}
END_TEST

START_TEST(good_headers)
{
    static const struct {
        const char *json;
        size_t n_data, n_tensors;
    } cases[] = {
            {"{}", 0, 0},
            {"{}    ", 0, 0},
            {"{'__metadata__':{}}", 0, 0},
            {"{ \t\r\n'' : { 'dtype' : 'U8' , 'shape' : [ 1 ] ,"
             "'data_offsets' : [ 0 , 1 ] } }",
                    1, 1},
            {"{'a':{'d\\u0074ype':'\\u00558','shape':[1,1,1,1,1,1,1,1],"
             "'data_offsets':[0,1]}}",
                    1, 1},
            {"{'a':{'dtype':'F6_E2M3','shape':[4],'data_offsets':[0,3]},"
             "'b':{'dtype':'F6_E3M2','shape':[8],'data_offsets':[3,9]},"
             "'c':{'dtype':'C64','shape':[1],'data_offsets':[9,17]},"
             "'d':{'dtype':'F8_E4M3FNUZ','shape':[1],'data_offsets':[17,18]},"
             "'e':{'dtype':'F8_E5M2FNUZ','shape':[1],'data_offsets':[18,19]}}",
                    19, 5},
            /* Empty tensors may share a place. */
            {"{'c':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},"
             "'b':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},"
             "'a':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},"
             "'d':{'dtype':'U8','shape':[4294967296,0,268435456],"
             "'data_offsets':[1,1]}}",
                    1, 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct w4_st_set *set = st_open_good(
                st_write_file("headers", cases[i].json, cases[i].n_data));
        ck_assert_uint_eq(w4_st_count(set), cases[i].n_tensors);
        for (size_t j = 0; j < w4_st_count(set); j++) {
            const struct w4_tensor *tensor = w4_st_at(set, j);
            ck_assert_ptr_eq(w4_st_find(set, tensor->name), tensor);
        }
        w4_st_close(set);
    }
}
END_TEST

/* All types, with the size of one element of each. */
START_TEST(types)
{
    for (int i = W4MOE_F32; i <= W4MOE_F8_E5M2; i++) {
        w4moe_dtype dtype = (w4moe_dtype)i;
        size_t size = w4moe_dtype_size(dtype);
        char json[128];
        snprintf(json, sizeof(json),
                "{'a':{'dtype':'%s','shape':[3],'data_offsets':[0,%zu]}}",
                w4moe_dtype_name(dtype), 3 * size);
        struct w4_st_set *set =
                st_open_good(st_write_file("t", json, 3 * size));
        ck_assert_int_eq(w4_st_at(set, 0)->dtype, i);
        w4_st_close(set);
    }
}
END_TEST

/* Wrong grammar: the header is one text, whatever follows. */
START_TEST(bad_grammar)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
            {"", "does not begin with '{'"},
            {" {}", "does not begin with '{'"},
            {"[]", "does not begin with '{'"},
            {"\xEF\xBB\xBF{}", "does not begin with '{'"},
            {"{", "a key is missing"},
            {"{,}", "a key is missing"},
            {"{'a'}", "a colon is missing"},
            {"{'a':}", "a value is missing"},
            {"{'a':{}", "a comma or an end"},
            {"{'a':{}]", "a comma or an end"},
            {"{'a':[}", "a value is missing"},
            {"{'a':{},}", "a key is missing"},
            {"{'a':[1,]}", "a value is missing"},
            {"{'a':1 2}", "a comma or an end"},
            {"{a:1}", "a key is missing"},
            {"{'a':nul}", "a value is missing"},
            {"{'a':NaN}", "a value is missing"},
            {"{'a':+1}", "a value is missing"},
            {"{'a':.5}", "a value is missing"},
            {"{'a':01}", "a wrong number"},
            {"{'a':-01}", "a wrong number"},
            {"{'a':-}", "a wrong number"},
            {"{'a':1.}", "a wrong number"},
            {"{'a':1e}", "a wrong number"},
            {"{'a':1e+}", "a wrong number"},
            {"{'a':0x1}", "a comma or an end"},
            {"{'a", "does not end"},
            {"{'a\n':1}", "control character"},
            {"{'a\\", "a wrong escape"},
            {"{'a\\'", "does not end"},
            {"{'a\\x':1}", "a wrong escape"},
            {"{'\\u12g4':1}", "a wrong escape"},
            {"{'\\u123", "a wrong escape"},
            {"{'\\u0000':1}", "one of NUL"},
            {"{'\\ud800':1}", "a wrong escape"},
            {"{'\\udc00':1}", "a wrong escape"},
            {"{'\\ud800\\ud800':1}", "a wrong escape"},
            {"{'\\ud800x':1}", "a wrong escape"},
            {"{'\x80':1}", "not UTF-8"},
            {"{'\xC0\x80':1}", "not UTF-8"},
            {"{'\xC3':1}", "not UTF-8"},
            {"{'\xE0\x80\x80':1}", "not UTF-8"},
            {"{'\xED\xA0\x80':1}", "not UTF-8"},
            {"{'\xF0\x80\x80\x80':1}", "not UTF-8"},
            {"{'\xF4\x90\x80\x80':1}", "not UTF-8"},
            {"{'\xFF':1}", "not UTF-8"},
            {"{'\xE2\x82", "not UTF-8"},
            {"{}x", "more text"},
            {"{}{}", "more text"},
            {"{} \n", "only spaces"},
            {"{}\t", "only spaces"},
            {"{'a':[[[[[[[[1]]]]]]]]}", "too deeply"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        st_open_bad(st_write_file("grammar", cases[i].json, 0), W4MOE_FORMAT,
                cases[i].text);
    }
    static const char nul[] = "\x07\0\0\0\0\0\0\0{\"a\0b\":";
    st_open_bad(st_write("nul", nul, 15), W4MOE_FORMAT, "control character");
}
END_TEST

/* Correct JSON that is not what a header should hold. */
START_TEST(bad_entries)
{
    static const struct {
        const char *entry, *text;
    } cases[] = {
            {"1", "tensor \"t\": is not an object"},
            {"[]", "is not an object"},
            {"{}", "dtype is missing"},
            {"{'dtype':'U8','shape':[8]}", "data_offsets is missing"},
            {"{'dtype':'U8','data_offsets':[0,8]}", "shape is missing"},
            {"{'shape':[8],'data_offsets':[0,8]}", "dtype is missing"},
            {"{'dtype':'U8','shape':[8],'data_offsets':[0,8],'x':1}",
                    "unknown key 'x'"},
            {"{'dtype':'U8','shape':[8],'data_offsets':[0,8],'dtype':'U8'}",
                    "key 'dtype' twice"},
            {"{'shape':[8],'shape':[8]}", "key 'shape' twice"},
            {"{'shape':[],'shape':[8]}", "key 'shape' twice"},
            {"{'data_offsets':[0,8],'data_offsets':[0,8]}",
                    "key 'data_offsets' twice"},
            {"{'dtype':'FOO'}", "unknown dtype 'FOO'"},
            {"{'dtype':'u8'}", "unknown dtype 'u8'"},
            {"{'dtype':'NONE'}", "unknown dtype 'NONE'"},
            {"{'dtype':''}", "unknown dtype ''"},
            {"{'dtype':8}", "unknown dtype '8'"},
            {"{'dtype':null}", "unknown dtype 'null'"},
            {"{'shape':8}", "shape is not an array"},
            {"{'shape':['8']}", "'8' is not an integer"},
            {"{'shape':[-8]}", "'-8' is not an integer"},
            {"{'shape':[-0]}", "'-0' is not an integer"},
            {"{'shape':[8.0]}", "'8.0' is not an integer"},
            {"{'shape':[8e0]}", "'8e0' is not an integer"},
            {"{'shape':[18446744073709551616]}", "is not an integer"},
            {"{'shape':[[8]]}", "is not an integer"},
            {"{'shape':[null]}", "is not an integer"},
            {"{'data_offsets':8}", "not an array of two"},
            {"{'data_offsets':[]}", "not an array of two"},
            {"{'data_offsets':[0]}", "not an array of two"},
            {"{'data_offsets':[0,8,8]}", "not an array of two"},
            {"{'data_offsets':[0,8.0]}", "'8.0' is not an integer"},
            {"{'data_offsets':[-1,8]}", "'-1' is not an integer"},
            {"{'dtype':'U8','shape':[8],'data_offsets':[8,0]}",
                    "[8, 0] are not within the data, 8 bytes"},
            {"{'dtype':'U8','shape':[9],'data_offsets':[0,9]}",
                    "[0, 9] are not within the data, 8 bytes"},
            {"{'dtype':'U8','shape':[8],"
             "'data_offsets':[18446744073709551608,18446744073709551615]}",
                    "are not within the data"},
            {"{'dtype':'U16','shape':[2,4],'data_offsets':[0,8]}",
                    "tensor \"t\": data_offsets [0, 8] do not match "
                    "U16 [2, 4], 16 bytes"},
            {"{'dtype':'U8','shape':[7],'data_offsets':[0,8]}",
                    "do not match U8 [7], 7 bytes"},
            {"{'dtype':'U8','shape':[],'data_offsets':[0,8]}",
                    "do not match U8 [], 1 bytes"},
            {"{'dtype':'F4','shape':[15],'data_offsets':[0,8]}",
                    "F4 [15] does not end on a byte"},
            {"{'dtype':'F6_E2M3','shape':[2],'data_offsets':[0,8]}",
                    "does not end on a byte"},
            {"{'dtype':'U8','shape':[4294967296,4294967296],"
             "'data_offsets':[0,0]}",
                    "U8 [4294967296, 4294967296] is beyond 2^64 bits"},
            {"{'dtype':'U8','shape':[4294967296,4294967296,0],"
             "'data_offsets':[0,0]}",
                    "beyond 2^64 bits"},
            {"{'dtype':'U8','shape':[0,4294967296,4294967296],"
             "'data_offsets':[0,0]}",
                    "beyond 2^64 bits"},
            {"{'dtype':'I64','shape':[4611686018427387904,2],"
             "'data_offsets':[0,0]}",
                    "beyond 2^64 bits"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char json[256];
        snprintf(json, sizeof(json), "{'t':%s}", cases[i].entry);
        st_open_bad(
                st_write_file("entry", json, 8), W4MOE_FORMAT, cases[i].text);
    }
    st_open_bad(st_write_file("rank",
                        "{'t':{'dtype':'U8','shape':[1,1,1,1,1,1,1,1,1],"
                        "'data_offsets':[0,1]}}",
                        1),
            W4MOE_UNSUPPORTED, "more than 8 dimensions");
}
END_TEST

/* Entries that are good one by one, but not together; metadata. */
START_TEST(bad_tables)
{
#define U8_AT(name, begin, end, n)                                             \
    "'" name "':{'dtype':'U8','shape':[" n "],'data_offsets':[" begin "," end  \
    "]}"
    static const struct {
        const char *json, *text;
    } cases[] = {
            {"{" U8_AT("a", "0", "4", "4") "," U8_AT("a", "4", "8", "4") "}",
                    "tensor \"a\" twice"},
            {"{" U8_AT("a", "0", "8", "8") "," U8_AT(
                     "\\u0061", "0", "8", "8") "}",
                    "tensor \"a\" twice"},
            {"{" U8_AT("a", "0", "8", "8") "," U8_AT("b", "0", "8", "8") "}",
                    "tensor \"b\": data begin at 0, but those before end at "
                    "8 (overlap)"},
            {"{" U8_AT("a", "0", "5", "5") "," U8_AT("b", "4", "8", "4") "}",
                    "(overlap)"},
            {"{" U8_AT("a", "0", "8", "8") "," U8_AT("b", "4", "4", "0") "}",
                    "(overlap)"},
            {"{" U8_AT("a", "0", "3", "3") "," U8_AT("b", "4", "8", "4") "}",
                    "tensor \"b\": data begin at 4, but those before end at "
                    "3 (hole)"},
            {"{" U8_AT("a", "1", "8", "7") "}", "(hole)"},
            {"{" U8_AT("a", "0", "7", "7") "}",
                    "the tensors end at 7 of 8 bytes"},
            {"{}", "the tensors end at 0 of 8 bytes"},
            {"{'__metadata__':{},'__metadata__':{}}", "__metadata__ twice"},
            {"{'__metadata__':{'k':'1','k':'2'}}", "__metadata__ \"k\" twice"},
            {"{'__metadata__':[]}", "__metadata__ is not an object"},
            {"{'__metadata__':'x'}", "__metadata__ is not an object"},
            {"{'__metadata__':null}", "__metadata__ is not an object"},
            {"{'__metadata__':{'k':1}}", "__metadata__ \"k\" is not a string"},
            {"{'__metadata__':{'k':{'l':'m'}}}", "\"k\" is not a string"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        st_open_bad(st_write_file("table", cases[i].json, 8), W4MOE_FORMAT,
                cases[i].text);
    }
}
END_TEST

/* Files that 32 bits cannot address; those that they can are not mapped as
 * often as one likes. */
START_TEST(address_space)
{
    struct w4_map maps[3] = {{0}};
    w4moe_status status = W4MOE_OK;
    const char *path = st_write("long", "", 0);
    if (PTRDIFF_MAX > INT32_MAX) {
        return;
    }
    ck_assert_int_eq(truncate(path, (off_t)5 << 30), 0);
    st_open_bad(path, W4MOE_NOMEM,
            "long: 5368709120 bytes are beyond the address space");
    ck_assert_int_eq(truncate(path, (off_t)3 << 29), 0);
    for (int i = 0; i < 3 && status == W4MOE_OK; i++) {
        status = w4_map_open(&st_err, &maps[i], path);
    }
    ck_assert_int_eq(status, W4MOE_NOMEM);
    const char *text = w4_err_text(&st_err);
    ck_assert_msg(strstr(text, "long: no address space for its 1610612736 "
                               "bytes") != NULL,
            "%s", text);
    for (int i = 0; i < 3; i++) {
        w4_map_close(&maps[i]);
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tc = tcase_create("reading");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, st_folder_make, st_folder_remove);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_test(tc, good_file);
    tcase_add_test(tc, good_headers);
    tcase_add_test(tc, types);
    tcase_add_test(tc, bad_grammar);
    tcase_add_test(tc, bad_entries);
    tcase_add_test(tc, bad_tables);
    tcase_add_test(tc, address_space);
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
