/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The comparison after packing must see every change: a code, a scale, a zero
 * point, a bias; also where only single codes or groups were written wrong. And
 * what looks wrong in weights must be found. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ct_fixture.h"
#include "format/findings.h"
#include "packed_weight.h"
#include "st_helpers.h"

/* A tile and a narrow one; two squares of words and one more; a short group. */
enum { N = 136, K = 72, GROUP = 32, G = 3 };

/* A weight of compressed-tensors and its arrays. */
struct source {
    struct ct_weight made;
    unsigned char *packed;
    unsigned char *zeros;
    struct w4_weight weight;
    uint16_t bias[N];
};

static void
source_make(struct source *s, unsigned flags, struct test_random *random)
{
    size_t n_bytes;
    s->made = ct_weight_make(random, N, K, GROUP, W4MOE_BF16, flags);
    /* Ordinary scales: in a group of zeros codes mean nothing. */
    for (size_t i = 0; i < N * G; i++) {
        s->made.scales[2 * i + 1] = 0x3C;
    }
    s->packed = ct_weight_packed(&s->made, &n_bytes);
    s->zeros = ct_weight_zero_point(&s->made, &n_bytes);
    s->weight = (struct w4_weight){
            .scheme = &w4_scheme_ct,
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .codes = s->packed,
            .scales = s->made.scales,
            .scale_dtype = W4MOE_BF16,
            .zeros = s->zeros,
            .has_zeros = flags & CT_ZERO_POINTS,
            .row_step = 1,
            .tensor_rows = N,
    };
}

static void
source_free(struct source *s)
{
    free(s->packed);
    free(s->zeros);
    ct_weight_free(&s->made);
}

/* Changes one bit of an array; the comparison must tell, and the bit goes
 * back. */
static void
must_see(struct packed_weight *p, void *array, size_t bit)
{
    unsigned char *byte = (unsigned char *)array + bit / 8;
    *byte ^= (unsigned char)(1u << bit % 8);
    ck_assert_msg(packed_weight_compare(p) == W4MOE_MISMATCH,
            "bit %zu changed, and nothing was seen", bit);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err), "written"));
    *byte ^= (unsigned char)(1u << bit % 8);
}

START_TEST(any_bit)
{
    static const w4moe_order orders[] = {W4MOE_ORDER_TILE, W4MOE_ORDER_RDNA3};
    struct test_random random = {(uint64_t)_i + 1};
    struct packed_weight p;
    struct source s;
    source_make(&s, _i >= 2 ? CT_ZERO_POINTS : 0, &random);
    packed_weight_make(&p, &s.weight, orders[_i % 2], W4MOE_DTYPE_NONE);
    ST_CHECK_OK(packed_weight_compare(&p));
    for (size_t bit = 0; bit < N * K * 4; bit += 37) {
        must_see(&p, p.m.qweight, bit);
    }
    for (size_t bit = 0; bit < N * G * 16; bit += 5) {
        must_see(&p, p.m.scales, bit);
    }
    for (size_t bit = 0; p.m.qzeros != NULL && bit < N * G * 4; bit += 3) {
        must_see(&p, p.m.qzeros, bit);
    }
    ST_CHECK_OK(packed_weight_compare(&p));
    packed_weight_free(&p);
    source_free(&s);
}
END_TEST

/* Offsets that zero points became; here every weight is looked at. */
START_TEST(offsets)
{
    struct test_random random = {7};
    struct packed_weight p;
    struct source s;
    source_make(&s, CT_ZERO_POINTS, &random);
    packed_weight_make(&p, &s.weight, W4MOE_ORDER_TILE, W4MOE_F32);
    ST_CHECK_OK(packed_weight_compare(&p));
    /* The highest bit of the exponent; others may be rounded off. */
    for (size_t bit = W4_BIG_ENDIAN ? 6 : 30; bit < N * G * 32; bit += 32) {
        must_see(&p, p.m.offsets, bit);
    }
    packed_weight_free(&p);
    source_free(&s);
}
END_TEST

