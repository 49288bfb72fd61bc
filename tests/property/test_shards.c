/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Containers in several files: they have the weights of their checkpoints, in
 * files of any size, and damage to the set is found. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ct_spec spec = {
        "shards", CT_QWEN3, 3, 3, 3, 16, 24, 16, W4MOE_F16, 1, 1, 0, 1};

static struct ct_model model;
static char *in_path;

static void
setup(void)
{
    ct_ctx_setup();
    ct_model_make(&model, &spec);
    in_path = strdup(test_subfolder(test_path("in")));
    ct_model_write(&model, in_path);
}

static void
teardown(void)
{
    ct_model_free(&model);
    free(in_path);
    ct_ctx_teardown();
}

static void
convert(w4moe_order order, uint64_t limit)
{
    w4moe_convert_options options = ct_options(order);
    options.force = 1;
    options.max_shard_bytes = limit;
    ct_ok(w4moe_convert(ct_ctx, NULL, test_path("out"), in_path, &options));
}

static void
refused(w4moe_status expected, const char *text)
{
    w4moe_file *file = NULL;
    ct_refused(
            w4moe_file_open(ct_ctx, &file, test_path("out")), expected, text);
}

START_TEST(weights)
{
    static const uint64_t limits[] = {1, 500, 1000, 2000, 5000, 100000};
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < COUNT(limits); i++) {
        for (int o = 0; o < 2; o++) {
            convert(o == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3, limits[i]);
            w4moe_file *file = ct_open(test_path("out"));
            ck_assert(ct_has_weights(file, &model));
            ct_ok(w4moe_file_verify(file));
            ct_use(file);
            w4moe_file_close(file);
            size_t n = test_folder_count(test_path("out"), "-of-");
            ck_assert_uint_le(n, o == 0 ? least : n);
            least = o == 0 ? n : least;
        }
    }
    ck_assert_uint_eq(least, 1);
}
END_TEST

START_TEST(which_output)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    w4moe_convert_report dry = {.struct_size = sizeof(dry)};
    w4moe_convert_report wet = {.struct_size = sizeof(wet)};
    options.max_shard_bytes = 1000;
    const char *path = test_path("out.safetensors");
    ct_refused(w4moe_convert(ct_ctx, NULL, path, in_path, &options),
            W4MOE_INVALID, "need a folder");
    options.dry_run = 1;
    ct_refused(w4moe_convert(ct_ctx, NULL, path, in_path, &options),
            W4MOE_INVALID, "need a folder");
    ct_ok(w4moe_convert(ct_ctx, &dry, NULL, in_path, &options));
    options.dry_run = 0;
    path = test_path("sizes");
    ct_ok(w4moe_convert(ct_ctx, &wet, path, in_path, &options));
    ck_assert_uint_eq(dry.bytes_out, wet.bytes_out);
    /* With one limit or another, or none, it exists. */
    ct_refused(w4moe_convert(ct_ctx, NULL, path, in_path, &options),
            W4MOE_INVALID, "index.json: exists");
    options.max_shard_bytes = 0;
    ct_refused(w4moe_convert(ct_ctx, NULL, path, in_path, &options),
            W4MOE_INVALID, "index.json: exists");
    options.force = 1;
    ct_ok(w4moe_convert(ct_ctx, NULL, path, in_path, &options));
    ck_assert_uint_eq(test_folder_count(path, ""), 3); /* with . and .. */
    options.force = 0;
    options.max_shard_bytes = 1000;
    ct_refused(w4moe_convert(ct_ctx, NULL, path, in_path, &options),
            W4MOE_INVALID, "model.safetensors: exists");
}
END_TEST

/* A checkpoint is not replaced by its container, since that would remove it. */
START_TEST(checkpoint_stays)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.force = 1;
    for (uint64_t limit = 0; limit < 2000; limit += 1000) {
        options.max_shard_bytes = limit;
        ct_refused(w4moe_convert(ct_ctx, NULL, in_path, in_path, &options),
                W4MOE_INVALID, "not a container's");
    }
    options.dry_run = 1;
    ct_ok(w4moe_convert(ct_ctx, NULL, NULL, in_path, &options));
    /* Nor what an index names that cannot be followed. */
    options.dry_run = 0;
    static const char index[] = "{\"weight_map\":{\"a\":\"b.safetensors\"}}";
    const char *folder = test_subfolder(test_path("strange"));
    test_file_write(test_path("strange/model.safetensors.index.json"), index,
            strlen(index));
    ct_refused(w4moe_convert(ct_ctx, NULL, folder, in_path, &options),
            W4MOE_INVALID, "holds an index, but no");
}
END_TEST

/* The path of file `number` of n. */
static const char *
shard(size_t number, size_t n)
{
    return test_path("out/model-%05zu-of-%05zu.safetensors", number, n);
}

/* Copies a file, and inverts the last byte if asked to. */
static void
copy(const char *to, const char *from, int with_fault)
{
    size_t n;
    unsigned char *bytes = test_file_read(from, &n);
    bytes[n - 1] ^= with_fault ? 0xFF : 0;
    test_file_write(to, bytes, n);
    free(bytes);
}

START_TEST(damage)
{
    convert(W4MOE_ORDER_TILE, 1000);
    size_t n = test_folder_count(test_path("out"), "-of-");
    ck_assert_uint_gt(n, 3);
    for (size_t i = 1; i <= n; i++) {
        /* Missing; one of the others in its place; with other data. */
        const char *path = shard(i, n);
        const char *kept = test_path("kept");
        copy(kept, path, 0);
        remove(path);
        refused(W4MOE_FORMAT, "is missing");
        copy(path, shard(i % n + 1, n), 0);
        refused(W4MOE_FORMAT, "twice");
        copy(path, kept, 1);
        w4moe_file *file = ct_open(test_path("out"));
        ct_refused(w4moe_file_verify(file), W4MOE_MISMATCH, path);
        w4moe_file_close(file);
        copy(path, kept, 0);
    }
    w4moe_file *file = ct_open(test_path("out"));
    ct_ok(w4moe_file_verify(file));
    w4moe_file_close(file);

    /* Without its index nobody takes a file for the whole. */
    remove(test_path("out/model.safetensors.index.json"));
    refused(W4MOE_IO, "neither");
    for (size_t i = 1; i <= n; i++) {
        ct_refused(w4moe_file_open(ct_ctx, &file, shard(i, n)), W4MOE_FORMAT,
                "of which the metadata has a hash");
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("shards");
    TCase *tc = tcase_create("shards");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, weights);
    tcase_add_test(tc, which_output);
    tcase_add_test(tc, checkpoint_stays);
    tcase_add_test(tc, damage);
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
