/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every argument that w4moe_gemm() refuses, with the values in the text and
 * without a byte written; and what w4moe_gemm_workspace() says. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_case.h"

/* A call that is right, for tests to spoil: 5 rows of 3 slots, 4 experts of
 * 48 x 40, groups of 16. */
static w4moe_ctx *ctx;
static struct gemm_problem problem;
static w4moe_matrix b;
static w4moe_gemm_args args;
static unsigned char *workspace;
static uint16_t c[15 * 48];
static uint16_t c_before[15 * 48];

static void
setup(void)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "cpu", .n_threads = 2};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
    struct gemm_case what = {
            .spec = {.seed = 0xB00,
                    .n_experts = 4,
                    .n_out = 48,
                    .n_in = 40,
                    .group_size = 16,
                    .code = W4MOE_CODE_INT4,
                    .scale_dtype = W4MOE_BF16,
                    .zeros = 1,
                    .n_perms = 1,
                    .bias_dtype = W4MOE_F32},
            .dtype = W4MOE_BF16,
            .n_rows = 5,
            .top_k = 3,
            .block_size = 4,
            .weighted = 1,
    };
    gemm_make(&problem, &what);
    oracle_pack(&b, &problem.matrix, W4MOE_ORDER_TILE);
    memset(c, 0xA5, sizeof(c));
    memcpy(c_before, c, sizeof(c));
    args = problem.args;
    args.c = c;
    args.b = &b;
    workspace = aligned_alloc(64, 4096);
    ck_assert_ptr_nonnull(workspace);
}

static void
teardown(void)
{
    free(workspace);
    oracle_pack_free(&b);
    gemm_free(&problem);
    w4moe_ctx_destroy(ctx);
}

/* The call as it stands now ends so, and its text holds the given one. */
static void
expect(w4moe_status status, const char *text)
{
    ck_assert_int_eq(w4moe_gemm(ctx, &args), status);
    const char *got = w4moe_ctx_error(ctx);
    ck_assert_msg(strstr(got, text) != NULL, "\"%s\" has no \"%s\"", got, text);
    ck_assert_int_eq(memcmp(c, c_before, sizeof(c)), 0);
}

START_TEST(the_call_itself_is_right)
{
    ck_assert_int_eq(w4moe_gemm(ctx, &args), W4MOE_OK);
    ck_assert_int_ne(memcmp(c, c_before, sizeof(c)), 0);
}
END_TEST

START_TEST(missing_pointers)
{
    ck_assert_int_eq(w4moe_gemm(NULL, &args), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_gemm(ctx, NULL), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "NULL"));
    w4moe_gemm_args right = args;
    args.c = NULL;
    expect(W4MOE_INVALID, "c is NULL");
    args = right;
    args.a = NULL;
    expect(W4MOE_INVALID, "a is NULL");
    args = right;
    args.b = NULL;
    expect(W4MOE_INVALID, "b is NULL");
    args = right;
    args.sorted_slots = NULL;
    expect(W4MOE_INVALID, "sorted_slots is NULL");
    args = right;
    args.expert_ids = NULL;
    expect(W4MOE_INVALID, "expert_ids is NULL");
    args = right;
    args.n_padded = NULL;
    expect(W4MOE_INVALID, "n_padded is NULL");
}
END_TEST

START_TEST(sizes_and_types)
{
    w4moe_gemm_args right = args;
    args.block_size = 0;
    expect(W4MOE_INVALID, "block size 0 (1 to 64)");
    args.block_size = 65;
    expect(W4MOE_INVALID, "block size 65 (1 to 64)");
    args = right;
    args.top_k = 0;
    expect(W4MOE_INVALID, "top_k 0");
    args = right;
    args.n_rows = SIZE_MAX / 2;
    expect(W4MOE_INVALID, "rows of top_k 3");
    args.n_rows = (size_t)INT32_MAX / 3 + 1;
    expect(W4MOE_INVALID, "715827883 rows of top_k 3");
    args = right;
    args.a_stride = 39;
    expect(W4MOE_INVALID, "a_stride 39");
    args = right;
    args.c_stride = 47;
    expect(W4MOE_INVALID, "c_stride 47");
    args = right;
    args.a_stride = SIZE_MAX / 8;
    expect(W4MOE_INVALID, "a_stride ");
    args = right;
    args.dtype = W4MOE_F32;
    expect(W4MOE_UNSUPPORTED, "F32");
    args.dtype = W4MOE_DTYPE_NONE;
    expect(W4MOE_UNSUPPORTED, "NONE");
    args = right;
    int stream;
    args.stream = &stream;
    expect(W4MOE_INVALID, "stream");
}
END_TEST

