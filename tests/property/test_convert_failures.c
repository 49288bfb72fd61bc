/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Checkpoints that cannot be converted: each must be refused with what is
 * wrong in the text, and leave nothing behind. What the caller asks for is in
 * test_convert_options.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Layers 3 and 5, with all that a weight can have. */
static const struct ct_spec spec = {
        "failures", CT_QWEN3, 2, 3, 2, 24, 16, 8, W4MOE_BF16, 1, 2, 1, 2};

static struct ct_model model;
static const char *in_path;

static void
setup(void)
{
    ct_ctx_setup();
    ct_model_make(&model, &spec);
    in_path = strdup(test_subfolder(test_path("in")));
    /* What an earlier test may have left when it failed. */
    remove(test_path("out/model.safetensors"));
    remove(test_path("out"));
    remove(test_path("out.safetensors"));
}

static void
teardown(void)
{
    ct_model_free(&model);
    free((void *)(uintptr_t)in_path);
    ct_ctx_teardown();
}

static void
check_nothing_left(void)
{
    ck_assert(!test_file_exists(test_path("out")));
    ck_assert(!test_file_exists(test_path("out.safetensors")));
    ck_assert_uint_eq(test_folder_count(test_path("."), "partial"), 0);
}

/* What is on disk in `in` must be refused, in both orders, to a file and to a
 * folder. */
static void
refused_source(w4moe_status expected, const char *text)
{
    static const char *const outputs[] = {"out", "out.safetensors"};
    for (int i = 0; i < 2; i++) {
        w4moe_convert_options options =
                ct_options(i == 0 ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE);
        w4moe_convert_report report = {
                .struct_size = sizeof(report), .n_layers = 12345};
        ct_refused(w4moe_convert(ct_ctx, &report, test_path("%s", outputs[i]),
                           in_path, &options),
                expected, text);
        ck_assert_uint_eq(report.n_layers, 12345);
        check_nothing_left();
        /* The plan alone finds it, too. */
        options.dry_run = 1;
        ct_refused(w4moe_convert(ct_ctx, NULL, NULL, in_path, &options),
                expected, text);
    }
}

static void
refused(w4moe_status expected, const char *text)
{
    ct_model_write(&model, in_path);
    refused_source(expected, text);
}

/* The tensor of a weight. */
static struct mini_tensor *
part(size_t i, size_t expert, int projection, const char *name)
{
    return ct_model_tensor(&model, i, expert, projection, name);
}

/* The file that a tensor is in. */
static struct mini *
file_of(const char *name)
{
    return mini_find(&model.files[0], name) != NULL ? &model.files[0]
                                                    : &model.files[1];
}

/* It can be converted as it is. */
START_TEST(unchanged)
{
    ct_convert(&model, W4MOE_ORDER_TILE, "good.safetensors");
    w4moe_file *file = ct_open(test_path("good.safetensors"));
    ck_assert(ct_has_weights(file, &model));
    w4moe_file_close(file);
}
END_TEST

START_TEST(missing_tensors)
{
    static const char *const parts[] = {
            "weight_packed", "weight_scale", "weight_zero_point"};
    const size_t place[][2] = {{0, 0}, {0, 1}, {1, 1}};
    for (size_t n = 0; n < COUNT(place) * COUNT(parts) * 3; n++) {
        const char *name = parts[n % 3];
        int projection = (int)(n / 3 % 3);
        const size_t *at = place[n / 9];
        char full[MINI_NAME];
        snprintf(full, sizeof(full), "%s",
                ct_model_name(&model, at[0], at[1], projection, name));
        struct mini *file = file_of(full);
        struct mini_tensor copy = *part(at[0], at[1], projection, name);
        copy.data = malloc(copy.n_bytes);
        ck_assert_ptr_nonnull(copy.data);
        memcpy(copy.data, mini_find(file, full)->data, copy.n_bytes);
        mini_remove(file, full);
        refused(W4MOE_FORMAT, name);
        mini_add(file, full, copy.dtype, copy.n_dims, copy.shape, copy.data,
                copy.n_bytes);
        free(copy.data);
    }
}
END_TEST

