/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A container's routers: what w4moe_file_get_router() finds there, what is
 * refused; and layers of parts of its experts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "golden.h"
#include "test_folder.h"

enum { E = 4, HIDDEN = 128, T = 7, K = 2 };

static struct mini mini;
static const char *path;

/* A router with a weight, a correction bias and groups. */
static void
start(void)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.force = 1;
    path = strdup(test_path("router.safetensors"));
    ct_ok(w4moe_convert(ct_ctx, NULL, path,
            test_source_path("tests/data/ct-channel-bf16-single"), &options));
    mini_read(&mini, path);
}

static void
end(void)
{
    mini_free(&mini);
    free((void *)(uintptr_t)path);
}

static struct mini_tensor *
part(const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "layers.0.router.%s", name);
    struct mini_tensor *tensor = mini_find(&mini, full);
    ck_assert_ptr_nonnull(tensor);
    return tensor;
}

START_TEST(arrays_are_those_of_the_file)
{
    start();
    w4moe_file *file = ct_open(path);
    w4moe_router router = {.struct_size = sizeof(router)};
    ct_ok(w4moe_file_get_router(file, &router, 0));
    ck_assert_int_eq(router.kind, W4MOE_ROUTER_SIGMOID);
    ck_assert_uint_eq(router.n_group, 2);
    ck_assert_uint_eq(router.topk_group, 1);
    ck_assert_int_eq(router.weight_dtype, W4MOE_BF16);
    ck_assert_int_eq(router.correction_bias_dtype, W4MOE_F32);
    ck_assert_ptr_null(router.bias);
    const struct mini_tensor *tensors[2] = {
            part("weight"), part("correction_bias")};
    const void *arrays[2] = {router.weight, router.correction_bias};
    for (int i = 0; i < 2; i++) {
        void *expected = golden_host(tensors[i], i == 0 ? 2 : 4);
        ck_assert_mem_eq(arrays[i], expected, tensors[i]->n_bytes);
        free(expected);
    }
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_file_get_info(file, &info));
    ck_assert_int_eq(info.router.kind, W4MOE_ROUTER_SIGMOID);
    ck_assert_ptr_null(info.router.weight);
    ct_refused(w4moe_file_get_router(file, &router, 1), W4MOE_INVALID,
            "no layer 1 (1 layers, 0 to 0)");
    router.struct_size = 4;
    ck_assert_int_eq(w4moe_file_get_router(file, &router, 0), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_file_get_router(NULL, &router, 0), W4MOE_INVALID);
    w4moe_file_close(file);
    end();
}
END_TEST

static void
refused(const char *text)
{
    w4moe_file *file = NULL;
    mini_write(&mini, path, 64);
    ct_refused(w4moe_file_open(ct_ctx, &file, path), W4MOE_FORMAT, text);
    ck_assert_ptr_null(file);
}

START_TEST(other_types_and_shapes_are_refused)
{
    start();
    struct mini_tensor *weight = part("weight");
    snprintf(weight->dtype, sizeof(weight->dtype), "I16");
    refused("tensor \"layers.0.router.weight\" is I16 of rank 2");
    snprintf(weight->dtype, sizeof(weight->dtype), "F16");
    weight->shape[0] = 2;
    weight->shape[1] = 256;
    refused("for 4 experts times the hidden size");
    weight->shape[0] = E;
    weight->shape[1] = HIDDEN;
    struct mini_tensor *bias = part("correction_bias");
    bias->n_dims = 2;
    bias->shape[1] = 1;
    refused("tensor \"layers.0.router.correction_bias\" is F32 of rank 2");
    bias->n_dims = 1;
    snprintf(bias->dtype, sizeof(bias->dtype), "I32");
    refused("is I32 of rank 1, expected F32, F16 or BF16 for 4 experts");
    end();
}
END_TEST

START_TEST(groups_that_are_none_are_refused)
{
    static const char *const values[][2] = {
            {"3", "1"}, {"2", "3"}, {"4294967295", "1"}};
    start();
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        mini_set(&mini, "router.n_group", values[i][0]);
        mini_set(&mini, "router.topk_group", values[i][1]);
        refused("metadata router.n_group is");
    }
    end();
}
END_TEST

/* A container whose router is of a kind that this version does not know may
 * hold its arrays all the same. */
START_TEST(arrays_of_an_unknown_router_are_left_out)
{
    start();
    mini_set(&mini, "router", "none");
    mini_write(&mini, path, 64);
    w4moe_file *file = ct_open(path);
    w4moe_router router = {.struct_size = sizeof(router)};
    ct_ok(w4moe_file_get_router(file, &router, 0));
    ck_assert_int_eq(router.kind, W4MOE_ROUTER_NONE);
    ck_assert_ptr_null(router.weight);
    ck_assert_ptr_null(router.correction_bias);
    w4moe_layer *layer = NULL;
    ct_ok(w4moe_layer_load(ct_ctx, &layer, file, 0, 0));
    w4moe_layer_destroy(layer);
    w4moe_file_close(file);
    end();
}
END_TEST