START_TEST(blocks_and_slots)
{
    int32_t n_padded = problem.n_padded;
    args.n_padded = &n_padded;
    args.capacity = (size_t)n_padded - 1;
    expect(W4MOE_INVALID, "the capacity");
    args.capacity = (size_t)n_padded;
    n_padded = -4;
    expect(W4MOE_INVALID, "n_padded -4");
    n_padded = 7;
    expect(W4MOE_INVALID, "n_padded 7");
    n_padded = problem.n_padded;
    int32_t expert = problem.expert_ids[1];
    problem.expert_ids[1] = 4;
    expect(W4MOE_INVALID, "expert 4 of 4");
    problem.expert_ids[1] = -2;
    expect(W4MOE_INVALID, "expert -2 of 4");
    problem.expert_ids[1] = INT32_MIN;
    expect(W4MOE_INVALID, "expert -2147483648 of 4");
    problem.expert_ids[1] = expert;
    problem.sorted_slots[2] = -1;
    expect(W4MOE_INVALID, "slot -1");
}
END_TEST

START_TEST(workspaces)
{
    args.output_topk = 4;
    expect(W4MOE_INVALID, "output_topk 4 does not divide 15 slots");
    args.output_topk = 3;
    expect(W4MOE_INVALID, "0 are given");
    uint64_t n_bytes = 0;
    ck_assert_int_eq(w4moe_gemm_workspace(ctx, &n_bytes, &args), W4MOE_OK);
    ck_assert_uint_ge(n_bytes, 15 / 3 * 48 * 4);
    ck_assert_uint_le(n_bytes, 4096);
    args.workspace_size = n_bytes;
    expect(W4MOE_INVALID, "workspace");
    args.workspace = workspace;
    args.workspace_size = n_bytes - 1;
    expect(W4MOE_INVALID, "workspace");
    args.workspace_size = n_bytes;
    ck_assert_int_eq(w4moe_gemm(ctx, &args), W4MOE_OK);
}
END_TEST

/* Of the pointers only b is looked at. */
START_TEST(the_workspace_query)
{
    w4moe_gemm_args query = {
            .struct_size = sizeof(query),
            .n_rows = 1000,
            .dtype = W4MOE_F16,
            .b = &b,
            .block_size = 16,
            .top_k = 8,
    };
    uint64_t n_bytes = 1;
    ck_assert_int_eq(w4moe_gemm_workspace(ctx, &n_bytes, &query), W4MOE_OK);
    ck_assert_uint_eq(n_bytes, 0);
    query.output_topk = 8;
    ck_assert_int_eq(w4moe_gemm_workspace(ctx, &n_bytes, &query), W4MOE_OK);
    ck_assert_uint_gt(n_bytes, 0);
    uint64_t before = n_bytes;
    ck_assert_int_eq(w4moe_gemm_workspace(ctx, NULL, &query), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "n_bytes is NULL"));
    ck_assert_int_eq(
            w4moe_gemm_workspace(NULL, &n_bytes, &query), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_gemm_workspace(ctx, &n_bytes, NULL), W4MOE_INVALID);
    query.b = NULL;
    ck_assert_int_eq(
            w4moe_gemm_workspace(ctx, &n_bytes, &query), W4MOE_INVALID);
    query.b = &b;
    query.block_size = 0;
    ck_assert_int_eq(
            w4moe_gemm_workspace(ctx, &n_bytes, &query), W4MOE_INVALID);
    ck_assert_uint_eq(n_bytes, before);
}
END_TEST

START_TEST(permutations_that_are_none)
{
    int32_t kept = b.perm[3];
    b.perm[3] = b.perm[4];
    expect(W4MOE_INVALID, "perm of expert 0");
    b.perm[3] = -1;
    expect(W4MOE_INVALID, "value -1 at position 3");
    b.perm[3] = 40;
    expect(W4MOE_INVALID, "value 40 at position 3");
    b.perm[3] = kept;
    b.perm[2 * 40 + 7] = INT32_MIN;
    expect(W4MOE_INVALID, "perm of expert 2");
    b.n_perms = 2;
    expect(W4MOE_INVALID, "2 permutations");
    b.n_perms = 0;
    expect(W4MOE_INVALID, "n_perms is 0");
}
END_TEST