/* Without any zero point, although config.json says that there are. */
START_TEST(no_zero_points)
{
    for (size_t n = 0; n < 12; n++) {
        char name[MINI_NAME];
        snprintf(name, sizeof(name), "%s",
                ct_model_name(&model, n / 6, n / 3 % 2, (int)(n % 3),
                        "weight_zero_point"));
        mini_remove(file_of(name), name);
    }
    refused(W4MOE_FORMAT, "zero_point");
}
END_TEST

/* What a weight has, its tensors tell, not the config. */
START_TEST(unexpected_zero_points)
{
    struct ct_spec symmetric = spec;
    const uint64_t shape[2] = {2, 3};
    const unsigned char words[24] = {0};
    symmetric.zero_points = 0;
    ct_model_free(&model);
    ct_model_make(&model, &symmetric);
    mini_add(&model.files[0],
            ct_model_name(&model, 1, 1, 0, "weight_zero_point"), "I32", 2,
            shape, words, sizeof(words));
    ct_model_write(&model, in_path);
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    ct_ok(w4moe_convert(ct_ctx, &report, test_path("out"), in_path, NULL));
    ck_assert_int_ne(report.has_zero_points, 0);
}
END_TEST

START_TEST(shapes_and_types)
{
    static const char *const parts[] = {"weight_packed", "weight_scale",
            "weight_zero_point", "weight_g_idx", "weight_shape"};
    static const char *const types[] = {"F32", "I16", "U32", "U16", "U32"};
    for (size_t n = 0; n < COUNT(parts); n++) {
        for (int p = 0; p < 3; p++) {
            struct mini_tensor *tensor = part(1, 1, p, parts[n]);
            const struct mini_tensor before = *tensor;
            memcpy(tensor->dtype, types[n], 4);
            if (n == 4) {
                tensor->shape[0] = 4;
            }
            refused(W4MOE_FORMAT, tensor->name);
            *tensor = before;
            tensor->shape[0] = before.shape[1];
            tensor->shape[1] = before.shape[0];
            if (before.n_dims == 2 && before.shape[0] != before.shape[1]) {
                refused(W4MOE_FORMAT, tensor->name);
            }
            *tensor = before;
            tensor->n_dims = 3;
            tensor->shape[before.n_dims] = 1;
            tensor->shape[2] = 1;
            if (n != 4) { /* of the shape only the bytes count */
                refused(W4MOE_FORMAT, tensor->name);
            }
            *tensor = before;
            tensor->n_bytes = 0;
            tensor->shape[0] = 0;
            refused(W4MOE_FORMAT, tensor->name);
            *tensor = before;
        }
    }
    /* weight_shape that says something else. */
    struct mini_tensor *shape = part(0, 1, 2, "weight_shape");
    for (int byte = 0; byte < 16; byte++) {
        shape->data[byte] ^= 8;
        refused(W4MOE_FORMAT, shape->name);
        shape->data[byte] ^= 8;
    }
}
END_TEST

START_TEST(groups)
{
    for (int p = 0; p < 3; p++) {
        struct mini_tensor *tensor = part(1, 1, p, "weight_g_idx");
        unsigned char *last = tensor->data + tensor->n_bytes - 4;
        unsigned char before[4];
        memcpy(before, last, 4);
        memcpy(last, "\3\0\0\0", 4);
        refused(W4MOE_FORMAT, "g_idx");
        memcpy(last, "\xff\xff\xff\x7f", 4);
        refused(W4MOE_FORMAT, "g_idx");
        memcpy(last, "\xfe\xff\xff\xff", 4);
        refused(W4MOE_FORMAT, "g_idx");
        memcpy(last, before[0] == 0 ? "\1\0\0\0" : "\0\0\0\0", 4);
        refused(W4MOE_FORMAT, "g_idx");
        memcpy(last, before, 4);
    }
}
END_TEST

/* A g_idx with a -1 means that there is no order. A checkpoint whose only -1
 * stands in the middle may also be refused, but nothing else. */
