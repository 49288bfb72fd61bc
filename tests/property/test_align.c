/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_align() and its capacity against a model that scans all slots once for
 * each expert, over random cases with every output between guard words. */
#include <check.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe/route.h>

#include "../unit/test_ctx.h"

enum { N_RANDOM = 4000, GUARD = 8, GUARD_WORD = 0x5A17C0DE };
enum { MAX_SLOTS = 3000, MAX_EXPERTS = 2048, MAX_ROWS = 1 << 20 };

static uint64_t rng_state;

/* SplitMix64. */
static uint64_t
rng(void)
{
    uint64_t z = rng_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static size_t
below(size_t n)
{
    return (size_t)(rng() % n);
}

/* One call: its inputs, and its outputs with guards on both sides. */
struct problem {
    uint64_t seed;
    size_t n_slots;
    size_t n_experts;
    size_t block_size;
    int32_t ids[MAX_SLOTS];
    int32_t map[MAX_EXPERTS];
    int with_map;

    size_t capacity;
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t *first_slot;
    int32_t *n_padded;
};

static w4moe_ctx *ctx;
static struct problem p;

static void
setup(void)
{
    ctx = test_ctx(1);
    memset(&p, 0, sizeof(p));
}

static void
teardown(void)
{
    test_ctx_free(ctx);
}

static int32_t *
guarded_new(size_t n)
{
    int32_t *all = malloc((n + 2 * GUARD) * sizeof(*all));
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < n + 2 * GUARD; i++) {
        all[i] = GUARD_WORD;
    }
    return all + GUARD;
}

/* Checks that nothing but the first n_used of the n elements was written. */
static void
guarded_check(const int32_t *array, size_t n_used, size_t n, const char *name)
{
    const int32_t *all = array - GUARD;
    for (size_t i = 0; i < n + 2 * GUARD; i++) {
        int used = i >= GUARD && i < GUARD + n_used;
        if (!used && all[i] != GUARD_WORD) {
            ck_abort_msg("seed %" PRIu64 ": %s[%td] was written", p.seed, name,
                    (ptrdiff_t)i - GUARD);
        }
    }
}

static void
outputs_new(void)
{
    w4moe_status status = w4moe_align_capacity(
            ctx, &p.capacity, p.n_slots, p.n_experts, p.block_size);
    ck_assert_msg(status == W4MOE_OK, "seed %" PRIu64 ": %s", p.seed,
            test_ctx_text(ctx));
    ck_assert_uint_eq(p.capacity % p.block_size, 0);
    p.sorted_slots = guarded_new(p.capacity);
    p.expert_ids = guarded_new(p.capacity / p.block_size);
    p.first_slot = guarded_new(p.n_experts + 1);
    p.n_padded = guarded_new(1);
}

static void
outputs_free(void)
{
    free(p.sorted_slots - GUARD);
    free(p.expert_ids - GUARD);
    free(p.first_slot - GUARD);
    free(p.n_padded - GUARD);
}

static w4moe_status
align(void)
{
    return w4moe_align(ctx, p.sorted_slots, p.expert_ids, p.n_padded,
            p.first_slot, p.ids, p.n_slots, p.with_map ? p.map : NULL,
            p.n_experts, p.block_size);
}

/* Not ck_assert(), which sends a message each time that it holds. */
static void
check_at(int condition, const char *what, size_t place)
{
    if (!condition) {
        ck_abort_msg("seed %" PRIu64 ": %s at %zu", p.seed, what, place);
    }
}

/* The rows and blocks of expert e, from row on. Returns: the row after. */
static size_t
check_expert(size_t e, size_t row)
{
    size_t n = 0;
    check_at(p.first_slot[e] == (int32_t)row, "first_slot", e);
    for (size_t i = 0; i < p.n_slots; i++) {
        if (p.ids[i] == (int32_t)e) {
            check_at(p.sorted_slots[row + n] == (int32_t)i, "slot", row + n);
            n++;
        }
    }
    while (n % p.block_size != 0) {
        check_at(p.sorted_slots[row + n] == (int32_t)p.n_slots, "padding",
                row + n);
        n++;
    }
    for (size_t block = row / p.block_size; block < (row + n) / p.block_size;
            block++) {
        int32_t expected = p.with_map ? p.map[e] : (int32_t)e;
        check_at(p.expert_ids[block] == expected, "expert_ids", block);
    }
    return row + n;
}

/* Every slot in exactly one row, apart from the model. */
static void
check_conservation(size_t n_rows)
{
    unsigned char *seen = calloc(p.n_slots + 1, 1);
    ck_assert_ptr_nonnull(seen);
    size_t n_found = 0;
    for (size_t row = 0; row < n_rows; row++) {
        int32_t slot = p.sorted_slots[row];
        check_at(slot >= 0 && (size_t)slot <= p.n_slots, "range", row);
        if ((size_t)slot < p.n_slots) {
            check_at(seen[slot]++ == 0, "slot twice", row);
            n_found++;
        }
    }
    check_at(n_found == p.n_slots, "slots lost", n_found);
    free(seen);
}

