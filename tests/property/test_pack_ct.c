/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Re-packing of compressed-tensors weights: whatever goes in comes out of
 * w4moe_dequantize() with the bits of (code - zero) * scale; in order rdna3 the
 * words are those of the plain steps that vLLM's RDNA3 method takes. What is
 * refused is in test_matrix_refusals.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_fixture.h"

enum { N_RANDOM = 400, GUARD = 64, GUARD_BYTE = 0xA5, FILL_BYTE = 0xC3 };
enum { N_PIECES = 4 };

static w4moe_ctx *ctx;

static void
setup(void)
{
    ck_assert_int_eq(w4moe_ctx_create(&ctx, NULL), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static void
ok(w4moe_status status)
{
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
}

/* --------------------------------------------------- arrays between guards */

static void *
guarded_new(uint64_t n)
{
    unsigned char *bytes = malloc((size_t)n + 2 * GUARD);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, GUARD_BYTE, (size_t)n + 2 * GUARD);
    memset(bytes + GUARD, FILL_BYTE, (size_t)n);
    return bytes + GUARD;
}

/* Frees an array of all experts after a look at the guards, and at the parts
 * of the experts that were not packed. */
static void
guarded_check(void *array, uint64_t n_bytes, size_t n_experts, size_t expert)
{
    if (array == NULL) {
        return;
    }
    const unsigned char *bytes = array;
    size_t n = (size_t)n_bytes;
    for (size_t i = 0; i < GUARD; i++) {
        if (bytes[n + i] != GUARD_BYTE || *(bytes - 1 - i) != GUARD_BYTE) {
            ck_abort_msg("a guard was written");
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (i / (n / n_experts) != expert && bytes[i] != FILL_BYTE) {
            ck_abort_msg("byte %zu of %zu is not of expert %zu", i, n, expert);
        }
    }
    free((unsigned char *)array - GUARD);
}

static void
matrix_new(w4moe_matrix *m, w4moe_matrix_sizes *sizes, int zero_points)
{
    sizes->struct_size = sizeof(*sizes);
    ok(w4moe_matrix_measure(ctx, sizes, m));
    m->qweight = guarded_new(sizes->qweight);
    m->scales = guarded_new(sizes->scales);
    m->qzeros = zero_points ? guarded_new(sizes->qzeros) : NULL;
    m->perm = m->n_perms != 0 ? guarded_new(sizes->perm) : NULL;
}

static void
matrix_free(w4moe_matrix *m, const w4moe_matrix_sizes *sizes, size_t expert)
{
    guarded_check(m->qweight, sizes->qweight, m->n_experts, expert);
    guarded_check(m->scales, sizes->scales, m->n_experts, expert);
    guarded_check(m->qzeros, sizes->qzeros, m->n_experts, expert);
    guarded_check(m->perm, sizes->perm, m->n_experts, expert);
}

/* -------------------------------------------------------------- one source */

/* A weight and its arrays as they stand in a file, at any address. */
struct piece {
    size_t first_out;
    struct ct_weight weight;
    w4moe_ct_weight src;
    size_t shift;
    unsigned char *arrays[3];
    int32_t *output_order;
};

/* A copy at an address that is `shift` off. */
static unsigned char *
shifted(const unsigned char *bytes, size_t n, size_t shift)
{
    unsigned char *copy = malloc(n + shift);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy + shift, bytes, n);
    return copy;
}

static int32_t *
random_order(struct test_random *random, size_t n)
{
    int32_t *order = malloc(n * sizeof(*order));
    ck_assert_ptr_nonnull(order);
    for (size_t i = 0; i < n; i++) {
        size_t j = test_random_below(random, i + 1);
        order[i] = order[j];
        order[j] = (int32_t)i;
    }
    return order;
}

static void
piece_describe(struct piece *p, size_t shift)
{
    const struct ct_weight *w = &p->weight;
    size_t n_packed, n_zeros;
    p->shift = shift;
    size_t n_scales = w->n_out * w->n_groups * w4moe_dtype_size(w->scale_dtype);
    unsigned char *packed = ct_weight_packed(w, &n_packed);
    unsigned char *zeros = ct_weight_zero_point(w, &n_zeros);
    p->arrays[0] = shifted(packed, n_packed, shift);
    p->arrays[1] = shifted(w->scales, n_scales, shift);
    p->arrays[2] = shifted(zeros, n_zeros, shift);
    free(packed);
    free(zeros);
    p->src = (w4moe_ct_weight){.struct_size = sizeof(p->src),
            .n_out = w->n_out,
            .n_in = w->n_in,
            .group_size = w->group_size,
            .packed = p->arrays[0] + shift,
            .scale = p->arrays[1] + shift,
            .scale_dtype = w->scale_dtype,
            .input_order = w->order,
            .output_order = p->output_order};
}

static void
piece_free(struct piece *p)
{
    for (int i = 0; i < 3; i++) {
        free(p->arrays[i]);
    }
    free(p->output_order);
    ct_weight_free(&p->weight);
}

/* ------------------------------------------------------------ random cases */

struct problem {
    uint64_t seed;
    struct test_random random;
    w4moe_matrix m;
    w4moe_matrix_sizes sizes;
    size_t expert;
    int zero_points;
    unsigned weight_flags;
    struct piece pieces[N_PIECES];
    size_t n_pieces;
};

static size_t
choose(struct problem *p, const size_t *values, size_t n)
{
    return values[test_random_below(&p->random, n)];
}

static void
make_problem(struct problem *p, uint64_t seed)
{
    static const size_t n_outs[] = {16, 32, 48, 128, 144, 256, 320, 704, 1408};
    static const size_t n_ins[] = {8, 16, 24, 64, 136, 264};
    static const w4moe_dtype types[] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};
    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->random.counter = seed;
    w4moe_matrix *m = &p->m;
    m->struct_size = sizeof(*m);
    m->order = seed % 2 != 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3;
    m->code = W4MOE_CODE_INT4;
    m->n_experts = 1 + test_random_below(&p->random, 3);
    m->gated = (int)test_random_below(&p->random, 2);
    m->n_out = choose(p, n_outs, sizeof(n_outs) / sizeof(n_outs[0]));
    if (!m->gated) { /* also 8, 24, ... */
        m->n_out -= 8 * test_random_below(&p->random, 2);
    }
    m->n_in = choose(p, n_ins, sizeof(n_ins) / sizeof(n_ins[0]));
    m->group_size = 8 * (1 + test_random_below(&p->random, m->n_in / 8));
    m->scale_dtype = types[test_random_below(&p->random, 3)];
    p->expert = test_random_below(&p->random, m->n_experts);
    p->zero_points = (int)test_random_below(&p->random, 2);
    int ordered = (int)test_random_below(&p->random, 2);
    p->weight_flags = (p->zero_points ? CT_ZERO_POINTS : 0u) |
                      (ordered ? CT_ACT_ORDER : 0u);
    m->n_perms = !ordered ? 0 : m->gated ? 2 : 1;
    matrix_new(m, &p->sizes, p->zero_points);
}