START_TEST(groups_without_order)
{
    for (int everywhere = 0; everywhere < 2; everywhere++) {
        for (size_t n = 0; n < 12; n++) {
            struct ct_weight *w = &model.weights[n];
            struct mini_tensor *tensor =
                    part(n / 6, n / 3 % 2, (int)(n % 3), "weight_g_idx");
            memset(tensor->data + tensor->n_bytes / 2, 0xFF, 4);
            if (everywhere) {
                memset(tensor->data, 0xFF, tensor->n_bytes);
            }
            free(w->g_idx);
            free(w->order);
            w->g_idx = w->order = NULL;
        }
        ct_model_write(&model, in_path);
        w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
        options.force = 1;
        w4moe_status status = w4moe_convert(ct_ctx, NULL,
                test_path("unordered.safetensors"), in_path, &options);
        ck_assert(
                status == W4MOE_OK || (!everywhere && status == W4MOE_FORMAT));
        if (status == W4MOE_OK) {
            w4moe_file *file = ct_open(test_path("unordered.safetensors"));
            ck_assert(ct_has_weights(file, &model));
            w4moe_file_close(file);
        }
    }
}
END_TEST

/* -------------------------------------------------------------------- names */

/* A tensor of another name is added. */
static void
refused_name(const char *name, w4moe_status expected, const char *text)
{
    const uint64_t shape[2] = {2, 2};
    mini_add(&model.files[0], name, "U8", 2, shape, "abcd", 4);
    refused(expected, text);
    mini_remove(&model.files[0], name);
}

START_TEST(other_names)
{
    static const char *const unknown[] = {
            "model.layers.3.mlp.experts.gate_up_projs",
            "model.layers.3.mlp.experts.0.gate_proj",
            "model.layers.3.mlp.experts.01.gate_proj.weight_packed",
            "model.layers.3.mlp.experts.0.gate_up_proj.weight_packed"};
    static const char *const parts[] = {
            "model.layers.3.mlp.experts.0.gate_proj.weight_scale_inv",
            "model.layers.3.mlp.experts.0.gate_proj.qzeros"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        refused_name(unknown[i], W4MOE_UNSUPPORTED, unknown[i]);
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        refused_name(parts[i], W4MOE_UNSUPPORTED, parts[i]);
    }
    refused_name("model.layers.3.mlp.experts.0.gate_proj.weight", W4MOE_FORMAT,
            "the same weight");
    refused_name("model.layers.3.mlp.experts.gate_up_proj", W4MOE_FORMAT,
            "no tensor has down of all");
    refused_name("model.layers.3.mlp.experts.2.gate_proj.weight_packed",
            W4MOE_FORMAT, "expert 2, but config.json says 2 experts");
    refused_name("model.layers.3.mlp.experts.999999999.w1.weight_packed",
            W4MOE_FORMAT, "expert 999999999");
    refused_name("model.layers.4096.mlp.experts.0.w1.weight_packed",
            W4MOE_FORMAT, "layer 4096");
    refused_name("model.layers.999999999.mlp.experts.0.w1.weight_packed",
            W4MOE_FORMAT, "layer 999999999");
    refused_name("other.layers.3.mlp.experts.0.gate_proj.weight_packed",
            W4MOE_FORMAT, "prefix");
    refused_name("layers.3.mlp.experts.0.gate_proj.weight_packed", W4MOE_FORMAT,
            "prefix");
    refused_name("model.layers.3.mlp.experts.0.w1.weight_packed", W4MOE_FORMAT,
            "the same weight");
    refused_name("model.layers.3.mlp.experts.0.gate_proj.qweight", W4MOE_FORMAT,
            "the same weight");
    /* A layer with one expert. */
    refused_name("model.layers.4.mlp.experts.1.gate_proj.weight_packed",
            W4MOE_FORMAT, "layer 4, expert 0");
    for (size_t f = 0; f < 2; f++) {
        for (size_t t = 0; t < model.files[f].n_tensors; t++) {
            char *name = model.files[f].tensors[t].name;
            char *experts = strstr(name, "experts");
            if (experts != NULL) {
                experts[0] = 'X';
            }
        }
    }
    refused(W4MOE_FORMAT, "is part of an expert");
}
END_TEST

/* ------------------------------------------------------- config and folder */

/* The file is to blame, not the caller: this is not INVALID. */
static void
refused_field(const char *name, int value, const char *text)
{
    json_t *before = json_incref(json_object_get(model.config, name));
    json_object_set_new(model.config, name, json_integer(value));
    ct_model_write(&model, in_path);
    w4moe_status status = w4moe_convert(
            ct_ctx, NULL, test_path("out.safetensors"), in_path, NULL);
    ct_refused(status,
            status == W4MOE_UNSUPPORTED ? W4MOE_UNSUPPORTED : W4MOE_FORMAT,
            text);
    check_nothing_left();
    json_object_set_new(model.config, name, before);
}

