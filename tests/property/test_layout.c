/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The packed layout: words of codes and of zero points, and the places of
 * format/layout.h against the formulas of w4moe-format(5), written down here
 * once more. What packing puts there is for test_pack_ct.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe.h>

#include "format/layout.h"
#include "test_random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------- of codes */

/* The picture of the format page. */
static const unsigned bit_of_code[8] = {0, 16, 4, 20, 8, 24, 12, 28};

START_TEST(single_codes)
{
    for (unsigned j = 0; j < 8; j++) {
        ck_assert_uint_eq(w4_code_bit(j), bit_of_code[j]);
        ck_assert_uint_eq(
                bit_of_code[j], j % 2 == 0 ? 4 * (j / 2) : 16 + 4 * (j / 2));
        for (uint32_t code = 0; code < 16; code++) {
            uint32_t sequential = code << 4 * j;
            uint32_t packed;
            uint32_t back;
            w4moe_shuffle(&packed, &sequential, 1);
            ck_assert_uint_eq(packed, code << bit_of_code[j]);
            w4moe_unshuffle(&back, &packed, 1);
            ck_assert_uint_eq(back, sequential);
            for (unsigned m = 0; m < 8; m++) {
                ck_assert_uint_eq(
                        w4_code_of_word(packed, m), m == j ? code : 0);
            }
        }
    }
    /* The page's example, and its trick: a shift and a mask give a pair. */
    uint32_t word = 0x76543210u;
    w4moe_shuffle(&word, &word, 1);
    ck_assert_uint_eq(word, 0x75316420u);
    for (unsigned m = 0; m < 4; m++) {
        ck_assert_uint_eq(word >> 4 * m & 0x000F000Fu,
                2 * m | (uint32_t)(2 * m + 1) << 16);
    }
}
END_TEST

enum { N_WORDS = 1000, GUARD = 0x600DF00D };

START_TEST(arrays_of_words)
{
    uint32_t src[N_WORDS];
    uint32_t packed[N_WORDS + 1];
    uint32_t back[N_WORDS + 1];
    struct test_random random = {1};
    for (size_t n = 0; n <= N_WORDS; n = n < 20 ? n + 1 : 7 * n / 2) {
        for (size_t i = 0; i < n; i++) {
            src[i] = (uint32_t)test_random(&random);
        }
        packed[n] = back[n] = GUARD;
        w4moe_shuffle(packed, src, n);
        w4moe_unshuffle(back, packed, n);
        ck_assert(packed[n] == GUARD && back[n] == GUARD);
        for (size_t i = 0; i < n; i++) {
            uint32_t expected = 0;
            for (unsigned j = 0; j < 8; j++) {
                expected |= (src[i] >> 4 * j & 15u) << bit_of_code[j];
            }
            ck_assert_uint_eq(packed[i], expected);
            ck_assert_uint_eq(back[i], src[i]);
        }
        /* In place, and the inverse the other way round. */
        memcpy(back, src, n * sizeof(*src));
        w4moe_shuffle(back, back, n);
        ck_assert(n == 0 || memcmp(back, packed, n * sizeof(*src)) == 0);
        w4moe_unshuffle(back, back, n);
        ck_assert(n == 0 || memcmp(back, src, n * sizeof(*src)) == 0);
        w4moe_unshuffle(back, src, n);
        w4moe_shuffle(back, back, n);
        ck_assert(n == 0 || memcmp(back, src, n * sizeof(*src)) == 0);
    }
}
END_TEST

/* ---------------------------------------------------------- of zero points */

START_TEST(zero_points)
{
    for (unsigned zero = 0; zero < 16; zero++) {
        uint32_t words[4] = {1, 2, 3, GUARD};
        w4moe_zeros_fill(words, 3, zero);
        for (unsigned i = 0; i < 24; i++) {
            uint32_t stored = words[i / 8] >> 4 * (i % 8) & 15u;
            ck_assert_uint_eq((stored + 1) % 16, zero);
            ck_assert_uint_eq(w4_zero_of_word(words[i / 8], i % 8), zero);
        }
        ck_assert_uint_eq(words[3], GUARD);
    }
    uint32_t word = 0;
    w4moe_zeros_fill(&word, 1, 8);
    ck_assert_uint_eq(word, 0x77777777u);
    w4moe_zeros_fill(&word, 0, 3);
    ck_assert_uint_eq(word, 0x77777777u);

    /* Every value in every place, and only the low 4 bits of it. */
    for (unsigned m = 0; m < 8; m++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t zeros[8] = {8, 8, 8, 8, 8, 8, 8, 8};
            uint8_t back[9];
            uint32_t packed[2] = {0, GUARD};
            zeros[m] = (uint8_t)value;
            w4moe_zeros_pack(packed, zeros, 1);
            uint32_t stored = (value + 15) % 16;
            ck_assert_uint_eq(packed[0],
                    (0x77777777u & ~(15u << 4 * m)) | stored << 4 * m);
            ck_assert_uint_eq(packed[1], GUARD);
            back[8] = 99;
            w4moe_zeros_unpack(back, packed, 1);
            for (unsigned i = 0; i < 8; i++) {
                ck_assert_uint_eq(back[i], i == m ? value % 16 : 8);
            }
            ck_assert_uint_eq(back[8], 99);
        }
    }
}
END_TEST

