/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is refused as config.json before a field is looked at: files that are
 * no files, too long, or no JSON. And the files of quantisers beside it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_case.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Must be good. */
static const char good[] =
        "{'model_type':'mixtral','hidden_act':'silu','hidden_size':64,"
        "'num_local_experts':8,'num_experts_per_tok':2,'intermediate_size':96,"
        "'quantization_config':{'quant_method':'compressed-tensors',"
        "'format':'pack-quantized','config_groups':{'group_0':{'weights':{"
        "'num_bits':4,'type':'int','strategy':'channel'}}}}}";

static void
refused_text(const char *text, size_t n, const char *expected)
{
    const char *path = test_path("text.json");
    test_file_write(path, text, n);
    config_refused(path, W4MOE_FORMAT, expected);
}

START_TEST(no_json)
{
    static const char *const texts[] = {"", " ", "{", "{}}", "[]", "1", "null",
            "'text'", "{'a':1,'a':2}", "{'a':{'b':1,'b':1}}", "{'a':1,}",
            "{a:1}", "{'a':01}", "{'a':'\xff'}", "{'a':'\\ud800'}",
            "{'a':'\\u0000'}", "{'a':1e999}", "{'a':NaN}",
            "{'a':99999999999999999999}", "\xef\xbb\xbf{}", "{'a':'"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = config_quoted(texts[i]);
        refused_text(text, strlen(text), "line");
        free(text);
    }
    refused_text("{}\0{}", 5, "line");
    /* A hundred thousand levels. */
    enum { DEPTH = 100000 };
    char *deep = malloc(DEPTH + 5);
    ck_assert_ptr_nonnull(deep);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', DEPTH);
    refused_text(deep, DEPTH + 5, "line");
    free(deep);
    /* A JSON object, but of no model. */
    const char *path = test_path("empty.json");
    test_file_write(path, "{}", 2);
    config_refused(path, W4MOE_FORMAT, "num_experts");
}
END_TEST

START_TEST(file_sizes)
{
    char *config = config_quoted(good);
    size_t n = strlen(config);
    char *text = malloc(W4_CONFIG_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', W4_CONFIG_MAX + 1);
    memcpy(text, config, n);
    const char *path = test_path("large.json");
    test_file_write(path, text, W4_CONFIG_MAX);
    ck_assert_uint_eq(config_accepted(path).hidden_size, 64);
    test_file_write(path, text, W4_CONFIG_MAX + 1);
    config_refused(path, W4MOE_FORMAT, "4194304 bytes");
    free(text);
    free(config);
}
END_TEST

START_TEST(no_file)
{
    config_refused(test_path("missing.json"), W4MOE_IO, "No such file");
    config_refused(test_subfolder(test_path("folder")), W4MOE_FORMAT,
            "no regular file");
    /* A pipe without a writer: opening it would wait for ever. */
    const char *pipe = test_path("pipe");
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    config_refused(pipe, W4MOE_FORMAT, "no regular file");
}
END_TEST

/* --------------------------------------------------------------- beside it */

/* A model without quantization_config, in a folder of its own. */
static const char *
write_plain(const char *folder)
{
    char *config = config_quoted(
            "{'model_type':'mixtral','hidden_act':'silu','hidden_size':64,"
            "'num_local_experts':8,'num_experts_per_tok':2,"
            "'intermediate_size':96}");
    const char *path = test_path("%s/config.json", folder);
    test_file_write(path, config, strlen(config));
    free(config);
    return path;
}

static const char *
write_beside(const char *folder, const char *name, const char *text)
{
    char *copy = config_quoted(text);
    const char *path = test_path("%s/%s", folder, name);
    test_file_write(path, copy, strlen(copy));
    free(copy);
    return path;
}

START_TEST(beside)
{
    static const struct {
        const char *name, *text, *scheme;
        enum w4_quant quant;
    } cases[] = {
            {"quantize_config.json", "{'bits':4,'group_size':64}", "gptq",
                    W4_QUANT_GPTQ},
            {"quantize_config.json",
                    "{'w_bit':4,'q_group_size':64,'zero_point':true}", "awq",
                    W4_QUANT_AWQ},
            {"quantization_config.json", "{'bits':4,'group_size':64}",
                    "auto-round", W4_QUANT_GPTQ},
            {"quantization_config.json",
                    "{'quant_method':'auto-round','bits':4,'group_size':64,"
                    "'packing_format':"
                    "'auto_round:auto_awq'}",
                    "auto-round", W4_QUANT_AWQ},
            {"quant_config.json",
                    "{'w_bit':4,'q_group_size':64,'version':'GEMM'}", "awq",
                    W4_QUANT_AWQ},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char folder[32];
        snprintf(folder, sizeof(folder), "beside%zu", i);
        test_subfolder(test_path("%s", folder));
        const char *path = write_plain(folder);
        write_beside(folder, cases[i].name, cases[i].text);
        struct w4_model_config c = config_accepted(path);
        ck_assert_str_eq(c.scheme, cases[i].scheme);
        ck_assert_int_eq(c.quant, cases[i].quant);
        ck_assert_uint_eq(c.n_group_sizes, 1);
    }
}
END_TEST

START_TEST(bad_beside)
{
    static const struct {
        const char *name, *text;
        w4moe_status status;
        const char *said;
    } cases[] = {
            {"hf_quant_config.json",
                    "{'producer':{'name':'modelopt'},'quantization':"
                    "{'quant_algo':'NVFP4'}}",
                    W4MOE_UNSUPPORTED, "NVFP4"},
            {"quant_config.json", "{'w_bit':4,'version':'GEMV'}",
                    W4MOE_UNSUPPORTED, "GEMV"},
            {"quantization_config.json", "[]", W4MOE_FORMAT, "line"},
            {"quantization_config.json", "{'bits':4,'bits':4}", W4MOE_FORMAT,
                    "line"},
            /* The first counts. */
            {"quantize_config.json", "{'bits':8,'group_size':64}",
                    W4MOE_UNSUPPORTED, "8 bits"},
    };
    test_subfolder(test_path("bad"));
    write_plain("bad");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *place = write_beside("bad", cases[i].name, cases[i].text);
        config_refused_at(test_path("bad/config.json"), cases[i].status, place,
                cases[i].said);
    }
    /* What is there but no file; and a config that needs none of them. */
    test_subfolder(test_path("bad2"));
    write_plain("bad2");
    const char *folder = test_subfolder(test_path("bad2/quantize_config.json"));
    config_refused_at(test_path("bad2/config.json"), W4MOE_FORMAT, folder,
            "no regular file");
    write_beside("bad", "config.json", good);
    ck_assert_str_eq(config_accepted(test_path("bad/config.json")).scheme,
            "compressed-tensors");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config_file");
    TCase *tc = tcase_create("config_file");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_test(tc, no_json);
    tcase_add_test(tc, file_sizes);
    tcase_add_test(tc, no_file);
    tcase_add_test(tc, beside);
    tcase_add_test(tc, bad_beside);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
