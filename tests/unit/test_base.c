/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* lib/base but for failures (test_err.c) and floats (test_half.c): sizes,
 * memory and its limit, structs that grow, byte order, names. */
#include <check.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe/version.h>

#include "base/abi.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/size.h"

static struct w4_err err;

static void
setup(void)
{
    w4_err_init(&err, NULL, NULL);
}

static void
teardown(void)
{
    w4_err_fini(&err);
}

/* -------------------------------------------------------------------- sizes */

START_TEST(add_and_multiply)
{
    const uint64_t max = UINT64_MAX;
    uint64_t out = 77;
    ck_assert(w4_add(&out, 2, 3) && out == 5);
    ck_assert(w4_add(&out, max, 0) && out == max);
    ck_assert(w4_add(&out, max - 1, 1) && out == max);
    ck_assert(w4_mul(&out, max, 1) && out == max);
    ck_assert(w4_mul(&out, 0, max) && out == 0);
    ck_assert(w4_mul(&out, 1ull << 32, (1ull << 32) - 1) &&
              out == max - (1ull << 32) + 1);
    ck_assert(w4_mul4(&out, 2, 3, 5, 7) && out == 210);
    ck_assert(w4_mul4(&out, 1ull << 16, 1ull << 16, 1ull << 16, 1u << 15) &&
              out == 1ull << 63);
    out = 77;
    ck_assert(!w4_add(&out, max, 1));
    ck_assert(!w4_add(&out, 1ull << 63, 1ull << 63));
    ck_assert(!w4_mul(&out, 1ull << 32, 1ull << 32));
    ck_assert(!w4_mul(&out, max, 2));
    ck_assert(!w4_mul4(&out, 1ull << 32, 1ull << 32, 1, 1));
    ck_assert(!w4_mul4(&out, 1ull << 31, 1ull << 31, 4, 1));
    ck_assert(!w4_mul4(&out, 1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16));
    ck_assert(!w4_round_up(&out, max, 64));
    ck_assert(!w4_round_up(&out, max - 62, 64));
    ck_assert_uint_eq(out, 77);
}
END_TEST

START_TEST(rounding_up)
{
    uint64_t out;
    for (uint64_t align = 1; align <= 64; align *= 2) {
        for (uint64_t a = 0; a < 300; a++) {
            ck_assert(w4_round_up(&out, a, align));
            ck_assert(out >= a && out < a + align && out % align == 0);
        }
    }
    ck_assert(w4_round_up(&out, UINT64_MAX - 63, 64) && out == UINT64_MAX - 63);
    for (size_t a = 0; a < 50; a++) {
        for (size_t b = 1; b < 50; b++) {
            size_t n = w4_ceil_div(a, b);
            ck_assert(n * b >= a && (n == 0 || (n - 1) * b < a));
        }
    }
    ck_assert_uint_eq(w4_ceil_div(SIZE_MAX, 1), SIZE_MAX);
    ck_assert_uint_eq(w4_ceil_div(SIZE_MAX, SIZE_MAX), 1);
    ck_assert_uint_eq(w4_ceil_div(SIZE_MAX, 2), SIZE_MAX / 2 + 1);
}
END_TEST

/* --------------------------------------------------------------- byte order */

/* Right on hosts of either order: only bytes are compared. */
START_TEST(byte_order)
{
    unsigned char bytes[17];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(0xF0 + i);
    }
    ck_assert_uint_eq(w4_load_le16(bytes + 1), 0xF2F1);
    ck_assert_uint_eq(w4_load_le32(bytes + 1), 0xF4F3F2F1u);
    ck_assert_uint_eq(w4_load_le64(bytes + 1), 0xF8F7F6F5F4F3F2F1ull);
    w4_store_le64(bytes + 3, 0x0102030405060708ull);
    ck_assert_uint_eq(w4_load_le64(bytes + 3), 0x0102030405060708ull);
    ck_assert_uint_eq(bytes[3], 8);
    ck_assert_uint_eq(bytes[10], 1);
    ck_assert_uint_eq(bytes[2], 0xF2);
    ck_assert_uint_eq(bytes[11], 0xFB);

    uint16_t u16[3] = {0x0102, 0x0304, 0x0506};
    uint32_t u32[2] = {0x01020304u, 0x05060708u};
    uint64_t u64[2] = {0x0102030405060708ull, 0x1112131415161718ull};
    uint8_t u8[3] = {1, 2, 3};
    w4_swap_le(u16, 2, 3);
    w4_swap_le(u32, 4, 2);
    w4_swap_le(u64, 8, 2);
    w4_swap_le(u8, 1, 3);
    ck_assert_mem_eq(u16, "\2\1\4\3\6\5", 6);
    ck_assert_mem_eq(u32, "\4\3\2\1\10\7\6\5", 8);
    ck_assert_mem_eq(u64, "\10\7\6\5\4\3\2\1\30\27\26\25\24\23\22\21", 16);
    ck_assert_mem_eq(u8, "\1\2\3", 3);
    w4_swap_le(u64, 8, 2);
    ck_assert_uint_eq(u64[1], 0x1112131415161718ull);
    w4_swap_le(NULL, 4, 0);
}
END_TEST

