/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_layer_load_list(): any experts of a container, in memory of the layer
 * or where they are, give what the whole layer gives when the others are
 * elsewhere. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/contexts.h"
#include "../kernel/oracle.h"
#include "ct_container.h"
#include "test_folder.h"

enum { T = 7, K = 2, E_MAX = 8, H_MAX = 512 };

enum {
    ALL_FLAGS = W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES | W4MOE_LAYER_PREFAULT
};

static const uint64_t huge_page = (uint64_t)2 << 20;

/* Checkpoints that between them have every array: zero points, permutations,
 * bias; the last has a router with arrays, and 4 experts. */
static const char *const checkpoints[] = {"ct-sym-g32-bf16", "awq-g64-fp16",
        "gptq-descact-g64-fp16", "ct-actorder-g64-bf16", "gptoss-mxfp4",
        "ct-channel-bf16-single"};
enum { N_CHECKPOINTS = sizeof(checkpoints) / sizeof(checkpoints[0]) };

/* Which experts, as bits. */
static const unsigned lists[] = {0x5, 0xA, 0xB, 0x9, 0xD, 0x1, 0x4, 0x6, 0xE,
        0xF, 0x55, 0x81, 0x92, 0xFE, 0xBF};
enum { N_LISTS = sizeof(lists) / sizeof(lists[0]) };

/* ---------------------------------------------------------------- fixtures */

static char *path;
static w4moe_file *file;
static w4moe_file_info facts;

/* Converts a checkpoint, n experts from `first` on (0: all), and opens it. */
static void
start(const char *checkpoint, size_t first, size_t n)
{
    char name[64];
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.force = 1;
    options.first_expert = first;
    options.n_experts = n;
    path = strdup(test_path("list.safetensors"));
    snprintf(name, sizeof(name), "tests/data/%s", checkpoint);
    ct_ok(w4moe_convert(ct_ctx, NULL, path, test_source_path(name), &options));
    file = ct_open(path);
    facts = (w4moe_file_info){.struct_size = sizeof(facts)};
    ct_ok(w4moe_file_get_info(file, &facts));
    ck_assert_uint_le(facts.n_experts_total, E_MAX);
    ck_assert_uint_le(facts.hidden_size, H_MAX);
}

static void
end(void)
{
    w4moe_file_close(file);
    free(path);
}

/* The experts of a list that there are; returns how many. */
static size_t
make_list(int32_t experts[E_MAX], unsigned bits)
{
    size_t n = 0;
    for (int32_t e = 0; e < (int32_t)facts.n_experts_total; e++) {
        if ((bits >> e & 1) != 0) {
            experts[n++] = e;
        }
    }
    return n;
}

static int
is_in_a_row(const int32_t *experts, size_t n)
{
    return (size_t)(experts[n - 1] - experts[0]) == n - 1;
}

static w4moe_layer_info
info_of(const w4moe_layer *layer)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_layer_get_info(layer, &info));
    return info;
}

/* A call with ids, or with none if the layer is to choose; out [T][H]. */
static w4moe_status
forward(const w4moe_layer *layer, uint16_t *out, const int32_t *map,
        int chooses)
{
    int32_t ids[T * K];
    float weights[T * K];
    uint16_t x[T * H_MAX];
    struct oracle_rng rng = {0x115};
    for (size_t i = 0; i < T * K; i++) {
        ids[i] = (int32_t)oracle_below(&rng, facts.n_experts_total);
        weights[i] = 0.25f + (float)(i % 5) / 8;
    }
    for (size_t i = 0; i < T * facts.hidden_size; i++) {
        oracle_store(x, W4MOE_BF16, i, oracle_uniform(&rng, -1, 1));
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
            .ids = chooses ? NULL : ids,
            .weights = chooses ? NULL : weights,
            .expert_map = map,
    };
    w4moe_status status = w4moe_forward(layer, ws, &args);
    w4moe_workspace_destroy(ws);
    return status;
}

/* What the whole layer gives when only these are here. */
static void
forward_whole(uint16_t *out, const w4moe_layer *whole, const int32_t *experts,
        size_t n, int chooses)
{
    int32_t map[E_MAX];
    memset(map, 0xFF, sizeof(map));
    for (size_t i = 0; i < n; i++) {
        map[experts[i]] = experts[i] - (int32_t)facts.first_expert;
    }
    ct_ok(forward(whole, out, map, chooses));
}

