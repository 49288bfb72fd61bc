/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Checkpoints that a real quantiser's code has packed (tests/data/README.md):
 * converted in both orders, every weight of the known experts must be right to
 * the bit, and the layers' outputs near the float64 ones. Nothing here but the
 * calls under test is the library's. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "test_folder.h"

/** How much larger the error may be than that of two roundings alone. */
static const double max_ratio = 1.10;

/* ----------------------------------------------------------------- weights */

/* Down's act-order: packed feature p is feature order[p]. */
static void
inner_order(size_t *order, size_t n, size_t layer, size_t expert)
{
    const struct mini_tensor *g_idx = golden_g_idx(layer, expert, 2);
    size_t filled = 0;
    for (uint32_t group = 0; filled < n; group++) {
        for (size_t i = 0; i < n; i++) {
            if ((g_idx != NULL ? golden_le32(g_idx->data + 4 * i) : i) ==
                    group) {
                order[filled++] = i;
            }
        }
    }
}

/* The quantiser's own dequantised expert, in the container's order of the
 * intermediate features. */
START_TEST(weights)
{
    golden_start(_i);
    size_t expert = golden->n_experts - 1;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_file_get_info(golden_files[0], &info));
    size_t n_hidden = info.hidden_size;
    size_t n_inner = info.intermediate_size;
    ck_assert_uint_eq(info.n_layers, golden->n_layers);
    ck_assert_uint_eq(info.n_experts, golden->n_experts);
    size_t *order = malloc(n_inner * sizeof(*order));
    float *got = malloc(2 * n_inner * n_hidden * sizeof(*got));
    ck_assert(order != NULL && got != NULL);
    inner_order(order, n_inner, 0, expert);
    for (int n = 0; n < 6; n++) {
        static const char *const names[] = {"gate", "up", "down"};
        w4moe_matrix m = {.struct_size = sizeof(m)};
        char name[64];
        snprintf(name, sizeof(name), "experts.%zu.%s", expert, names[n % 3]);
        const struct mini_tensor *tensor = golden_expected(0, name);
        ct_ok(w4moe_file_get_matrix(
                golden_files[n / 3], &m, 0, n % 3 == 2 ? W4MOE_W2 : W4MOE_W13));
        ct_ok(w4moe_dequantize(ct_ctx, got, &m, expert));
        ck_assert_uint_eq(tensor->n_bytes, 4 * n_inner * n_hidden);
        for (size_t i = 0; i < n_inner * n_hidden; i++) {
            size_t row = n % 3 == 2 ? i / n_inner : order[i / n_hidden];
            size_t column = n % 3 == 2 ? order[i % n_inner] : i % n_hidden;
            size_t at = row * m.n_in + column;
            uint32_t bits;
            memcpy(&bits, &got[i + (n % 3 == 1 ? n_inner * n_hidden : 0)], 4);
            if (bits != golden_le32(tensor->data + 4 * at)) {
                ck_abort_msg("%s, order %d, %s, place %zu", golden->folder,
                        n / 3, name, i);
            }
        }
    }
    free(order);
    free(got);
    golden_end();
}
END_TEST

/* ---------------------------------------------------------- the seed's own */

/* One projection in order rdna3 against vLLM's steps on the checkpoint's
 * tensors: words [N][K/8] become [K/8][N] and each is shuffled, scales [N][G]
 * become [G][N], all zero words are 0x77777777. */
static void
check_steps(const w4moe_matrix *m, size_t layer, size_t expert, int projection)
{
    const struct mini_tensor *packed =
            golden_part(layer, expert, projection, "weight_packed");
    const struct mini_tensor *scale =
            golden_part(layer, expert, projection, "weight_scale");
    size_t n_out = (size_t)packed->shape[0];
    size_t n_rows = (size_t)packed->shape[1];
    size_t n_groups = (size_t)scale->shape[1];
    size_t first = projection == 1 ? n_out : 0; /* up is behind gate */
    uint32_t *words = golden_host(packed, 4);
    uint16_t *scales = golden_host(scale, 2);
    const uint16_t *got_scales = m->scales;
    w4moe_shuffle(words, words, n_out * n_rows);
    size_t n_wrong = 0;
    for (size_t n = 0; n < n_out; n++) {
        for (size_t row = 0; row < n_rows; row++) {
            size_t at = (expert * n_rows + row) * m->n_out + first + n;
            n_wrong += m->qweight[at] != words[n * n_rows + row];
        }
        for (size_t q = 0; q < n_groups; q++) {
            size_t at = (expert * n_groups + q) * m->n_out + first + n;
            n_wrong += got_scales[at] != scales[n * n_groups + q];
            n_wrong += m->qzeros[at / 8] != 0x77777777u;
        }
    }
    ck_assert_msg(n_wrong == 0, "%s, layer %zu, expert %zu, projection %d",
            golden->folder, layer, expert, projection);
    free(words);
    free(scales);
}