START_TEST(arrays_of_zero_points)
{
    enum { N = 50 };
    uint32_t words[N];
    uint32_t back[N];
    uint8_t zeros[8 * N];
    struct test_random random = {2};
    for (size_t i = 0; i < N; i++) {
        words[i] = (uint32_t)test_random(&random);
    }
    w4moe_zeros_unpack(zeros, words, N);
    w4moe_zeros_pack(back, zeros, N);
    ck_assert_mem_eq(words, back, sizeof(words));
    for (size_t i = 0; i < COUNT(zeros); i++) {
        ck_assert_uint_eq(
                zeros[i], ((words[i / 8] >> 4 * (i % 8) & 15u) + 1) % 16);
    }
}
END_TEST

/* ------------------------------------------------ places, as the page says */

/* Column of the words in which output feature n stands. */
static uint64_t
model_column(const struct w4_layout *l, uint64_t n)
{
    if (!l->tiled || !l->gated) {
        return n;
    }
    uint64_t half_n = l->n_out / 2;
    uint64_t m = n % half_n;
    uint64_t t = m / 64;
    uint64_t left = l->n_out - 128 * t;
    uint64_t h = (left < 128 ? left : 128) / 2;
    return 128 * t + m % 64 + (n < half_n ? 0 : h);
}

/* Width of the tile of a column. */
static uint64_t
model_width(const struct w4_layout *l, uint64_t c)
{
    uint64_t left = l->n_out - c / 128 * 128;
    return left < 128 ? left : 128;
}

static uint64_t
model_word(const struct w4_layout *l, uint64_t c, uint64_t i)
{
    uint64_t rows = l->n_in / 8;
    if (!l->tiled) {
        return i / 8 * l->n_out + c;
    }
    return 128 * (c / 128) * rows + i / 8 * model_width(l, c) + c % 128;
}

static uint64_t
model_scale(const struct w4_layout *l, uint64_t c, uint64_t group)
{
    if (!l->tiled) {
        return group * l->n_out + c;
    }
    return 128 * (c / 128) * l->n_groups + group * model_width(l, c) + c % 128;
}

static uint64_t
model_zero(const struct w4_layout *l, uint64_t c, uint64_t group)
{
    if (!l->tiled) {
        return group * (l->n_out / 8) + c / 8;
    }
    return 16 * (c / 128) * l->n_groups + group * (model_width(l, c) / 8) +
           c % 128 / 8;
}

static struct w4_layout
layout_of(uint64_t n_out, uint64_t n_in, uint64_t g, int tiled, int gated)
{
    struct w4_layout l = {n_out, n_in, g, (n_in + g - 1) / g, tiled, gated};
    return l;
}

/* As ck_assert_uint_eq(), which takes long if called millions of times. */
static void
same(uint64_t got, uint64_t expected)
{
    if (got != expected) {
        ck_abort_msg("%llu is not %llu", (unsigned long long)got,
                (unsigned long long)expected);
    }
}

/* Every natural column stands in one place of one tile, and the functions
 * agree on it in both directions. */
static void
check_columns(const struct w4_layout *l)
{
    unsigned char *seen = calloc(1, (size_t)l->n_out);
    ck_assert_ptr_nonnull(seen);
    uint64_t n_columns = 0;
    same(w4_tile_count(l), (l->n_out + 127) / 128);
    for (uint64_t t = 0; t < w4_tile_count(l); t++) {
        struct w4_tile tile = w4_tile_at(l, t);
        same(tile.width > 0 && tile.width <= 128, 1);
        same(tile.half, l->gated ? tile.width / 2 : tile.width);
        for (uint32_t c = 0; c < tile.width; c++) {
            uint64_t n = w4_tile_column(&tile, c);
            same(n < l->n_out, 1);
            same(seen[n], 0);
            seen[n] = 1;
            n_columns++;
            uint32_t back = ~0u;
            same(w4_tile_of_column(l, n, &back), t);
            same(back, c);
            if (l->tiled) {
                same(model_column(l, n), 128 * t + c);
            }
            if (l->gated) {
                same(n >= l->n_out / 2, c >= tile.half);
            }
        }
    }
    same(n_columns, l->n_out);
    free(seen);
}

START_TEST(columns)
{
    for (int kind = 0; kind < 4; kind++) {
        int gated = kind % 2;
        uint64_t step = gated ? 16 : 8;
        for (uint64_t n = step; n <= 1040; n += step) {
            struct w4_layout l = layout_of(n, 16, 8, kind / 2, gated);
            check_columns(&l);
        }
    }
}
END_TEST