static void
check_layer(const w4moe_layer *layer, const uint16_t *expected,
        const int32_t *experts, size_t n, int chooses)
{
    uint16_t out[T * H_MAX];
    int32_t map[E_MAX];
    memset(map, 0xFF, sizeof(map));
    for (size_t i = 0; i < n; i++) {
        map[experts[i]] = (int32_t)i;
    }
    ct_ok(forward(layer, out, map, chooses));
    ck_assert_mem_eq(out, expected, T * facts.hidden_size * sizeof(uint16_t));
}

/* ----------------------------------------------------------------- results */

static void
check_facts(const w4moe_layer *layer, const int32_t *experts, size_t n,
        unsigned flags, uint64_t router_bytes)
{
    w4moe_layer_info info = info_of(layer);
    int in_a_row = is_in_a_row(experts, n);
    int copies = (flags & (W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES)) != 0;
    uint64_t least = in_a_row && !copies ? 0 : n * info.bytes_per_expert;
    least += copies ? router_bytes : 0;
    ck_assert_uint_eq(info.n_experts, n);
    ck_assert_uint_eq(info.first_expert, in_a_row ? (size_t)experts[0] : 0);
    ck_assert_uint_eq(info.n_experts_global, facts.n_experts_total);
    ck_assert_uint_eq(info.hidden_size, facts.hidden_size);
    if ((flags & W4MOE_LAYER_HUGE_PAGES) != 0) {
        ck_assert_uint_eq(info.bytes_owned % huge_page, 0);
        ck_assert_uint_ge(info.bytes_owned, least);
        ck_assert_uint_lt(info.bytes_owned, least + 16 * 64 + huge_page);
    } else {
        ck_assert_uint_ge(info.bytes_owned, least);
        ck_assert_uint_lt(info.bytes_owned, least + (least != 0 ? 16 * 64 : 1));
    }
}

/* Bytes of the router's arrays. */
static uint64_t
router_size(void)
{
    w4moe_router router = {.struct_size = sizeof(router)};
    ct_ok(w4moe_file_get_router(file, &router, facts.layers[0]));
    size_t n = facts.n_experts_total;
    uint64_t bytes = 0;
    if (router.weight != NULL) {
        bytes += n * facts.hidden_size * w4moe_dtype_size(router.weight_dtype);
    }
    if (router.bias != NULL) {
        bytes += n * w4moe_dtype_size(router.bias_dtype);
    }
    if (router.correction_bias != NULL) {
        bytes += n * w4moe_dtype_size(router.correction_bias_dtype);
    }
    return bytes;
}

/* Every list; those that are copied, and some of the others, with every
 * flag. */
START_TEST(every_list)
{
    start(checkpoints[_i], 0, 0);
    w4moe_layer *whole = NULL;
    uint64_t router_bytes = router_size();
    ct_ok(w4moe_layer_load(ct_ctx, &whole, file, facts.layers[0], 0));
    int chooses = info_of(whole).has_router_weight;
    int n_scattered = 0;
    for (unsigned i = 0; i < N_LISTS; i++) {
        int32_t experts[E_MAX];
        size_t n = make_list(experts, lists[i]);
        if (n == 0) {
            continue;
        }
        uint16_t expected[2][T * H_MAX];
        for (int j = 0; j <= chooses; j++) {
            forward_whole(expected[j], whole, experts, n, j);
        }
        n_scattered += !is_in_a_row(experts, n);
        for (unsigned flags = i % 2; flags <= ALL_FLAGS; flags += 1 + i % 3) {
            w4moe_layer *layer = NULL;
            ct_ok(w4moe_layer_load_list(
                    ct_ctx, &layer, file, facts.layers[0], experts, n, flags));
            check_facts(layer, experts, n, flags, router_bytes);
            for (int j = 0; j <= chooses; j++) {
                check_layer(layer, expected[j], experts, n, j);
            }
            w4moe_layer_destroy(layer);
        }
    }
    ck_assert_int_gt(n_scattered, 3);
    w4moe_layer_destroy(whole);
    end();
}
END_TEST

/* With a copy the file may go; and what the layer has been asked for at first
 * does not matter any more. */
