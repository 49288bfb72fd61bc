/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Re-packing of weights of GPTQ and AutoAWQ: whatever goes in comes out of
 * w4moe_dequantize() with the bits of (code - zero) * scale, and what does not
 * fit is refused before anything is written. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qweight_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { N_RANDOM = 600, N_PIECES = 4, FILL_BYTE = 0xC3 };

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

/* A weight of any scheme, as w4moe_gptq_weight and w4moe_awq_weight have it. */
struct source {
    enum qweight_scheme scheme;
    size_t struct_size;
    size_t n_out;
    size_t n_in;
    size_t group_size;
    const void *qweight;
    const void *scales;
    w4moe_dtype scale_dtype;
    const void *qzeros;
    const int32_t *input_order;
    const int32_t *output_order;
};

static w4moe_status
pack(const w4moe_ctx *context, w4moe_matrix *dst, const struct source *s,
        size_t expert, size_t first_out)
{
    if (s->scheme == AWQ) {
        w4moe_awq_weight awq = {
                .struct_size = s->struct_size,
                .n_out = s->n_out,
                .n_in = s->n_in,
                .group_size = s->group_size,
                .qweight = s->qweight,
                .scales = s->scales,
                .scale_dtype = s->scale_dtype,
                .qzeros = s->qzeros,
                .input_order = s->input_order,
                .output_order = s->output_order,
        };
        return w4moe_pack_awq(context, dst, &awq, expert, first_out);
    }
    w4moe_gptq_weight gptq = {
            .struct_size = s->struct_size,
            .n_out = s->n_out,
            .n_in = s->n_in,
            .group_size = s->group_size,
            .qweight = s->qweight,
            .scales = s->scales,
            .scale_dtype = s->scale_dtype,
            .qzeros = s->qzeros,
            .v2 = s->scheme == GPTQ_V2,
            .input_order = s->input_order,
            .output_order = s->output_order,
    };
    return w4moe_pack_gptq(context, dst, &gptq, expert, first_out);
}

/* ------------------------------------------------------------ random cases */

/* The columns that one source fills. */
struct piece {
    size_t first_out;
    struct ct_weight weight;
    struct qweight arrays;
    int32_t *output_order;
};

struct problem {
    uint64_t seed;
    struct test_random random;
    enum qweight_scheme scheme;
    w4moe_matrix m;
    size_t expert;
    /* Whether the sources have zero points. */
    int with_zeros;
    struct piece pieces[N_PIECES];
    size_t n_pieces;
};

static void *
new_array(uint64_t n_bytes)
{
    void *array = malloc((size_t)n_bytes);
    ck_assert_ptr_nonnull(array);
    memset(array, FILL_BYTE, (size_t)n_bytes);
    return array;
}

static void
make_matrix(struct problem *p)
{
    static const size_t n_outs[] = {16, 32, 48, 128, 144, 256, 320, 704};
    static const size_t n_ins[] = {8, 16, 24, 64, 136, 264};
    static const w4moe_dtype types[] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};
    struct test_random *random = &p->random;
    w4moe_matrix *m = &p->m;
    m->struct_size = sizeof(*m);
    m->order = p->seed % 2 != 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3;
    m->code = W4MOE_CODE_INT4;
    m->n_experts = 1 + test_random_below(random, 2);
    m->gated = (int)test_random_below(random, 2);
    m->n_out = n_outs[test_random_below(random, COUNT(n_outs))];
    if (!m->gated) { /* also 8, 24, ... */
        m->n_out -= 8 * test_random_below(random, 2);
    }
    m->n_in = n_ins[test_random_below(random, COUNT(n_ins))];
    m->group_size = 8 * (1 + test_random_below(random, m->n_in / 8));
    m->scale_dtype = types[test_random_below(random, COUNT(types))];
    m->n_perms = test_random_below(random, 2) == 0 ? 0 : m->gated ? 2 : 1;
    p->expert = test_random_below(random, m->n_experts);
    p->with_zeros = test_random_below(random, 4) != 0;
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    ok(w4moe_matrix_measure(ctx, &sizes, m));
    m->qweight = new_array(sizes.qweight);
    m->scales = new_array(sizes.scales);
    m->perm = m->n_perms != 0 ? new_array(sizes.perm) : NULL;
    if (p->with_zeros || test_random_below(random, 2) != 0) {
        m->qzeros = new_array(sizes.qzeros);
    }
}

/* Cuts the outputs: at the half of a gated matrix, else at any multiples of 8.
 * With a permutation each half has one source, as it has one order. */