/* Runs the case in p and compares all outputs. Returns: rows in use. */
static size_t
check_case(void)
{
    outputs_new();
    w4moe_status status = align();
    ck_assert_msg(status == W4MOE_OK, "seed %" PRIu64 ": %s", p.seed,
            test_ctx_text(ctx));
    size_t row = 0;
    for (size_t e = 0; e < p.n_experts; e++) {
        row = check_expert(e, row);
    }
    check_at(p.first_slot[p.n_experts] == (int32_t)row, "end", row);
    check_at(*p.n_padded == (int32_t)row, "n_padded", row);
    check_at(row <= p.capacity, "more rows than the capacity", row);
    check_conservation(row);
    guarded_check(p.sorted_slots, row, p.capacity, "sorted_slots");
    guarded_check(p.expert_ids, row / p.block_size, p.capacity / p.block_size,
            "expert_ids");
    guarded_check(p.first_slot, p.n_experts + 1, p.n_experts + 1, "first_slot");
    guarded_check(p.n_padded, 1, 1, "n_padded");
    outputs_free();
    return row;
}

static void
fill_ids(void)
{
    size_t kind = below(4);
    size_t base = below(p.n_experts);
    size_t width = 1 + below(p.n_experts - base);
    for (size_t i = 0; i < p.n_slots; i++) {
        size_t id = below(p.n_experts);
        if (kind == 1) { /* one expert gets all */
            id = base;
        } else if (kind == 2) { /* many experts get none */
            id = base + below(width);
        } else if (kind == 3) { /* most go to few */
            id = id * below(p.n_experts) / p.n_experts;
        }
        p.ids[i] = (int32_t)id;
    }
}

/* A permutation of local ids of which some experts, or all, have none. */
static void
fill_map(void)
{
    size_t n_local = below(p.n_experts + 1);
    for (size_t e = 0; e < p.n_experts; e++) {
        p.map[e] = e < n_local ? (int32_t)e : -1;
    }
    for (size_t e = p.n_experts - 1; e > 0; e--) {
        size_t other = below(e + 1);
        int32_t kept = p.map[e];
        p.map[e] = p.map[other];
        p.map[other] = kept;
    }
}

START_TEST(random_cases)
{
    static const size_t experts[] = {1, 2, 3, 7, 8, 60, 128, 256, 1024, 2048};
    static const size_t blocks[] = {1, 2, 4, 8, 16, 32, 64, 3, 7, 13, 48, 100};
    for (uint64_t seed = 1; seed <= N_RANDOM; seed++) {
        rng_state = p.seed = seed;
        p.n_experts = experts[below(sizeof(experts) / sizeof(experts[0]))];
        p.block_size = below(2) ? blocks[below(sizeof(blocks) / sizeof(size_t))]
                                : 1 + below(64);
        /* Large cases are slow in the model: few of them. */
        size_t most = p.n_experts >= 1024 ? 50 : 300;
        p.n_slots = below(50) == 0 ? below(MAX_SLOTS + 1) : below(most);
        p.n_slots = below(20) == 0 ? below(2) : p.n_slots;
        p.with_map = (int)below(2);
        fill_ids();
        fill_map();
        check_case();
    }
}
END_TEST

/* The bound is not only kept but reached: one slot for each expert, and all
 * that remain for one of them. */
START_TEST(capacity_is_reached)
{
    for (size_t e = 1; e <= 40; e++) {
        for (size_t n = 0; n <= 120; n += 7) {
            for (size_t b = 1; b <= 33; b += 4) {
                p.seed = 0;
                p.n_experts = e;
                p.n_slots = n;
                p.block_size = b;
                for (size_t i = 0; i < n; i++) {
                    p.ids[i] = (int32_t)(i < e ? i : e - 1);
                }
                size_t rows = check_case();
                ck_assert_uint_eq(rows, p.capacity);
            }
        }
    }
}
END_TEST