START_TEST(copies_stand_alone)
{
    for (unsigned i = 0; i < 2 * (unsigned)N_CHECKPOINTS; i++) {
        int32_t experts[E_MAX];
        uint16_t expected[2][T * H_MAX];
        start(checkpoints[i / 2], 0, 0);
        size_t n = make_list(experts, 0xB);
        w4moe_layer *layer = NULL;
        ct_ok(w4moe_layer_load(ct_ctx, &layer, file, facts.layers[0], 0));
        int chooses = info_of(layer).has_router_weight;
        for (int j = 0; j <= chooses; j++) {
            forward_whole(expected[j], layer, experts, n, j);
        }
        w4moe_layer_destroy(layer);
        ct_ok(w4moe_layer_load_list(ct_ctx, &layer, file, facts.layers[0],
                experts, n,
                i % 2 != 0 ? W4MOE_LAYER_HUGE_PAGES : W4MOE_LAYER_COPY));
        w4moe_file_close(file);
        file = NULL;
        int32_t kept[E_MAX];
        memcpy(kept, experts, sizeof(kept));
        memset(experts, 0x55, sizeof(experts));
        for (int j = 0; j <= chooses; j++) {
            check_layer(layer, expected[j], kept, n, j);
        }
        w4moe_layer_destroy(layer);
        end();
    }
}
END_TEST

/* Experts 2 to 6 of 8, by their numbers in the model. */
START_TEST(of_a_part_of_the_model)
{
    static const unsigned parts[] = {0x14, 0x44, 0x54, 0x34, 0x2C, 0x7C};
    start("ct-sym-g32-bf16", 2, 5);
    w4moe_layer *whole = NULL;
    ct_ok(w4moe_layer_load(ct_ctx, &whole, file, facts.layers[0], 0));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int32_t experts[E_MAX];
        uint16_t expected[T * H_MAX];
        size_t n = make_list(experts, parts[i]);
        forward_whole(expected, whole, experts, n, 0);
        w4moe_layer *layer = NULL;
        ct_ok(w4moe_layer_load_list(
                ct_ctx, &layer, file, facts.layers[0], experts, n, 0));
        check_facts(layer, experts, n, 0, 0);
        check_layer(layer, expected, experts, n, 0);
        w4moe_layer_destroy(layer);
    }
    static const int32_t beside[2][2] = {{1, 3}, {3, 7}};
    w4moe_layer *none = NULL;
    ct_refused(w4moe_layer_load_list(
                       ct_ctx, &none, file, facts.layers[0], beside[0], 2, 0),
            W4MOE_INVALID,
            "layer_load: 1 experts from 1 on, of a container with 5 from 2 on");
    ct_refused(w4moe_layer_load_list(
                       ct_ctx, &none, file, facts.layers[0], beside[1], 2, 0),
            W4MOE_INVALID,
            "layer_load: 1 experts from 7 on, of a container with 5 from 2 on");
    ck_assert_ptr_null(none);
    w4moe_layer_destroy(whole);
    end();
}
END_TEST

/* Without a map nobody knows which of the model's experts they are. */
START_TEST(calls_need_a_map)
{
    static const int32_t experts[2] = {0, 2};
    static const int32_t in_a_row[2] = {1, 2};
    uint16_t out[T * H_MAX];
    int32_t ids[T * K];
    float weights[T * K];
    static const uint16_t x[T * H_MAX];
    w4moe_workspace *ws = NULL;
    w4moe_layer *layer = NULL;
    start("ct-channel-bf16-single", 0, 0);
    ct_ok(w4moe_layer_load_list(
            ct_ctx, &layer, file, facts.layers[0], experts, 2, 0));
    memset(out, 0xA5, sizeof(out));
    for (int chooses = 0; chooses < 2; chooses++) {
        ct_refused(forward(layer, out, NULL, chooses), W4MOE_INVALID,
                "forward: the layer's experts do not follow each other, and "
                "there is no expert_map");
        ck_assert_uint_eq(out[0], 0xA5A5);
    }
    /* To choose is another thing. */
    ct_ok(w4moe_workspace_create(layer, &ws, T, K));
    w4moe_forward_args args = {.struct_size = sizeof(args),
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = K};
    ct_ok(w4moe_choose(layer, ws, ids, weights, &args));
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    ct_ok(w4moe_layer_load_list(
            ct_ctx, &layer, file, facts.layers[0], in_a_row, 2, 0));
    ct_ok(forward(layer, out, NULL, 0));
    w4moe_layer_destroy(layer);
    end();
}
END_TEST

/* ------------------------------------------------------------------ memory */