/* Cuts the outputs: at the half of a gated matrix, else at any multiples of
 * 8. With act-order each half has one source, as it has one order. */
static void
make_pieces(struct problem *p)
{
    const w4moe_matrix *m = &p->m;
    size_t half = m->gated ? m->n_out / 2 : m->n_out;
    size_t first = 0;
    while (first < m->n_out) {
        size_t end = first < half ? half : m->n_out;
        size_t n = end - first;
        if (m->n_perms == 0 && p->n_pieces + 2 < N_PIECES) {
            n = 8 * (1 + test_random_below(&p->random, n / 8));
        }
        struct piece *piece = &p->pieces[p->n_pieces++];
        piece->first_out = first;
        piece->weight = ct_weight_make(&p->random, n, m->n_in, m->group_size,
                m->scale_dtype, p->weight_flags);
        if (test_random_below(&p->random, 2) != 0) {
            piece->output_order = random_order(&p->random, n);
        }
        piece_describe(piece, test_random_below(&p->random, 3));
        first += n;
    }
}

static void
check_row(const struct problem *p, const struct piece *piece, size_t r,
        const float *row)
{
    size_t source = r;
    if (piece->output_order != NULL) {
        source = (size_t)piece->output_order[r];
    }
    for (size_t i = 0; i < p->m.n_in; i++) {
        float expected = ct_weight_at(&piece->weight, source, i);
        if (memcmp(&row[i], &expected, sizeof(expected)) != 0) {
            ck_abort_msg("seed %llu: weight [%zu][%zu] is %a, expected %a",
                    (unsigned long long)p->seed, piece->first_out + r, i,
                    (double)row[i], (double)expected);
        }
    }
}