START_TEST(other_configs)
{
    refused_field("num_experts", 3, "expert 2");
    refused_field("num_experts", INT32_MAX, "2147483647 experts");
    refused_field("hidden_size", 32, "tensor");
    refused_field("hidden_size", INT32_MAX - 7, "");
    refused_field("moe_intermediate_size", 8, "tensor");
    refused_field("moe_intermediate_size", INT32_MAX - 7, "");
    /* Sizes that the layout cannot have. */
    refused_field("hidden_size", 20, "20 input features");
    refused_field("moe_intermediate_size", 12, "12 of down");
    json_object_set_new(json_object_get(model.config, "quantization_config"),
            "quant_method", json_string("exl3"));
    refused(W4MOE_UNSUPPORTED, "\"exl3\"");
    json_object_del(model.config, "quantization_config");
    refused(W4MOE_FORMAT, "group length");
}
END_TEST

/* Numbers that do not fit their place: refused, or at least the container
 * opens and loads. */
START_TEST(extreme_numbers)
{
    static const double values[] = {1e300, -1e300, 1e39, -1.0, 1e-300};
    static const char *const names[] = {
            "swiglu_limit", "routed_scaling_factor"};
    json_object_set_new(model.config, "model_type", json_string("deepseek_v3"));
    json_object_set_new(model.config, "scoring_func", json_string("sigmoid"));
    for (size_t n = 0; n < COUNT(names) * COUNT(values); n++) {
        const char *name = names[n % 2];
        json_object_set_new(model.config, name, json_real(values[n / 2]));
        ct_model_write(&model, in_path);
        w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
        options.force = 1;
        const char *path = test_path("extreme.safetensors");
        w4moe_status status =
                w4moe_convert(ct_ctx, NULL, path, in_path, &options);
        if (status == W4MOE_OK) {
            w4moe_layer *layer = NULL;
            w4moe_file *file = ct_open(path);
            ct_ok(w4moe_layer_load(ct_ctx, &layer, file, 3, 0));
            w4moe_layer_destroy(layer);
            w4moe_file_close(file);
        } else {
            ct_refused(status, W4MOE_FORMAT, name);
        }
        json_object_del(model.config, name);
    }
}
END_TEST

START_TEST(folders)
{
    ct_model_write(&model, in_path);
    ck_assert_int_eq(
            unlink(test_path("in/model-00002-of-00002.safetensors")), 0);
    refused_source(W4MOE_FORMAT, "model-00002-of-00002.safetensors");
    ck_assert_int_eq(unlink(test_path("in/model.safetensors.index.json")), 0);
    refused_source(W4MOE_IO, "model.safetensors");
    ck_assert_int_eq(unlink(test_path("in/config.json")), 0);
    refused_source(W4MOE_IO, "config.json");
    test_subfolder(test_path("in/config.json"));
    refused_source(W4MOE_FORMAT, "config.json");
    ck_assert_int_eq(rmdir(test_path("in/config.json")), 0);
    ct_model_write(&model, in_path);
    if (geteuid() != 0) { /* root may read anything */
        ck_assert_int_eq(chmod(in_path, 0), 0);
        refused_source(W4MOE_IO, "Permission denied");
        ck_assert_int_eq(chmod(in_path, 0755), 0);
    }
    free((void *)(uintptr_t)in_path);
    in_path = strdup(test_path("missing"));
    refused_source(W4MOE_IO, "No such file");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("convert_failures");
    TCase *tc = tcase_create("convert_failures");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, unchanged);
    tcase_add_test(tc, missing_tensors);
    tcase_add_test(tc, no_zero_points);
    tcase_add_test(tc, unexpected_zero_points);
    tcase_add_test(tc, shapes_and_types);
    tcase_add_test(tc, groups);
    tcase_add_test(tc, groups_without_order);
    tcase_add_test(tc, other_names);
    tcase_add_test(tc, other_configs);
    tcase_add_test(tc, extreme_numbers);
    tcase_add_test(tc, folders);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