/* ------------------------------------------------------------------- memory */

START_TEST(memory_limit)
{
    struct w4_mem mem = {.limit = 1000};
    void *a = NULL;
    void *b = NULL;
    void *none = &err;
    ck_assert_int_eq(w4_mem_alloc(&mem, &err, &a, 600, "first"), W4MOE_OK);
    ck_assert_int_eq(w4_mem_alloc(&mem, &err, &b, 400, "second"), W4MOE_OK);
    ck_assert_uint_eq(mem.used, 1000);
    ck_assert_uint_eq((uintptr_t)a % W4_MEM_ALIGN, 0);
    ck_assert_uint_eq((uintptr_t)b % W4_MEM_ALIGN, 0);
    for (size_t i = 0; i < 600; i++) {
        ck_assert_uint_eq(((unsigned char *)a)[i], 0);
    }
    memset(a, 1, 600);
    memset(b, 2, 400);
    ck_assert_int_eq(
            w4_mem_alloc(&mem, &err, &none, 1, "workspace"), W4MOE_NOMEM);
    ck_assert_ptr_eq(none, &err);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "workspace: 1 bytes"));
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "limit of 1000"));
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "1000 in use"));
    w4_mem_free(&mem, a, 600);
    ck_assert_uint_eq(mem.used, 400);
    w4_mem_free(&mem, NULL, 100);
    ck_assert_uint_eq(mem.used, 400);
    /* What was released can be had again, and comes cleared. */
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(w4_mem_alloc(&mem, &err, &a, 600, "again"), W4MOE_OK);
        unsigned n_set = 0;
        for (size_t j = 0; j < 600; j++) {
            n_set += ((unsigned char *)a)[j] != 0;
        }
        ck_assert_uint_eq(n_set, 0);
        memset(a, 0xFF, 600);
        w4_mem_free(&mem, a, 600);
    }
    w4_mem_free(&mem, b, 400);
    ck_assert_uint_eq(mem.used, 0);
}
END_TEST

/* Memory in huge pages is aligned, cleared, and in the same account. */
START_TEST(huge_memory)
{
    static const uint64_t sizes[] = {1, W4_MEM_HUGE_ALIGN, 5000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct w4_mem mem = {.limit = sizes[i]};
        unsigned n_set = 0;
        void *p = NULL;
        void *none = NULL;
        ck_assert_int_eq(
                w4_mem_alloc_huge(&mem, &err, &p, sizes[i], "one"), W4MOE_OK);
        ck_assert_uint_eq((uintptr_t)p % W4_MEM_HUGE_ALIGN, 0);
        ck_assert_uint_eq(mem.used, sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++) {
            n_set += ((unsigned char *)p)[j] != 0;
        }
        ck_assert_uint_eq(n_set, 0);
        ck_assert_int_eq(
                w4_mem_alloc_huge(&mem, &err, &none, 1, "two"), W4MOE_NOMEM);
        ck_assert_ptr_null(none);
        w4_mem_free(&mem, p, sizes[i]);
        ck_assert_uint_eq(mem.used, 0);
    }
}
END_TEST

START_TEST(memory_sizes)
{
    static const uint64_t too_large[] = {UINT64_MAX, UINT64_MAX - 62,
            (uint64_t)PTRDIFF_MAX + 1, (uint64_t)PTRDIFF_MAX};
    struct w4_mem mem = {.limit = 0};
    void *p = NULL;
    ck_assert_int_eq(w4_mem_alloc(&mem, &err, &p, 0, "nothing"), W4MOE_OK);
    ck_assert_ptr_nonnull(p);
    w4_mem_free(&mem, p, 0);
    for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]); i++) {
        p = NULL;
        ck_assert_int_eq(
                w4_mem_alloc(&mem, &err, &p, too_large[i], "all of it"),
                W4MOE_NOMEM);
        ck_assert_ptr_null(p);
        ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "all of it"));
        ck_assert_uint_eq(mem.used, 0);
    }
    for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]); i++) {
        ck_assert_int_eq(
                w4_mem_alloc_huge(&mem, &err, &p, too_large[i], "all of it"),
                W4MOE_NOMEM);
    }
    /* An addition that would wrap around is no way past the limit. */
    mem.limit = UINT64_MAX;
    mem.used = UINT64_MAX - 10;
    ck_assert_int_eq(w4_mem_alloc(&mem, &err, &p, 100, "wrap"), W4MOE_NOMEM);
    ck_assert_uint_eq(mem.used, UINT64_MAX - 10);
}
END_TEST

