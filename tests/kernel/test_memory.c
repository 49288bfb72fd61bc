/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_memory_alloc(), w4moe_memory_free() and w4moe_memory_copy(): kinds,
 * the limit of the context, and what is refused. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"

enum { LIMIT = 1000 };

static const w4moe_memory kinds[3] = {
        W4MOE_MEMORY_HOST, W4MOE_MEMORY_PINNED, W4MOE_MEMORY_DEVICE};

static w4moe_ctx *ctx;

static void
setup(void)
{
    ctx = context_make(NULL, 1, LIMIT);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static void *
take(uint64_t n_bytes, w4moe_memory where)
{
    void *memory = NULL;
    w4moe_status status = w4moe_memory_alloc(ctx, &memory, n_bytes, where);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    return memory;
}

/* Of any kind it can be written, and copied to any other. */
START_TEST(every_kind)
{
    unsigned char bytes[300];
    unsigned char back[300];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    }
    for (int i = 0; i < 9; i++) {
        w4moe_memory kind = kinds[i % 3];
        w4moe_memory other_kind = kinds[i / 3];
        char *memory = take(sizeof(bytes), kind);
        char *other = take(sizeof(bytes), other_kind);
        ck_assert_ptr_nonnull(memory);
        ck_assert_uint_eq((uintptr_t)memory % 64, 0);
        ck_assert_uint_eq((uintptr_t)other % 64, 0);
        memset(memory, 0xFF, sizeof(bytes));
        memset(back, 0, sizeof(back));
        ck_assert_int_eq(
                w4moe_memory_copy(ctx, memory, bytes, sizeof(bytes), NULL),
                W4MOE_OK);
        ck_assert_int_eq(
                w4moe_memory_copy(ctx, other, memory, sizeof(bytes), NULL),
                W4MOE_OK);
        /* A part, to and from the middle. */
        ck_assert_int_eq(
                w4moe_memory_copy(ctx, back + 13, other + 13, 200, NULL),
                W4MOE_OK);
        ck_assert_mem_eq(back + 13, bytes + 13, 200);
        ck_assert_uint_eq(back[12], 0);
        ck_assert_uint_eq(back[213], 0);
        w4moe_memory_free(ctx, memory, sizeof(bytes), kind);
        w4moe_memory_free(ctx, other, sizeof(bytes), other_kind);
    }
}
END_TEST

/* All kinds count together, what is released no more, nothing not at all. */
START_TEST(the_limit)
{
    void *none = &none;
    for (int again = 0; again < 3; again++) {
        void *first = take(400, kinds[again]);
        void *second = take(600, kinds[(again + 1) % 3]);
        ck_assert_int_eq(
                w4moe_memory_alloc(ctx, &none, 1, kinds[again]), W4MOE_NOMEM);
        ck_assert_str_eq(w4moe_ctx_error(ctx),
                "memory: 1 bytes would pass the memory limit of 1000 bytes "
                "(1000 in use)");
        ck_assert_ptr_eq(none, &none);
        ck_assert_ptr_null(take(0, kinds[again]));
        w4moe_memory_free(ctx, first, 400, kinds[again]);
        first = take(400, kinds[again]);
        w4moe_memory_free(ctx, second, 600, kinds[(again + 1) % 3]);
        w4moe_memory_free(ctx, first, 400, kinds[again]);
    }
    ck_assert_int_eq(
            w4moe_memory_alloc(ctx, &none, LIMIT + 1, kinds[0]), W4MOE_NOMEM);
    ck_assert_ptr_eq(none, &none);
}
END_TEST

START_TEST(beyond_the_address_space)
{
    static const uint64_t sizes[] = {
            UINT64_MAX, UINT64_MAX - 63, (uint64_t)1 << 63};
    w4moe_ctx *unlimited = context_make(NULL, 1, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *none = &none;
        ck_assert_int_eq(w4moe_memory_alloc(
                                 unlimited, &none, sizes[i], W4MOE_MEMORY_HOST),
                W4MOE_NOMEM);
        ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(unlimited),
                "bytes are beyond the address space"));
        ck_assert_ptr_eq(none, &none);
    }
    w4moe_ctx_destroy(unlimited);
}
END_TEST

START_TEST(no_bytes)
{
    void *none = &none;
    ck_assert_int_eq(
            w4moe_memory_alloc(ctx, &none, 0, W4MOE_MEMORY_PINNED), W4MOE_OK);
    ck_assert_ptr_null(none);
    w4moe_memory_free(ctx, none, 0, W4MOE_MEMORY_PINNED);
    ck_assert_int_eq(w4moe_memory_copy(ctx, NULL, NULL, 0, NULL), W4MOE_OK);
}
END_TEST

static void
no_alloc(const w4moe_ctx *of, void **memory_p, int where, const char *text)
{
    void *none = &none;
    memory_p = memory_p != NULL ? &none : NULL;
    ck_assert_int_eq(w4moe_memory_alloc(of, memory_p, 8, (w4moe_memory)where),
            W4MOE_INVALID);
    ck_assert_ptr_eq(none, &none);
    if (of != NULL) {
        ck_assert_str_eq(w4moe_ctx_error(of), text);
    }
}

static void
no_copy(const w4moe_ctx *of, void *to, const void *from, void *stream,
        const char *text)
{
    ck_assert_int_eq(w4moe_memory_copy(of, to, from, 8, stream), W4MOE_INVALID);
    if (of != NULL) {
        ck_assert_str_eq(w4moe_ctx_error(of), text);
    }
}

START_TEST(refusals)
{
    char from[8] = "from";
    char to[8] = "to";
    void *some = NULL;
    no_alloc(ctx, &some, 3,
            "memory_alloc: ctx given, memory_p given, memory of kind 3");
    no_alloc(ctx, NULL, 0,
            "memory_alloc: ctx given, memory_p NULL, memory of kind 0");
    no_alloc(NULL, &some, 0, NULL);
    no_copy(ctx, NULL, from, NULL,
            "memory_copy: ctx given, to NULL, from given, 8 bytes");
    no_copy(ctx, to, NULL, NULL,
            "memory_copy: ctx given, to given, from NULL, 8 bytes");
    no_copy(ctx, to, from, to, "memory_copy: backend cpu has no streams");
    no_copy(NULL, to, from, NULL, NULL);
    ck_assert_str_eq(to, "to");
    w4moe_memory_free(NULL, NULL, 8, W4MOE_MEMORY_HOST);
    w4moe_memory_free(ctx, NULL, 8, W4MOE_MEMORY_HOST);
    /* Nothing has been counted. */
    w4moe_memory_free(ctx, take(LIMIT, kinds[0]), LIMIT, W4MOE_MEMORY_HOST);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("memory");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_kind);
    tcase_add_test(tc, the_limit);
    tcase_add_test(tc, beyond_the_address_space);
    tcase_add_test(tc, no_bytes);
    tcase_add_test(tc, refusals);
    Suite *suite = suite_create("memory");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
