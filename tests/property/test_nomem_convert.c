/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_convert() without memory, of checkpoints of every kind: NOMEM, nothing
 * new in the output's folder, and no memory kept. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kernel/alloc_count.h"
#include "../kernel/contexts.h"
#include "ct_container.h"
#include "gguf_model.h"
#include "nomem.h"
#include "test_folder.h"

/* The conversion at work. */
static w4moe_ctx *ctx;
static char *in_path;
static char *out_path;
static w4moe_convert_options options;
static unsigned n_threads;

/* What is in the output's folder: the hashes of all files, added, and how many
 * there are. */
struct output {
    uint64_t sum;
    size_t n;
    int removes;
};

static struct output found;

/* What must be there after a failure. */
static struct output old;

static w4moe_status
convert(struct nomem_result *result)
{
    w4moe_convert_report report;
    w4moe_convert_report before;
    memset(&report, 0, sizeof(report));
    report.struct_size = sizeof(report);
    memcpy(&before, &report, sizeof(report));
    w4moe_status status =
            w4moe_convert(ctx, &report, out_path, in_path, &options);
    if (status == W4MOE_OK) {
        nomem_hash(result, &report.bytes_out, sizeof(report.bytes_out));
        nomem_hash(result, &report.n_experts_verified,
                sizeof(report.n_experts_verified));
    } else {
        result->is_touched = memcmp(&report, &before, sizeof(report)) != 0;
    }
    return status;
}

/* For nftw(). */
static int
take_entry(
        const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    if (place->level == 0) {
        return 0;
    }
    if (kind == FTW_F) {
        struct nomem_result one = {0};
        const char *name = path + place->base;
        size_t n;
        unsigned char *bytes = test_file_read(path, &n);
        nomem_hash(&one, name, strlen(name));
        nomem_hash(&one, bytes, n);
        free(bytes);
        found.sum += one.hash;
    }
    found.n++;
    return found.removes ? remove(path) : 0;
}

