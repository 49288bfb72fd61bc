/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * The known-answer test. Its numbers are small whole multiples of powers of
 * two, so that every sum is exact in fp32 in any order, even where a kernel
 * splits code - zero into (128 + code) - (128 + zero): what is rounded are
 * the two values that the contract of w4moe_forward() says, and the result must
 * be equal. The expectation takes the weights from w4moe_dequantize(), and
 * nothing from any kernel.
 */
#include "runtime/known_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/half.h"

/* Enough tokens for a backend to take its path of many rows; sizes that all
 * kernels accept, and that differ, so that they cannot be mistaken for each
 * other. */
enum {
    EXPERTS = 2,
    HIDDEN = 256,
    INTERMEDIATE = 128,
    GROUP = 32,
    TOKENS = 33,
    TOP_K = 2,
    WEIGHTS = HIDDEN * INTERMEDIATE
};

struct numbers {
    uint32_t w13_words[EXPERTS * WEIGHTS / 8];
    uint32_t w2_words[EXPERTS * WEIGHTS / 8];
    uint16_t w13_scales[EXPERTS * WEIGHTS / GROUP];
    uint16_t w2_scales[EXPERTS * WEIGHTS / GROUP];
    uint16_t x[TOKENS * HIDDEN];
    int32_t ids[TOKENS * TOP_K];
    float weights[TOKENS * TOP_K];
    uint16_t out[TOKENS * HIDDEN];
    float expected[TOKENS * HIDDEN];
    /* The weights of one expert, [I][H] and [H][I]. */
    float w13[WEIGHTS];
    float w2[WEIGHTS];
};

/* 32 pseudo-random bits: the upper half of a linear congruential generator. */
static uint32_t
next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

/* All codes; scales of 1/2 and 1. */
static void
fill_weights(uint32_t *words, uint16_t *scales, uint64_t *state)
{
    for (size_t i = 0; i < EXPERTS * WEIGHTS / 8; i++) {
        words[i] = next(state);
    }
    for (size_t i = 0; i < EXPERTS * WEIGHTS / GROUP; i++) {
        scales[i] = (next(state) & 1) != 0 ? 0x3F00 : 0x3F80;
    }
}

/* One in 32 elements of x is 1 or -1, the others are 0; routing weights are
 * 1/2 and 1/4. */
static void
fill(struct numbers *n)
{
    uint64_t state = 1;
    fill_weights(n->w13_words, n->w13_scales, &state);
    fill_weights(n->w2_words, n->w2_scales, &state);
    for (size_t i = 0; i < TOKENS * HIDDEN; i++) {
        uint32_t bits = next(&state);
        n->x[i] = (bits & 31) != 0 ? 0 : (bits & 32) != 0 ? 0x3F80 : 0xBF80;
    }
    for (size_t t = 0; t < TOKENS; t++) {
        uint32_t bits = next(&state);
        n->ids[t * TOP_K] = (int32_t)(bits & 1);
        n->ids[t * TOP_K + 1] = 1 - (int32_t)(bits & 1);
        n->weights[t * TOP_K] = (bits & 2) != 0 ? 0.5f : 0.25f;
        n->weights[t * TOP_K + 1] = (bits & 2) != 0 ? 0.25f : 0.5f;
    }
}

/* Adds what one slot contributes to its token's row. */
static void
add_slot(struct numbers *n, size_t slot)
{
    size_t t = slot / TOP_K;
    float activated[INTERMEDIATE];
    for (size_t i = 0; i < INTERMEDIATE; i++) {
        float sum = 0.0f;
        for (size_t h = 0; h < HIDDEN; h++) {
            sum += w4_float_of_bf16(n->x[t * HIDDEN + h]) *
                   n->w13[i * HIDDEN + h];
        }
        sum = sum > 0.0f ? sum * sum : 0.0f;
        activated[i] = w4_float_of_bf16(w4_bf16_of_float(sum));
    }
    for (size_t h = 0; h < HIDDEN; h++) {
        float sum = 0.0f;
        for (size_t i = 0; i < INTERMEDIATE; i++) {
            sum += activated[i] * n->w2[h * INTERMEDIATE + i];
        }
        n->expected[t * HIDDEN + h] += n->weights[slot] * sum;
    }
}