enum { N_MEM_THREADS = 8, N_MEM_ROUNDS = 2000, MEM_LIMIT = 4096 };

static struct w4_mem shared_mem = {.limit = MEM_LIMIT};

/* Takes and gives back. Returns how often the limit was in the way, or
 * N_MEM_ROUNDS + 1 if it was passed. */
static void *
mem_thread(void *user)
{
    const uint64_t size = 500 + (uint64_t)(uintptr_t)user;
    uintptr_t n_refused = 0;
    for (int i = 0; i < N_MEM_ROUNDS; i++) {
        void *p = NULL;
        if (w4_mem_alloc(&shared_mem, NULL, &p, size, "thread") != W4MOE_OK) {
            n_refused++;
            continue;
        }
        if (shared_mem.used > MEM_LIMIT || shared_mem.used < size) {
            return (void *)(uintptr_t)(N_MEM_ROUNDS + 1);
        }
        w4_mem_free(&shared_mem, p, size);
    }
    return (void *)n_refused;
}

START_TEST(memory_threads)
{
    pthread_t threads[N_MEM_THREADS];
    for (size_t i = 0; i < N_MEM_THREADS; i++) {
        void *user = (void *)(uintptr_t)(16 * i);
        ck_assert_int_eq(
                pthread_create(&threads[i], NULL, mem_thread, user), 0);
    }
    for (size_t i = 0; i < N_MEM_THREADS; i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_uint_le((uintptr_t)result, N_MEM_ROUNDS);
    }
    ck_assert_uint_eq(shared_mem.used, 0);
}
END_TEST

/* -------------------------------------------------------- structs that grow */

/* Three versions of one struct. */
struct old {
    size_t struct_size;
    uint32_t a, b;
};
struct now {
    size_t struct_size;
    uint32_t a, b;
    uint64_t c;
};
struct later {
    size_t struct_size;
    uint32_t a, b;
    uint64_t c;
    uint64_t d;
};

START_TEST(structs_in)
{
    struct now own;
    memset(&own, 0xEE, sizeof(own));
    const struct old small = {sizeof(small), 1, 2};
    const size_t min = sizeof(struct old);
    ck_assert_int_eq(
            w4_struct_in(&err, &own, sizeof(own), min, &small, "s"), W4MOE_OK);
    ck_assert_uint_eq(own.struct_size, sizeof(own));
    ck_assert(own.a == 1 && own.b == 2 && own.c == 0);

    const struct now same = {sizeof(same), 3, 4, 5};
    ck_assert_int_eq(
            w4_struct_in(&err, &own, sizeof(own), min, &same, "s"), W4MOE_OK);
    ck_assert(own.a == 3 && own.b == 4 && own.c == 5);

    struct later large = {sizeof(large), 6, 7, 8, 0};
    ck_assert_int_eq(
            w4_struct_in(&err, &own, sizeof(own), min, &large, "s"), W4MOE_OK);
    ck_assert_uint_eq(own.struct_size, sizeof(own));
    ck_assert(own.a == 6 && own.c == 8);

    /* A field that this version does not know. */
    const struct now before = own;
    ((unsigned char *)&large.d)[7] = 1;
    ck_assert_int_eq(
            w4_struct_in(&err, &own, sizeof(own), min, &large, "thing"),
            W4MOE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "thing: "));
    char text[32];
    snprintf(text, sizeof(text), "byte %zu", offsetof(struct later, d) + 7);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), text));
    struct old tiny = {sizeof(tiny) - 1, 9, 9};
    ck_assert_int_eq(w4_struct_in(&err, &own, sizeof(own), min, &tiny, "thing"),
            W4MOE_INVALID);
    char few[64];
    snprintf(few, sizeof(few),
            "thing: struct_size is %zu, at least %zu is needed",
            sizeof(tiny) - 1, sizeof(tiny));
    ck_assert_str_eq(w4_err_text(&err), few);
    tiny.struct_size = 0;
    ck_assert_int_eq(w4_struct_in(&err, &own, sizeof(own), min, &tiny, "thing"),
            W4MOE_INVALID);
    ck_assert_int_eq(w4_struct_in(&err, &own, sizeof(own), min, NULL, "thing"),
            W4MOE_INVALID);
    ck_assert_str_eq(w4_err_text(&err), "thing is NULL");
    ck_assert_mem_eq(&own, &before, sizeof(own));
}
END_TEST

