/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels of the HIP backend that group slots, by themselves: align against
 * w4moe_align(), spread, count. Activations; sums of rows; memory for
 * callers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/kernels/params.h"
#include "../kernel/act_kinds.h"
#include "../tol.h"
#include "align_case.h"
#include "hip_context.h"
#include "hip_kernels.h"

/* A context of the CPU, for what to expect. */
static w4moe_ctx *cpu;

static void
setup(void)
{
    ck_assert_int_eq(hip_context_try(&cpu, "cpu", 0, 0), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(cpu);
}

/* ------------------------------------------------------------------- align */

static void
check_align(const struct align_case *c)
{
    ck_assert_msg(align_is_good(cpu, "w4_align", c),
            "%zu slots, %zu experts of %zu, blocks of %zu, map %d", c->n_slots,
            c->n_experts, c->n_global, c->block_size, c->with_map);
}

START_TEST(align)
{
    static const size_t blocks[] = {1, 2, 3, 4, 8, 16, 32, 64};
    static const size_t experts[] = {1, 2, 3, 8, 60, 128};
    static struct align_case c;
    struct oracle_rng rng = {0x8000};
    hip_kernels_load(hip_archs[_i]);
    for (size_t i = 0; i < 60; i++) {
        c.n_experts = experts[oracle_below(&rng, 6)];
        c.with_map = (int)oracle_below(&rng, 2);
        c.n_global = c.n_experts * (1 + oracle_below(&rng, 3));
        c.first = oracle_below(&rng, c.n_global - c.n_experts + 1);
        c.block_size = blocks[oracle_below(&rng, 8)];
        c.n_slots = oracle_below(&rng, i % 8 == 0 ? 3000 : 300);
        align_draw(&c, &rng);
        check_align(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* A workgroup for each expert, and each counts all slots. */
START_TEST(align_of_the_most)
{
    static const size_t sizes[N_HIP_ARCHS][2] = {
            {1025, 65}, {513, 70}, {256, 5000}};
    static struct align_case c;
    struct oracle_rng rng = {0x8100};
    hip_kernels_load(hip_archs[_i]);
    c.n_experts = c.n_global = sizes[_i][0];
    c.n_slots = sizes[_i][1];
    c.block_size = _i == 2 ? 64 : 1;
    align_draw(&c, &rng);
    check_align(&c);
    hip_kernels_unload();
}
END_TEST

/* More experts than any model has; a few tokens, each with the most choices. */
START_TEST(align_of_many_experts)
{
    static const size_t experts[N_HIP_ARCHS] = {2049, 3000, ALIGN_MAX_EXPERTS};
    static struct align_case c;
    struct oracle_rng rng = {0x8180};
    hip_kernels_load(hip_archs[_i]);
    for (int with_map = 0; with_map < 2; with_map++) {
        c.n_experts = c.n_global = experts[_i];
        c.n_slots = (size_t)(2 + with_map) * W4_GPU_TOP_K_MAX;
        c.block_size = with_map ? 16 : 1;
        c.with_map = with_map;
        align_draw(&c, &rng);
        check_align(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* -------------------------------------------------------- spread and count */

static void
check_spread(size_t n_tokens, size_t n_experts, size_t block_size)
{
    size_t padded = (n_tokens + block_size - 1) / block_size * block_size;
    size_t n_rows = n_experts * padded;
    size_t n_blocks = n_rows / block_size;
    struct w4_gpu_spread p = {
            .sorted_slots = hip_words(n_rows),
            .expert_ids = hip_words(n_blocks),
            .n_padded = hip_words(1),
            .n_tokens = (uint32_t)n_tokens,
            .n_experts = (uint32_t)n_experts,
            .block_size = (uint32_t)block_size,
    };
    hip_kernel_run_grid("w4_spread",
            (unsigned)(padded + W4_GPU_THREADS - 1) / W4_GPU_THREADS,
            p.n_experts, W4_GPU_THREADS, &p);
    int32_t *slots = hip_words_back(p.sorted_slots, n_rows);
    int32_t *experts = hip_words_back(p.expert_ids, n_blocks);
    int32_t *n_padded = hip_words_back(p.n_padded, 1);
    for (size_t i = 0; i < n_rows; i++) {
        size_t t = i % padded;
        size_t slot = t < n_tokens ? t * n_experts + i / padded
                                   : n_tokens * n_experts;
        ck_assert_int_eq(slots[i], (int32_t)slot);
        ck_assert_int_eq(experts[i / block_size], (int32_t)(i / padded));
    }
    ck_assert_int_eq(*n_padded, (int32_t)n_rows);
    ck_assert(hip_words_intact(slots, n_rows, n_rows));
    ck_assert(hip_words_intact(experts, n_blocks, n_blocks));
    ck_assert(hip_words_intact(n_padded, 1, 1));
    free(slots);
    free(experts);
    free(n_padded);
}

START_TEST(spread)
{
    static const size_t sizes[][3] = {{1, 1, 1}, {1, 3, 8}, {257, 1, 16},
            {300, 2, 64}, {64, 4, 64}, {256, 3, 1}};
    hip_kernels_load(hip_archs[_i]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_spread(sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    hip_kernels_unload();
}
END_TEST

static void
check_count(const struct align_case *c)
{
    int32_t *expected = oracle_alloc(c->n_global, 4);
    struct w4_gpu_count p = {
            .counts = hip_words(c->n_global),
            .ids = hip_copy_of(c->ids, c->n_slots * 4),
            .n_slots = (uint32_t)c->n_slots,
            .n_experts = (uint32_t)c->n_global,
    };
    for (size_t i = 0; i < c->n_slots; i++) {
        if (c->ids[i] >= 0 && (size_t)c->ids[i] < c->n_global) {
            expected[c->ids[i]]++;
        }
    }
    hip_kernel_run("w4_count",
            (p.n_experts + W4_GPU_ALIGN_THREADS - 1) / W4_GPU_ALIGN_THREADS,
            W4_GPU_ALIGN_THREADS, &p);
    int32_t *counts = hip_words_back(p.counts, c->n_global);
    ck_assert_int_eq(memcmp(counts, expected, c->n_global * 4), 0);
    ck_assert(hip_words_intact(counts, c->n_global, c->n_global));
    HIP_OK(hipFree((void *)(uintptr_t)p.ids));
    free(counts);
    free(expected);
}

START_TEST(count)
{
    static const size_t experts[] = {1, 8, 128, 1024, 1025, ALIGN_MAX_EXPERTS};
    static struct align_case c;
    struct oracle_rng rng = {0x8190};
    hip_kernels_load(hip_archs[_i]);
    for (size_t i = 0; i < 12; i++) {
        c.n_experts = c.n_global = experts[i % 6];
        c.n_slots = 1 + oracle_below(&rng, i < 6 ? 3000 : 60);
        align_draw(&c, &rng);
        check_count(&c);
    }
    hip_kernels_unload();
}
END_TEST

static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};

/* -------------------------------------------------------------- activations */

/* What up is at most made into. */
static double
factor_of_up(const w4moe_activation *act, double up)
{
    int oai = act->kind == W4MOE_ACT_SWIGLUOAI;
    return w4moe_activation_gated(act->kind)
                   ? fabs(up) + (oai ? 1 : fabs((double)act->beta))
                   : 1;
}

/* The bound of tol.h for a result that is rounded to dtype at the end. */
static double
allowed(const w4moe_activation *act, w4moe_dtype dtype, double exact, double g,
        double u)
{
    double alpha = act->alpha != 0 ? (double)act->alpha : 1.702;
    double t = act->kind == W4MOE_ACT_SWIGLUOAI ||
                               act->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE
                       ? alpha * fabs(g)
                       : fabs(g) * (1.6 + 0.08 * g * g);
    double up = factor_of_up(act, u);
    /* Beyond it exp() is 0 or infinite. */
    t = fmin(t, 128);
    double limit = (TOL_ACT_STEPS + t) * TOL_HALF_ULP * fabs(exact) +
                   TOL_ACT_CANCEL * TOL_HALF_ULP * fabs(g) * up +
                   TOL_ACT_FLOOR * (1 + fmin(fabs(g), 128)) * (1 + up);
    double step = dtype == W4MOE_F32   ? 0x1p-24
                  : dtype == W4MOE_F16 ? 0x1p-11
                                       : 0x1p-8;
    double floor_step = dtype == W4MOE_F16 ? 0x1p-25 : 0x1p-149;
    return limit + step * (fabs(exact) + limit) + floor_step;
}

static void
judge(const w4moe_activation *act, w4moe_dtype dtype, double g, double u,
        double got)
{
    double exact = oracle_activation(act, g, u);
    double limit = allowed(act, dtype, exact, g, u);
    double ideal = oracle_round(dtype, exact);
    int good = isnan(exact) ? isnan(got)
               : isinf(ideal) || isinf(got)
                       ? oracle_round(dtype, exact * (1 + 0x1p-9)) == got ||
                                 ideal == got
                       : fabs(got - exact) <= limit;
    ck_assert_msg(good, "%s %s: gate %a, up %a: got %a, exact %a, allowed %g",
            w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
            got, exact, limit);
}

/* Special numbers as gates only: which of NaN and Inf a product with them is
 * depends on what underflows. */
static double
draw_input(struct oracle_rng *rng, size_t i, int is_gate)
{
    static const double special[] = {0.0, -0.0, 1e30, -1e30, 88.5, -88.5, 104,
            (double)INFINITY, (double)-INFINITY, (double)NAN};
    if (i % 16 == 0 && is_gate) {
        return special[oracle_below(rng, 10)];
    }
    return oracle_uniform(rng, -1, 1) * (i % 3 == 0 ? 30 : 5);
}

/* Rows with something between them, wider than a workgroup. */
static void
check_activate(const w4moe_ctx *ctx, const w4moe_activation *act,
        w4moe_dtype dtype, struct oracle_rng *rng)
{
    enum { ROWS = 3, WIDTH = 300, PAD = 7 };
    int gated = w4moe_activation_gated(act->kind);
    size_t size = w4moe_dtype_size(dtype);
    size_t in_stride = WIDTH * (gated ? 2 : 1) + PAD;
    size_t out_stride = WIDTH + PAD;
    char *in = oracle_alloc(ROWS * in_stride, size);
    unsigned char *out = oracle_alloc(ROWS * out_stride, size);
    memset(out, 0xA5, ROWS * out_stride * size);
    for (size_t i = 0; i < ROWS * in_stride; i++) {
        oracle_store(in, dtype, i, draw_input(rng, i, i % in_stride < WIDTH));
    }
    void *device_in = hip_copy_of(in, ROWS * in_stride * size);
    void *device_out = hip_copy_of(out, ROWS * out_stride * size);
    ck_assert_int_eq(w4moe_activate(ctx, device_out, out_stride, device_in,
                             in_stride, dtype, ROWS, WIDTH, act),
            W4MOE_OK);
    HIP_OK(hipMemcpy(
            out, device_out, ROWS * out_stride * size, hipMemcpyDeviceToHost));
    for (size_t i = 0; i < ROWS * out_stride; i++) {
        size_t row = i / out_stride;
        size_t c = i % out_stride;
        if (c >= WIDTH) {
            ck_assert_int_eq(out[i * size], 0xA5);
            continue;
        }
        size_t from = row * in_stride + c;
        double g = oracle_load(in, dtype, from);
        double u = gated ? oracle_load(in, dtype, from + WIDTH) : 0;
        judge(act, dtype, g, u, oracle_load(out, dtype, i));
    }
    HIP_OK(hipFree(device_in));
    HIP_OK(hipFree(device_out));
    free(in);
    free(out);
}

START_TEST(activate)
{
    struct oracle_rng rng = {0x8400};
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    for (int kind = 0; kind < 3 * N_KINDS; kind++) {
        w4moe_activation act = kinds[kind / 3];
        act.struct_size = sizeof(act);
        check_activate(ctx, &act, types[kind % 3], &rng);
    }
    hip_context_end(ctx);
}
END_TEST

/* What is the same for every backend, of numbers that are no ordinary ones. */
static int
same_class(double a, double b)
{
    return isnan(a) ? isnan(b) : isinf(a) || isinf(b) ? a == b : 1;
}

/* Each of some numbers as gate with each as up, against the CPU. */
static void
check_special(
        const w4moe_ctx *ctx, const w4moe_activation *act, w4moe_dtype dtype)
{
    static const double special[] = {(double)NAN, (double)INFINITY,
            (double)-INFINITY, 0.0, -0.0, 1, -1, 3.5, -3.5, 40, -40, 1e4, -1e4};
    enum { N = sizeof(special) / sizeof(special[0]), WIDTH = N * N };
    int gated = w4moe_activation_gated(act->kind);
    size_t size = w4moe_dtype_size(dtype);
    size_t n_in = WIDTH * (gated ? 2 : 1);
    char *in = oracle_alloc(n_in, size);
    char *want = oracle_alloc(WIDTH, size);
    char *got = oracle_alloc(WIDTH, size);
    for (size_t i = 0; i < n_in; i++) {
        oracle_store(in, dtype, i, special[i < WIDTH ? i % N : i % WIDTH / N]);
    }
    void *device_in = hip_copy_of(in, n_in * size);
    void *device_out = hip_copy_of(got, WIDTH * size);
    ck_assert_int_eq(
            w4moe_activate(cpu, want, WIDTH, in, n_in, dtype, 1, WIDTH, act),
            W4MOE_OK);
    ck_assert_int_eq(w4moe_activate(ctx, device_out, WIDTH, device_in, n_in,
                             dtype, 1, WIDTH, act),
            W4MOE_OK);
    HIP_OK(hipMemcpy(got, device_out, WIDTH * size, hipMemcpyDeviceToHost));
    for (size_t i = 0; i < WIDTH; i++) {
        double g = special[i % N];
        double u = gated ? special[i / N] : 0;
        double expected = oracle_load(want, dtype, i);
        double is = oracle_load(got, dtype, i);
        ck_assert_msg(same_class(expected, is),
                "%s %s: gate %a, up %a: got %a, the CPU %a",
                w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
                is, expected);
        ck_assert_msg(!(isnan(g) || isnan(u)) || isnan(is),
                "%s %s: gate %a, up %a: got %a",
                w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
                is);
    }
    HIP_OK(hipFree(device_in));
    HIP_OK(hipFree(device_out));
    free(in);
    free(want);
    free(got);
}

START_TEST(activate_of_nan_and_infinity)
{
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    for (int kind = 0; kind < 3 * N_KINDS; kind++) {
        w4moe_activation act = kinds[kind / 3];
        act.struct_size = sizeof(act);
        check_special(ctx, &act, types[kind % 3]);
    }
    hip_context_end(ctx);
}
END_TEST

/* --------------------------------------------------------------------- sums */

struct combine_case {
    w4moe_combine_args args;
    /** Elements before the first of rows and of out, and between rows. */
    size_t shift;
    size_t pad;
    int with_ids;
};

/* Memory of the context with a copy of host memory. */
static void *
put(const w4moe_ctx *ctx, const void *host, size_t n_bytes, hipStream_t stream)
{
    void *p = NULL;
    ck_assert_int_eq(w4moe_memory_alloc(ctx, &p, n_bytes, W4MOE_MEMORY_DEVICE),
            W4MOE_OK);
    ck_assert_int_eq(
            w4moe_memory_copy(ctx, p, host, n_bytes, stream), W4MOE_OK);
    return p;
}

/* n numbers; of few bits, or so large that fp16 has none such. */
static void
draw_numbers(void *array, w4moe_dtype dtype, size_t n, struct oracle_rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        double v = oracle_uniform(rng, -1, 1);
        oracle_store(array, dtype, i, i % 37 == 36 ? 9e4 * v : v);
    }
}

/* Rows, most of which are there. */
static void
draw_ids(int32_t *ids, size_t n, size_t n_rows, struct oracle_rng *rng)
{
    const int32_t none[] = {-1, (int32_t)n_rows, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < n; i++) {
        ids[i] = n_rows == 0 || oracle_below(rng, 6) == 0
                         ? none[oracle_below(rng, 4)]
                         : (int32_t)oracle_below(rng, n_rows);
    }
}

/* The sum of column `column` of a token: fp32, in order. */
static double
sum_of(const w4moe_combine_args *a, const char *before, size_t token,
        size_t column)
{
    float sum = 0;
    if ((a->flags & W4MOE_ACCUMULATE) != 0) {
        sum = (float)oracle_load(
                before, a->out_dtype, token * a->out_stride + column);
    }
    for (size_t i = token * a->k; i < (token + 1) * a->k; i++) {
        int64_t row = a->row_ids != NULL ? a->row_ids[i] : (int64_t)i;
        if (row >= 0 && (size_t)row < a->n_rows) {
            sum += (float)oracle_load(a->rows, a->row_dtype,
                    (size_t)row * a->row_stride + column);
        }
    }
    return oracle_round(a->out_dtype, (double)sum);
}

static void
judge_sums(const struct combine_case *c, const char *before, const char *out)
{
    const w4moe_combine_args *a = &c->args;
    size_t size = w4moe_dtype_size(a->out_dtype);
    for (size_t i = 0; i < a->n_tokens * a->out_stride; i++) {
        size_t token = i / a->out_stride;
        size_t column = i % a->out_stride;
        if (column >= a->n_columns) {
            ck_assert_int_eq(
                    memcmp(out + i * size, before + i * size, size), 0);
            continue;
        }
        double want = sum_of(a, before, token, column);
        double is = oracle_load(out, a->out_dtype, i);
        ck_assert_msg(want == is || (isnan(want) && isnan(is)),
                "%zu columns, k %zu, %s to %s, shift %zu, pad %zu, flags %#x: "
                "sum %zu of token %zu is %a, not %a",
                a->n_columns, a->k, w4moe_dtype_name(a->row_dtype),
                w4moe_dtype_name(a->out_dtype), c->shift, c->pad, a->flags,
                column, token, is, want);
    }
}

/* The call, with its arrays in device memory. */
static void
run_combine(const w4moe_ctx *ctx, const struct combine_case *c,
        const char *before, char *out, hipStream_t stream)
{
    w4moe_combine_args args = c->args;
    size_t row_size = w4moe_dtype_size(args.row_dtype);
    size_t out_size = w4moe_dtype_size(args.out_dtype);
    size_t n_row_bytes = (c->shift + args.n_rows * args.row_stride) * row_size;
    size_t n_out_bytes =
            (c->shift + args.n_tokens * args.out_stride) * out_size;
    size_t n_id_bytes = args.n_tokens * args.k * 4;
    char *rows = put(ctx, (const char *)args.rows - c->shift * row_size,
            n_row_bytes, stream);
    char *sums = put(ctx, before - c->shift * out_size, n_out_bytes, stream);
    void *ids = c->with_ids ? put(ctx, args.row_ids, n_id_bytes, stream) : NULL;
    args.rows = rows + c->shift * row_size;
    args.out = sums + c->shift * out_size;
    args.row_ids = ids;
    args.stream = stream;
    w4moe_status status = w4moe_combine(ctx, &args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    ck_assert_int_eq(
            w4moe_memory_copy(ctx, out, sums, n_out_bytes, stream), W4MOE_OK);
    w4moe_memory_free(ctx, rows, n_row_bytes, W4MOE_MEMORY_DEVICE);
    w4moe_memory_free(ctx, sums, n_out_bytes, W4MOE_MEMORY_DEVICE);
    w4moe_memory_free(ctx, ids, n_id_bytes, W4MOE_MEMORY_DEVICE);
}

static void
check_combine(const w4moe_ctx *ctx, struct combine_case *c,
        struct oracle_rng *rng, hipStream_t stream)
{
    w4moe_combine_args *a = &c->args;
    a->struct_size = sizeof(*a);
    a->row_stride = a->out_stride = a->n_columns + c->pad;
    size_t n_row = c->shift + a->n_rows * a->row_stride;
    size_t n_out = c->shift + a->n_tokens * a->out_stride;
    size_t shift_bytes = c->shift * w4moe_dtype_size(a->out_dtype);
    char *rows = oracle_alloc(n_row, 4);
    char *before = oracle_alloc(n_out, 4);
    char *out = oracle_alloc(n_out, 4);
    int32_t *ids = oracle_alloc(a->n_tokens * a->k, 4);
    draw_numbers(rows, a->row_dtype, n_row, rng);
    draw_numbers(before, a->out_dtype, n_out, rng);
    draw_ids(ids, a->n_tokens * a->k, a->n_rows, rng);
    a->rows = rows + c->shift * w4moe_dtype_size(a->row_dtype);
    a->row_ids = c->with_ids ? ids : NULL;
    run_combine(ctx, c, before + shift_bytes, out, stream);
    ck_assert_int_eq(memcmp(out, before, shift_bytes), 0);
    judge_sums(c, before + shift_bytes, out + shift_bytes);
    free(rows);
    free(before);
    free(out);
    free(ids);
}

/* Every pair of types, with rows of any length that begin anywhere. */
START_TEST(combine)
{
    static const size_t columns[] = {1, 3, 4, 5, 8, 62, 64, 300, 1030};
    static const size_t choices[] = {1, 2, 3, 7, 8, 9, 17};
    struct oracle_rng rng = {0x8500};
    hipStream_t streams[2] = {NULL, NULL};
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&streams[1], hipStreamNonBlocking));
    for (unsigned i = 0; i < 4 * 9 * 9; i++) {
        struct combine_case c = {
                .args = {.n_columns = columns[i / 9 % 9],
                        .row_dtype = types[i % 3],
                        .out_dtype = types[i / 3 % 3],
                        .k = choices[oracle_below(&rng, 7)],
                        .n_tokens = 1 + oracle_below(&rng, 4),
                        .flags = i / 81 % 2 != 0 ? W4MOE_ACCUMULATE : 0},
                .shift = i % 5 < 3    ? 0
                         : i % 5 == 3 ? 4
                                      : 1,
                .pad = i % 7 < 3   ? 0
                       : i % 7 < 5 ? 4
                                   : 3,
                .with_ids = i / 162 != 0,
        };
        c.args.n_rows =
                c.with_ids ? oracle_below(&rng, 9) : c.args.n_tokens * c.args.k;
        check_combine(ctx, &c, &rng, streams[i % 2]);
    }
    HIP_OK(hipStreamDestroy(streams[1]));
    hip_context_end(ctx);
}
END_TEST

/* ------------------------------------------------------------------ memory */

static const w4moe_memory places[] = {
        W4MOE_MEMORY_HOST, W4MOE_MEMORY_PINNED, W4MOE_MEMORY_DEVICE};

/* From the caller's memory to one kind, to another, and back. */
static void
check_memory(const w4moe_ctx *ctx, w4moe_memory first, w4moe_memory second,
        size_t n_bytes, hipStream_t stream)
{
    unsigned char *from = oracle_alloc(n_bytes, 1);
    unsigned char *back = oracle_alloc(n_bytes, 1);
    void *a = NULL;
    void *b = NULL;
    for (size_t i = 0; i < n_bytes; i++) {
        from[i] = (unsigned char)(i % 251 + 1);
    }
    ck_assert_int_eq(w4moe_memory_alloc(ctx, &a, n_bytes, first), W4MOE_OK);
    ck_assert_int_eq(w4moe_memory_alloc(ctx, &b, n_bytes, second), W4MOE_OK);
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    ck_assert_uint_eq((uintptr_t)b % 64, 0);
    ck_assert_int_eq(w4moe_memory_copy(ctx, a, from, n_bytes, stream), 0);
    ck_assert_int_eq(w4moe_memory_copy(ctx, b, a, n_bytes, stream), 0);
    ck_assert_int_eq(w4moe_memory_copy(ctx, back, b, n_bytes, stream), 0);
    ck_assert_int_eq(memcmp(from, back, n_bytes), 0);
    w4moe_memory_free(ctx, a, n_bytes, first);
    w4moe_memory_free(ctx, b, n_bytes, second);
    free(from);
    free(back);
}

START_TEST(memory_of_every_kind)
{
    hipStream_t stream;
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    for (unsigned i = 0; i < 9; i++) {
        check_memory(ctx, places[i % 3], places[i / 3], 1, NULL);
        check_memory(ctx, places[i % 3], places[i / 3], 100003, stream);
    }
    HIP_OK(hipStreamDestroy(stream));
    hip_context_end(ctx);
}
END_TEST

/* All of it counts. */
START_TEST(limits_of_memory)
{
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 100000);
    for (int i = 0; i < 3; i++) {
        void *a = NULL;
        void *b = &a;
        ck_assert_int_eq(
                w4moe_memory_alloc(ctx, &a, 60000, places[i]), W4MOE_OK);
        for (int j = 0; j < 3; j++) {
            ck_assert_int_eq(
                    w4moe_memory_alloc(ctx, &b, 60000, places[j]), W4MOE_NOMEM);
            ck_assert_ptr_eq(b, (void *)&a);
        }
        w4moe_memory_free(ctx, a, 60000, places[i]);
        w4moe_memory_free(ctx, NULL, 60000, places[i]);
        ck_assert_int_eq(w4moe_memory_alloc(ctx, &a, 0, places[i]), W4MOE_OK);
        ck_assert_ptr_null(a);
    }
    hip_context_end(ctx);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {align, align_of_the_most,
            align_of_many_experts, spread, count, activate,
            activate_of_nan_and_infinity, combine, memory_of_every_kind,
            limits_of_memory};
    return hip_run_tests("hip rows", tests, sizeof(tests) / sizeof(tests[0]),
            setup, teardown);
}
