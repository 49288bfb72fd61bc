/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The 16-bit and 8-bit floats of base/half.h, against models in double that
 * know only the formats' definitions: a number is mantissa * 2^exponent, and
 * rounding takes the nearer of two neighbours, the even one if both are. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "test_random.h"

/* A format of 16 bits with a sign. */
struct format {
    unsigned mantissa_bits;
    int bias;
    /* Pattern of infinity, without the sign. */
    unsigned infinity;
    float (*to_float)(uint16_t half);
    uint16_t (*of_float)(float value);
    w4moe_dtype dtype;
};

static const struct format formats[] = {
        {10, 15, 0x7C00, w4_float_of_f16, w4_f16_of_float, W4MOE_F16},
        {7, 127, 0x7F80, w4_float_of_bf16, w4_bf16_of_float, W4MOE_BF16},
};
enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

/* Value of a pattern without sign; infinity counts as the next power of two,
 * which is what rounding compares with. */
static double
model_value(const struct format *f, unsigned pattern)
{
    unsigned mantissa = pattern & ((1u << f->mantissa_bits) - 1);
    int exponent = (int)(pattern >> f->mantissa_bits);
    int low = 1 - f->bias - (int)f->mantissa_bits;
    if (exponent == 0) {
        return ldexp((double)mantissa, low);
    }
    return ldexp(
            (double)(mantissa + (1u << f->mantissa_bits)), low + exponent - 1);
}

/* The pattern of a number that is no NaN. */
static unsigned
model_round(const struct format *f, double value)
{
    double magnitude = fabs(value);
    unsigned sign = signbit(value) ? 0x8000u : 0;
    unsigned low = 0;
    unsigned high = f->infinity;
    if (magnitude >= model_value(f, high)) {
        return sign | f->infinity;
    }
    while (high - low > 1) { /* value(low) <= magnitude < value(high) */
        unsigned middle = (low + high) / 2;
        *(model_value(f, middle) <= magnitude ? &low : &high) = middle;
    }
    double below = magnitude - model_value(f, low);
    double above = model_value(f, high) - magnitude;
    unsigned even = low % 2 == 0 ? low : high;
    return sign | (below < above ? low : below > above ? high : even);
}

static void
check_rounding(const struct format *f, float value)
{
    unsigned got = f->of_float(value);
    unsigned expected = model_round(f, (double)value);
    ck_assert_msg(got == expected, "%s of %a (bits %08x): %04x, expected %04x",
            w4moe_dtype_name(f->dtype), (double)value, w4_bits_of_float(value),
            got, expected);
}

/* A number, its neighbours, and the same below zero. */
static void
check_around(const struct format *f, float value)
{
    const float near[3] = {
            value, nextafterf(value, -INFINITY), nextafterf(value, INFINITY)};
    for (int i = 0; i < 3; i++) {
        check_rounding(f, near[i]);
        check_rounding(f, -near[i]);
    }
}

START_TEST(every_pattern)
{
    const struct format *f = &formats[_i];
    for (unsigned pattern = 0; pattern <= 0xFFFFu; pattern++) {
        float value = f->to_float((uint16_t)pattern);
        unsigned magnitude = pattern & 0x7FFFu;
        ck_assert_msg((signbit(value) != 0) == (pattern >> 15 != 0),
                "sign of %04x", pattern);
        if (magnitude > f->infinity) {
            ck_assert_msg(isnan(value), "%04x is NaN", pattern);
            unsigned back = f->of_float(value);
            ck_assert_msg((back & 0x7FFFu) > f->infinity &&
                                  back >> 15 == pattern >> 15,
                    "NaN %04x comes back as %04x", pattern, back);
            continue;
        }
        double expected = magnitude == f->infinity ? (double)INFINITY
                                                   : model_value(f, magnitude);
        ck_assert_msg(fabs((double)value) == expected, "%04x is %a", pattern,
                (double)value);
        ck_assert_msg(f->of_float(value) == pattern, "%04x comes back as %04x",
                pattern, (unsigned)f->of_float(value));
    }
}
END_TEST

/* The numbers themselves, the middles between them, and what is next to
 * either: subnormals, and the overflow edge, are among them. */
START_TEST(every_boundary)
{
    const struct format *f = &formats[_i];
    for (unsigned pattern = 0; pattern < f->infinity; pattern++) {
        double value = model_value(f, pattern);
        double next = model_value(f, pattern + 1);
        check_around(f, (float)value);
        check_around(f, (float)(value + (next - value) / 2));
    }
    check_around(f, (float)INFINITY);
    check_around(f, 0x1p-149f);
    check_around(f, 0x1.fffffep127f);
}
END_TEST

START_TEST(random_floats)
{
    const struct format *f = &formats[_i];
    struct test_random random = {7};
    for (int i = 0; i < 1000000; i++) {
        float value = w4_float_of_bits((uint32_t)test_random(&random));
        if (!isnan(value)) {
            check_rounding(f, value);
        }
    }
}
END_TEST

/* Whatever is in a NaN, it stays one, with its sign; also one whose payload
 * stands only in the bits that are cut off. */