static void
make_pieces(struct problem *p)
{
    const w4moe_matrix *m = &p->m;
    size_t half = m->gated ? m->n_out / 2 : m->n_out;
    for (size_t first = 0; first < m->n_out;) {
        size_t n = (first < half ? half : m->n_out) - first;
        if (m->n_perms == 0 && p->n_pieces + 2 < N_PIECES) {
            n = 8 * (1 + test_random_below(&p->random, n / 8));
        }
        struct piece *piece = &p->pieces[p->n_pieces++];
        piece->first_out = first;
        piece->weight = ct_weight_make(&p->random, n, m->n_in, m->group_size,
                m->scale_dtype,
                (p->with_zeros ? CT_ZERO_POINTS : 0u) |
                        (m->n_perms != 0 ? CT_ACT_ORDER : 0u));
        piece->arrays = qweight_make(
                &piece->weight, p->scheme, test_random_below(&p->random, 4));
        if (test_random_below(&p->random, 2) != 0) {
            piece->output_order = qweight_random_order(&p->random, n);
        }
        first += n;
    }
}

static void
pack_piece(struct problem *p, size_t i)
{
    const struct piece *piece = &p->pieces[i];
    w4moe_matrix *m = &p->m;
    struct source source = {
            .scheme = p->scheme,
            .struct_size = p->scheme == AWQ ? sizeof(w4moe_awq_weight)
                                            : sizeof(w4moe_gptq_weight),
            .n_out = piece->weight.n_out,
            .n_in = m->n_in,
            .group_size = m->group_size,
            .qweight = piece->arrays.qweight,
            .scales = piece->arrays.scales,
            .scale_dtype = m->scale_dtype,
            .qzeros = p->with_zeros ? piece->arrays.qzeros : NULL,
            .input_order = piece->weight.order,
            .output_order = piece->output_order,
    };
    ok(pack(ctx, m, &source, p->expert, piece->first_out));
    if (m->n_perms != 0) {
        memcpy(m->perm + (p->expert * m->n_perms + i) * m->n_in,
                piece->weight.order, m->n_in * sizeof(*m->perm));
    }
}

static void
check_piece(
        const struct problem *p, const struct piece *piece, const float *rows)
{
    size_t n_in = p->m.n_in;
    for (size_t r = 0; r < piece->weight.n_out; r++) {
        size_t row = piece->output_order != NULL
                             ? (size_t)piece->output_order[r]
                             : r;
        for (size_t i = 0; i < n_in; i++) {
            float expected = ct_weight_at(&piece->weight, row, i);
            if (memcmp(&rows[r * n_in + i], &expected, sizeof(expected)) != 0) {
                ck_abort_msg("seed %" PRIu64 ": weight [%zu][%zu] is %a, "
                             "expected %a",
                        p->seed, piece->first_out + r, i,
                        (double)rows[r * n_in + i], (double)expected);
            }
        }
    }
}

START_TEST(random_weights)
{
    struct problem p = {
            .seed = (uint64_t)_i,
            .random = {(uint64_t)_i},
            .scheme = (enum qweight_scheme)(_i / 2 % N_QWEIGHT_SCHEMES),
    };
    make_matrix(&p);
    make_pieces(&p);
    for (size_t i = 0; i < p.n_pieces; i++) {
        pack_piece(&p, i);
    }
    float *out = new_array(p.m.n_out * p.m.n_in * sizeof(*out));
    ok(w4moe_dequantize(ctx, out, &p.m, p.expert));
    for (size_t i = 0; i < p.n_pieces; i++) {
        struct piece *piece = &p.pieces[i];
        check_piece(&p, piece, out + piece->first_out * p.m.n_in);
        ct_weight_free(&piece->weight);
        qweight_free(&piece->arrays);
        free(piece->output_order);
    }
    free(out);
    free(p.m.qweight);
    free(p.m.scales);
    free(p.m.qzeros);
    free(p.m.perm);
}
END_TEST

/* ---------------------------------------------------------------- refusals */

enum { E = 2, N = 32, K = 24, G = 2, GROUP = 16 };

static uint32_t qweight[E * N * K / 8];
static uint16_t scales[E * N * G];
static uint32_t qzeros[E * N / 8 * G];
static uint32_t source_words[N * K / 8];
static w4moe_matrix matrix;
static struct source source;

/* What fits. */
static void
make_good(enum qweight_scheme scheme)
{
    matrix = (w4moe_matrix){.struct_size = sizeof(matrix),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = E,
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .gated = 1,
            .qweight = qweight,
            .scales = scales,
            .scale_dtype = W4MOE_F16,
            .qzeros = qzeros};
    source = (struct source){.scheme = scheme,
            .struct_size = scheme == AWQ ? sizeof(w4moe_awq_weight)
                                         : sizeof(w4moe_gptq_weight),
            .n_out = N / 2,
            .n_in = K,
            .group_size = GROUP,
            .qweight = source_words,
            .scales = source_words,
            .scale_dtype = W4MOE_F16,
            .qzeros = source_words};
}

