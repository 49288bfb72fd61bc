/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward() with sums of fp32: their accuracy, that rounding them gives
 * what a plain call gives, and that a layer in parts, or slot by slot with
 * w4moe_combine(), has the bits of the whole. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "whole_layer.h"

enum { E = WHOLE_E, T = WHOLE_T, K = WHOLE_K, HIDDEN = WHOLE_HIDDEN };

/* What stands between rows of out. */
static const float between = -77;

/* Sums of a call, and what out holds before it. */
struct sums {
    float out[T][HIDDEN];
    float before[T][HIDDEN];
};

static void
draw_before(struct sums *sums, uint64_t seed)
{
    struct oracle_rng rng = {seed ^ 0xBEF};
    for (size_t i = 0; i < (size_t)T * HIDDEN; i++) {
        oracle_store(sums->before, W4MOE_F32, i, oracle_uniform(&rng, -1, 1));
    }
    memcpy(sums->out, sums->before, sizeof(sums->out));
}

/* A call of `layer` into sums->out. */
static void
run_call(const w4moe_layer *layer, const w4moe_forward_args *args,
        struct sums *sums)
{
    w4moe_workspace *ws = NULL;
    w4moe_forward_args own = *args;
    own.out = sums->out;
    own.out_stride = 0;
    own.out_dtype = W4MOE_F32;
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_workspace_create(layer, &ws, own.n_tokens, K), W4MOE_OK);
    w4moe_status status = w4moe_forward(layer, ws, &own);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(info.ctx));
    w4moe_workspace_destroy(ws);
}

/* ------------------------------------------------------ against the oracle */