START_TEST(random_weights)
{
    struct problem *p = malloc(sizeof(*p));
    ck_assert_ptr_nonnull(p);
    make_problem(p, (uint64_t)_i);
    make_pieces(p);
    w4moe_matrix *m = &p->m;
    for (size_t i = 0; i < p->n_pieces; i++) {
        struct piece *piece = &p->pieces[i];
        /* Without zero points they are 8, also where the packed matrix has
         * the array. */
        int with_zeros = p->zero_points && p->seed % 5 != 0;
        piece->src.zero_point =
                with_zeros ? piece->arrays[2] + piece->shift : NULL;
        if (!with_zeros) {
            memset(piece->weight.zeros, 8,
                    piece->weight.n_out * piece->weight.n_groups);
        }
        ok(w4moe_pack_ct(ctx, m, &piece->src, p->expert, piece->first_out));
        if (m->n_perms != 0) {
            memcpy(m->perm + (p->expert * m->n_perms + i) * m->n_in,
                    piece->weight.order, m->n_in * sizeof(*m->perm));
        }
    }
    size_t n_weights = m->n_out * m->n_in;
    float *out = guarded_new(n_weights * sizeof(*out));
    ok(w4moe_dequantize(ctx, out, m, p->expert));
    for (size_t i = 0; i < p->n_pieces; i++) {
        const struct piece *piece = &p->pieces[i];
        for (size_t r = 0; r < piece->weight.n_out; r++) {
            check_row(p, piece, r, out + (piece->first_out + r) * m->n_in);
        }
        piece_free(&p->pieces[i]);
    }
    guarded_check(out, n_weights * sizeof(*out), 1, 0);
    matrix_free(m, &p->sizes, p->expert);
    free(p);
}
END_TEST

/* ---------------------------------------------------------- the seed's own */

/* vLLM's steps for a symmetric weight: the words [N][K/8] as they are in the
 * file are transposed to [K/8][N] and each is shuffled; the scales [N][G] are
 * transposed; every zero word is 0x77777777. Scales of any bits, NaN too. */
START_TEST(steps_of_the_seed)
{
    enum { N = 48, K = 40, G = 3 };
    struct test_random random = {(uint64_t)_i};
    struct ct_weight w = ct_weight_make(&random, N, K, 16, W4MOE_BF16, 0);
    for (size_t i = 0; i < 2 * N * G; i++) {
        w.scales[i] = (unsigned char)test_random(&random);
    }
    w4moe_matrix m = {.struct_size = sizeof(m),
            .order = W4MOE_ORDER_RDNA3,
            .code = W4MOE_CODE_INT4,
            .n_experts = 2,
            .n_out = 2 * N,
            .n_in = K,
            .group_size = 16,
            .gated = _i % 2,
            .scale_dtype = W4MOE_BF16};
    w4moe_matrix_sizes sizes;
    matrix_new(&m, &sizes, 1);
    struct piece piece = {.weight = w};
    piece_describe(&piece, 1);
    ok(w4moe_pack_ct(ctx, &m, &piece.src, 1, 0));
    ok(w4moe_pack_ct(ctx, &m, &piece.src, 1, N));
    const unsigned char *bytes = piece.src.packed;
    for (size_t n = 0; n < 2 * N; n++) {
        for (size_t row = 0; row < K / 8; row++) {
            uint32_t word = 0;
            for (unsigned j = 0; j < 8; j++) {
                size_t at = 4 * ((n % N) * (K / 8) + row) + j / 2;
                uint32_t code = bytes[at] >> 4 * (j % 2) & 15u;
                word |= code << (j % 2 == 0 ? 2 * j : 2 * j + 14);
            }
            ck_assert_uint_eq(m.qweight[(K / 8 + row) * 2 * N + n], word);
        }
        for (size_t q = 0; q < G; q++) {
            const unsigned char *scale = &w.scales[2 * ((n % N) * G + q)];
            uint16_t got = ((uint16_t *)m.scales)[(G + q) * 2 * N + n];
            ck_assert_uint_eq(got, scale[0] | scale[1] << 8);
        }
    }
    for (size_t i = 0; i < 2 * N / 8 * G; i++) {
        ck_assert_uint_eq(m.qzeros[2 * N / 8 * G + i], 0x77777777u);
    }
    piece_free(&piece);
    matrix_free(&m, &sizes, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pack_ct");
    TCase *tc = tcase_create("pack_ct");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, random_weights, 0, N_RANDOM);
    tcase_add_loop_test(tc, steps_of_the_seed, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