START_TEST(steps_of_the_seed)
{
    golden_start(_i);
    for (size_t l = 0; l < golden->n_layers; l++) {
        w4moe_matrix m[2] = {
                {.struct_size = sizeof(m[0])}, {.struct_size = sizeof(m[0])}};
        uint32_t number = (uint32_t)l;
        ct_ok(w4moe_file_get_matrix(golden_files[1], &m[0], number, W4MOE_W13));
        ct_ok(w4moe_file_get_matrix(golden_files[1], &m[1], number, W4MOE_W2));
        int is_plain = golden->scheme == GOLDEN_CT && !golden->has_order &&
                       !golden->has_zeros;
        for (size_t e = 0; e < golden->n_experts && is_plain; e++) {
            check_steps(&m[0], l, e, 0);
            check_steps(&m[0], l, e, 1);
            check_steps(&m[1], l, e, 2);
        }
    }
    golden_end();
}
END_TEST

/* ----------------------------------------------------------------- outputs */

/* Rounds to bf16 (8 bits of mantissa) or fp16 (11), to nearest even. */
static double
rounded(double value, int is_bf16)
{
    if (value == 0 || !isfinite(value)) {
        return value;
    }
    int n_mantissa = is_bf16 ? 8 : 11;
    int lowest = is_bf16 ? -126 : -14;
    int exponent = ilogb(value);
    exponent = exponent < lowest ? lowest : exponent;
    double unit = ldexp(1.0, exponent - n_mantissa + 1);
    return rint(value / unit) * unit;
}

static double
dot(const float *row, const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)row[i] * x[i];
    }
    return sum;
}

/* What stands between w13 and w2. */
static double
activated(double gate, double up)
{
    if (golden->scheme != GOLDEN_GPTOSS) {
        return gate / (1 + exp(-gate)) * up;
    }
    gate = fmin(gate, 7);
    up = fmax(fmin(up, 7), -7);
    return gate / (1 + exp(-1.702 * gate)) * (up + 1);
}

/* The layer's output in float64 with the two roundings that there must be. */
static void
ideal_output(double *out, size_t layer, const struct mini_tensor *x,
        size_t top_k, size_t n_inner)
{
    size_t n_tokens = (size_t)x->shape[0];
    size_t n_hidden = (size_t)x->shape[1];
    int is_bf16 = x->dtype[0] == 'B';
    const unsigned char *ids = golden_expected(layer, "topk_ids")->data;
    const unsigned char *factors = golden_expected(layer, "topk_weights")->data;
    double *in = malloc((n_hidden + n_inner) * sizeof(*in));
    ck_assert_ptr_nonnull(in);
    double *inner = in + n_hidden;
    memset(out, 0, n_tokens * n_hidden * sizeof(*out));
    for (size_t slot = 0; slot < n_tokens * top_k; slot++) {
        size_t t = slot / top_k;
        size_t expert = golden_le32(ids + 4 * slot);
        uint32_t bits = golden_le32(factors + 4 * slot);
        float factor;
        memcpy(&factor, &bits, sizeof(factor));
        float *w[3];
        for (int p = 0; p < 3; p++) {
            w[p] = golden_weight(layer, expert, p);
        }
        for (size_t i = 0; i < n_hidden; i++) {
            in[i] = golden_half(x, t * n_hidden + i);
        }
        for (size_t i = 0; i < n_inner; i++) {
            double gate = dot(w[0] + i * n_hidden, in, n_hidden) +
                          golden_bias(layer, expert, 0, i);
            double up = dot(w[1] + i * n_hidden, in, n_hidden) +
                        golden_bias(layer, expert, 1, i);
            inner[i] = rounded(activated(gate, up), is_bf16);
        }
        for (size_t i = 0; i < n_hidden; i++) {
            double down = dot(w[2] + i * n_inner, inner, n_inner) +
                          golden_bias(layer, expert, 2, i);
            out[t * n_hidden + i] += (double)factor * down;
        }
        for (int p = 0; p < 3; p++) {
            free(w[p]);
        }
    }
    for (size_t i = 0; i < n_tokens * n_hidden; i++) {
        out[i] = rounded(out[i], is_bf16);
    }
    free(in);
}

