/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Containers whose parts do not agree: every value of the metadata wrong in
 * turn, every tensor missing, of another type or shape, or with another's
 * data. The files themselves are good safetensors files. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ct_model model;
static struct mini mini;
static char *path;

static void
start(int spec, w4moe_order order)
{
    ct_model_make(&model, &ct_specs[spec]);
    ct_convert(&model, order, "meta.safetensors");
    path = strdup(test_path("meta.safetensors"));
    mini_read(&mini, path);
}

static void
end(void)
{
    mini_free(&mini);
    ct_model_free(&model);
    free(path);
}

/* Writes what the test has made of the container; it must be refused. */
static void
refused(w4moe_status expected, const char *text)
{
    w4moe_file *file = NULL;
    mini_write(&mini, path, 64);
    ct_refused(w4moe_file_open(ct_ctx, &file, path), expected, text);
    ck_assert_ptr_null(file);
}

/* It must open, and be usable. Close it. */
static w4moe_file *
opens(void)
{
    mini_write(&mini, path, 64);
    w4moe_file *file = ct_open(path);
    ct_use(file);
    return file;
}

static void
same(void)
{
    w4moe_file *file = opens();
    ck_assert(ct_has_weights(file, &model));
    w4moe_file_close(file);
}

/* ---------------------------------------------------------------- metadata */

/* One value in turn; NULL: missing. */
static void
refused_value(const char *key, const char *value, w4moe_status expected)
{
    char *before = NULL;
    const char *stored = json_string_value(json_object_get(mini.metadata, key));
    if (stored != NULL) {
        before = strdup(stored);
    }
    mini_set(&mini, key, value);
    refused(expected, key);
    mini_set(&mini, key, before);
    free(before);
}

START_TEST(sizes)
{
    static const char *const keys[] = {"n_experts", "top_k", "hidden_size",
            "intermediate_size", "w13.group_size", "w2.group_size"};
    static const char *const wrong[] = {NULL, "", "x", "0", "-1", "-16", "+16",
            " 16", "16 ", "16.0", "1e1", "0x10", "2147483648", "4294967312",
            "18446744073709551616", "18446744073709551632",
            "99999999999999999999999999999999"};
    start(4, W4MOE_ORDER_TILE);
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t i = 0; i < COUNT(wrong); i++) {
            refused_value(keys[k], wrong[i], W4MOE_FORMAT);
        }
    }
    refused_value("top_k", "3", W4MOE_FORMAT); /* of 2 experts */
    same();
    end();
}
END_TEST

/* Sizes that are numbers, but not those of the tensors. */
START_TEST(other_sizes)
{
    static const char *const keys[] = {"n_experts", "hidden_size",
            "intermediate_size", "w13.group_size", "w2.group_size"};
    static const char *const others[] = {
            "1", "3", "7", "16", "32", "48", "100", "2147483640", "2147483647"};
    start(4, W4MOE_ORDER_TILE); /* E 2, H 24, I 24, g 8 */
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t i = 0; i < COUNT(others); i++) {
            const char *stored =
                    json_string_value(json_object_get(mini.metadata, keys[k]));
            char *before = strdup(stored);
            mini_set(&mini, keys[k], others[i]);
            refused(W4MOE_FORMAT, "");
            mini_set(&mini, keys[k], before);
            free(before);
        }
    }
    same();
    end();
}
END_TEST

