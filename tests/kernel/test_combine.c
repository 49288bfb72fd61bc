/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_combine() against a loop of the test's own, to the bit: sums of fp32 in
 * a fixed order have one right answer. And all that it refuses. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "oracle.h"

static const w4moe_dtype floats[3] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};

/* Elements before and after out, and what is there and between its rows. */
enum { GUARD = 16, GUARD_BYTE = 0xA5 };

/* A call, and the memory that out is in. */
struct problem {
    w4moe_combine_args args;
    void *rows;
    int32_t *ids;
    unsigned char *memory;
    size_t n_bytes;
};

struct shape {
    size_t n_tokens;
    size_t k;
    size_t n_rows;
    size_t n_columns;
    size_t out_pad;
    size_t row_pad;
    int has_ids;
};

/* Numbers of many sizes, so that another order of adding shows; those of fp16
 * do not overflow. */
static double
number(struct oracle_rng *rng)
{
    return ldexp(oracle_uniform(rng, -1, 1), (int)oracle_below(rng, 12) - 4);
}

static void
make(struct problem *p, const struct shape *shape, w4moe_dtype from,
        w4moe_dtype to, unsigned flags, uint64_t seed)
{
    struct oracle_rng rng = {seed};
    size_t row_stride = shape->n_columns + shape->row_pad;
    size_t out_stride = shape->n_columns + shape->out_pad;
    size_t n_out = shape->n_tokens * out_stride;
    size_t n_ids = shape->n_tokens * shape->k;
    p->rows = oracle_alloc(shape->n_rows * row_stride, 4);
    for (size_t i = 0; i < shape->n_rows * row_stride; i++) {
        oracle_store(p->rows, from, i, number(&rng));
    }
    p->ids = oracle_alloc(n_ids, sizeof(int32_t));
    for (size_t i = 0; i < n_ids; i++) {
        p->ids[i] = (int32_t)oracle_below(&rng, shape->n_rows + 2) - 2;
        p->ids[i] = p->ids[i] < 0 ? -1 : p->ids[i];
    }
    size_t element = w4moe_dtype_size(to);
    p->n_bytes = (2 * GUARD + n_out) * element;
    p->memory = oracle_alloc(p->n_bytes, 1);
    memset(p->memory, GUARD_BYTE, p->n_bytes);
    void *out = p->memory + GUARD * element;
    for (size_t i = 0; i < n_out; i++) {
        if (i % out_stride < shape->n_columns) {
            oracle_store(out, to, i, number(&rng));
        }
    }
    p->args = (w4moe_combine_args){
            .struct_size = sizeof(p->args),
            .out = out,
            .out_stride = shape->out_pad != 0 ? out_stride : 0,
            .out_dtype = to,
            .rows = p->rows,
            .row_stride = shape->row_pad != 0 ? row_stride : 0,
            .row_dtype = from,
            .n_rows = shape->n_rows,
            .row_ids = shape->has_ids ? p->ids : NULL,
            .n_tokens = shape->n_tokens,
            .k = shape->k,
            .n_columns = shape->n_columns,
            .flags = flags,
    };
}

static void
release(struct problem *p)
{
    free(p->rows);
    free(p->ids);
    free(p->memory);
}

/* What the memory must hold after the call. Free it. */
static unsigned char *
expected(const struct problem *p)
{
    const w4moe_combine_args *a = &p->args;
    size_t row_stride = a->row_stride != 0 ? a->row_stride : a->n_columns;
    size_t out_stride = a->out_stride != 0 ? a->out_stride : a->n_columns;
    unsigned char *memory = oracle_alloc(p->n_bytes, 1);
    memcpy(memory, p->memory, p->n_bytes);
    void *out = memory + GUARD * w4moe_dtype_size(a->out_dtype);
    for (size_t t = 0; t < a->n_tokens; t++) {
        for (size_t c = 0; c < a->n_columns; c++) {
            size_t at = t * out_stride + c;
            float sum = 0;
            if ((a->flags & W4MOE_ACCUMULATE) != 0) {
                sum = (float)oracle_load(out, a->out_dtype, at);
            }
            for (size_t slot = t * a->k; slot < (t + 1) * a->k; slot++) {
                size_t row = slot;
                if (a->row_ids != NULL && a->row_ids[slot] == -1) {
                    continue;
                }
                if (a->row_ids != NULL) {
                    row = (size_t)a->row_ids[slot];
                }
                sum += (float)oracle_load(
                        a->rows, a->row_dtype, row * row_stride + c);
            }
            oracle_store(out, a->out_dtype, at, (double)sum);
        }
    }
    return memory;
}

