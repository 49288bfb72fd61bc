/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Functions for one weight, and operators, without memory: NOMEM, nothing
 * written, nothing kept. Some of them never allocate. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/alloc_count.h"
#include "../kernel/contexts.h"
#include "../kernel/gemm_case.h"
#include "nomem.h"

/* A weight, and the matrix of one expert that it goes into. */
enum { N = 32, K = 64, GROUP = 32, G = K / GROUP, BEFORE = 0xC3 };

static w4moe_ctx *ctx;

static struct packed {
    uint32_t qweight[N * K / 8];
    uint32_t qzeros[N * G / 8];
    uint16_t scales[N * G];
    int32_t perm[K];
} packed;
static w4moe_matrix matrix;

/* The tensors of a checkpoint: bytes of all kinds, and scales, which are
 * finite. */
static unsigned char codes[N * K / 2];
static unsigned char zeros[N * G / 2];
static uint16_t scales[N * G];
static uint16_t weights[N * K];
static int32_t order[K];

static void
setup(void)
{
    ctx = context_make(NULL, 3, 0);
    for (size_t i = 0; i < sizeof(codes); i++) {
        codes[i] = (unsigned char)(i * 37);
    }
    for (size_t i = 0; i < sizeof(zeros); i++) {
        zeros[i] = (unsigned char)(i * 41);
    }
    for (size_t i = 0; i < N * G; i++) {
        oracle_store(scales, W4MOE_BF16, i, 1 + (double)(i % 7));
    }
    for (size_t i = 0; i < N * K; i++) {
        oracle_store(weights, W4MOE_BF16, i, (double)(i % 19) - 9);
    }
    for (size_t i = 0; i < K; i++) {
        order[i] = (int32_t)((i * 5) % K);
    }
    matrix = (w4moe_matrix){
            .struct_size = sizeof(matrix),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = 1,
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .qweight = packed.qweight,
            .qzeros = packed.qzeros,
            .scales = packed.scales,
            .scale_dtype = W4MOE_BF16,
            .perm = packed.perm,
            .n_perms = 1,
    };
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

/* ------------------------------------------------------------ one weight */

static void
before_packing(void)
{
    memset(&packed, BEFORE, sizeof(packed));
}

/* Takes the packed arrays into the hash; after a failure they are as they
 * were. */
static void
after_packing(struct nomem_result *result, w4moe_status status)
{
    const unsigned char *bytes = (const unsigned char *)&packed;
    nomem_hash(result, bytes, sizeof(packed));
    for (size_t i = 0; i < sizeof(packed); i++) {
        result->is_touched |= status != W4MOE_OK && bytes[i] != BEFORE;
    }
}

static w4moe_status
run_ct(struct nomem_result *result)
{
    w4moe_ct_weight src = {.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .packed = codes,
            .scale = scales,
            .scale_dtype = W4MOE_BF16,
            .zero_point = zeros,
            .input_order = order};
    before_packing();
    w4moe_status status = w4moe_pack_ct(ctx, &matrix, &src, 0, 0);
    after_packing(result, status);
    return status;
}

static w4moe_status
run_ct_order(struct nomem_result *result)
{
    /* Numbers of 4 bytes, little-endian. */
    static unsigned char g_idx[K * 4];
    int32_t got[K];
    for (int i = 0; i < K; i++) {
        g_idx[4 * i] = (unsigned char)(i % G);
    }
    memset(got, BEFORE, sizeof(got));
    w4moe_status status = w4moe_ct_order(ctx, got, g_idx, K, GROUP);
    result->is_touched = status != W4MOE_OK && got[0] != got[K - 1];
    nomem_hash(result, got, sizeof(got));
    return status;
}

static w4moe_status
run_gptq(struct nomem_result *result)
{
    w4moe_gptq_weight src = {.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .qweight = codes,
            .scales = scales,
            .scale_dtype = W4MOE_BF16,
            .qzeros = zeros,
            .v2 = 1};
    before_packing();
    w4moe_status status = w4moe_pack_gptq(ctx, &matrix, &src, 0, 0);
    after_packing(result, status);
    return status;
}

static w4moe_status
run_awq(struct nomem_result *result)
{
    w4moe_awq_weight src = {.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .qweight = codes,
            .scales = scales,
            .scale_dtype = W4MOE_BF16,
            .qzeros = zeros};
    before_packing();
    w4moe_status status = w4moe_pack_awq(ctx, &matrix, &src, 0, 0);
    after_packing(result, status);
    return status;
}

static w4moe_status
run_mxfp4(struct nomem_result *result)
{
    static const unsigned char exponents[N * G] = {127, 128, 120};
    w4moe_mxfp4_weight src = {.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .blocks = codes,
            .scales = exponents};
    w4moe_matrix m = matrix;
    m.code = W4MOE_CODE_E2M1;
    m.scale_dtype = W4MOE_F8_E8M0;
    m.qzeros = NULL;
    m.perm = NULL;
    m.n_perms = 0;
    before_packing();
    w4moe_status status = w4moe_pack_mxfp4(ctx, &m, &src, 0, 0);
    after_packing(result, status);
    return status;
}

static w4moe_status
run_quantize(struct nomem_result *result)
{
    w4moe_float_weight src = {.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .weights = weights,
            .dtype = W4MOE_BF16,
            .row_stride = K,
            .column_stride = 1};
    before_packing();
    w4moe_status status = w4moe_quantize(ctx, &matrix, &src, 0, 0);
    after_packing(result, status);
    return status;
}

static w4moe_status
run_dequantize(struct nomem_result *result)
{
    static float rows[N * K];
    w4moe_matrix m = matrix;
    m.perm = NULL;
    m.n_perms = 0;
    memset(&packed, 0x35, sizeof(packed));
    memset(rows, 0, sizeof(rows));
    w4moe_status status = w4moe_dequantize(ctx, rows, &m, 0);
    nomem_hash(result, rows, sizeof(rows));
    return status;
}

/* -------------------------------------------------------------- operators */

enum { T = 9, E = 8, TOP_K = 3, BLOCK = 4 };

static w4moe_status
run_route(struct nomem_result *result)
{
    static const w4moe_router router = {.struct_size = sizeof(router),
            .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
            .renormalize = 1,
            .scale = 1};
    float logits[T * E];
    int32_t ids[T * TOP_K];
    float chosen[T * TOP_K];
    for (int i = 0; i < T * E; i++) {
        logits[i] = (float)(i * 7 % 11);
    }
    w4moe_status status = w4moe_route(
            ctx, ids, chosen, logits, W4MOE_F32, 0, T, E, TOP_K, &router);
    nomem_hash(result, ids, sizeof(ids));
    nomem_hash(result, chosen, sizeof(chosen));
    return status;
}

static w4moe_status
run_align(struct nomem_result *result)
{
    int32_t slots[(T * TOP_K + E) * BLOCK] = {0};
    int32_t experts[T * TOP_K + E] = {0};
    int32_t first[E + 1] = {0};
    int32_t ids[T * TOP_K];
    int32_t n_padded = 0;
    for (int i = 0; i < T * TOP_K; i++) {
        ids[i] = i * 5 % E;
    }
    w4moe_status status = w4moe_align(ctx, slots, experts, &n_padded, first,
            ids, (size_t)T * TOP_K, NULL, E, BLOCK);
    nomem_hash(result, slots, sizeof(slots));
    nomem_hash(result, experts, sizeof(experts));
    nomem_hash(result, first, sizeof(first));
    return status;
}

static struct gemm_call gemm_call;

static w4moe_status
run_gemm(struct nomem_result *result)
{
    const struct gemm_problem *p = gemm_call.p;
    w4moe_status status = w4moe_gemm(ctx, &gemm_call.args);
    nomem_hash(result, gemm_call.args.c, p->c_rows * p->c_stride * 2);
    return status;
}

static w4moe_status
run_activate(struct nomem_result *result)
{
    static const w4moe_activation silu = {
            .struct_size = sizeof(silu), .kind = W4MOE_ACT_SILU};
    uint16_t out[N * K / 2];
    w4moe_status status = w4moe_activate(
            ctx, out, 0, weights, 0, W4MOE_BF16, N, K / 2, &silu);
    nomem_hash(result, out, sizeof(out));
    return status;
}

static w4moe_status
run_combine(struct nomem_result *result)
{
    static const int32_t row_ids[2 * 3] = {0, 3, -1, 2, 2, 5};
    float sums[2 * K];
    w4moe_combine_args args = {.struct_size = sizeof(args),
            .out = sums,
            .out_dtype = W4MOE_F32,
            .rows = weights,
            .row_dtype = W4MOE_BF16,
            .n_rows = N,
            .row_ids = row_ids,
            .n_tokens = 2,
            .k = 3,
            .n_columns = K};
    w4moe_status status = w4moe_combine(ctx, &args);
    nomem_hash(result, sums, sizeof(sums));
    return status;
}

START_TEST(functions)
{
    static const struct nomem_scenario scenarios[] = {
            {.name = "ct_order", .run = run_ct_order},
            {.name = "pack_ct", .run = run_ct},
            {.name = "pack_gptq", .run = run_gptq},
            {.name = "pack_awq", .run = run_awq},
            {.name = "pack_mxfp4", .run = run_mxfp4},
            {.name = "quantize", .run = run_quantize},
            {.name = "dequantize", .run = run_dequantize},
            {.name = "route", .run = run_route},
            {.name = "align", .run = run_align},
            {.name = "activate", .run = run_activate},
            {.name = "combine", .run = run_combine},
    };
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        nomem_check(&scenarios[i]);
    }
}
END_TEST

START_TEST(gemm)
{
    static const struct nomem_scenario scenario = {
            .name = "gemm", .run = run_gemm};
    struct gemm_case what = {
            .spec = {.seed = 0x6000,
                    .n_experts = 3,
                    .n_out = 32,
                    .n_in = 64,
                    .group_size = 32,
                    .code = W4MOE_CODE_INT4,
                    .scale_dtype = W4MOE_BF16},
            .dtype = W4MOE_BF16,
            .n_rows = T,
            .top_k = 2,
            .block_size = BLOCK,
            .output_topk = 2,
            .weighted = 1,
    };
    struct gemm_problem p;
    w4moe_matrix b;
    gemm_make(&p, &what);
    oracle_pack(&b, &p.matrix, W4MOE_ORDER_TILE);
    gemm_open(&gemm_call, ctx, &p, &b);
    nomem_check(&scenario);
    free(gemm_close(&gemm_call));
    oracle_pack_free(&b);
    gemm_free(&p);
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
    TCase *tc = tcase_create("nomem_operators");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, functions);
    tcase_add_test(tc, gemm);
    Suite *suite = suite_create("nomem_operators");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
