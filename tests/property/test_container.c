/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* From tiny checkpoints to containers and back: what is told about them, every
 * weight, the bytes of the file. Damaged containers are for
 * test_container_damage.c, conversions that fail for
 * test_convert_failures.c. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "ct_container.h"
#include "test_folder.h"

enum { N_CASES = 2 * CT_N_SPECS };

static const char *const model_types[] = {
        "qwen3_moe", "mixtral", "deepseek_v3"};

/* The order of a case; its checkpoint is ct_specs[i / 2]. */
static w4moe_order
order_of(int i)
{
    return i % 2 == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3;
}

static size_t
group_of(const struct ct_spec *spec, size_t n_in)
{
    return spec->group_size == 0 || spec->group_size > n_in ? n_in
                                                            : spec->group_size;
}

static void
check_router(const w4moe_router *router, enum ct_names names)
{
    int sigmoid = names == CT_DEEPSEEK;
    ck_assert_int_eq(router->kind,
            sigmoid ? W4MOE_ROUTER_SIGMOID : W4MOE_ROUTER_SOFTMAX_TOPK);
    ck_assert_int_eq(router->renormalize, 1);
    ck_assert(router->scale == (sigmoid ? 2.5f : 0.0f));
    ck_assert_uint_eq(router->n_group, sigmoid ? 1 : 0);
    ck_assert_uint_eq(router->topk_group, sigmoid ? 1 : 0);
}

static void
check_report(const w4moe_convert_report *r, const struct ct_model *model,
        w4moe_order order, const char *path)
{
    const struct ct_spec *spec = &model->spec;
    size_t n_all = model->files[0].n_tensors + model->files[1].n_tensors;
    size_t n_parts = 3u + (spec->zero_points != 0);
    size_t n_experts = spec->n_layers * spec->n_experts;
    size_t n_routers = spec->n_layers * (spec->names == CT_DEEPSEEK ? 2 : 1);
    size_t n_orders =
            (spec->gate_up_order ? 2u : 0u) + (spec->down_order ? 1u : 0u);
    size_t n_file;
    free(test_file_read(path, &n_file));
    ck_assert_str_eq(r->source_scheme, "compressed-tensors");
    ck_assert_str_eq(r->model_type, model_types[spec->names]);
    ck_assert_int_eq(r->order, order);
    ck_assert_uint_eq(r->n_layers, spec->n_layers);
    ck_assert_uint_eq(r->n_experts, spec->n_experts);
    ck_assert_uint_eq(r->top_k, 2);
    ck_assert_uint_eq(r->hidden_size, spec->hidden);
    ck_assert_uint_eq(r->intermediate_size, spec->intermediate);
    ck_assert_uint_eq(r->w13_group_size, group_of(spec, spec->hidden));
    ck_assert_uint_eq(r->w2_group_size, group_of(spec, spec->intermediate));
    ck_assert_int_eq(r->scale_dtype, spec->scale_dtype);
    ck_assert_int_eq(r->has_zero_points, spec->zero_points);
    ck_assert_int_eq(r->has_perm, spec->gate_up_order != 0);
    ck_assert_int_eq(r->activation.kind, W4MOE_ACT_SILU);
    check_router(&r->router, spec->names);
    ck_assert_uint_eq(r->n_tensors_used,
            n_experts * (3 * n_parts + n_orders) + n_routers);
    ck_assert_uint_eq(r->n_tensors_unselected, 0);
    ck_assert_uint_eq(r->n_tensors_used + r->n_tensors_other, n_all);
    ck_assert_uint_eq(r->bytes_out, n_file);
    ck_assert_uint_eq(r->n_experts_verified, n_experts);
}

