/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward() of the HIP backend with shared experts, routers that start
 * from hidden states, parts of a layer, sums that are not rounded, and counts,
 * against float64; from host and from device memory, which must give the same
 * bytes. w4moe_choose(), which must give what forward uses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/kernels/params.h"
#include "hip_context.h"
#include "hip_device.h"
#include "hip_kernels.h"
#include "layer_case.h"

static w4moe_ctx *ctx;

static void
teardown(void)
{
    hip_device_order(0);
    hip_context_end(ctx);
}

static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};

/* 5 tokens, or enough for blocks, with tiles and without matrices. */
static struct layer_what
usual(uint64_t seed)
{
    static const size_t sizes[4][4] = {{64, 32, 32, 32}, {96, 64, 32, 64},
            {80, 40, 40, 40}, {160, 96, 32, 32}};
    const size_t *size = sizes[seed % 4];
    struct layer_what what = {
            .routed = {.seed = seed,
                    .n_experts = 8,
                    .hidden = size[0],
                    .inter = size[1],
                    .w13_group = size[2],
                    .w2_group = size[3],
                    .kind = W4MOE_ACT_SILU,
                    .form = (unsigned)(seed / 2 % N_WEIGHT_FORMS),
                    .dtype = types[1 + seed % 2],
                    .n_tokens = seed % 3 == 0 ? 37 : 1 + seed % 5,
                    .top_k = 2,
                    .out_pad = 5},
            .router = {.kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = 1,
                    .scale = 1.5f},
    };
    return what;
}

/* The call from both kinds of memory. */
static void
check_call(struct layer_case *c, unsigned flags)
{
    void *host = layer_case_run(c, ctx, flags, 1);
    layer_case_judge(c, flags, host);
    void *device = layer_case_run(c, ctx, flags, 0);
    layer_case_judge(c, flags, device);
    layer_case_same(c, host, device, "from device memory");
    free(host);
    free(device);
}

static const unsigned flags_of[] = {0, W4MOE_ACCUMULATE,
        W4MOE_ROUTER_WEIGHT_ON_INPUT, W4MOE_NO_SHARED,
        W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE,
        W4MOE_NO_SHARED | W4MOE_ACCUMULATE | W4MOE_BATCH_INVARIANT,
        W4MOE_BATCH_INVARIANT | W4MOE_ROUTER_WEIGHT_ON_INPUT};

enum { N_FLAGS = sizeof(flags_of) / sizeof(flags_of[0]) };

/* With and without gate, with a scale, of another I. */
START_TEST(shared_experts)
{
    static const size_t inters[] = {32, 64, 96, 24};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4 * N_FLAGS; i++) {
        struct layer_what what = usual(0x7000 + 28 * (uint64_t)_i + i);
        struct layer_case c;
        what.n_shared = 1 + i % 3;
        what.shared_inter = inters[i / 2 % 4];
        what.gate_dtype = i % 4 != 0 ? types[i % 3] : W4MOE_DTYPE_NONE;
        what.shared_scale = i % 5 < 2 ? 0 : 2.5f;
        layer_case_open(&c, ctx, &what);
        check_call(&c, flags_of[i % N_FLAGS]);
        layer_case_close(&c);
    }
}
END_TEST

/* More of them than slots that do without blocks. */
START_TEST(many_shared_experts)
{
    ctx = hip_context(hip_archs[_i], 0);
    struct layer_what what = usual(0x7100 + (uint64_t)_i);
    struct layer_case c;
    what.routed.n_tokens = 3;
    what.n_shared = W4_GPU_SHARED_MAX;
    what.shared_inter = 32;
    what.gate_dtype = W4MOE_BF16;
    layer_case_open(&c, ctx, &what);
    check_call(&c, 0);
    layer_case_close(&c);
}
END_TEST

/* Without shared experts a call with NO_SHARED is the same call. */
START_TEST(without_shared_experts)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4; i++) {
        struct layer_what what = usual(0x7180 + i);
        struct layer_case c;
        layer_case_open(&c, ctx, &what);
        void *plain = layer_case_run(&c, ctx, 0, 1);
        void *same = layer_case_run(&c, ctx, W4MOE_NO_SHARED, 1);
        layer_case_same(&c, plain, same, "with NO_SHARED");
        free(plain);
        free(same);
        layer_case_close(&c);
    }
}
END_TEST

static const w4moe_router_kind kinds[] = {W4MOE_ROUTER_SOFTMAX_TOPK,
        W4MOE_ROUTER_TOPK_SOFTMAX, W4MOE_ROUTER_SIGMOID,
        W4MOE_ROUTER_SIGMOID_TOP1, W4MOE_ROUTER_SQRT_SOFTPLUS};