START_TEST(words)
{
    static const char *const keys[] = {"order", "code", "zero_points",
            "activation", "router", "router.renormalize"};
    static const char *const wrong[] = {
            NULL, "", "x", "0", "1", "True", "TILE", "tile ", "silu\n", "int8"};
    static const char *const texts[] = {
            "producer", "source_scheme", "model_type"};
    start(4, W4MOE_ORDER_TILE);
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t i = 0; i < COUNT(wrong); i++) {
            refused_value(keys[k], wrong[i], W4MOE_FORMAT);
        }
    }
    /* Known words, but the tensors are of others. */
    static const char *const others[][3] = {{"order", "rdna3", "tile"},
            {"activation", "relu2_no_mul", "silu"}, {"code", "e2m1", "int4"}};
    for (size_t i = 0; i < COUNT(others); i++) {
        mini_set(&mini, others[i][0], others[i][1]);
        refused(W4MOE_FORMAT, "");
        mini_set(&mini, others[i][0], others[i][2]);
    }
    /* Free texts must be there. */
    for (size_t k = 0; k < COUNT(texts); k++) {
        refused_value(texts[k], NULL, W4MOE_FORMAT);
        mini_set(&mini, texts[k], "");
        same();
        mini_set(&mini, texts[k], "%s\xc3\xa4\n");
        same();
    }
    mini_set(&mini, "a key of later", "17");
    same();
    end();
}
END_TEST

START_TEST(numbers)
{
    static const char *const keys[] = {"activation.limit", "activation.alpha",
            "activation.beta", "activation.linear_beta", "router.scale"};
    static const char *const wrong[] = {
            "", "x", "1x", "1,5", "inf", "nan", "1e999", "-inf", "NAN(1)"};
    static const char *const bounds[] = {
            "activation.limit", "activation.linear_beta"};
    /* Without these their kind means nothing. */
    static const char *const needs[][2] = {
            {"swigluoai_uninterleave", "activation.limit"},
            {"situ", "activation.beta"}};
    static const char *const counts[] = {"router.n_group", "router.topk_group"};
    static const char *const bad_counts[] = {
            "", "x", "-1", "1.5", "2147483648", "99999999999999999999"};
    start(0, W4MOE_ORDER_TILE);
    for (size_t k = 0; k < COUNT(keys); k++) {
        for (size_t i = 0; i < COUNT(wrong); i++) {
            refused_value(keys[k], wrong[i], W4MOE_FORMAT);
        }
        mini_set(&mini, keys[k], "1.25");
        same();
        mini_set(&mini, keys[k], NULL);
    }
    for (size_t k = 0; k < COUNT(bounds); k++) {
        refused_value(bounds[k], "-1.25", W4MOE_FORMAT);
        mini_set(&mini, bounds[k], NULL);
    }
    for (size_t k = 0; k < COUNT(needs); k++) {
        mini_set(&mini, "activation", needs[k][0]);
        refused_value(needs[k][1], NULL, W4MOE_FORMAT);
        refused_value(needs[k][1], "0", W4MOE_FORMAT);
        mini_set(&mini, needs[k][1], "1.25");
        same();
        mini_set(&mini, needs[k][1], NULL);
        mini_set(&mini, "activation", "silu");
    }
    for (size_t k = 0; k < COUNT(counts); k++) {
        for (size_t i = 0; i < COUNT(bad_counts); i++) {
            refused_value(counts[k], bad_counts[i], W4MOE_FORMAT);
        }
    }
    end();
}
END_TEST

START_TEST(versions)
{
    static const char *const wrong[] = {
            NULL, "", "x", "0", "-1", "1.0", "1 ", "99999999999"};
    start(0, W4MOE_ORDER_TILE);
    refused_value("format", NULL, W4MOE_FORMAT);
    refused_value("format", "pt", W4MOE_FORMAT);
    refused_value("format", "W4MOE", W4MOE_FORMAT);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        refused_value("format_version", wrong[i], W4MOE_FORMAT);
    }
    mini_set(&mini, "format_version", "2");
    refused(W4MOE_UNSUPPORTED, "format version 2, this library reads up to 1");
    mini_set(&mini, "format_version", "2147483647");
    refused(W4MOE_UNSUPPORTED, "format version 2147483647");
    json_decref(mini.metadata);
    mini.metadata = NULL;
    refused(W4MOE_FORMAT, "format");
    end();
}
END_TEST

/* ----------------------------------------------------------------- tensors */

static int
is_part(const struct mini_tensor *tensor)
{
    return strncmp(tensor->name, "layers.", 7) == 0 &&
           strstr(tensor->name, ".router.") == NULL;
}