/* A zero scale makes every code 0: other codes are the same weights. */
START_TEST(same_weights_by_other_codes)
{
    struct test_random random = {9};
    struct packed_weight p;
    struct source s;
    source_make(&s, 0, &random);
    memset(s.made.scales, 0, N * G * 2);
    packed_weight_make(&p, &s.weight, W4MOE_ORDER_TILE, W4MOE_DTYPE_NONE);
    ST_CHECK_OK(packed_weight_compare(&p));
    /* 0 and -0 differ, so only codes on one side of the zero point. */
    for (size_t i = 0; i < N * K / 8; i++) {
        p.m.qweight[i] |= 0x77777777u;
    }
    for (size_t i = 0; i < N * K / 2; i++) {
        s.packed[i] |= 0x11;
    }
    ST_CHECK_OK(packed_weight_compare(&p));
    packed_weight_free(&p);
    source_free(&s);
}
END_TEST

/* ----------------------------------------------------------------- findings */

START_TEST(findings)
{
    struct test_random random = {11};
    struct packed_weight p[2];
    struct source s[2];
    struct w4_findings f = {{0}, 0};
    static const uint16_t odd[] = {
            0x7FC0, 0x7F80, 0xFF80, 0x0000, 0x8000, 0x0001, 0x807F};
    for (int i = 0; i < 2; i++) {
        source_make(&s[i], 0, &random);
    }
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        s[0].made.scales[2 * i] = (unsigned char)(odd[i] & 255u);
        s[0].made.scales[2 * i + 1] = (unsigned char)(odd[i] >> 8);
    }
    memset(s[1].packed, 0x55, N * K / 2);
    for (int i = 0; i < 2; i++) {
        packed_weight_make(
                &p[i], &s[i].weight, W4MOE_ORDER_TILE, W4MOE_DTYPE_NONE);
    }
    w4_findings_of_expert(&f, &p[0].m, &p[1].m);
    ck_assert_uint_eq(f.counts[W4_FINDING_NOT_FINITE], 3);
    ck_assert_uint_eq(f.counts[W4_FINDING_ZERO], 2);
    ck_assert_uint_eq(f.counts[W4_FINDING_DENORMAL], 2);
    ck_assert_uint_eq(f.counts[W4_FINDING_UNIFORM], 1);
    p[1].m.qweight[N * K / 8 - 1] ^= 0x10;
    w4_findings_of_expert(&f, &p[0].m, &p[1].m);
    ck_assert_uint_eq(f.counts[W4_FINDING_UNIFORM], 0);
    for (int i = 0; i < 2; i++) {
        packed_weight_free(&p[i]);
        source_free(&s[i]);
    }
}
END_TEST

START_TEST(duplicates)
{
    const uint64_t hashes[] = {5, 9, 5, 1, 9, 9, 2};
    const uint64_t expected[] = {0, 0, 1, 0, 1, 1, 0};
    struct w4_findings f[7];
    struct w4_findings all = {{0}, 0};
    memset(f, 0, sizeof(f));
    for (size_t i = 0; i < 7; i++) {
        f[i].hash = hashes[i];
    }
    ST_CHECK_OK(w4_findings_of_layer(&st_err, f, 7));
    for (size_t i = 0; i < 7; i++) {
        ck_assert_uint_eq(f[i].counts[W4_FINDING_DUPLICATE], expected[i]);
        w4_findings_add(&st_err, &all, &f[i], 3, i);
    }
    ck_assert_uint_eq(all.counts[W4_FINDING_DUPLICATE], 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("compare");
    TCase *tc = tcase_create("compare");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_loop_test(tc, any_bit, 0, 4);
    tcase_add_test(tc, offsets);
    tcase_add_test(tc, same_weights_by_other_codes);
    tcase_add_test(tc, findings);
    tcase_add_test(tc, duplicates);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