enum { N_ROUTERS = sizeof(kinds) / sizeof(kinds[0]) };

static void
set_router(struct layer_what *what, unsigned i)
{
    w4moe_router *router = &what->router;
    router->kind = kinds[i % N_ROUTERS];
    router->renormalize = i % 2;
    router->weight_on_input = i % 5 == 3;
    router->weight_dtype = types[i % 3];
    router->bias_dtype = i % 4 < 2 ? types[i / 2 % 3] : W4MOE_DTYPE_NONE;
    if (router->kind == W4MOE_ROUTER_SIGMOID ||
            router->kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        router->correction_bias_dtype = types[i / 3 % 3];
        router->n_group = i % 3 == 0 ? 0 : 4;
        router->topk_group = i % 3 == 0 ? 0 : 2;
    }
}

/* Every kind of router from hidden states alone; some with a shared gate in
 * the same launch. */
START_TEST(routers_from_hidden_states)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4 * N_ROUTERS; i++) {
        struct layer_what what = usual(0x7200 + 20 * (uint64_t)_i + i);
        struct layer_case c;
        set_router(&what, i);
        if (i % 3 == 1) {
            what.n_shared = 1;
            what.shared_inter = 32;
            what.gate_dtype = types[i / 3 % 3];
        }
        what.routed.x_pad = i % 4 == 3 ? 3 : 0;
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        check_call(&c, i % 2 == 0 ? 0 : W4MOE_BATCH_INVARIANT);
        layer_case_close(&c);
    }
}
END_TEST

/* Experts from the 5th on, of 19; ids that are none among them; a map, which
 * goes before. */
START_TEST(parts_of_a_layer)
{
    static const int32_t map[19] = {
            -1, 2, -1, 0, 3, -1, 1, -1, 7, -1, 5, -1, 4, 6, 8, 100, -1, -1, -1};
    static const int32_t bad[5] = {-1, 19, INT32_MAX, INT32_MIN, 1 << 24};
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 16; i++) {
        struct layer_what what = usual(0x7300 + 16 * (uint64_t)_i + i);
        struct layer_case c;
        struct oracle_rng rng = {what.routed.seed};
        what.first_expert = i % 8 == 7 ? 11 : 5;
        what.n_global = 19;
        what.routed.top_k = 3;
        layer_case_open(&c, ctx, &what);
        for (size_t s = 0; s < what.routed.n_tokens * 3 && i % 2 == 0; s++) {
            if (oracle_below(&rng, 5) == 0) {
                c.p.ids[s] = bad[oracle_below(&rng, 5)];
            }
        }
        c.p.args.expert_map = i % 4 == 1 ? map : NULL;
        check_call(&c, i % 3 == 0 ? W4MOE_ACCUMULATE : 0);
        layer_case_close(&c);
    }
}
END_TEST

/* Two halves of a layer, one of which has the shared experts: the second adds
 * to what the first has computed. */
START_TEST(a_layer_in_two_parts)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4; i++) {
        struct layer_what what = usual(0x7400 + 4 * (uint64_t)_i + i);
        struct layer_case c;
        what.first_expert = 8 * (i % 2);
        what.n_global = 16;
        what.n_shared = 2;
        what.shared_inter = 40;
        set_router(&what, i);
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        check_call(&c, i % 2 == 0 ? W4MOE_NO_SHARED : W4MOE_ACCUMULATE);
        layer_case_close(&c);
    }
}
END_TEST

/* All of it, whatever the order of threads. */
START_TEST(any_order_of_threads)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4; i++) {
        struct layer_what what = usual(0x7480 + i);
        struct layer_case c;
        what.n_shared = 2;
        what.shared_inter = 32;
        what.gate_dtype = W4MOE_F16;
        set_router(&what, 2 + 2 * i);
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        hip_device_order(0);
        void *first = layer_case_run(&c, ctx, 0, 1);
        for (uint64_t seed = 1; seed < 4; seed++) {
            hip_device_order(seed);
            void *again = layer_case_run(&c, ctx, 0, 0);
            layer_case_judge(&c, 0, again);
            layer_case_same(&c, first, again, "in another order of threads");
            free(again);
        }
        free(first);
        layer_case_close(&c);
    }
}
END_TEST

