/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Threads that share a layer, each with a workspace of its own: what each gets
 * has the bytes of a call that is alone, and a failure's text is that of the
 * thread whose call failed. To be run under the thread sanitizer, too
 * (./dev tsan). */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "forward_case.h"

enum { N_CALLERS = 8, N_ROUNDS = 48, T_MAX = 33, E = 6, H = 80, TOP_K = 3 };

/* Where experts come from: ids, logits, or the router's weight. */
enum source { IDS, LOGITS, HIDDEN, N_SOURCES };

static struct forward_problem problem;
static float logits[T_MAX * E];
static float router_weight[E * H];
static const w4moe_ctx *ctx;
static const w4moe_layer *layer;
static pthread_barrier_t all_are_there;

/* Results of the first n tokens, by n. */
static void *expected[N_SOURCES][T_MAX + 1];

/* One thread; only it writes here. */
struct caller {
    pthread_t thread;
    int number;
    w4moe_workspace *ws;
    int32_t ids[T_MAX * TOP_K];
    uint16_t out[T_MAX * H];
    /* What is wrong; "" if nothing is. */
    char fault[256];
};

/* A call of the first n tokens. */
static w4moe_forward_args
arguments(void *out, size_t n, enum source source)
{
    w4moe_forward_args args = problem.args;
    args.out = out;
    args.n_tokens = n;
    if (source != IDS) {
        args.ids = NULL;
        args.weights = NULL;
    }
    args.router_logits = source == LOGITS ? logits : NULL;
    args.logits_dtype = W4MOE_F32;
    return args;
}

/* Notes a fault, if `good` is not set and there was none before. */
static void
check(struct caller *caller, int good, const char *what)
{
    if (!good && caller->fault[0] == '\0') {
        snprintf(caller->fault, sizeof(caller->fault), "%s: %s", what,
                w4moe_ctx_error(ctx));
    }
}

/* A call that must fail, because of an id that no other thread has. */
static void
call_wrongly(struct caller *caller, size_t n)
{
    char number[16];
    int32_t wrong = 1000 + caller->number;
    size_t slot = n * TOP_K - 1;
    w4moe_forward_args args = arguments(caller->out, n, IDS);
    int32_t right = caller->ids[slot];
    caller->ids[slot] = wrong;
    args.ids = caller->ids;
    memset(caller->out, 0xEE, sizeof(caller->out));
    w4moe_status status = w4moe_forward(layer, caller->ws, &args);
    caller->ids[slot] = right;
    check(caller, status == W4MOE_INVALID, "a wrong id is not refused");
    int is_touched = 0;
    for (size_t i = 0; i < T_MAX * H; i++) {
        is_touched |= caller->out[i] != 0xEEEE;
    }
    check(caller, !is_touched, "written by a call that failed");
    snprintf(number, sizeof(number), "%d", (int)wrong);
    check(caller, strstr(w4moe_ctx_error(ctx), number) != NULL,
            "the text is not that of this thread's failure");
}

static void
call_rightly(struct caller *caller, size_t n, enum source source)
{
    w4moe_forward_args args = arguments(caller->out, n, source);
    w4moe_status status = w4moe_forward(layer, caller->ws, &args);
    check(caller, status == W4MOE_OK, "a call fails");
    check(caller,
            memcmp(caller->out, expected[source][n],
                    n * H * sizeof(*caller->out)) == 0,
            "not the bytes of a call that is alone");
}

static void *
run_caller(void *argument)
{
    struct caller *caller = argument;
    pthread_barrier_wait(&all_are_there);
    for (int round = 0; round < N_ROUNDS; round++) {
        size_t n = (size_t)(caller->number * 7 + round * 13) % T_MAX + 1;
        if ((round + caller->number) % 4 == 0) {
            call_wrongly(caller, n);
        }
        call_rightly(caller, n, (enum source)(round % N_SOURCES));
    }
    return NULL;
}