/* Runs it; nothing beside the rows of out may be written. */
static void
check(const w4moe_ctx *ctx, const struct problem *p)
{
    const w4moe_combine_args *a = &p->args;
    unsigned char *right = expected(p);
    w4moe_status status = w4moe_combine(ctx, a);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    for (size_t i = 0; i < p->n_bytes; i++) {
        if (p->memory[i] != right[i]) {
            ck_abort_msg("%s to %s, %zu tokens of %zu rows of %zu columns, "
                         "%srow_ids, flags %#x: byte %zu of %zu is %#x, not "
                         "%#x",
                    w4moe_dtype_name(a->row_dtype),
                    w4moe_dtype_name(a->out_dtype), a->n_tokens, a->k,
                    a->n_columns, a->row_ids == NULL ? "no " : "", a->flags, i,
                    p->n_bytes, (unsigned)p->memory[i], (unsigned)right[i]);
        }
    }
    free(right);
}

/* Every pair of types, from 1 column to more than two pieces of the work, with
 * rows that repeat and slots that are empty. */
START_TEST(every_type_and_width)
{
    static const size_t columns[] = {1, 2, 7, 64, 511, 512, 513, 1025, 1300};
    static const unsigned flags[] = {0, W4MOE_ACCUMULATE, W4MOE_HOST_IO,
            W4MOE_ACCUMULATE | W4MOE_HOST_IO};
    uint64_t seed = 0x9000;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        for (unsigned j = 0; j < 36; j++) {
            struct shape shape = {
                    .n_tokens = 5,
                    .k = 3,
                    .n_rows = j % 2 != 0 ? 15 : 19,
                    .n_columns = columns[i],
                    .out_pad = j % 3 * 3,
                    .row_pad = j % 4 * 5,
                    .has_ids = j % 2 != 0,
            };
            struct problem p;
            make(&p, &shape, floats[j % 3], floats[j / 3 % 3], flags[j / 9],
                    seed++);
            check(contexts[j % N_CONTEXTS], &p);
            release(&p);
        }
    }
}
END_TEST

START_TEST(every_number_of_rows)
{
    uint64_t seed = 0xA000;
    for (size_t k = 1; k <= 12; k++) {
        for (size_t n_tokens = 1; n_tokens <= 65; n_tokens += 16) {
            struct shape shape = {
                    .n_tokens = n_tokens,
                    .k = k,
                    .n_rows = n_tokens * k,
                    .n_columns = 40,
                    .has_ids = k % 3 != 0,
            };
            struct problem p;
            make(&p, &shape, floats[k % 3], floats[seed % 3],
                    k % 2 != 0 ? W4MOE_ACCUMULATE : 0, seed);
            check(contexts[seed % N_CONTEXTS], &p);
            release(&p);
            seed++;
        }
    }
}
END_TEST

static float
add_three(const int32_t row_ids[3])
{
    static const float rows[3] = {0x1p24f, 1, -0x1p24f};
    float out = 9;
    w4moe_combine_args args = {.struct_size = sizeof(args),
            .out = &out,
            .out_dtype = W4MOE_F32,
            .rows = rows,
            .row_dtype = W4MOE_F32,
            .n_rows = 3,
            .row_ids = row_ids,
            .n_tokens = 1,
            .k = 3,
            .n_columns = 1};
    ck_assert_int_eq(w4moe_combine(contexts[0], &args), W4MOE_OK);
    return out;
}

/* 2^24 + 1 is not a number of fp32. */
START_TEST(rows_are_added_in_their_order)
{
    static const int32_t orders[3][3] = {{0, 1, 2}, {0, 2, 1}, {2, 1, 0}};
    ck_assert(add_three(NULL) == 0);
    ck_assert(add_three(orders[0]) == 0);
    ck_assert(add_three(orders[1]) == 1);
    ck_assert(add_three(orders[2]) == 1);
}
END_TEST