/* What the library computes, as a tensor like x. Free its data. */
static struct mini_tensor
forward(const w4moe_file *file, size_t number, const struct mini_tensor *x,
        size_t top_k)
{
    w4moe_layer *layer = NULL;
    w4moe_workspace *ws = NULL;
    void *in = golden_host(x, 2);
    void *ids = golden_host(golden_expected(number, "topk_ids"), 4);
    void *factors = golden_host(golden_expected(number, "topk_weights"), 4);
    struct mini_tensor out = *x;
    out.data = malloc(out.n_bytes);
    ck_assert_ptr_nonnull(out.data);
    ct_ok(w4moe_layer_load(ct_ctx, &layer, file, (uint32_t)number, 0));
    ct_ok(w4moe_workspace_create(layer, &ws, (size_t)x->shape[0], top_k));
    const w4moe_forward_args args = {.struct_size = sizeof(args),
            .out = out.data,
            .x = in,
            .dtype = x->dtype[0] == 'B' ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = (size_t)x->shape[0],
            .top_k = top_k,
            .ids = ids,
            .weights = factors};
    ct_ok(w4moe_forward(layer, ws, &args));
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    void *result = golden_host(&out, 2); /* back to the file's order */
    free(out.data);
    out.data = result;
    free(in);
    free(ids);
    free(factors);
    return out;
}

START_TEST(outputs)
{
    golden_start(_i);
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_file_get_info(golden_files[0], &info));
    for (size_t layer = 0; layer < golden->n_layers; layer++) {
        const struct mini_tensor *x = golden_expected(layer, "x");
        const struct mini_tensor *exact = golden_expected(layer, "out");
        size_t n = x->n_bytes / 2;
        struct mini_tensor got = forward(golden_files[0], layer, x, info.top_k);
        struct mini_tensor other =
                forward(golden_files[1], layer, x, info.top_k);
        ck_assert_mem_eq(got.data, other.data, got.n_bytes);
        double *ideal = malloc(n * sizeof(*ideal));
        ck_assert_ptr_nonnull(ideal);
        ideal_output(ideal, layer, x, info.top_k, info.intermediate_size);
        double error = 0;
        double ideal_error = 0;
        double size = 0;
        for (size_t i = 0; i < n; i++) {
            uint64_t bits = golden_le32(exact->data + 8 * i) |
                            (uint64_t)golden_le32(exact->data + 8 * i + 4)
                                    << 32;
            double value;
            memcpy(&value, &bits, sizeof(value));
            error += pow(golden_half(&got, i) - value, 2);
            ideal_error += pow(ideal[i] - value, 2);
            size += value * value;
        }
        double ratio = sqrt(error / ideal_error);
        double relative = sqrt(error / size);
        /* The ideal must itself be near, or the ratio says nothing. */
        int near = sqrt(ideal_error / size) <= 0.01;
        ck_assert_msg(near && ratio <= max_ratio && relative <= 0.011,
                "%s, layer %zu: ratio %g, relative error %g, ideal %g",
                golden->folder, layer, ratio, relative,
                sqrt(ideal_error / size));
        free(ideal);
        free(got.data);
        free(other.data);
    }
    golden_end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("golden");
    TCase *tc = tcase_create("golden");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(tc, weights, 0, N_GOLDENS);
    tcase_add_loop_test(tc, steps_of_the_seed, 0, N_GOLDENS);
    tcase_add_loop_test(tc, outputs, 0, N_GOLDENS);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