/* With BATCH_INVARIANT tokens alone have the same bytes. */
START_TEST(tokens_alone)
{
    static uint16_t some[160];
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 4; i++) {
        struct layer_what what = usual(0x74C0 + i);
        struct layer_case c;
        w4moe_workspace *ws = NULL;
        size_t n_bytes = what.routed.hidden * 2;
        what.routed.n_tokens = 37;
        what.n_shared = 1;
        what.shared_inter = 32;
        what.gate_dtype = W4MOE_BF16;
        set_router(&what, i);
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        char *all = layer_case_run(&c, ctx, W4MOE_BATCH_INVARIANT, 0);
        ck_assert_int_eq(w4moe_workspace_create(c.layer, &ws, 1, 2), W4MOE_OK);
        for (size_t t = 0; t < 37; t += 4) {
            w4moe_forward_args args = c.p.args;
            args.flags = W4MOE_HOST_IO | W4MOE_BATCH_INVARIANT;
            args.x = (uint16_t *)c.p.x_rows + t * c.p.x_stride;
            args.n_tokens = 1;
            args.out = some;
            args.out_stride = 0;
            ck_assert_int_eq(w4moe_forward(c.layer, ws, &args), W4MOE_OK);
            ck_assert_int_eq(memcmp(some, all + t * n_bytes, n_bytes), 0);
        }
        w4moe_workspace_destroy(ws);
        free(all);
        layer_case_close(&c);
    }
}
END_TEST

/* A workspace of a larger layer does for a smaller one. */
START_TEST(the_workspace_of_another_layer)
{
    ctx = hip_context(hip_archs[_i], 0);
    struct layer_what large = usual(0x7500);
    struct layer_what small = usual(0x7500);
    struct layer_case c[2];
    w4moe_workspace *ws = NULL;
    uint16_t out[2][37 * 64];
    large.routed.n_tokens = small.routed.n_tokens = 37;
    large.n_shared = 3;
    large.shared_inter = 64;
    small.n_shared = 2;
    small.shared_inter = 32;
    small.gate_dtype = W4MOE_F32;
    layer_case_open(&c[0], ctx, &large);
    layer_case_open(&c[1], ctx, &small);
    for (int i = 0; i < 2; i++) {
        w4moe_forward_args args = c[1].p.args;
        args.flags = W4MOE_HOST_IO;
        args.out = out[i];
        args.out_stride = 0;
        ck_assert_int_eq(
                w4moe_workspace_create(c[i].layer, &ws, 40, 2), W4MOE_OK);
        ck_assert_int_eq(w4moe_forward(c[1].layer, ws, &args), W4MOE_OK);
        w4moe_workspace_destroy(ws);
    }
    ck_assert_int_eq(memcmp(out[0], out[1], sizeof(out[0])), 0);
    layer_case_close(&c[0]);
    layer_case_close(&c[1]);
}
END_TEST

/* -------------------------------------------------------------------- sums */

/* Rounded they are what a call gives that rounds them itself. */
static void
check_rounded(struct layer_case *c, unsigned flags, const void *sums)
{
    w4moe_dtype dtype = c->what.routed.dtype;
    c->what.out_dtype = W4MOE_DTYPE_NONE;
    void *rounded = layer_case_run(c, ctx, flags, 0);
    c->what.out_dtype = W4MOE_F32;
    for (size_t i = 0; i < c->what.routed.n_tokens * c->what.routed.hidden;
            i++) {
        double sum = oracle_round(dtype, oracle_load(sums, W4MOE_F32, i));
        double is = oracle_load(rounded, dtype, i);
        ck_assert_msg(sum == is, "seed %#llx, flags %#x: sum %zu is %a, not %a",
                (unsigned long long)c->what.routed.seed, flags, i, sum, is);
    }
    free(rounded);
}

/* Few and many tokens, in every form of weights, with and without shared
 * experts, on rows that begin anywhere. */
START_TEST(sums_in_fp32)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 6 * N_FLAGS; i++) {
        struct layer_what what = usual(0x7580 + 42 * (uint64_t)_i + i);
        struct layer_case c;
        unsigned flags = flags_of[i % N_FLAGS];
        what.out_dtype = W4MOE_F32;
        what.routed.out_pad = i % 4 == 3 ? 4 : i % 4;
        what.n_shared = i / N_FLAGS % 3;
        what.shared_inter = what.n_shared != 0 ? 32 : 0;
        what.gate_dtype = i % 4 == 1 && what.n_shared != 0 ? W4MOE_BF16
                                                           : W4MOE_DTYPE_NONE;
        layer_case_open(&c, ctx, &what);
        void *host = layer_case_run(&c, ctx, flags, 1);
        layer_case_judge(&c, flags, host);
        void *device = layer_case_run(&c, ctx, flags, 0);
        layer_case_same(&c, host, device, "from device memory");
        check_rounded(&c, flags, host);
        free(host);
        free(device);
        layer_case_close(&c);
    }
}
END_TEST