/* The sum begins with what out holds, which takes part in no other way. */
START_TEST(out_comes_first)
{
    static const float rows[2] = {1, -0x1p24f};
    float out = 0x1p24f;
    w4moe_combine_args args = {.struct_size = sizeof(args),
            .out = &out,
            .out_dtype = W4MOE_F32,
            .rows = rows,
            .row_dtype = W4MOE_F32,
            .n_rows = 2,
            .n_tokens = 1,
            .k = 2,
            .n_columns = 1,
            .flags = W4MOE_ACCUMULATE};
    ck_assert_int_eq(w4moe_combine(contexts[0], &args), W4MOE_OK);
    ck_assert(out == 0);
    out = NAN;
    args.flags = 0;
    ck_assert_int_eq(w4moe_combine(contexts[0], &args), W4MOE_OK);
    ck_assert(out == 1 - 0x1p24f);
}
END_TEST

/* A NaN is a NaN and an infinity an infinity in its own column alone; too large
 * a sum is an infinity of the output's type. */
START_TEST(nan_and_infinity_pass)
{
    enum { N = 6 };
    static const double rows[2][N] = {
            {NAN, INFINITY, -INFINITY, INFINITY, 1, 65504},
            {1, 1, 1, -INFINITY, 2, 65504}};
    for (unsigned i = 0; i < 9; i++) {
        w4moe_dtype from = floats[i % 3];
        w4moe_dtype to = floats[i / 3];
        uint32_t in[2 * N];
        uint32_t out[N] = {0};
        for (size_t c = 0; c < 2 * (size_t)N; c++) {
            oracle_store(in, from, c, rows[c / N][c % N]);
        }
        w4moe_combine_args args = {.struct_size = sizeof(args),
                .out = out,
                .out_dtype = to,
                .rows = in,
                .row_dtype = from,
                .n_rows = 2,
                .n_tokens = 1,
                .k = 2,
                .n_columns = N};
        ck_assert_int_eq(w4moe_combine(contexts[0], &args), W4MOE_OK);
        ck_assert(isnan(oracle_load(out, to, 0)));
        ck_assert(oracle_load(out, to, 1) == INFINITY);
        ck_assert(oracle_load(out, to, 2) == -INFINITY);
        ck_assert(isnan(oracle_load(out, to, 3)));
        ck_assert(oracle_load(out, to, 4) == 3);
        double large = oracle_load(out, to, 5);
        ck_assert(to == W4MOE_F16 ? large == INFINITY : large >= 131008);
    }
}
END_TEST

/* With one row each it gathers; what is gathered as it is has its bits. */
START_TEST(one_row_is_gathered)
{
    static const int32_t ids[4] = {2, 0, 2, -1};
    for (unsigned i = 0; i < 3; i++) {
        uint16_t in[3 * 8];
        uint16_t out[4 * 8];
        struct oracle_rng rng = {0xB000 + i};
        w4moe_dtype dtype = i == 0 ? W4MOE_F16 : W4MOE_BF16;
        for (size_t n = 0; n < 24; n++) {
            oracle_store(in, dtype, n, oracle_uniform(&rng, 0.5, 2));
        }
        w4moe_combine_args args = {.struct_size = sizeof(args),
                .out = out,
                .out_dtype = dtype,
                .rows = in,
                .row_dtype = dtype,
                .n_rows = 3,
                .row_ids = ids,
                .n_tokens = 4,
                .k = 1,
                .n_columns = 8};
        ck_assert_int_eq(w4moe_combine(contexts[i], &args), W4MOE_OK);
        static const uint16_t zeros[8];
        for (size_t t = 0; t < 4; t++) {
            const uint16_t *row = ids[t] < 0 ? zeros : in + ids[t] * 8;
            ck_assert_mem_eq(out + t * 8, row, 16);
        }
    }
}
END_TEST

/* ---------------------------------------------------------------- refusals */

/* A right call of 2 tokens of 2 rows out of 4, of 3 columns. */
static float values[4][3];
static float sums[2][3];
static int32_t row_ids[4];
static w4moe_combine_args right;