START_TEST(structs_out)
{
    const struct now own = {sizeof(own), 1, 2, 3};
    const size_t min = sizeof(struct old);
    struct {
        struct old s;
        uint64_t guard;
    } small = {{sizeof(small.s), 9, 9}, 0x1234};
    ck_assert_int_eq(w4_struct_out(&err, &small.s, &own, sizeof(own), min, "s"),
            W4MOE_OK);
    ck_assert_uint_eq(small.s.struct_size, sizeof(small.s));
    ck_assert(small.s.a == 1 && small.s.b == 2 && small.guard == 0x1234);

    /* What a newer caller has more is cleared. */
    struct later large = {sizeof(large), 9, 9, 9, 9};
    ck_assert_int_eq(
            w4_struct_out(&err, &large, &own, sizeof(own), min, "s"), W4MOE_OK);
    ck_assert_uint_eq(large.struct_size, sizeof(large));
    ck_assert(large.a == 1 && large.b == 2 && large.c == 3 && large.d == 0);

    struct old tiny = {8, 9, 9};
    ck_assert_int_eq(w4_struct_out(&err, &tiny, &own, sizeof(own), min, "s"),
            W4MOE_INVALID);
    ck_assert(tiny.struct_size == 8 && tiny.a == 9 && tiny.b == 9);
    ck_assert_int_eq(w4_struct_out(&err, NULL, &own, sizeof(own), min, "s"),
            W4MOE_INVALID);
}
END_TEST

/* -------------------------------------------------------------------- names */

START_TEST(names)
{
    static const struct {
        w4moe_dtype dtype;
        size_t size;
        const char *name;
    } types[] = {{W4MOE_DTYPE_NONE, 0, "NONE"}, {W4MOE_F32, 4, "F32"},
            {W4MOE_F16, 2, "F16"}, {W4MOE_BF16, 2, "BF16"},
            {W4MOE_F64, 8, "F64"}, {W4MOE_I8, 1, "I8"}, {W4MOE_U8, 1, "U8"},
            {W4MOE_I16, 2, "I16"}, {W4MOE_U16, 2, "U16"}, {W4MOE_I32, 4, "I32"},
            {W4MOE_U32, 4, "U32"}, {W4MOE_I64, 8, "I64"}, {W4MOE_U64, 8, "U64"},
            {W4MOE_BOOL, 1, "BOOL"}, {W4MOE_F8_E8M0, 1, "F8_E8M0"},
            {W4MOE_F8_E4M3, 1, "F8_E4M3"}, {W4MOE_F8_E5M2, 1, "F8_E5M2"},
            {(w4moe_dtype)17, 0, "NONE"}, {(w4moe_dtype)-1, 0, "NONE"},
            {(w4moe_dtype)INT_MAX, 0, "NONE"}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        ck_assert_uint_eq(w4moe_dtype_size(types[i].dtype), types[i].size);
        ck_assert_str_eq(w4moe_dtype_name(types[i].dtype), types[i].name);
    }
    static const char *const texts[] = {"success", "invalid argument",
            "not supported", "wrong file content", "input/output error",
            "out of memory", "device error", "data mismatch", "cancelled"};
    for (int i = 0; i <= W4MOE_CANCELLED; i++) {
        ck_assert_str_eq(w4moe_status_string((w4moe_status)i), texts[i]);
    }
    ck_assert_str_eq(w4moe_status_string((w4moe_status)9), "unknown status");
    ck_assert_str_eq(w4moe_status_string((w4moe_status)-1), "unknown status");
    ck_assert_str_eq(
            w4moe_status_string((w4moe_status)INT_MAX), "unknown status");
    ck_assert_str_eq(w4moe_version(), W4MOE_VERSION);
    ck_assert_uint_eq(w4moe_version_number(), W4MOE_VERSION_NUMBER);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, add_and_multiply);
    tcase_add_test(tc, rounding_up);
    tcase_add_test(tc, byte_order);
    tcase_add_test(tc, memory_limit);
    tcase_add_test(tc, huge_memory);
    tcase_add_test(tc, memory_sizes);
    tcase_add_test(tc, memory_threads);
    tcase_add_test(tc, structs_in);
    tcase_add_test(tc, structs_out);
    tcase_add_test(tc, names);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