START_TEST(not_a_number)
{
    static const uint32_t payloads[] = {0x7FC00000u, 0x7F800001u, 0x7F80FFFFu,
            0x7FFFFFFFu, 0x7FBFFFFFu, 0x7F802000u, 0x7F801FFFu, 0x7F810000u};
    const struct format *f = &formats[_i];
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            uint32_t bits = payloads[i] | sign << 31;
            unsigned got = f->of_float(w4_float_of_bits(bits));
            ck_assert_msg((got & 0x7FFFu) > f->infinity && got >> 15 == sign,
                    "%s of NaN %08x is %04x", w4moe_dtype_name(f->dtype), bits,
                    got);
        }
    }
}
END_TEST

START_TEST(known_values)
{
    ck_assert_uint_eq(w4_f16_of_float(-0.0f), 0x8000);
    ck_assert_uint_eq(w4_f16_of_float(1.0f), 0x3C00);
    ck_assert_uint_eq(w4_f16_of_float(65504.0f), 0x7BFF);
    ck_assert_uint_eq(w4_f16_of_float(0x1.ffdffep15f), 0x7BFF);
    ck_assert_uint_eq(w4_f16_of_float(65520.0f), 0x7C00);
    ck_assert_uint_eq(w4_f16_of_float(0x1p-24f), 0x0001);
    ck_assert_uint_eq(w4_f16_of_float(0x1p-25f), 0x0000);
    ck_assert_uint_eq(w4_f16_of_float(0x1.000002p-25f), 0x0001);
    ck_assert_uint_eq(w4_f16_of_float(-0x1p-26f), 0x8000);
    ck_assert_uint_eq(w4_bf16_of_float(-0.0f), 0x8000);
    ck_assert_uint_eq(w4_bf16_of_float(1.0f), 0x3F80);
    ck_assert_uint_eq(w4_bf16_of_float(0x1.fefffep127f), 0x7F7F);
    ck_assert_uint_eq(w4_bf16_of_float(0x1.ffp127f), 0x7F80);
}
END_TEST

START_TEST(e8m0)
{
    for (unsigned byte = 0; byte < 255; byte++) {
        ck_assert_double_eq((double)w4_float_of_e8m0((uint8_t)byte),
                ldexp(1.0, (int)byte - 127));
    }
    ck_assert(isnan(w4_float_of_e8m0(255)));
}
END_TEST

/* All codes by the definition: bias 7, and only the last of each sign is no
 * number. */
START_TEST(e4m3)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        float got = w4_float_of_e4m3((uint8_t)byte);
        int exponent = (int)(byte >> 3 & 15u);
        double value = exponent == 0
                               ? ldexp((byte & 7u) / 8.0, -6)
                               : ldexp(1.0 + (byte & 7u) / 8.0, exponent - 7);
        ck_assert_int_eq(signbit(got) != 0, byte >= 128);
        if ((byte & 127u) == 127u) {
            ck_assert(isnan(got));
        } else {
            ck_assert_double_eq(fabs((double)got), value);
        }
    }
    ck_assert_float_eq(w4_float_of_e4m3(0x7E), 448.0f);
}
END_TEST

START_TEST(load_and_store)
{
    const float values[3] = {1.0f, -2.5f, 0x1.234566p-3f};
    for (int i = 0; i < N_FORMATS; i++) {
        const struct format *f = &formats[i];
        uint16_t halves[4] = {0xABCD, 0xABCD, 0xABCD, 0xABCD};
        for (size_t j = 0; j < 3; j++) {
            w4_store_float(halves, f->dtype, j, values[j]);
            ck_assert_uint_eq(halves[j], f->of_float(values[j]));
            float back = w4_load_float(halves, f->dtype, j);
            ck_assert(back == f->to_float(halves[j]));
        }
        ck_assert_uint_eq(halves[3], 0xABCD);
    }
    float floats[2] = {3.0f, 4.0f};
    w4_store_float(floats, W4MOE_F32, 1, values[2]);
    ck_assert(floats[0] == 3.0f && floats[1] == values[2]);
    ck_assert(w4_load_float(floats, W4MOE_F32, 1) == values[2]);
    const uint8_t bytes[2] = {127, 130};
    ck_assert(w4_load_float(bytes, W4MOE_F8_E8M0, 1) == 8.0f);
    /* Types that are no such floats: nothing is read or written. */
    w4_store_float(floats, W4MOE_I32, 0, 9.0f);
    ck_assert(floats[0] == 3.0f);
    ck_assert(w4_load_float(floats, W4MOE_I32, 0) == 0.0f);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("half");
    TCase *tc = tcase_create("half");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, every_pattern, 0, N_FORMATS);
    tcase_add_loop_test(tc, every_boundary, 0, N_FORMATS);
    tcase_add_loop_test(tc, random_floats, 0, N_FORMATS);
    tcase_add_loop_test(tc, not_a_number, 0, N_FORMATS);
    tcase_add_test(tc, known_values);
    tcase_add_test(tc, e8m0);
    tcase_add_test(tc, e4m3);
    tcase_add_test(tc, load_and_store);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
