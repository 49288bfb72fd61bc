/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_gemm() of the HIP backend against the oracle, in device memory: every
 * switch, forms of matrices, sizes; both orders, which must give the same
 * bytes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/weight_form.h"
#include "hip_call.h"
#include "hip_context.h"

static const w4moe_dtype halves[2] = {W4MOE_BF16, W4MOE_F16};

static w4moe_ctx *ctx;

static void
teardown(void)
{
    hip_context_end(ctx);
}

static void *
run_packed(const struct gemm_problem *p, w4moe_order order, hipStream_t stream)
{
    w4moe_matrix b;
    oracle_pack(&b, &p->matrix, order);
    void *c = hip_gemm_run(ctx, p, &b, stream);
    oracle_pack_free(&b);
    return c;
}

static void
check_problem(const struct gemm_problem *p)
{
    void *tile = run_packed(p, W4MOE_ORDER_TILE, NULL);
    gemm_judge(p, tile);
    void *rdna3 = run_packed(p, W4MOE_ORDER_RDNA3, NULL);
    size_t n_bytes = p->c_rows * p->what.spec.n_out * 2;
    ck_assert_msg(memcmp(tile, rdna3, n_bytes) == 0,
            "%s: other bytes in order rdna3", gemm_text(p));
    free(tile);
    free(rdna3);
}

static void
check_case(const struct gemm_case *what)
{
    struct gemm_problem p;
    gemm_make(&p, what);
    check_problem(&p);
    gemm_free(&p);
}

/* A case to vary. */
static struct gemm_case
usual(uint64_t seed, size_t n_out, size_t n_in, size_t group)
{
    struct gemm_case what = {
            .spec = {.seed = seed,
                    .n_experts = 3,
                    .n_out = n_out,
                    .n_in = n_in,
                    .group_size = group,
                    .code = W4MOE_CODE_INT4,
                    .scale_dtype = W4MOE_BF16},
            .dtype = halves[seed % 2],
            .n_rows = 9,
            .top_k = 2,
            .block_size = 4,
            .c_pad = 5,
    };
    return what;
}

/* A form of weights; every second one is gated. */
static void
set_form(struct oracle_spec *spec, size_t form)
{
    spec->gated = form % 2 != 0;
    weight_form_set(spec, (enum weight_form)form);
}

/* Blocks that each of the kernels takes: 1 to 8 rows, 16, 32, 64, and some that
 * only kernels of fewer rows can do. */
START_TEST(every_switch)
{
    static const size_t blocks[] = {1, 2, 3, 4, 6, 8, 16, 32, 48, 64};
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x7000;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            struct gemm_case what = usual(seed++, 144, 160, 64);
            what.top_k = 1 + bits % 3;
            what.n_rows = 6;
            what.block_size = blocks[i];
            what.weighted = (bits & 1) != 0;
            what.output_topk = (bits & 2) != 0 ? what.top_k : 0;
            what.a_pad = (bits & 4) != 0 ? 3 : 0;
            what.uncovered = 10;
            what.elsewhere = 15;
            set_form(&what.spec, (seed + i) % N_WEIGHT_FORMS);
            check_case(&what);
        }
    }
}
END_TEST

/* Padding stands where a caller puts it: here before a block's slots. */
START_TEST(padding_before_slots)
{
    static const size_t blocks[] = {8, 16, 32, 64};
    ctx = hip_context(hip_archs[_i], 0);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        size_t n = blocks[i];
        struct gemm_case what = usual(0x7080 + i, 144, 160, 32);
        what.block_size = n;
        what.n_rows = 20;
        struct gemm_problem p;
        gemm_make(&p, &what);
        for (size_t row = 0; row < (size_t)p.n_padded; row += n) {
            for (size_t j = 0; j < n / 2; j++) {
                int32_t *slots = p.sorted_slots + row;
                int32_t slot = slots[j];
                slots[j] = slots[n - 1 - j];
                slots[n - 1 - j] = slot;
            }
        }
        check_problem(&p);
        gemm_free(&p);
    }
}
END_TEST

/* Blocks of no expert before the others. */
static void
put_before(struct gemm_problem *p, size_t n_blocks)
{
    size_t size = p->what.block_size;
    size_t n_before = n_blocks * size;
    size_t capacity = n_before + p->args.capacity;
    int32_t *slots = oracle_alloc(capacity, sizeof(*slots));
    int32_t *experts = oracle_alloc(capacity / size, sizeof(*experts));
    for (size_t i = 0; i < n_before; i++) {
        slots[i] = (int32_t)p->n_slots;
        experts[i / size] = -1;
    }
    memcpy(slots + n_before, p->sorted_slots, p->args.capacity * 4);
    memcpy(experts + n_blocks, p->expert_ids, p->args.capacity / size * 4);
    free(p->sorted_slots);
    free(p->expert_ids);
    p->args.sorted_slots = p->sorted_slots = slots;
    p->args.expert_ids = p->expert_ids = experts;
    p->args.capacity = capacity;
    p->n_padded += (int32_t)n_before;
}