static w4moe_status
expect(struct numbers *n, const w4moe_ctx *ctx, const w4moe_matrix *w13,
        const w4moe_matrix *w2)
{
    for (size_t e = 0; e < EXPERTS; e++) {
        w4moe_status status = w4moe_dequantize(ctx, n->w13, w13, e);
        if (status == W4MOE_OK) {
            status = w4moe_dequantize(ctx, n->w2, w2, e);
        }
        if (status != W4MOE_OK) {
            return status;
        }
        for (size_t slot = 0; slot < TOKENS * TOP_K; slot++) {
            if ((size_t)n->ids[slot] == e) {
                add_slot(n, slot);
            }
        }
    }
    for (size_t i = 0; i < TOKENS * HIDDEN; i++) {
        n->expected[i] = w4_float_of_bf16(w4_bf16_of_float(n->expected[i]));
    }
    return W4MOE_OK;
}

/* One call for the last n_tokens tokens. */
static w4moe_status
check_call(struct numbers *n, const w4moe_layer *layer, w4moe_workspace *ws,
        size_t n_tokens)
{
    size_t first = TOKENS - n_tokens;
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = n->out,
            .x = n->x + first * HIDDEN,
            .dtype = W4MOE_BF16,
            .n_tokens = n_tokens,
            .top_k = TOP_K,
            .ids = n->ids + first * TOP_K,
            .weights = n->weights + first * TOP_K,
            .flags = W4MOE_HOST_IO,
    };
    /* NaN where nothing is written. */
    memset(n->out, 0xFF, sizeof(n->out));
    w4moe_status status = w4moe_forward(layer, ws, &args);
    for (size_t i = 0; i < n_tokens * HIDDEN && status == W4MOE_OK; i++) {
        float got = w4_float_of_bf16(n->out[i]);
        float expected = n->expected[first * HIDDEN + i];
        /* Not equal, or NaN. */
        if (!(got == expected)) {
            status = w4_fail(w4_ctx_err(layer->ctx), W4MOE_MISMATCH,
                    "of %zu tokens, out[%zu][%zu] is %g, not %g", n_tokens,
                    i / HIDDEN, i % HIDDEN, (double)got, (double)expected);
        }
    }
    return status;
}

static w4moe_status
run(struct numbers *n, const w4moe_ctx *ctx, const w4moe_layer_desc *desc)
{
    w4moe_layer *layer = NULL;
    w4moe_workspace *ws = NULL;
    w4moe_status status = w4moe_layer_create(ctx, &layer, desc, 0);
    if (status == W4MOE_OK) {
        status = w4moe_workspace_create(layer, &ws, TOKENS, TOP_K);
    }
    if (status == W4MOE_OK) {
        status = check_call(n, layer, ws, TOKENS);
    }
    if (status == W4MOE_OK) {
        status = check_call(n, layer, ws, 1);
    }
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    return status;
}

w4moe_status
w4_known_answer(const w4moe_ctx *ctx)
{
    struct numbers *n = calloc(1, sizeof(*n));
    if (n == NULL) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_NOMEM, "no memory for the test");
    }
    fill(n);
    w4moe_matrix w13 = {
            .struct_size = sizeof(w13),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = EXPERTS,
            .n_out = INTERMEDIATE,
            .n_in = HIDDEN,
            .group_size = GROUP,
            .qweight = n->w13_words,
            .scales = n->w13_scales,
            .scale_dtype = W4MOE_BF16,
    };
    w4moe_matrix w2 = w13;
    w2.n_out = HIDDEN;
    w2.n_in = INTERMEDIATE;
    w2.qweight = n->w2_words;
    w2.scales = n->w2_scales;
    const w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = {.struct_size = sizeof(desc.activation),
                    .kind = W4MOE_ACT_RELU2_NO_MUL},
    };
    w4moe_status status = expect(n, ctx, &w13, &w2);
    if (status == W4MOE_OK) {
        status = run(n, ctx, &desc);
    }
    free(n);
    return status;
}