/* ----------------------------------------------------------------- choices */

struct choice {
    int32_t *ids;
    float *weights;
};

static void
free_choice(struct choice *choice)
{
    free(choice->ids);
    free(choice->weights);
}

static void
choose(struct layer_case *c, const w4moe_forward_args *args, int32_t *ids,
        float *weights)
{
    w4moe_workspace *ws = NULL;
    ck_assert_int_eq(
            w4moe_workspace_create(c->layer, &ws, args->n_tokens, args->top_k),
            W4MOE_OK);
    w4moe_status status = w4moe_choose(c->layer, ws, ids, weights, args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    HIP_OK(hipDeviceSynchronize());
    w4moe_workspace_destroy(ws);
}

static struct choice
choose_from_host(struct layer_case *c, const w4moe_forward_args *from)
{
    size_t n = from->n_tokens * from->top_k;
    struct choice choice = {oracle_alloc(n, 4), oracle_alloc(n, 4)};
    w4moe_forward_args args = *from;
    args.flags = W4MOE_HOST_IO | W4MOE_ACCUMULATE;
    choose(c, &args, choice.ids, choice.weights);
    return choice;
}

static struct choice
choose_on_device(struct layer_case *c, const w4moe_forward_args *from)
{
    size_t n = from->n_tokens * from->top_k;
    size_t n_logits =
            from->n_tokens * (c->what.n_global != 0 ? c->what.n_global : 8);
    int32_t *ids = hip_words(n);
    int32_t *weights = hip_words(n);
    w4moe_forward_args args = *from;
    args.flags = 0;
    args.x_stride = c->p.x_stride;
    args.x = hip_copy_of(from->x, from->n_tokens * c->p.x_stride * 2);
    args.router_logits = hip_copy_of(from->router_logits, n_logits * 4);
    choose(c, &args, ids, (float *)(void *)weights);
    HIP_OK(hipFree((void *)(uintptr_t)args.x));
    HIP_OK(hipFree((void *)(uintptr_t)args.router_logits));
    struct choice choice = {hip_words_back(ids, n),
            (float *)(void *)hip_words_back(weights, n)};
    ck_assert(hip_words_intact(choice.ids, n, n));
    ck_assert(hip_words_intact((int32_t *)(void *)choice.weights, n, n));
    return choice;
}

/* Both are the same, and a call with them gives what one gives that chooses
 * itself. */
static void
check_choice(struct layer_case *c)
{
    const w4moe_forward_args args = c->p.args;
    size_t n_bytes = args.n_tokens * args.top_k * 4;
    unsigned on_input = c->what.router.weight_on_input
                                ? (unsigned)W4MOE_ROUTER_WEIGHT_ON_INPUT
                                : 0;
    struct choice host = choose_from_host(c, &args);
    struct choice device = choose_on_device(c, &args);
    ck_assert_int_eq(memcmp(host.ids, device.ids, n_bytes), 0);
    ck_assert_int_eq(memcmp(host.weights, device.weights, n_bytes), 0);
    void *own = layer_case_run(c, ctx, 0, 1);
    c->p.args.ids = host.ids;
    c->p.args.weights = host.weights;
    void *given = layer_case_run(c, ctx, on_input, 1);
    layer_case_same(c, own, given, "with the ids of choose");
    c->p.args = args;
    if (args.router_logits == NULL) {
        ck_assert_int_eq(memcmp(host.ids, c->p.ids, n_bytes), 0);
    }
    free(own);
    free(given);
    free_choice(&host);
    free_choice(&device);
}

START_TEST(choices_from_hidden_states)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < 2 * N_ROUTERS; i++) {
        struct layer_what what = usual(0x7700 + 10 * (uint64_t)_i + i);
        struct layer_case c;
        set_router(&what, i + 5 * (unsigned)_i);
        what.first_expert = i % 2 == 0 ? 0 : 8;
        what.n_global = i % 2 == 0 ? 0 : 20;
        what.n_shared = i % 3 == 0;
        what.shared_inter = i % 3 == 0 ? 32 : 0;
        what.gate_dtype = i % 3 == 0 ? W4MOE_BF16 : W4MOE_DTYPE_NONE;
        what.routed.x_pad = i % 4 == 3 ? 3 : 0;
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        check_choice(&c);
        layer_case_close(&c);
    }
}
END_TEST

