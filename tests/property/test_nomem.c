/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Contexts, files and layers without memory: every allocation fails in turn,
 * and each time the call says NOMEM and keeps nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/alloc_count.h"
#include "../kernel/contexts.h"
#include "../kernel/forward_case.h"
#include "ct_container.h"
#include "nomem.h"
#include "test_folder.h"

enum { N_THREADS = 3 };

/* ---------------------------------------------------------------- contexts */

static const char *backend;

static w4moe_status
run_context(struct nomem_result *result)
{
    w4moe_ctx *ctx = nomem_untouched;
    w4moe_ctx_options options = {.struct_size = sizeof(options),
            .backend = backend,
            .n_threads = N_THREADS};
    w4moe_status status = w4moe_ctx_create(&ctx, &options);
    nomem_pointer(result, status, ctx);
    if (status == W4MOE_OK) {
        const char *text = w4moe_ctx_describe(ctx);
        /* Up to why other backends are not used. */
        nomem_hash(result, text, strcspn(strchr(text, '\n') + 1, "\n"));
        w4moe_ctx_destroy(ctx);
    }
    return status;
}

START_TEST(contexts_alone)
{
    static const struct nomem_scenario scenario = {
            .name = "context", .run = run_context};
    /* A folder without modules. */
    setenv("W4MOE_BACKEND_DIR", "/none", 1);
    backend = _i == 0 ? "cpu" : "auto";
    nomem_check(&scenario);
}
END_TEST

/* ------------------------------------------------------- files and layers */

static w4moe_ctx *ctx;

/* A container, and the layer in it: number 3, of 4 experts. */
static char *container;
static w4moe_file *file;
enum { LAYER = 3 };