static void
check_info(const w4moe_file *file, const struct ct_spec *spec,
        w4moe_order order, const struct mini *mini)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    uint64_t n_bytes = 0;
    ct_ok(w4moe_file_get_info(file, &info));
    ck_assert_uint_eq(info.format_version, 1);
    ck_assert_int_eq(info.order, order);
    ck_assert_uint_eq(info.n_layers, spec->n_layers);
    ck_assert_uint_eq(info.n_experts, spec->n_experts);
    ck_assert_uint_eq(info.top_k, 2);
    ck_assert_uint_eq(info.hidden_size, spec->hidden);
    ck_assert_uint_eq(info.intermediate_size, spec->intermediate);
    ck_assert_uint_eq(info.w13_group_size, group_of(spec, spec->hidden));
    ck_assert_uint_eq(info.w2_group_size, group_of(spec, spec->intermediate));
    ck_assert_int_eq(info.activation.kind, W4MOE_ACT_SILU);
    check_router(&info.router, spec->names);
    ck_assert_str_eq(info.source_scheme, "compressed-tensors");
    ck_assert_str_eq(info.model_type, model_types[spec->names]);
    ck_assert_str_eq(info.producer, "w4moe " W4MOE_VERSION);
    for (size_t t = 0; t < mini->n_tensors; t++) {
        n_bytes += mini->tensors[t].n_bytes;
    }
    ck_assert_uint_eq(info.n_bytes, n_bytes);
    ck_assert_uint_eq(info.n_tensors, mini->n_tensors);
    w4moe_matrix m = {.struct_size = sizeof(m)};
    ct_refused(w4moe_file_get_matrix(file, &m, 777, W4MOE_W13), W4MOE_INVALID,
            "layer 777");
    ct_refused(w4moe_file_get_matrix(file, &m, info.layers[0], (w4moe_which)3),
            W4MOE_INVALID, "matrix 3");
    info.struct_size--;
    ct_refused(w4moe_file_get_info(file, &info), W4MOE_INVALID, "struct_size");
}

/* What the format page says of the file itself: places, hashes, metadata. */
static void
check_bytes(const struct mini *mini, const char *path, w4moe_order order)
{
    size_t n_file;
    unsigned char *bytes = test_file_read(path, &n_file);
    size_t n_data = 0;
    for (size_t t = 0; t < mini->n_tensors; t++) {
        n_data += mini->tensors[t].n_bytes;
    }
    size_t at = n_file - n_data;
    for (size_t t = 0; t < mini->n_tensors; t++) {
        const struct mini_tensor *tensor = &mini->tensors[t];
        char key[MINI_NAME + 8];
        char text[40];
        snprintf(key, sizeof(key), "xxh3.%s", tensor->name);
        const char *hash =
                json_string_value(json_object_get(mini->metadata, key));
        if (strncmp(tensor->name, "pad.", 4) == 0) {
            ck_assert_ptr_null(hash);
            ck_assert_uint_lt(tensor->n_bytes, 64);
        } else {
            ck_assert_uint_eq(at % 64, 0);
            XXH128_hash_t h = XXH3_128bits(tensor->data, tensor->n_bytes);
            snprintf(text, sizeof(text), "%016llx%016llx",
                    (unsigned long long)h.high64, (unsigned long long)h.low64);
            ck_assert_pstr_eq(hash, text);
        }
        at += tensor->n_bytes;
    }
    ck_assert_str_eq(
            json_string_value(json_object_get(mini->metadata, "order")),
            order == W4MOE_ORDER_TILE ? "tile" : "rdna3");
    free(bytes);
}

/* The router's tensors are copied as they are. */
static void
check_routers(const struct mini *mini, const struct ct_model *model)
{
    static const char *const names[3][2] = {{"mlp.gate.weight", "weight"},
            {"block_sparse_moe.gate.weight", "weight"},
            {"mlp.gate.e_score_correction_bias", "correction_bias"}};
    for (size_t i = 0; i < model->spec.n_layers; i++) {
        unsigned number = ct_model_layer(model, i);
        for (int n = 0; n < 3; n++) {
            char name[MINI_NAME];
            snprintf(name, sizeof(name), "model.layers.%u.%s", number,
                    names[n][0]);
            const struct mini_tensor *in = mini_find(&model->files[0], name);
            if (in != NULL) {
                snprintf(name, sizeof(name), "layers.%u.router.%s", number,
                        names[n][1]);
                const struct mini_tensor *out = mini_find(mini, name);
                ck_assert_ptr_nonnull(out);
                ck_assert_uint_eq(out->n_bytes, in->n_bytes);
                ck_assert_mem_eq(out->data, in->data, in->n_bytes);
                ck_assert_str_eq(out->dtype, in->dtype);
            }
        }
    }
}

START_TEST(round_trip)
{
    const struct ct_spec *spec = &ct_specs[_i / 2];
    w4moe_order order = order_of(_i);
    struct ct_model model;
    ct_model_make(&model, spec);
    const char *folder = test_subfolder(test_path("in.%d", _i));
    ct_model_write(&model, folder);
    const char *path = test_path("out.%d.safetensors", _i);
    w4moe_convert_options options = ct_options(order);
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    ct_ok(w4moe_convert(ct_ctx, &report, path, folder, &options));
    ck_assert_uint_eq(test_folder_count(test_path("."), "partial"), 0);
    check_report(&report, &model, order, path);
    struct mini mini;
    mini_read(&mini, path);
    check_bytes(&mini, path, order);
    check_routers(&mini, &model);
    w4moe_file *file = ct_open(path);
    check_info(file, spec, order, &mini);
    ck_assert_msg(ct_has_weights(file, &model), "%s", spec->label);
    ct_ok(w4moe_file_verify(file));
    ct_use(file);
    w4moe_file_close(file);
    mini_free(&mini);
    ct_model_free(&model);
}
END_TEST