/* Without the last rounding the contract leaves the first one alone. */
START_TEST(accuracy_without_the_last_rounding)
{
    static const unsigned flags[3] = {
            0, W4MOE_ACCUMULATE, W4MOE_ROUTER_WEIGHT_ON_INPUT};
    for (unsigned i = 0; i < 2 * N_WEIGHT_FORMS; i++) {
        struct whole w;
        struct sums sums;
        struct forward_case what = whole_usual(0xC000 + i);
        what.form = i / 2;
        what.flags = flags[i % 3];
        whole_open(&w, &what, i % 4 < 2 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3);
        w4moe_layer *layer = whole_create(&w, contexts[i % N_CONTEXTS], 0);
        draw_before(&sums, what.seed);
        run_call(layer, &w.p.args, &sums);
        double before[T * HIDDEN], exact[T * HIDDEN], ideal[T * HIDDEN];
        for (size_t n = 0; n < (size_t)T * HIDDEN; n++) {
            before[n] = oracle_load(sums.before, W4MOE_F32, n);
        }
        struct oracle_call call = {
                .w13 = &w.p.w13,
                .w2 = &w.p.w2,
                .activation = w.p.activation,
                .dtype = what.dtype,
                .out_dtype = W4MOE_F32,
                .x = w.p.x,
                .n_tokens = T,
                .top_k = K,
                .ids = w.p.ids,
                .weights = w.p.weights,
                .flags = what.flags,
                .before = before,
        };
        oracle_forward(exact, ideal, &call);
        struct oracle_score score = {0};
        oracle_score_row(
                &score, sums.out, W4MOE_F32, exact, ideal, (size_t)T * HIDDEN);
        ck_assert_msg(oracle_accept(&score), "form %u: ratio %g, %zu wrong",
                what.form, oracle_ratio(&score), score.n_wrong);
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

/* Exact in fp32: there is one right answer, and rounding would show. */
START_TEST(exact_sums_have_the_right_bits)
{
    for (unsigned i = 0; i < 16; i++) {
        struct whole w;
        struct sums sums;
        struct forward_case what = whole_usual(0xC100 + i);
        what.kind = W4MOE_ACT_RELU2_NO_MUL;
        what.form = i % 4 < 2 ? 0 : 7;
        what.exact = 1;
        what.hidden = HIDDEN;
        what.inter = 16;
        what.w13_group = 8;
        what.w2_group = 16;
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        /* Few inputs are not 0, so that the squares are exact in 16 bits. */
        for (size_t n = 0; n < (size_t)T * HIDDEN; n++) {
            w.p.x[n] = n % HIDDEN < 16 ? w.p.x[n] : 0;
        }
        forward_store_rows(&w.p);
        w4moe_layer *layer = whole_create(&w, contexts[i % N_CONTEXTS], 0);
        run_call(layer, &w.p.args, &sums);
        double exact[T * HIDDEN], ideal[T * HIDDEN];
        struct oracle_call call = {
                .w13 = &w.p.w13,
                .w2 = &w.p.w2,
                .activation = w.p.activation,
                .dtype = what.dtype,
                .out_dtype = W4MOE_F32,
                .x = w.p.x,
                .n_tokens = T,
                .top_k = K,
                .ids = w.p.ids,
                .weights = w.p.weights,
        };
        oracle_forward(exact, ideal, &call);
        for (size_t n = 0; n < (size_t)T * HIDDEN; n++) {
            ck_assert_msg(oracle_load(sums.out, W4MOE_F32, n) == ideal[n],
                    "seed %#llx: sum %zu is %a, not %a",
                    (unsigned long long)what.seed, n,
                    oracle_load(sums.out, W4MOE_F32, n), ideal[n]);
        }
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

/* ---------------------------------------------------------- the plain call */

/* The sums, rounded, are the plain call's result; strides and what is between
 * the rows stay. */
START_TEST(rounded_sums_are_the_plain_result)
{
    for (unsigned i = 0; i < 24; i++) {
        struct whole w;
        struct forward_case what = whole_usual(0xC200 + i);
        what.flags = i % 4 == 3 ? W4MOE_ACCUMULATE : 0;
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        if (i % 2 != 0) {
            whole_add_shared(&w, 1 + i % 4 / 2, 24, W4MOE_ORDER_TILE);
            whole_add_gate(&w, W4MOE_F32, 0.75f);
        }
        w4moe_layer *layer = whole_create(&w, contexts[i % N_CONTEXTS], 0);
        w4moe_workspace *ws = NULL;
        ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
        void *plain = forward_run(contexts[i % N_CONTEXTS], layer, ws, &w.p);
        enum { STRIDE = HIDDEN + 3 };
        float out[T][STRIDE];
        uint16_t rounded[T * HIDDEN];
        for (size_t n = 0; n < (size_t)T * STRIDE; n++) {
            size_t column = n % STRIDE;
            out[n / STRIDE][column] =
                    column < HIDDEN
                            ? (float)w.p.before[n / STRIDE * HIDDEN + column]
                            : between;
        }
        w4moe_forward_args args = w.p.args;
        args.out = out;
        args.out_stride = STRIDE;
        args.out_dtype = W4MOE_F32;
        ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
        for (size_t n = 0; n < (size_t)T * STRIDE; n++) {
            size_t t = n / STRIDE;
            size_t column = n % STRIDE;
            if (column < HIDDEN) {
                oracle_store(rounded, what.dtype, t * HIDDEN + column,
                        (double)out[t][column]);
            } else {
                ck_assert(out[t][column] == between);
            }
        }
        forward_same(&w.p, plain, rounded, "of rounded sums");
        /* The same type once more, by its name. */
        w.p.args.out_dtype = what.dtype;
        void *named = forward_run(contexts[i % N_CONTEXTS], layer, ws, &w.p);
        forward_same(&w.p, plain, named, "with out_dtype");
        free(named);
        free(plain);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

START_TEST(other_types_are_refused)
{
    struct whole w;
    struct sums sums;
    struct forward_case what = whole_usual(0xC300);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    w4moe_layer *layer = whole_create(&w, contexts[0], 0);
    w4moe_workspace *ws = NULL;
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
    w4moe_forward_args args = w.p.args;
    args.out = sums.out;
    args.out_dtype = W4MOE_F16;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]),
            "forward: activations of type BF16, output of type F16 (the same, "
            "or F32)");
    args.out_dtype = W4MOE_I32;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]),
            "forward: activations of type BF16, output of type I32 (the same, "
            "or F32)");
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    whole_close(&w);
}
END_TEST

/* ------------------------------------------------------------------- parts */