/* Looks at the output; where it was not there before, it is removed. */
static struct output
take_output(void)
{
    found = (struct output){.removes = old.n == 0};
    ck_assert_int_eq(
            nftw(test_path("out"), take_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    return found;
}

static void
take(struct nomem_result *result, w4moe_status status)
{
    struct output now = take_output();
    if (status == W4MOE_OK) {
        nomem_hash(result, &now.sum, sizeof(now.sum));
    } else {
        ck_assert_uint_eq(now.n, old.n);
        ck_assert_uint_eq(now.sum, old.sum);
    }
}

/* Converts a checkpoint into "out/NAME". */
static void
check(const char *name, const char *path, const char *out)
{
    struct nomem_scenario scenario = {name, convert, take};
    in_path = strdup(path);
    out_path = strdup(test_path("out/%s", out));
    options.struct_size = sizeof(options);
    ctx = context_make(NULL, n_threads, 0);
    nomem_check(&scenario);
    w4moe_ctx_destroy(ctx);
    free(in_path);
    free(out_path);
}

static void
setup(void)
{
    test_subfolder(test_path("out"));
    memset(&options, 0, sizeof(options));
    memset(&old, 0, sizeof(old));
    n_threads = 1;
}

/* A checkpoint of tests/data, of which two experts are enough. */
static void
check_data(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "tests/data/%s", name);
    options.n_experts = 2;
    check(name, test_source_path(path), "c.safetensors");
}

START_TEST(gptq_act_order)
{
    check_data("gptq-descact-g64-fp16");
}
END_TEST

START_TEST(awq)
{
    check_data("awq-g64-fp16");
}
END_TEST

START_TEST(gpt_oss)
{
    check_data("gptoss-mxfp4");
}
END_TEST

START_TEST(rounded)
{
    options.asymmetric = 1;
    check_data("plain-bf16");
}
END_TEST

/* Writes a tiny checkpoint of compressed-tensors. Returns its path. */
static const char *
write_ct(int spec)
{
    struct ct_model model;
    ct_model_make(&model, &ct_specs[spec]);
    const char *folder = test_subfolder(test_path("in"));
    ct_model_write(&model, folder);
    ct_model_free(&model);
    return folder;
}

/* The number in ct_specs: "two orders", in two files. */
enum { TWO_ORDERS = 4 };

START_TEST(compressed_tensors)
{
    n_threads = _i == TWO_ORDERS ? 3 : 1;
    check(ct_specs[_i].label, write_ct(_i), "c.safetensors");
}
END_TEST

START_TEST(sharded)
{
    options.max_shard_bytes = 1000;
    options.order = W4MOE_ORDER_RDNA3;
    check("sharded", write_ct(TWO_ORDERS), "c");
}
END_TEST

/* In place of containers of the same content: they stay. */
START_TEST(replaced)
{
    options.force = 1;
    options.max_shard_bytes = _i == 0 ? 1000 : 0;
    options.struct_size = sizeof(options);
    const char *path = write_ct(TWO_ORDERS);
    ctx = context_make(NULL, 1, 0);
    ck_assert_int_eq(
            w4moe_convert(ctx, NULL, test_path("out/c"), path, &options),
            W4MOE_OK);
    w4moe_ctx_destroy(ctx);
    old.n = 1;
    old = take_output();
    ck_assert_uint_gt(old.n, 1);
    check("replaced", path, "c");
}
END_TEST

START_TEST(mapped)
{
    static const char rule[] = "model.layers.{l}.mlp.experts.{e}.{part} "
                               "model.layers.{l}.mlp.experts.{e}.{part}\n";
    test_file_write(test_path("map"), rule, strlen(rule));
    char *map = strdup(test_path("map"));
    options.name_map = map;
    check("mapped", write_ct(0), "c.safetensors");
    free(map);
}
END_TEST

START_TEST(container)
{
    const char *path = write_ct(TWO_ORDERS);
    ct_ctx_setup();
    options = ct_options(W4MOE_ORDER_RDNA3);
    ct_ok(w4moe_convert(
            ct_ctx, NULL, test_path("in.safetensors"), path, &options));
    ct_ctx_teardown();
    options.order = W4MOE_ORDER_TILE;
    check("container", test_path("in.safetensors"), "c.safetensors");
}
END_TEST

START_TEST(gguf)
{
    n_threads = _i == 0 ? 3 : 1;
    static const struct gguf_spec specs[] = {
            {.arch = "qwen3moe",
                    .types = {TYPE_Q4_0, TYPE_Q4_0, TYPE_Q4_0},
                    .n_layers = 1,
                    .n_experts = 2,
                    .hidden = 64,
                    .inner = 32,
                    .n_files = 2},
            {.arch = "qwen3moe",
                    .layout = GGUF_SINGLE,
                    .types = {TYPE_Q8_0, TYPE_Q8_0, TYPE_Q8_0},
                    .n_layers = 1,
                    .n_experts = 2,
                    .hidden = 64,
                    .inner = 32,
                    .n_files = 1},
    };
    struct gguf_model model;
    gguf_model_make(&model, &specs[_i]);
    test_subfolder(test_path("gguf"));
    char *path = gguf_model_write(&model, "gguf/m");
    options.requantize = 1;
    check("gguf", path, "c.safetensors");
    /* Found in its folder. */
    check("gguf folder", test_path("gguf"), "c.safetensors");
    free(path);
    gguf_model_free(&model);
}
END_TEST

/* Conversions wait until their files are on the disk, some hundred times here:
 * where there is a file system in memory, that is enough. */
static void
choose_folder(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0);
    }
}

int
main(void)
{
    if (!alloc_count_works()) {
        fputs("skipped: needs glibc's allocator, with nothing before it\n",
                stderr);
        return 77;
    }
    choose_folder();
    TCase *tc = tcase_create("nomem_convert");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, compressed_tensors, 0, CT_N_SPECS);
    tcase_add_test(tc, gptq_act_order);
    tcase_add_test(tc, awq);
    tcase_add_test(tc, gpt_oss);
    tcase_add_test(tc, rounded);
    tcase_add_test(tc, container);
    tcase_add_test(tc, mapped);
    tcase_add_test(tc, sharded);
    tcase_add_loop_test(tc, replaced, 0, 2);
    tcase_add_loop_test(tc, gguf, 0, 2);
    Suite *suite = suite_create("nomem_convert");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