static void
start(void)
{
    static const int32_t some_ids[4] = {0, 3, -1, 2};
    memcpy(row_ids, some_ids, sizeof(row_ids));
    memset(sums, 0x77, sizeof(sums));
    right = (w4moe_combine_args){
            .struct_size = sizeof(right),
            .out = sums,
            .out_dtype = W4MOE_F32,
            .rows = values,
            .row_dtype = W4MOE_F32,
            .n_rows = 4,
            .row_ids = row_ids,
            .n_tokens = 2,
            .k = 2,
            .n_columns = 3,
    };
}

static void
refused(const w4moe_combine_args *args, w4moe_status status, const char *text)
{
    float before[2][3];
    memcpy(before, sums, sizeof(sums));
    ck_assert_int_eq(w4moe_combine(contexts[1], args), status);
    ck_assert_str_eq(w4moe_ctx_error(contexts[1]), text);
    ck_assert_mem_eq(sums, before, sizeof(sums));
}

START_TEST(the_call_itself_is_right)
{
    start();
    ck_assert_int_eq(w4moe_combine(contexts[1], &right), W4MOE_OK);
}
END_TEST

START_TEST(types_and_flags)
{
    start();
    w4moe_combine_args args = right;
    args.row_dtype = W4MOE_I32;
    refused(&args, W4MOE_UNSUPPORTED,
            "combine: rows of type I32 to F32 (F32, F16 or BF16)");
    args = right;
    args.out_dtype = W4MOE_DTYPE_NONE;
    refused(&args, W4MOE_UNSUPPORTED,
            "combine: rows of type F32 to NONE (F32, F16 or BF16)");
    args = right;
    args.flags = W4MOE_ACCUMULATE | W4MOE_NO_SHARED;
    refused(&args, W4MOE_UNSUPPORTED, "combine: unknown flags 0x10");
    args.flags = 0x80000000u;
    refused(&args, W4MOE_UNSUPPORTED, "combine: unknown flags 0x80000000");
}
END_TEST

START_TEST(rows_that_are_not_there)
{
    start();
    row_ids[3] = 4;
    refused(&right, W4MOE_INVALID,
            "combine: row 4 of token 1, place 1 is not in -1 .. 3");
    row_ids[3] = INT32_MAX;
    refused(&right, W4MOE_INVALID,
            "combine: row 2147483647 of token 1, place 1 is not in -1 .. 3");
    row_ids[0] = -2;
    refused(&right, W4MOE_INVALID,
            "combine: row -2 of token 0, place 0 is not in -1 .. 3");
    right.n_rows = 0;
    row_ids[0] = 0;
    refused(&right, W4MOE_INVALID,
            "combine: row 0 of token 0, place 0 is not in -1 .. -1");
    /* Nothing is added of nothing. */
    right.rows = NULL;
    memset(row_ids, 0xFF, sizeof(row_ids));
    ck_assert_int_eq(w4moe_combine(contexts[1], &right), W4MOE_OK);
    for (size_t i = 0; i < 6; i++) {
        ck_assert(sums[i / 3][i % 3] == 0);
    }
    right.row_ids = NULL;
    refused(&right, W4MOE_INVALID,
            "combine: 2 tokens of k 2 rows each, of 0 rows (k at least 1, at "
            "most 2^31 - 1 of each), without row_ids");
}
END_TEST

START_TEST(sizes)
{
    char text[200];
    start();
    w4moe_combine_args args = right;
    args.k = 0;
    refused(&args, W4MOE_INVALID,
            "combine: 2 tokens of k 0 rows each, of 4 rows (k at least 1, at "
            "most 2^31 - 1 of each)");
    args.k = SIZE_MAX;
    snprintf(text, sizeof(text),
            "combine: 2 tokens of k %zu rows each, of 4 rows (k at least 1, at "
            "most 2^31 - 1 of each)",
            args.k);
    refused(&args, W4MOE_INVALID, text);
    args = right;
    args.n_tokens = (size_t)1 << 30;
    refused(&args, W4MOE_INVALID,
            "combine: 1073741824 tokens of k 2 rows each, of 4 rows (k at "
            "least 1, at most 2^31 - 1 of each)");
    args = right;
    args.n_rows = (size_t)1 << 31;
    refused(&args, W4MOE_INVALID,
            "combine: 2 tokens of k 2 rows each, of 2147483648 rows (k at "
            "least 1, at most 2^31 - 1 of each)");
    args = right;
    args.n_rows = 3;
    args.row_ids = NULL;
    refused(&args, W4MOE_INVALID,
            "combine: 2 tokens of k 2 rows each, of 3 rows (k at least 1, at "
            "most 2^31 - 1 of each), without row_ids");
}
END_TEST

