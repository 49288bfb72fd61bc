/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is refused as config.json before a field is looked at: files that are
 * no files, too long, or no JSON. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/model_config.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct w4_err err;

static void
setup(void)
{
    w4_err_init(&err, NULL, NULL);
}

static void
teardown(void)
{
    w4_err_fini(&err);
}

/* Must be good. */
static const char good[] =
        "{'model_type':'mixtral','hidden_act':'silu','hidden_size':64,"
        "'num_local_experts':8,'num_experts_per_tok':2,'intermediate_size':96,"
        "'quantization_config':{'quant_method':'compressed-tensors',"
        "'format':'pack-quantized','config_groups':{'group_0':{'weights':{"
        "'num_bits':4,'type':'int','strategy':'channel'}}}}}";

/* ' becomes ". Free it. */
static char *
quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

/* Must be refused with this status, a text that begins with the path and
 * contains `text`, and nothing written. */
static void
refused_path(const char *path, w4moe_status status, const char *text)
{
    struct w4_model_config config;
    struct w4_model_config before;
    memset(&config, 0xEE, sizeof(config));
    memset(&before, 0xEE, sizeof(before));
    w4moe_status got = w4_model_config_read(&err, &config, path);
    const char *said = w4_err_text(&err);
    ck_assert_msg(got == status && strstr(said, text) != NULL,
            "status %d, expected %d (\"%s\"): %s", (int)got, (int)status, text,
            said);
    ck_assert_msg(strncmp(said, path, strlen(path)) == 0, "%s", said);
    ck_assert_mem_eq(&config, &before, sizeof(config));
}

static void
refused_text(const char *text, size_t n, const char *expected)
{
    const char *path = test_path("text.json");
    test_file_write(path, text, n);
    refused_path(path, W4MOE_FORMAT, expected);
}

START_TEST(no_json)
{
    static const char *const texts[] = {"", " ", "{", "{}}", "[]", "1", "null",
            "'text'", "{'a':1,'a':2}", "{'a':{'b':1,'b':1}}", "{'a':1,}",
            "{a:1}", "{'a':01}", "{'a':'\xff'}", "{'a':'\\ud800'}",
            "{'a':'\\u0000'}", "{'a':1e999}", "{'a':NaN}",
            "{'a':99999999999999999999}", "\xef\xbb\xbf{}", "{'a':'"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = quoted(texts[i]);
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
    refused_path(path, W4MOE_UNSUPPORTED, "no quantization_config");
}
END_TEST

START_TEST(file_sizes)
{
    char *config = quoted(good);
    size_t n = strlen(config);
    char *text = malloc(W4_CONFIG_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', W4_CONFIG_MAX + 1);
    memcpy(text, config, n);
    const char *path = test_path("large.json");
    struct w4_model_config c;
    test_file_write(path, text, W4_CONFIG_MAX);
    ck_assert_int_eq(w4_model_config_read(&err, &c, path), W4MOE_OK);
    test_file_write(path, text, W4_CONFIG_MAX + 1);
    refused_path(path, W4MOE_FORMAT, "16777216 bytes");
    free(text);
    free(config);
}
END_TEST

START_TEST(no_file)
{
    refused_path(test_path("missing.json"), W4MOE_IO, "No such file");
    refused_path(test_subfolder(test_path("folder")), W4MOE_FORMAT,
            "no regular file");
    /* A pipe without a writer: opening it would wait for ever. */
    const char *pipe = test_path("pipe");
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    refused_path(pipe, W4MOE_FORMAT, "no regular file");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config_file");
    TCase *tc = tcase_create("config_file");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, no_json);
    tcase_add_test(tc, file_sizes);
    tcase_add_test(tc, no_file);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