/* What the layer owns is all that it takes, also while it is made. */
START_TEST(memory_limits)
{
    static const int32_t experts[3] = {0, 1, 3};
    static const unsigned all_flags[] = {
            0, W4MOE_LAYER_COPY, W4MOE_LAYER_HUGE_PAGES, ALL_FLAGS};
    start("ct-channel-bf16-single", 0, 0);
    for (size_t i = 0; i < sizeof(all_flags) / sizeof(all_flags[0]); i++) {
        char text[64];
        w4moe_layer *layer = NULL;
        ct_ok(w4moe_layer_load_list(ct_ctx, &layer, file, facts.layers[0],
                experts, 3, all_flags[i]));
        uint64_t owned = info_of(layer).bytes_owned;
        w4moe_layer_destroy(layer);
        layer = NULL;
        w4moe_ctx *limited = context_make(NULL, 1, owned - 1);
        ck_assert_int_eq(w4moe_layer_load_list(limited, &layer, file,
                                 facts.layers[0], experts, 3, all_flags[i]),
                W4MOE_NOMEM);
        ck_assert_ptr_null(layer);
        snprintf(text, sizeof(text), "layer: %llu bytes would pass",
                (unsigned long long)owned);
        ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(limited), text));
        w4moe_ctx_destroy(limited);
        limited = context_make(NULL, 1, owned);
        for (int again = 0; again < 2; again++) {
            ck_assert_int_eq(w4moe_layer_load_list(limited, &layer, file,
                                     facts.layers[0], experts, 3, all_flags[i]),
                    W4MOE_OK);
            w4moe_layer *second = NULL;
            ck_assert_int_eq(w4moe_layer_load_list(limited, &second, file,
                                     facts.layers[0], experts, 3, all_flags[i]),
                    W4MOE_NOMEM);
            ck_assert_ptr_null(second);
            w4moe_layer_destroy(layer);
        }
        w4moe_ctx_destroy(limited);
    }
    end();
}
END_TEST

/* ---------------------------------------------------------------- refusals */

static void
refused(const int32_t *experts, size_t n, const char *text)
{
    w4moe_layer *layer = NULL;
    ct_refused(w4moe_layer_load_list(
                       ct_ctx, &layer, file, facts.layers[0], experts, n, 0),
            W4MOE_INVALID, text);
    ck_assert_ptr_null(layer);
}

START_TEST(lists_that_are_none)
{
    static const int32_t some[3] = {0, 2, 3};
    w4moe_layer *layer = NULL;
    start("ct-sym-g32-bf16", 0, 0);
    refused(NULL, 3, "layer_load: experts NULL, 3 of them");
    refused(some, 0, "layer_load: experts given, 0 of them");
    refused((const int32_t[]){2, 1}, 2,
            "layer_load: experts[1] is 1, they must ascend from 0");
    refused((const int32_t[]){0, 2, 2}, 3,
            "layer_load: experts[2] is 2, they must ascend from 0");
    refused((const int32_t[]){-1, 2}, 2,
            "layer_load: experts[0] is -1, they must ascend from 0");
    refused((const int32_t[]){1, 3, INT32_MIN}, 3,
            "layer_load: experts[2] is -2147483648, they must ascend from 0");
    refused((const int32_t[]){0, 8}, 2,
            "layer_load: 1 experts from 8 on, of a container with 8 from 0 on");
    refused((const int32_t[]){INT32_MAX}, 1,
            "layer_load: 1 experts from 2147483647 on, of a container with 8 "
            "from 0 on");
    ct_refused(w4moe_layer_load_list(ct_ctx, &layer, file, 77, some, 3, 0),
            W4MOE_INVALID, "no layer 77");
    ct_refused(w4moe_layer_load_list(
                       ct_ctx, NULL, file, facts.layers[0], some, 3, 0),
            W4MOE_INVALID, "layer_p NULL");
    ct_refused(w4moe_layer_load_list(
                       ct_ctx, &layer, NULL, facts.layers[0], some, 3, 0),
            W4MOE_INVALID, "file NULL");
    ck_assert_int_eq(w4moe_layer_load_list(
                             NULL, &layer, file, facts.layers[0], some, 3, 0),
            W4MOE_INVALID);
    ct_refused(w4moe_layer_load_list(ct_ctx, &layer, file, facts.layers[0],
                       some, 3, ALL_FLAGS + 1),
            W4MOE_INVALID, "layer: ctx given, layer_p given, flags 0x8");
    ck_assert_ptr_null(layer);
    end();
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("layer_list");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(tc, every_list, 0, N_CHECKPOINTS);
    tcase_add_test(tc, copies_stand_alone);
    tcase_add_test(tc, of_a_part_of_the_model);
    tcase_add_test(tc, calls_need_a_map);
    tcase_add_test(tc, memory_limits);
    tcase_add_test(tc, lists_that_are_none);
    Suite *suite = suite_create("layer_list");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