static void
setup(void)
{
    ctx = context_make(NULL, N_THREADS, 0);
    ct_ctx_setup();
    struct ct_model model;
    struct ct_spec spec = ct_specs[3];
    spec.n_experts = 4;
    ct_model_make(&model, &spec);
    ct_convert(&model, W4MOE_ORDER_TILE, "c.safetensors");
    ct_model_free(&model);
    ct_ctx_teardown();
    container = strdup(test_path("c.safetensors"));
    ck_assert_int_eq(w4moe_file_open(ctx, &file, container), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_file_close(file);
    w4moe_ctx_destroy(ctx);
    free(container);
}

static w4moe_status
use_file(struct nomem_result *result, const w4moe_file *opened)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_matrix matrix = {.struct_size = sizeof(matrix)};
    w4moe_router router = {.struct_size = sizeof(router)};
    w4moe_status status = w4moe_file_get_info(opened, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(opened, &matrix, LAYER, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_router(opened, &router, LAYER);
    }
    if (status == W4MOE_OK) {
        nomem_hash(result, &info.n_bytes, sizeof(info.n_bytes));
        nomem_hash(result, &matrix.n_out, sizeof(matrix.n_out));
        nomem_hash(result, &router.kind, sizeof(router.kind));
        status = w4moe_file_verify(opened);
    }
    return status;
}

static w4moe_status
run_file(struct nomem_result *result)
{
    w4moe_file *opened = nomem_untouched;
    w4moe_status status = w4moe_file_open(ctx, &opened, container);
    nomem_pointer(result, status, opened);
    if (status == W4MOE_OK) {
        status = use_file(result, opened);
        w4moe_file_close(opened);
    }
    return status;
}

START_TEST(files)
{
    static const struct nomem_scenario scenario = {
            .name = "file", .run = run_file};
    nomem_check(&scenario);
}
END_TEST

enum { T = 5, K = 2 };

/* Room for what a layer computes. */
static unsigned char room[T * 80 * 2];

/* A layer in use: a workspace, and a call with args. */
static w4moe_status
use_layer(struct nomem_result *result, const w4moe_layer *layer,
        const w4moe_forward_args *args)
{
    w4moe_workspace *ws = nomem_untouched;
    w4moe_forward_args own = *args;
    own.out = room;
    w4moe_status status = w4moe_workspace_create(layer, &ws, T, K);
    nomem_pointer(result, status, ws);
    if (status == W4MOE_OK) {
        memset(room, 0, sizeof(room));
        status = w4moe_forward(layer, ws, &own);
        nomem_hash(result, room, sizeof(room));
        w4moe_workspace_destroy(ws);
    }
    return status;
}

/* What its router chooses. */
static w4moe_status
use_router(struct nomem_result *result, const w4moe_layer *layer,
        const w4moe_forward_args *args)
{
    w4moe_workspace *ws = nomem_untouched;
    int32_t ids[T * K];
    float weights[T * K];
    w4moe_status status = w4moe_workspace_create(layer, &ws, T, K);
    nomem_pointer(result, status, ws);
    if (status == W4MOE_OK) {
        status = w4moe_choose(layer, ws, ids, weights, args);
        if (status == W4MOE_OK) {
            nomem_hash(result, ids, sizeof(ids));
            nomem_hash(result, weights, sizeof(weights));
        }
        w4moe_workspace_destroy(ws);
    }
    return status;
}

static unsigned flags;

/* Which experts: all; the second; those of a list, in a row or not. */
enum { ALL, ONE, IN_A_ROW, SCATTERED, N_PARTS };
static int part;

static w4moe_status
load_part(w4moe_layer **layer_p)
{
    static const int32_t lists[2][2] = {{1, 2}, {0, 2}};
    switch (part) {
    case ALL:
        return w4moe_layer_load(ctx, layer_p, file, LAYER, flags);
    case ONE:
        return w4moe_layer_load_experts(ctx, layer_p, file, LAYER, 1, 1, flags);
    default:
        return w4moe_layer_load_list(
                ctx, layer_p, file, LAYER, lists[part == SCATTERED], 2, flags);
    }
}

static w4moe_status
run_load(struct nomem_result *result)
{
    /* All tokens are the same, and choose experts 0 and 1. */
    static const uint16_t x[T * 80];
    static const int32_t ids[T * K] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
    static const float weights[T * K] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const int32_t map[4] = {0, -1, 1, -1};
    w4moe_forward_args args = {.struct_size = sizeof(args),
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = K,
            .ids = ids,
            .weights = weights,
            .expert_map = part == SCATTERED ? map : NULL};
    w4moe_layer *layer = nomem_untouched;
    w4moe_status status = load_part(&layer);
    nomem_pointer(result, status, layer);
    if (status == W4MOE_OK) {
        status = use_layer(result, layer, &args);
        w4moe_layer_destroy(layer);
    }
    return status;
}

enum {
    ALL_FLAGS = W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES | W4MOE_LAYER_PREFAULT
};

START_TEST(layers_of_files)
{
    static const struct nomem_scenario scenario = {
            .name = "layer of a file", .run = run_load};
    for (flags = 0; flags <= ALL_FLAGS; flags++) {
        for (part = ALL; part < N_PARTS; part++) {
            nomem_check(&scenario);
        }
    }
}
END_TEST

/* Buffers of every kind, one of them copied to the next. */
static w4moe_status
run_memory(struct nomem_result *result)
{
    enum { N = 200 };
    static const char text[N] = "to and fro";
    const char *from = text;
    char *buffers[3];
    w4moe_status status = W4MOE_OK;
    int n = 0;
    for (; n < 3 && status == W4MOE_OK; n++) {
        void *memory = nomem_untouched;
        status = w4moe_memory_alloc(ctx, &memory, N, (w4moe_memory)n);
        nomem_pointer(result, status, memory);
        if (status != W4MOE_OK) {
            break;
        }
        buffers[n] = memory;
        status = w4moe_memory_copy(ctx, buffers[n], from, N, NULL);
        from = buffers[n];
        nomem_hash(result, from, N);
    }
    while (n-- > 0) {
        w4moe_memory_free(ctx, buffers[n], N, (w4moe_memory)n);
    }
    return status;
}

START_TEST(buffers)
{
    static const struct nomem_scenario scenario = {
            .name = "memory", .run = run_memory};
    nomem_check(&scenario);
}
END_TEST

static w4moe_layer_desc desc;
static w4moe_forward_args call;

static w4moe_status
run_create(struct nomem_result *result)
{
    w4moe_layer *layer = nomem_untouched;
    w4moe_status status = w4moe_layer_create(ctx, &layer, &desc, flags);
    nomem_pointer(result, status, layer);
    if (status == W4MOE_OK) {
        status = use_layer(result, layer, &call);
        if (status == W4MOE_OK && call.ids == NULL) {
            status = use_router(result, layer, &call);
        }
        w4moe_layer_destroy(layer);
    }
    return status;
}

/* A layer of arrays, with ids, with logits, and from hidden states alone; its
 * shared experts are its own once more. */
static void
check_create(const struct forward_problem *p, const w4moe_matrix *w13,
        const w4moe_matrix *w2)
{
    static const struct nomem_scenario scenario = {
            .name = "layer of arrays", .run = run_create};
    static const float logits[T * 4] = {0, 1, 2};
    static const float gate[4 * 80] = {1};
    static const float router[4 * 80] = {0, 1, 2};
    call = p->args;
    desc = (w4moe_layer_desc){
            .struct_size = sizeof(desc),
            .w13 = w13,
            .w2 = w2,
            .activation = p->activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .scale = 1,
                    .weight = router,
                    .weight_dtype = W4MOE_F32},
            .shared_w13 = w13,
            .shared_w2 = w2,
            .shared_gate = gate,
            .shared_gate_dtype = W4MOE_F32,
    };
    for (flags = 0; flags <= ALL_FLAGS; flags++) {
        nomem_check(&scenario);
    }
    flags = 0;
    call.ids = NULL;
    call.weights = NULL;
    call.router_logits = logits;
    call.logits_dtype = W4MOE_F32;
    nomem_check(&scenario);
    call.router_logits = NULL;
    nomem_check(&scenario);
}

START_TEST(layers_of_arrays)
{
    struct forward_case what = {
            .seed = 0x5000 + (uint64_t)_i,
            .n_experts = 4,
            .hidden = 80,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = (unsigned)_i,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = K,
    };
    struct forward_problem p;
    w4moe_matrix w13;
    w4moe_matrix w2;
    forward_make(&p, &what);
    oracle_pack(&w13, &p.w13, W4MOE_ORDER_TILE);
    oracle_pack(&w2, &p.w2, W4MOE_ORDER_TILE);
    check_create(&p, &w13, &w2);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&p);
}
END_TEST

int
main(void)
{
    if (!alloc_count_works()) {
        fputs("skipped: needs glibc's allocator, with nothing before it\n",
                stderr);
        return 77;
    }
    Suite *suite = suite_create("nomem");
    TCase *alone = tcase_create("contexts");
    tcase_set_timeout(alone, 0);
    tcase_add_loop_test(alone, contexts_alone, 0, 2);
    suite_add_tcase(suite, alone);
    TCase *tc = tcase_create("files and layers");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, files);
    tcase_add_test(tc, layers_of_files);
    tcase_add_test(tc, buffers);
    tcase_add_loop_test(tc, layers_of_arrays, 0, N_WEIGHT_FORMS);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