START_TEST(choices_from_logits)
{
    static float logits[37 * 24];
    ctx = hip_context(hip_archs[_i], 0);
    for (unsigned i = 0; i < N_ROUTERS; i++) {
        struct layer_what what = usual(0x7780 + 5 * (uint64_t)_i + i);
        struct layer_case c;
        struct oracle_rng rng = {what.routed.seed};
        what.n_global = i % 2 == 0 ? 0 : 24;
        what.router.kind = kinds[i];
        layer_case_open(&c, ctx, &what);
        for (size_t l = 0; l < sizeof(logits) / sizeof(logits[0]); l++) {
            logits[l] = (float)oracle_uniform(&rng, -4, 4);
        }
        c.p.args.ids = NULL;
        c.p.args.weights = NULL;
        c.p.args.router_logits = logits;
        c.p.args.logits_dtype = W4MOE_F32;
        check_choice(&c);
        layer_case_close(&c);
    }
}
END_TEST

/* ---------------------------------------------------------------- refusals */

static void
expect_refusal(struct layer_case *c, w4moe_forward_args *args, const char *text)
{
    static uint16_t out[64];
    w4moe_workspace *ws = NULL;
    args->out = out;
    ck_assert_int_eq(
            w4moe_workspace_create(c->layer, &ws, args->n_tokens, args->top_k),
            W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(c->layer, ws, args), W4MOE_UNSUPPORTED);
    ck_assert_msg(strstr(w4moe_ctx_error(ctx), text) != NULL, "%s",
            w4moe_ctx_error(ctx));
    w4moe_workspace_destroy(ws);
}

static w4moe_forward_args
with_logits(const struct layer_case *c, const float *logits)
{
    w4moe_forward_args args = c->p.args;
    args.flags = 0;
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = logits;
    args.logits_dtype = W4MOE_F32;
    return args;
}

/* What only this backend refuses. */
START_TEST(refusals)
{
    static float logits[4096];
    static int32_t counts[5000];
    ctx = hip_context(hip_archs[_i], 0);
    struct layer_what what = usual(0x7600);
    struct layer_case c;
    what.routed.n_tokens = 1;
    what.n_global = 5000;
    layer_case_open(&c, ctx, &what);
    w4moe_forward_args args = c.p.args;
    args.flags = W4MOE_HOST_IO;
    args.expert_counts = counts;
    expect_refusal(
            &c, &args, "counts of 5000 experts; from host memory at most 4096");
    layer_case_close(&c);

    what.n_global = 66;
    what.router.kind = W4MOE_ROUTER_SIGMOID;
    what.router.n_group = 33;
    what.router.topk_group = 3;
    layer_case_open(&c, ctx, &what);
    args = with_logits(&c, logits);
    args.flags = W4MOE_HOST_IO;
    expect_refusal(&c, &args, "a router of 33 groups; backend hip takes 32");
    layer_case_close(&c);

    what.n_global = 0;
    what.router.n_group = 0;
    layer_case_open(&c, ctx, &what);
    args = with_logits(&c, logits);
    args.n_experts_global = 600;
    args.expert_map = counts;
    expect_refusal(&c, &args,
            "scores of 600 experts; this workspace takes those of 512");
    layer_case_close(&c);
}
END_TEST

/* A layer that the CPU takes. */
START_TEST(too_many_shared_experts)
{
    w4moe_ctx *cpu = NULL;
    w4moe_layer *layer = NULL;
    struct layer_what what = usual(0x7680);
    struct layer_case c;
    what.n_shared = W4_GPU_SHARED_MAX + 1;
    what.shared_inter = 8;
    ctx = hip_context(hip_archs[_i], 0);
    ck_assert_int_eq(hip_context_try(&cpu, "cpu", 0, 0), W4MOE_OK);
    layer_case_open(&c, cpu, &what);
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &c.packed[0],
            .w2 = &c.packed[1],
            .activation = c.p.activation,
            .shared_w13 = &c.packed[2],
            .shared_w2 = &c.packed[3],
    };
    ck_assert_int_eq(
            w4moe_layer_create(ctx, &layer, &desc, 0), W4MOE_UNSUPPORTED);
    ck_assert_str_eq(w4moe_ctx_error(ctx),
            "layer: 65 shared experts; backend hip takes 64");
    layer_case_close(&c);
    w4moe_ctx_destroy(cpu);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {shared_experts, many_shared_experts,
            without_shared_experts, routers_from_hidden_states,
            parts_of_a_layer, a_layer_in_two_parts, any_order_of_threads,
            tokens_alone, the_workspace_of_another_layer, sums_in_fp32,
            choices_from_hidden_states, choices_from_logits, refusals,
            too_many_shared_experts};
    return hip_run_tests("hip layer", tests, sizeof(tests) / sizeof(tests[0]),
            NULL, teardown);
}