START_TEST(sizes_of_the_matrix)
{
    w4moe_matrix right = b;
    b.n_in = 36;
    expect(W4MOE_INVALID, "36 input features");
    b = right;
    b.n_out = 44;
    expect(W4MOE_INVALID, "44 output features");
    b.n_out = 40;
    b.gated = 1;
    expect(W4MOE_INVALID, "40 output features");
    b = right;
    b.n_out = 0;
    expect(W4MOE_INVALID, "0 output features");
    b = right;
    b.n_experts = 0;
    expect(W4MOE_INVALID, "0 experts");
    b = right;
    b.group_size = 12;
    expect(W4MOE_INVALID, "group size 12");
    b.group_size = 48;
    expect(W4MOE_INVALID, "group size 48");
    b.group_size = 0;
    expect(W4MOE_INVALID, "group size 0");
    b = right;
    b.n_experts = SIZE_MAX / 4;
    expect(W4MOE_INVALID, "experts");
    b.n_experts = 1u << 30;
    b.n_out = 1u << 30;
    b.n_in = 1u << 30;
    expect(W4MOE_INVALID, "1073741824 experts of 1073741824 x 1073741824");
}
END_TEST

START_TEST(types_and_arrays_of_the_matrix)
{
    w4moe_matrix right = b;
    b.qweight = NULL;
    expect(W4MOE_INVALID, "qweight is NULL");
    b = right;
    b.scales = NULL;
    expect(W4MOE_INVALID, "scales is NULL");
    b = right;
    b.scale_dtype = W4MOE_I8;
    expect(W4MOE_UNSUPPORTED, "scales of type I8");
    b.scale_dtype = W4MOE_F8_E8M0;
    expect(W4MOE_UNSUPPORTED, "scales of type F8_E8M0");
    b = right;
    b.bias_dtype = W4MOE_DTYPE_NONE;
    expect(W4MOE_INVALID, "bias without its dtype");
    b.bias_dtype = W4MOE_F64;
    expect(W4MOE_UNSUPPORTED, "bias of type F64");
    b = right;
    b.offsets = b.scales;
    b.offset_dtype = W4MOE_BF16;
    expect(W4MOE_INVALID, "both qzeros and offsets");
    b.qzeros = NULL;
    b.offset_dtype = W4MOE_DTYPE_NONE;
    expect(W4MOE_INVALID, "offsets without its dtype");
    b = right;
    b.code = W4MOE_CODE_E2M1;
    expect(W4MOE_INVALID, "E2M1");
    b.code = (w4moe_code)3;
    expect(W4MOE_INVALID, "unknown code 3");
    b = right;
    b.order = (w4moe_order)0;
    expect(W4MOE_INVALID, "unknown order 0");
    b.order = (w4moe_order)3;
    expect(W4MOE_INVALID, "unknown order 3");
}
END_TEST

/* Structs of another version of the library. */
START_TEST(struct_sizes)
{
    struct {
        w4moe_gemm_args args;
        unsigned char tail[24];
    } newer = {.args = args};
    newer.args.struct_size = sizeof(newer);
    newer.tail[20] = 1;
    ck_assert_int_eq(w4moe_gemm(ctx, &newer.args), W4MOE_UNSUPPORTED);
    ck_assert_int_eq(memcmp(c, c_before, sizeof(c)), 0);
    newer.tail[20] = 0;
    ck_assert_int_eq(w4moe_gemm(ctx, &newer.args), W4MOE_OK);
    memcpy(c, c_before, sizeof(c));
    args.struct_size = 0;
    expect(W4MOE_INVALID, "struct_size is 0");
    args.struct_size = sizeof(args);
    b.struct_size = 16;
    expect(W4MOE_INVALID, "struct_size is 16");
}
END_TEST

START_TEST(the_reserved_field_must_be_0)
{
    b.reserved = 1;
    ck_assert_int_ne(w4moe_gemm(ctx, &args), W4MOE_OK);
    ck_assert_int_eq(memcmp(c, c_before, sizeof(c)), 0);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("gemm_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_call_itself_is_right);
    tcase_add_test(tc, missing_pointers);
    tcase_add_test(tc, sizes_and_types);
    tcase_add_test(tc, blocks_and_slots);
    tcase_add_test(tc, workspaces);
    tcase_add_test(tc, the_workspace_query);
    tcase_add_test(tc, permutations_that_are_none);
    tcase_add_test(tc, sizes_of_the_matrix);
    tcase_add_test(tc, types_and_arrays_of_the_matrix);
    tcase_add_test(tc, struct_sizes);
    tcase_add_test(tc, the_reserved_field_must_be_0);
    Suite *suite = suite_create("gemm_refusals");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