static int
is_filled(const void *array, size_t n)
{
    const unsigned char *bytes = array;
    size_t i = 0;
    while (i < n && bytes[i] == FILL_BYTE) {
        i++;
    }
    return i == n;
}

/* Refused with this text, and nothing written; then all is good again. */
static void
refused(size_t expert, size_t first_out, const char *text)
{
    memset(qweight, FILL_BYTE, sizeof(qweight));
    memset(scales, FILL_BYTE, sizeof(scales));
    memset(qzeros, FILL_BYTE, sizeof(qzeros));
    w4moe_status status = pack(ctx, &matrix, &source, expert, first_out);
    ck_assert_msg(
            status == W4MOE_INVALID, "status %d (\"%s\")", (int)status, text);
    ck_assert_msg(strstr(w4moe_ctx_error(ctx), text) != NULL,
            "\"%s\" is not in \"%s\"", text, w4moe_ctx_error(ctx));
    ck_assert(is_filled(qweight, sizeof(qweight)) &&
              is_filled(scales, sizeof(scales)) &&
              is_filled(qzeros, sizeof(qzeros)));
    make_good(source.scheme);
}

START_TEST(sizes)
{
    make_good((enum qweight_scheme)_i);
    source.n_in = K - 8;
    refused(0, 0, "source of 16 inputs");
    source.n_in = K + 8;
    refused(0, 0, "source of 32 inputs");
    source.group_size = 8;
    refused(0, 0, "group size 8");
    source.group_size = 0;
    refused(0, 0, "group size 0");
    source.scale_dtype = W4MOE_BF16;
    refused(0, 0, "scales BF16");
    source.n_out = 0;
    refused(0, 0, "[0, 0 + 0)");
    source.n_out = 12;
    refused(0, 0, "[0, 0 + 12)");
    source.n_out = N + 8;
    refused(0, 0, "[0, 0 + 40)");
    source.n_out = SIZE_MAX - 7;
    refused(1, 16, "[16, 16 + ");
    refused(E, 0, "expert 2");
    refused(0, 4, "[4, ");
    refused(0, N / 2 + 8, "[24, ");
    refused(0, SIZE_MAX - 7, " + 16)");
    source.struct_size--;
    refused(0, 0, "struct_size");
    ok(pack(ctx, &matrix, &source, E - 1, N / 2));
}
END_TEST

START_TEST(pointers)
{
    make_good((enum qweight_scheme)_i);
    source.qweight = NULL;
    refused(0, 0, "packed codes");
    source.scales = NULL;
    refused(0, 0, "scale");
    matrix.qweight = NULL;
    refused(0, 0, "qweight");
    matrix.scales = NULL;
    refused(0, 0, "scales");
    matrix.code = W4MOE_CODE_E2M1;
    refused(0, 0, "INT4");
    matrix.qzeros = NULL;
    refused(0, 0, "zero points");
    ck_assert_int_eq(w4moe_pack_gptq(ctx, &matrix, NULL, 0, 0), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_pack_awq(ctx, &matrix, NULL, 0, 0), W4MOE_INVALID);
    ck_assert_int_eq(pack(ctx, NULL, &source, 0, 0), W4MOE_INVALID);
    ck_assert_int_eq(pack(NULL, NULL, &source, 0, 0), W4MOE_INVALID);
    ck_assert_int_eq(pack(NULL, &matrix, &source, 0, 0), W4MOE_OK);
}
END_TEST

START_TEST(orders)
{
    static const int32_t wrong[] = {-1, K, INT32_MAX, INT32_MIN};
    int32_t order[K] = {0};
    make_good((enum qweight_scheme)_i);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char text[64];
        order[K - 1] = wrong[i];
        snprintf(text, sizeof(text), "input_order: value %" PRId32, wrong[i]);
        source.input_order = order;
        refused(0, 0, text);
        order[K - 1] = 0;
        order[3] = wrong[i];
        snprintf(text, sizeof(text), "output_order: value %" PRId32, wrong[i]);
        source.output_order = order;
        refused(0, 0, text);
        order[3] = 0;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pack_qweight");
    TCase *tc = tcase_create("pack_qweight");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, random_weights, 0, N_RANDOM);
    tcase_add_loop_test(tc, sizes, 0, N_QWEIGHT_SCHEMES);
    tcase_add_loop_test(tc, pointers, 0, N_QWEIGHT_SCHEMES);
    tcase_add_loop_test(tc, orders, 0, N_QWEIGHT_SCHEMES);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