/* All rows are done by the second one. */
START_TEST(more_blocks_than_a_launch_has)
{
    static const size_t blocks[] = {1, 16};
    ctx = hip_context(hip_archs[_i], 0);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct gemm_case what = usual(0x7090 + i, 48, 64, 32);
        what.block_size = blocks[i];
        struct gemm_problem p;
        gemm_make(&p, &what);
        put_before(&p, 65535);
        void *c = run_packed(&p, W4MOE_ORDER_TILE, NULL);
        gemm_judge(&p, c);
        free(c);
        gemm_free(&p);
    }
}
END_TEST

/* As for w2: a row for each slot, summed over the choices of a token. */
START_TEST(sums_of_slots_with_rows_of_their_own)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (size_t k = 1; k <= 8; k++) {
        struct gemm_case what = usual(0x7100 + k, 64, 64, 32);
        what.n_rows = 3 * k;
        what.top_k = 1;
        what.output_topk = k;
        what.weighted = 1;
        what.elsewhere = 20;
        what.uncovered = 10;
        check_case(&what);
    }
}
END_TEST

/* Every form with every kind of kernel. */
START_TEST(every_form)
{
    static const struct {
        size_t block, n_in, group;
    } ways[] = {{1, 96, 32}, {8, 160, 64}, {16, 160, 64}, {64, 96, 96},
            {4, 72, 24}, {16, 104, 40}};
    ctx = hip_context(hip_archs[_i], 0);
    for (size_t i = 0; i < 6; i++) {
        for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
            struct gemm_case what = usual(0x7200 + 16 * i + form,
                    form % 3 == 0 ? 272 : 48, ways[i].n_in, ways[i].group);
            what.block_size = ways[i].block;
            what.n_rows = what.block_size == 64 ? 50 : 9;
            what.dtype = halves[(i + form / 2) % 2];
            set_form(&what.spec, form);
            check_case(&what);
        }
    }
}
END_TEST

START_TEST(every_group_size)
{
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x7300;
    for (size_t g = 8; g <= 160; g += 8) {
        struct gemm_case what = usual(seed++, 16, 160, g);
        what.block_size = g % 64 == 0 ? 16 : 4;
        what.n_rows = 4;
        set_form(&what.spec, seed % N_WEIGHT_FORMS);
        check_case(&what);
    }
}
END_TEST

START_TEST(every_width)
{
    static const size_t widths[] = {
            8, 16, 24, 112, 120, 128, 136, 144, 248, 256, 264};
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x7400;
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            struct gemm_case what = usual(seed++, widths[i], 64, 32);
            what.block_size = (bits & 1) != 0 ? 16 : 2;
            what.n_rows = 4;
            set_form(&what.spec, bits < 2 ? FORM_ZEROS : FORM_MXFP4_BIAS);
            what.spec.gated = bits < 2 && widths[i] % 16 == 0;
            check_case(&what);
        }
    }
}
END_TEST

/* Nothing to do: all rows are zero, or there are none. */
START_TEST(no_blocks)
{
    hipStream_t stream;
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    for (size_t i = 0; i < 8; i++) {
        struct gemm_case what = usual(0x7500, 48, 64, 32);
        what.uncovered = i < 4 ? 100 : 0;
        what.elsewhere = i < 4 ? 0 : 100;
        what.output_topk = i % 2 != 0 ? 2 : 0;
        struct gemm_problem p;
        gemm_make(&p, &what);
        if (i < 2) {
            p.args.capacity = 0;
        }
        void *c = run_packed(&p, W4MOE_ORDER_TILE, i % 4 < 2 ? NULL : stream);
        gemm_judge(&p, c);
        free(c);
        gemm_free(&p);
    }
    struct gemm_case none = usual(0x7501, 48, 64, 32);
    none.n_rows = 0;
    struct gemm_problem p;
    gemm_make(&p, &none);
    free(run_packed(&p, W4MOE_ORDER_TILE, NULL));
    gemm_free(&p);
    HIP_OK(hipStreamDestroy(stream));
}
END_TEST

/* Sums of small whole numbers are exact in fp32: there is one right answer. */
START_TEST(exact_sums_have_the_right_bits)
{
    ctx = hip_context(hip_archs[_i], 0);
    uint64_t seed = 0x7600;
    for (size_t form = 0; form < N_WEIGHT_FORMS; form++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            size_t n_in = bits == 3 ? 104 : 160;
            struct gemm_case what =
                    usual(seed++, 144, n_in, bits == 3 ? 24 : 64);
            set_form(&what.spec, form);
            what.spec.exact = 1;
            what.dtype = halves[(form + bits) % 2];
            what.top_k = 3;
            what.block_size = bits == 0 ? 16 : 1 + bits;
            what.weighted = bits / 2 != 0;
            what.output_topk = bits / 2 != 0 ? 3 : 0;
            check_case(&what);
        }
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {every_switch, padding_before_slots,
            more_blocks_than_a_launch_has, sums_of_slots_with_rows_of_their_own,
            every_form, every_group_size, every_width, no_blocks,
            exact_sums_have_the_right_bits};
    return hip_run_tests("hip gemm", tests, sizeof(tests) / sizeof(tests[0]),
            NULL, teardown);
}