/* Each tensor of each layer: missing, of another type, of another shape. */
START_TEST(tensors)
{
    static const int specs[] = {0, 3, 4, 6};
    start(specs[_i / 2], _i % 2 == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3);
    for (size_t t = 0; t < mini.n_tensors; t++) {
        struct mini_tensor *tensor = &mini.tensors[t];
        const struct mini_tensor before = *tensor;
        if (!is_part(tensor)) {
            continue;
        }
        tensor->name[0] = 'x';
        refused(W4MOE_FORMAT, "layer");
        *tensor = before;
        /* Scales of a type of the same size that is no float are not known;
         * of the other arrays there is one type only. */
        int is_scale = strstr(before.name, "scales") != NULL;
        size_t size = is_scale && before.dtype[1] != '3' ? 2 : 4;
        memcpy(tensor->dtype, size == 2 ? "U16" : "U32", 4);
        refused(is_scale ? W4MOE_UNSUPPORTED : W4MOE_FORMAT,
                is_scale ? "scales" : before.name);
        *tensor = before;
        /* The same bytes as one long row; two dimensions the other way
         * round; a dimension of 1 more. */
        tensor->n_dims = 1;
        tensor->shape[0] = tensor->n_bytes / size;
        refused(W4MOE_FORMAT, before.name);
        *tensor = before;
        tensor->shape[0] = before.shape[1];
        tensor->shape[1] = before.shape[0];
        if (before.shape[0] != before.shape[1]) {
            refused(W4MOE_FORMAT, before.name);
        }
        *tensor = before;
        if (before.n_dims < MINI_RANK) {
            tensor->shape[tensor->n_dims++] = 1;
            refused(W4MOE_FORMAT, before.name);
        }
        *tensor = before;
    }
    same();
    end();
}
END_TEST

/* Data of two tensors exchanged, as if their offsets were. */
START_TEST(swapped)
{
    start(4, W4MOE_ORDER_TILE);
    for (size_t t = 0; t < mini.n_tensors; t++) {
        for (size_t u = 0; u < t; u++) {
            struct mini_tensor *a = &mini.tensors[t];
            struct mini_tensor *b = &mini.tensors[u];
            const struct mini_tensor a_before = *a;
            const struct mini_tensor b_before = *b;
            a->data = b_before.data;
            a->n_bytes = b_before.n_bytes;
            b->data = a_before.data;
            b->n_bytes = a_before.n_bytes;
            if (a->n_bytes != b->n_bytes) {
                refused(W4MOE_FORMAT, "tensor");
            } else if (strncmp(a->name, "pad.", 4) != 0 &&
                       strncmp(b->name, "pad.", 4) != 0) {
                w4moe_file *file = NULL;
                mini_write(&mini, path, 64);
                if (w4moe_file_open(ct_ctx, &file, path) == W4MOE_OK) {
                    ct_refused(
                            w4moe_file_verify(file), W4MOE_MISMATCH, "tensor");
                    ct_use(file);
                }
                w4moe_file_close(file);
            }
            *a = a_before;
            *b = b_before;
        }
    }
    same();
    end();
}
END_TEST

START_TEST(extra_tensors)
{
    const uint64_t shape[2] = {2, 3};
    start(0, W4MOE_ORDER_TILE);
    mini_add(&mini, "notes", "U8", 2, shape, "abcdef", 6);
    mini_add(&mini, "layer.0.w13.perm", "U8", 2, shape, "abcdef", 6);
    same();
    /* What belongs to a layer has a hash. */
    static const char *const names[] = {"layers.x.w13.qweight",
            "layers.00.w13.qweight", "layers.0.w13.other",
            "layers.7.w13.qweight", "layers.7.w2.scales"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mini_add(&mini, names[i], "U8", 2, shape, "abcdef", 6);
        refused(W4MOE_FORMAT, names[i]);
        mini_remove(&mini, names[i]);
    }
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("container_meta");
    TCase *tc = tcase_create("container_meta");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, other_sizes);
    tcase_add_test(tc, words);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, versions);
    tcase_add_loop_test(tc, tensors, 0, 8);
    tcase_add_test(tc, swapped);
    tcase_add_test(tc, extra_tensors);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