/* A layer with a router. */
static w4moe_layer *
make_layer(const w4moe_ctx *of, const w4moe_matrix *w13, const w4moe_matrix *w2,
        unsigned flags)
{
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = w13,
            .w2 = w2,
            .activation = problem.activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = 1,
                    .scale = 1,
                    .weight = router_weight,
                    .weight_dtype = W4MOE_F32},
    };
    w4moe_layer *made = NULL;
    ck_assert_int_eq(w4moe_layer_create(of, &made, &desc, flags), W4MOE_OK);
    return made;
}

/* What calls that are alone give, with one thread. */
static void
make_expected(const w4moe_matrix *w13, const w4moe_matrix *w2)
{
    w4moe_ctx *alone = context_make(NULL, 1, 0);
    w4moe_layer *own = make_layer(alone, w13, w2, 0);
    w4moe_workspace *ws = NULL;
    ck_assert_int_eq(w4moe_workspace_create(own, &ws, T_MAX, TOP_K), W4MOE_OK);
    for (int source = 0; source < N_SOURCES; source++) {
        for (size_t n = 1; n <= T_MAX; n++) {
            void *out = oracle_alloc(n * H, sizeof(uint16_t));
            w4moe_forward_args args = arguments(out, n, (enum source)source);
            ck_assert_int_eq(w4moe_forward(own, ws, &args), W4MOE_OK);
            expected[source][n] = out;
        }
    }
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(own);
    w4moe_ctx_destroy(alone);
}

static void
free_expected(void)
{
    for (int i = 0; i < N_SOURCES; i++) {
        for (size_t n = 1; n <= T_MAX; n++) {
            free(expected[i][n]);
        }
    }
}

static void
run_callers(void)
{
    static struct caller callers[N_CALLERS];
    pthread_barrier_init(&all_are_there, NULL, N_CALLERS);
    for (int i = 0; i < N_CALLERS; i++) {
        struct caller *caller = &callers[i];
        memset(caller, 0, sizeof(*caller));
        caller->number = i;
        memcpy(caller->ids, problem.ids, sizeof(caller->ids));
        ck_assert_int_eq(
                w4moe_workspace_create(layer, &caller->ws, T_MAX, TOP_K),
                W4MOE_OK);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, run_caller,
                                 &callers[i]),
                0);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        ck_assert_msg(callers[i].fault[0] == '\0', "thread %d: %s", i,
                callers[i].fault);
        w4moe_workspace_destroy(callers[i].ws);
    }
    pthread_barrier_destroy(&all_are_there);
}

/* With a context of one thread, and of several, which one call at a time
 * has. */
START_TEST(threads_share_a_layer)
{
    static const unsigned forms[] = {FORM_BF16, FORM_ZEROS_F16_PERM};
    struct forward_case what = {
            .seed = 0x7000 + (uint64_t)_i,
            .n_experts = E,
            .hidden = H,
            .inter = 72,
            .w13_group = 16,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = forms[_i % 2],
            .dtype = _i % 2 == 0 ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = T_MAX,
            .top_k = TOP_K,
    };
    w4moe_matrix w13;
    w4moe_matrix w2;
    forward_make(&problem, &what);
    for (size_t i = 0; i < T_MAX * E; i++) {
        logits[i] = (float)(i % 7) - (float)(i % 5);
    }
    for (size_t i = 0; i < E * H; i++) {
        router_weight[i] = (float)(i % 11) - (float)(i % 9);
    }
    oracle_pack(&w13, &problem.w13, W4MOE_ORDER_TILE);
    oracle_pack(&w2, &problem.w2, W4MOE_ORDER_TILE);
    make_expected(&w13, &w2);
    w4moe_ctx *shared_ctx = context_make(NULL, _i < 2 ? 1 : 3, 0);
    w4moe_layer *shared = make_layer(
            shared_ctx, &w13, &w2, _i == 3 ? (unsigned)W4MOE_LAYER_COPY : 0);
    ctx = shared_ctx;
    layer = shared;
    run_callers();
    w4moe_layer_destroy(shared);
    w4moe_ctx_destroy(shared_ctx);
    free_expected();
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&problem);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("shared_layer");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, threads_share_a_layer, 0, 4);
    Suite *suite = suite_create("shared_layer");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