START_TEST(strides)
{
    char text[200];
    start();
    w4moe_combine_args args = right;
    args.out_stride = 2;
    refused(&args, W4MOE_INVALID,
            "combine: out_stride 2, row_stride 3 for rows of 3");
    args = right;
    args.row_stride = 2;
    refused(&args, W4MOE_INVALID,
            "combine: out_stride 3, row_stride 2 for rows of 3");
    static const size_t large[2] = {SIZE_MAX, PTRDIFF_MAX / 8 + 1};
    for (int i = 0; i < 2; i++) {
        args = right;
        args.out_stride = large[i];
        snprintf(text, sizeof(text),
                "combine: out_stride %zu, row_stride 3 for rows of 3",
                large[i]);
        refused(&args, W4MOE_INVALID, text);
    }
    args = right;
    args.n_columns = SIZE_MAX;
    snprintf(text, sizeof(text),
            "combine: out_stride %zu, row_stride %zu for rows of %zu", SIZE_MAX,
            SIZE_MAX, SIZE_MAX);
    refused(&args, W4MOE_INVALID, text);
}
END_TEST

START_TEST(pointers)
{
    start();
    w4moe_combine_args args = right;
    args.out = NULL;
    refused(&args, W4MOE_INVALID, "combine: out is NULL");
    args = right;
    args.rows = NULL;
    refused(&args, W4MOE_INVALID, "combine: rows is NULL");
    args = right;
    args.stream = values;
    refused(&args, W4MOE_INVALID, "combine: host memory has no streams");
    args.flags = W4MOE_HOST_IO;
    refused(&args, W4MOE_INVALID, "combine: host memory has no streams");
    refused(NULL, W4MOE_INVALID, "w4moe_combine_args is NULL");
    ck_assert_int_eq(w4moe_combine(NULL, &right), W4MOE_INVALID);
}
END_TEST

START_TEST(nothing_to_do)
{
    start();
    float before[2][3];
    memcpy(before, sums, sizeof(sums));
    w4moe_combine_args args = right;
    args.n_tokens = 0;
    ck_assert_int_eq(w4moe_combine(contexts[1], &args), W4MOE_OK);
    args = right;
    args.n_columns = 0;
    ck_assert_int_eq(w4moe_combine(contexts[1], &args), W4MOE_OK);
    args = (w4moe_combine_args){.struct_size = sizeof(args)};
    ck_assert_int_eq(w4moe_combine(contexts[1], &args), W4MOE_OK);
    ck_assert_mem_eq(sums, before, sizeof(sums));
}
END_TEST

START_TEST(struct_sizes)
{
    struct {
        w4moe_combine_args args;
        unsigned char tail[24];
    } newer;
    start();
    memset(&newer, 0, sizeof(newer));
    newer.args = right;
    newer.args.struct_size = sizeof(newer);
    newer.tail[23] = 1;
    ck_assert_int_eq(
            w4moe_combine(contexts[1], &newer.args), W4MOE_UNSUPPORTED);
    newer.tail[23] = 0;
    ck_assert_int_eq(w4moe_combine(contexts[1], &newer.args), W4MOE_OK);
    right.struct_size = 8;
    ck_assert_int_eq(w4moe_combine(contexts[1], &right), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(
            w4moe_ctx_error(contexts[1]), "w4moe_combine_args: struct_size"));
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("combine");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, every_type_and_width);
    tcase_add_test(tc, every_number_of_rows);
    tcase_add_test(tc, rows_are_added_in_their_order);
    tcase_add_test(tc, out_comes_first);
    tcase_add_test(tc, nan_and_infinity_pass);
    tcase_add_test(tc, one_row_is_gathered);
    tcase_add_test(tc, the_call_itself_is_right);
    tcase_add_test(tc, types_and_flags);
    tcase_add_test(tc, rows_that_are_not_there);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, strides);
    tcase_add_test(tc, pointers);
    tcase_add_test(tc, nothing_to_do);
    tcase_add_test(tc, struct_sizes);
    Suite *suite = suite_create("combine");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