/* Experts `first` to first + n - 1 of a matrix; it has the arrays of m. */
static struct oracle_matrix
cut(const struct oracle_matrix *m, size_t first, size_t n)
{
    struct oracle_matrix part = *m;
    size_t rows = first * m->spec.n_out;
    part.spec.n_experts = n;
    part.codes += rows * m->spec.n_in;
    part.zeros += rows * m->n_groups;
    part.scales += rows * m->n_groups;
    part.offsets += rows * m->n_groups;
    if (m->perm != NULL) {
        part.perm += first * m->spec.n_perms * m->spec.n_in;
    }
    part.bias += rows;
    part.weights += rows * m->spec.n_in;
    return part;
}

/* One call of a layer of these experts alone, with what else w has. By a map,
 * or as the model's from `first` on. */
static void
run_part(const struct whole *w, const w4moe_ctx *ctx, size_t first, size_t n,
        unsigned flags, int by_map, struct sums *sums)
{
    struct oracle_matrix parts[2] = {
            cut(&w->p.w13, first, n), cut(&w->p.w2, first, n)};
    w4moe_matrix packed[2];
    w4moe_layer_desc desc = w->desc;
    w4moe_layer *layer = NULL;
    int32_t map[E];
    for (int i = 0; i < 2; i++) {
        oracle_pack(&packed[i], &parts[i],
                by_map ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE);
    }
    for (size_t e = 0; e < E; e++) {
        map[e] = e >= first && e < first + n ? (int32_t)(e - first) : -1;
    }
    desc.w13 = &packed[0];
    desc.w2 = &packed[1];
    desc.first_expert = by_map ? 0 : first;
    desc.n_experts_global = E;
    w4moe_status status = w4moe_layer_create(ctx, &layer, &desc, 0);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    w4moe_forward_args args = w->p.args;
    args.flags |= flags;
    args.expert_map = by_map ? map : NULL;
    run_call(layer, &args, sums);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&packed[0]);
    oracle_pack_free(&packed[1]);
}

/* Parts of 6 experts: 1 where one begins, up to 5 of them. */
static const char *const cuts[] = {"100100", "110000", "100001", "101010",
        "110010", "111100", "101101", "111110", "111011"};

/* The whole layer's sums, and the parts' one after the other. */
static void
check_chain(const struct whole *w, const char *begins, int accumulate)
{
    struct sums whole;
    struct sums chain;
    w4moe_layer *layer = whole_create(w, contexts[0], 0);
    w4moe_forward_args args = w->p.args;
    args.flags |= accumulate ? W4MOE_ACCUMULATE : 0;
    draw_before(&whole, w->p.what.seed);
    draw_before(&chain, w->p.what.seed);
    run_call(layer, &args, &whole);
    w4moe_layer_destroy(layer);
    for (size_t first = 0; first < E;) {
        size_t n = 1;
        while (first + n < E && begins[first + n] != '1') {
            n++;
        }
        unsigned flags = accumulate || first != 0 ? W4MOE_ACCUMULATE : 0;
        flags |= first + n < E ? W4MOE_NO_SHARED : 0;
        run_part(w, contexts[first % N_CONTEXTS], first, n, flags,
                first % 2 != 0, &chain);
        first += n;
    }
    for (size_t n = 0; n < (size_t)T * HIDDEN; n++) {
        ck_assert_msg(memcmp(&whole.out[0][0] + n, &chain.out[0][0] + n,
                              sizeof(float)) == 0,
                "seed %#llx, parts %s: sum %zu is %a, not %a",
                (unsigned long long)w->p.what.seed, begins, n,
                (double)(&chain.out[0][0])[n], (double)(&whole.out[0][0])[n]);
    }
}

/* Tokens may choose an expert twice, and the weights may be on the input. */
START_TEST(parts_have_the_bits_of_the_whole)
{
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        for (unsigned j = 0; j < 6; j++) {
            struct whole w;
            struct forward_case what = whole_usual(0xC400 + 6 * i + j);
            what.flags = j == 5 ? W4MOE_ROUTER_WEIGHT_ON_INPUT : 0;
            whole_open(&w, &what, W4MOE_ORDER_TILE);
            if (j % 3 != 0) {
                whole_add_shared(&w, j % 3, 24, W4MOE_ORDER_TILE);
                whole_add_gate(&w, W4MOE_F32, 0.75f);
            }
            check_chain(&w, cuts[i], j % 2 != 0);
            whole_close(&w);
        }
    }
}
END_TEST