/* Counts of features near 2^31: nothing is cut to 32 bits. */
START_TEST(far_columns)
{
    struct test_random random = {3};
    for (int i = 0; i < 100000; i++) {
        int gated = i % 2;
        uint64_t n_out =
                (1ull << 31) - 16 * (1 + test_random_below(&random, 9));
        struct w4_layout l = layout_of(n_out, 1 << 20, 128, i / 2 % 2, gated);
        uint64_t n = test_random(&random) % n_out;
        uint64_t column = model_column(&l, n);
        uint64_t k = test_random(&random) % l.n_in;
        uint32_t c;
        uint64_t t = w4_tile_of_column(&l, n, &c);
        struct w4_tile tile = w4_tile_at(&l, t);
        same(w4_tile_column(&tile, c), n);
        uint64_t offset = w4_tile_offset(&tile, c);
        same(tile.word + k / 8 * tile.word_stride + offset,
                model_word(&l, column, k));
        same(tile.scale + k / 128 * tile.scale_stride + offset,
                model_scale(&l, column, k / 128));
    }
}
END_TEST

/* ----------------------------------------------------- whole arrays, tiled */

/* Marks a place as used, once. */
static void
mark(unsigned char *seen, uint64_t place, uint64_t size)
{
    same(place < size, 1);
    same(seen[place], 0);
    seen[place] = 1;
}

/* The words, scales and zero points of all columns are where the page says,
 * and fill the arrays without hole or overlap. */
static void
check_places(const struct w4_layout *l)
{
    uint64_t rows = l->n_in / 8;
    uint64_t n_words = l->n_out * rows;
    uint64_t n_scales = l->n_out * l->n_groups;
    unsigned char *words = calloc(1, (size_t)n_words);
    unsigned char *scales = calloc(1, (size_t)n_scales);
    unsigned char *zeros = calloc(1, (size_t)n_scales); /* by nibble */
    ck_assert(words != NULL && scales != NULL && zeros != NULL);
    for (uint64_t t = 0; t < w4_tile_count(l); t++) {
        struct w4_tile tile = w4_tile_at(l, t);
        for (uint32_t c = 0; c < tile.width; c++) {
            uint64_t column = model_column(l, w4_tile_column(&tile, c));
            uint64_t offset = w4_tile_offset(&tile, c);
            for (uint64_t row = 0; row < rows; row++) {
                uint64_t place = tile.word + row * tile.word_stride + offset;
                same(place, model_word(l, column, 8 * row));
                mark(words, place, n_words);
            }
            for (uint64_t q = 0; q < l->n_groups; q++) {
                uint64_t place = tile.scale + q * tile.scale_stride + offset;
                same(place, model_scale(l, column, q));
                mark(scales, place, n_scales);
                place = tile.zero + q * tile.zero_stride + offset / 8;
                same(place, model_zero(l, column, q));
                same(offset % 8, column % 8);
                mark(zeros, 8 * place + offset % 8, n_scales);
            }
        }
    }
    ck_assert_ptr_null(memchr(words, 0, (size_t)n_words));
    ck_assert_ptr_null(memchr(scales, 0, (size_t)n_scales));
    ck_assert_ptr_null(memchr(zeros, 0, (size_t)n_scales));
    free(words);
    free(scales);
    free(zeros);
}

START_TEST(places)
{
    static const uint64_t n_outs[] = {8, 16, 24, 48, 64, 80, 120, 128, 136, 144,
            192, 256, 272, 320, 704, 1408};
    static const uint64_t n_ins[][2] = {{8, 8}, {16, 8}, {16, 16}, {24, 16},
            {136, 24}, {136, 128}, {96, 96}}; /* K, g */
    for (size_t n = 0; n < COUNT(n_outs); n++) {
        for (size_t k = 0; k < COUNT(n_ins); k++) {
            for (int kind = 0; kind < 4; kind++) {
                int gated = kind % 2;
                if (gated && n_outs[n] % 16 != 0) {
                    continue;
                }
                struct w4_layout l = layout_of(
                        n_outs[n], n_ins[k][0], n_ins[k][1], kind / 2, gated);
                check_places(&l);
            }
        }
    }
}
END_TEST

/* The page's example: N = 320 in three tiles, the last of 64 columns. */
START_TEST(example)
{
    struct w4_layout l = layout_of(320, 16, 16, 1, 1);
    static const uint64_t pairs[][2] = {{0, 0}, {63, 63}, {160, 64}, {223, 127},
            {64, 128}, {224, 192}, {287, 255}, {128, 256}, {159, 287},
            {288, 288}, {319, 319}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        uint32_t c;
        uint64_t t = w4_tile_of_column(&l, pairs[i][0], &c);
        ck_assert_uint_eq(128 * t + c, pairs[i][1]);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("layout");
    TCase *tc = tcase_create("layout");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, single_codes);
    tcase_add_test(tc, arrays_of_words);
    tcase_add_test(tc, zero_points);
    tcase_add_test(tc, arrays_of_zero_points);
    tcase_add_test(tc, columns);
    tcase_add_test(tc, far_columns);
    tcase_add_test(tc, places);
    tcase_add_test(tc, example);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