/* Without options: all layers in order tile. A folder as output; one file as
 * input, beside its config. */
START_TEST(paths)
{
    struct ct_model model;
    ct_model_make(&model, &ct_specs[0]);
    const char *folder = test_subfolder(test_path("paths"));
    ct_model_write(&model, folder);
    ct_ok(w4moe_convert(ct_ctx, NULL, test_path("made"), folder, NULL));
    ct_ok(w4moe_convert(ct_ctx, NULL, test_path("one.safetensors"),
            test_path("paths/model.safetensors"), NULL));
    test_subfolder(test_path("ready"));
    ct_ok(w4moe_convert(ct_ctx, NULL, test_path("ready/"), folder, NULL));
    static const char *const outputs[] = {"made", "made/model.safetensors",
            "one.safetensors", "ready", "ready/model.safetensors"};
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
        w4moe_file *file = ct_open(test_path("%s", outputs[i]));
        ck_assert(ct_has_weights(file, &model));
        w4moe_matrix m = {.struct_size = sizeof(m)};
        ct_ok(w4moe_file_get_matrix(file, &m, 0, W4MOE_W2));
        ck_assert_int_eq(m.order, W4MOE_ORDER_TILE);
        w4moe_file_close(file);
    }
    w4moe_file_close(NULL);
    ct_model_free(&model);
}
END_TEST

/* Any number of threads, and any locale, gives the same file. */
static void
check_same_file(const char *folder, unsigned n_threads, const char *locale_name,
        const unsigned char *expected, size_t n_expected)
{
    const w4moe_ctx_options with = {
            .struct_size = sizeof(with), .n_threads = n_threads};
    w4moe_ctx *ctx;
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &with), W4MOE_OK);
    const char *path = test_path("same.safetensors");
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.force = 1;
    ck_assert_msg(w4moe_convert(ctx, NULL, path, folder, &options) == W4MOE_OK,
            "%s", w4moe_ctx_error(ctx));
    size_t n;
    unsigned char *bytes = test_file_read(path, &n);
    ck_assert_msg(n == n_expected && memcmp(bytes, expected, n) == 0,
            "%u threads, locale %s: another file", n_threads, locale_name);
    free(bytes);
    w4moe_file *file;
    ck_assert_int_eq(w4moe_file_open(ctx, &file, path), W4MOE_OK);
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_file_get_info(file, &info), W4MOE_OK);
    ck_assert(info.router.scale == 2.5f);
    ck_assert_int_eq(w4moe_file_verify(file), W4MOE_OK);
    w4moe_file_close(file);
    w4moe_ctx_destroy(ctx);
}

START_TEST(threads_and_locales)
{
    static const unsigned n_threads[] = {1, 2, 7};
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE",
            "fr_FR.UTF-8", "fr_FR.utf8", "nl_NL.UTF-8"};
    const struct ct_spec spec = {
            "threads", CT_DEEPSEEK, 2, 1, 9, 24, 24, 8, W4MOE_BF16, 1, 2, 1, 2};
    struct ct_model model;
    ct_model_make(&model, &spec);
    ct_convert(&model, W4MOE_ORDER_TILE, "same.safetensors");
    const char *folder = test_path("same.safetensors.in");
    size_t n;
    unsigned char *bytes = test_file_read(test_path("same.safetensors"), &n);
    for (size_t i = 0; i < sizeof(n_threads) / sizeof(n_threads[0]); i++) {
        check_same_file(folder, n_threads[i], "C", bytes, n);
    }
    for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
        if (setlocale(LC_ALL, locales[i]) != NULL) {
            ck_assert_str_eq(localeconv()->decimal_point, ",");
            check_same_file(folder, 2, locales[i], bytes, n);
            ck_assert_str_eq(localeconv()->decimal_point, ",");
        }
    }
    setlocale(LC_ALL, "C");
    free(bytes);
    ct_model_free(&model);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("container");
    TCase *tc = tcase_create("container");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(tc, round_trip, 0, N_CASES);
    tcase_add_test(tc, paths);
    tcase_add_test(tc, threads_and_locales);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