/* ------------------------------------------------------------ slot by slot */

/* The slots of a token ascending by their expert, equal ones as they come. */
static void
sort_slots(int32_t *rows, const int32_t *ids, size_t t)
{
    size_t n = 0;
    for (int32_t e = 0; e < E; e++) {
        for (size_t j = 0; j < K; j++) {
            if (ids[t * K + j] == e) {
                rows[t * K + n++] = (int32_t)(t * K + j);
            }
        }
    }
}

/* Every slot a token of its own, as they would come from other processes. */
static void
run_slots(const struct whole *w, const w4moe_layer *layer, w4moe_workspace *ws,
        float *rows)
{
    size_t row = WHOLE_HIDDEN * sizeof(uint16_t);
    unsigned char *x = oracle_alloc((size_t)T * K, row);
    for (size_t slot = 0; slot < (size_t)T * K; slot++) {
        const unsigned char *from = w->p.x_rows;
        memcpy(x + slot * row,
                from + slot / K * w->p.x_stride * sizeof(uint16_t), row);
    }
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = rows,
            .x = x,
            .dtype = w->p.what.dtype,
            .n_tokens = (size_t)T * K,
            .top_k = 1,
            .ids = w->p.ids,
            .weights = w->p.weights,
            .flags = w->p.what.flags | W4MOE_NO_SHARED,
            .out_dtype = W4MOE_F32,
    };
    w4moe_status status = w4moe_forward(layer, ws, &args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(contexts[1]));
    free(x);
}

START_TEST(slots_combined_have_the_bits_of_the_whole)
{
    static const int32_t nowhere[E] = {-1, -1, -1, -1, -1, -1};
    for (unsigned i = 0; i < 24; i++) {
        struct whole w;
        struct sums whole;
        struct forward_case what = whole_usual(0xC500 + i);
        what.flags = i % 4 == 3 ? W4MOE_ROUTER_WEIGHT_ON_INPUT : 0;
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        if (i % 3 != 0) {
            whole_add_shared(&w, i % 3, 24, W4MOE_ORDER_TILE);
        }
        w4moe_layer *layer = whole_create(&w, contexts[1], 0);
        w4moe_workspace *ws = NULL;
        ck_assert_int_eq(
                w4moe_workspace_create(layer, &ws, (size_t)T * K, K), W4MOE_OK);
        run_call(layer, &w.p.args, &whole);
        float rows[T * K][HIDDEN];
        int32_t row_ids[T * K];
        run_slots(&w, layer, ws, &rows[0][0]);
        for (size_t t = 0; t < T; t++) {
            sort_slots(row_ids, w.p.ids, t);
        }
        float out[T][HIDDEN];
        w4moe_combine_args combine = {
                .struct_size = sizeof(combine),
                .out = out,
                .out_dtype = W4MOE_F32,
                .rows = rows,
                .row_dtype = W4MOE_F32,
                .n_rows = (size_t)T * K,
                .row_ids = row_ids,
                .n_tokens = T,
                .k = K,
                .n_columns = HIDDEN,
        };
        ck_assert_int_eq(w4moe_combine(contexts[1], &combine), W4MOE_OK);
        /* The shared experts alone, which come last. */
        w4moe_forward_args args = w.p.args;
        args.out = out;
        args.out_stride = 0;
        args.out_dtype = W4MOE_F32;
        args.flags |= W4MOE_ACCUMULATE;
        args.expert_map = nowhere;
        ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
        ck_assert_mem_eq(out, whole.out, sizeof(out));
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward_sums");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, accuracy_without_the_last_rounding);
    tcase_add_test(tc, exact_sums_have_the_right_bits);
    tcase_add_test(tc, rounded_sums_are_the_plain_result);
    tcase_add_test(tc, other_types_are_refused);
    tcase_add_test(tc, parts_have_the_bits_of_the_whole);
    tcase_add_test(tc, slots_combined_have_the_bits_of_the_whole);
    Suite *suite = suite_create("forward_sums");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