/* Layers that choose in another way have no router. */
START_TEST(the_first_layers_may_have_none)
{
    start();
    for (int i = 0; i < 2; i++) {
        mini_set(&mini, "router.first_layer", i == 0 ? "0" : "1");
        mini_write(&mini, path, 64);
        w4moe_file *file = ct_open(path);
        w4moe_router router = {.struct_size = sizeof(router)};
        w4moe_file_info info = {.struct_size = sizeof(info)};
        ct_ok(w4moe_file_get_info(file, &info));
        ck_assert_int_eq((int)info.router_first_layer, i);
        ct_ok(w4moe_file_get_router(file, &router, 0));
        ck_assert_int_eq(
                router.kind, i == 0 ? W4MOE_ROUTER_SIGMOID : W4MOE_ROUTER_NONE);
        ck_assert_int_eq(router.weight != NULL, i == 0);
        w4moe_file_close(file);
    }
    end();
}
END_TEST

/* -------------------------------------------------------------------- parts */

static void
forward(w4moe_layer *layer, uint16_t *out, const int32_t *map)
{
    static const int32_t ids[T * K] = {
            0, 1, 2, 3, 3, 0, 1, 2, 1, 3, 0, 2, 3, 1};
    float weights[T * K];
    uint16_t x[T * HIDDEN];
    for (size_t i = 0; i < T * K; i++) {
        weights[i] = 0.25f + (float)(i % 5) / 8;
    }
    for (size_t i = 0; i < (size_t)T * HIDDEN; i++) {
        /* bf16 from 0.5 to 2 of both signs. */
        x[i] = (uint16_t)(0x3F00 + i * 37 % 256 + (i % 3 == 0 ? 0x8000 : 0));
    }
    w4moe_workspace *ws = NULL;
    ct_ok(w4moe_workspace_create(layer, &ws, T, K));
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = out,
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = K,
            .ids = ids,
            .weights = weights,
            .expert_map = map,
            .n_experts_global = E,
    };
    ct_ok(w4moe_forward(layer, ws, &args));
    w4moe_workspace_destroy(ws);
}

/* Every run of experts gives what the whole layer gives with a map of them. */
START_TEST(every_part)
{
    start();
    w4moe_file *file = ct_open(path);
    w4moe_layer *whole = NULL;
    ct_ok(w4moe_layer_load(ct_ctx, &whole, file, 0, 0));
    for (size_t first = 0; first < E; first++) {
        for (size_t n = 1; n <= E - first; n++) {
            uint16_t out[2][T * HIDDEN];
            int32_t map[E];
            for (size_t e = 0; e < E; e++) {
                map[e] = e >= first && e < first + n ? (int32_t)e : -1;
            }
            w4moe_layer *layer = NULL;
            ct_ok(w4moe_layer_load_experts(ct_ctx, &layer, file, 0, first, n,
                    n % 2 != 0 ? W4MOE_LAYER_COPY : 0));
            w4moe_layer_info info = {.struct_size = sizeof(info)};
            ct_ok(w4moe_layer_get_info(layer, &info));
            ck_assert_uint_eq(info.n_experts, n);
            ck_assert_uint_eq(info.first_expert, first);
            ck_assert_uint_eq(info.n_experts_global, E);
            ck_assert_int_eq(info.has_router_weight, 1);
            forward(layer, out[0], NULL);
            forward(whole, out[1], map);
            ck_assert_mem_eq(out[0], out[1], sizeof(out[0]));
            w4moe_layer_destroy(layer);
        }
    }
    w4moe_layer_destroy(whole);
    w4moe_file_close(file);
    end();
}
END_TEST

START_TEST(parts_that_are_none)
{
    static const size_t wrong[][2] = {
            {0, 0}, {0, 5}, {4, 1}, {3, 2}, {SIZE_MAX, 1}, {1, SIZE_MAX}};
    start();
    w4moe_file *file = ct_open(path);
    w4moe_layer *layer = NULL;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ct_refused(w4moe_layer_load_experts(ct_ctx, &layer, file, 0,
                           wrong[i][0], wrong[i][1], 0),
                W4MOE_INVALID, "of a container with 4 from 0 on");
        ck_assert_ptr_null(layer);
    }
    ct_refused(w4moe_layer_load_experts(ct_ctx, &layer, file, 3, 0, 1, 0),
            W4MOE_INVALID, "no layer 3");
    ct_refused(w4moe_layer_load_experts(ct_ctx, NULL, file, 0, 0, 1, 0),
            W4MOE_INVALID, "layer_p NULL");
    w4moe_file_close(file);
    end();
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("container_router");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_test(tc, arrays_are_those_of_the_file);
    tcase_add_test(tc, other_types_and_shapes_are_refused);
    tcase_add_test(tc, groups_that_are_none_are_refused);
    tcase_add_test(tc, arrays_of_an_unknown_router_are_left_out);
    tcase_add_test(tc, the_first_layers_may_have_none);
    tcase_add_test(tc, every_part);
    tcase_add_test(tc, parts_that_are_none);
    Suite *suite = suite_create("container_router");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