START_TEST(capacity_limits)
{
    size_t rows = 77;
    ck_assert_int_eq(
            w4moe_align_capacity(ctx, &rows, INT32_MAX, 1, 1), W4MOE_OK);
    ck_assert_uint_eq(rows, INT32_MAX);
    ck_assert_int_eq(w4moe_align_capacity(ctx, &rows, 0, 8, 64), W4MOE_OK);
    ck_assert_uint_eq(rows, 0);

    static const struct {
        size_t n_slots, n_experts, block_size;
        const char *text;
    } bad[] = {
            {10, 8, 0, "block_size is 0"},
            {10, 0, 16, "n_experts is 0"},
            {10, (size_t)INT32_MAX + 1, 16, "n_experts is 2147483648"},
            {(size_t)INT32_MAX + 1, 1, 1, "2147483648 slots"},
            {1, 1, (size_t)INT32_MAX + 1, "blocks of 2147483648"},
            {SIZE_MAX, INT32_MAX, SIZE_MAX, "more than 2^31 - 1 rows"},
            {SIZE_MAX, INT32_MAX, 1, "more than 2^31 - 1 rows"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rows = 77;
        ck_assert_int_eq(w4moe_align_capacity(ctx, &rows, bad[i].n_slots,
                                 bad[i].n_experts, bad[i].block_size),
                W4MOE_INVALID);
        ck_assert_uint_eq(rows, 77);
        ck_assert_ptr_nonnull(strstr(test_ctx_text(ctx), bad[i].text));
    }
    ck_assert_int_eq(w4moe_align_capacity(ctx, NULL, 1, 1, 1), W4MOE_INVALID);
    ck_assert_str_eq(test_ctx_text(ctx), "n_rows is NULL");
    ck_assert_int_eq(w4moe_align_capacity(NULL, &rows, 1, 1, 1), W4MOE_INVALID);
}
END_TEST

static void
expect_refused(const char *text)
{
    outputs_new();
    ck_assert_int_eq(align(), W4MOE_INVALID);
    ck_assert_str_eq(test_ctx_text(ctx), text);
    guarded_check(p.sorted_slots, p.capacity, p.capacity, "sorted_slots");
    guarded_check(p.first_slot, p.n_experts + 1, p.n_experts + 1, "first_slot");
    outputs_free();
}

START_TEST(bad_values_are_named)
{
    p.n_slots = 10;
    p.n_experts = 128;
    p.block_size = 16;
    p.ids[7] = -1;
    expect_refused("slot 7: expert id -1 is outside [0, 128)");
    p.ids[7] = INT32_MIN;
    expect_refused("slot 7: expert id -2147483648 is outside [0, 128)");
    p.ids[7] = INT32_MAX;
    expect_refused("slot 7: expert id 2147483647 is outside [0, 128)");
    p.ids[7] = 128;
    p.ids[9] = -5;
    expect_refused("slot 7: expert id 128 is outside [0, 128)");
    p.ids[7] = p.ids[9] = 127;
    p.with_map = 1;
    p.map[127] = -2; /* used */
    expect_refused("expert_map[127] is -2, less than -1");
    p.map[127] = -1;
    p.map[5] = INT32_MIN; /* not used */
    expect_refused("expert_map[5] is -2147483648, less than -1");
}
END_TEST

START_TEST(bad_sizes_and_pointers)
{
    int32_t out[64], ids[4] = {0};
    static const char *const names[] = {"sorted_slots is NULL",
            "expert_ids is NULL", "n_padded is NULL", "first_slot is NULL",
            "ids is NULL"};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(
                w4moe_align(ctx, i == 0 ? NULL : out, i == 1 ? NULL : out + 16,
                        i == 2 ? NULL : out + 32, i == 3 ? NULL : out + 48,
                        i == 4 ? NULL : ids, 4, NULL, 2, 4),
                W4MOE_INVALID);
        ck_assert_str_eq(test_ctx_text(ctx), names[i]);
    }
    ck_assert_int_eq(w4moe_align(NULL, out, out + 16, out + 32, out + 48, ids,
                             4, NULL, 2, 4),
            W4MOE_INVALID);
    ck_assert_int_eq(w4moe_align(ctx, out, out + 16, out + 32, out + 48, ids, 4,
                             NULL, 2, 0),
            W4MOE_INVALID);
    ck_assert_str_eq(test_ctx_text(ctx), "block_size is 0");
    ck_assert_int_eq(w4moe_align(ctx, out, out + 16, out + 32, out + 48, ids, 4,
                             NULL, 0, 4),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(test_ctx_text(ctx), "n_experts is 0"));

    /* No slots, and so no arrays of them. */
    int32_t n_padded = 77, first_slot[3] = {77, 77, 77};
    ck_assert_int_eq(w4moe_align(ctx, NULL, NULL, &n_padded, first_slot, NULL,
                             0, NULL, 2, 4),
            W4MOE_OK);
    ck_assert_int_eq(n_padded, 0);
    ck_assert_int_eq(first_slot[0] | first_slot[1] | first_slot[2], 0);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("align");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, random_cases);
    tcase_add_test(tc, capacity_is_reached);
    tcase_add_test(tc, capacity_limits);
    tcase_add_test(tc, bad_values_are_named);
    tcase_add_test(tc, bad_sizes_and_pointers);
    Suite *suite = suite_create("align");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
