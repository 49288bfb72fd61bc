/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Timing forward calls; see bench_time.h. */
#include "bench_time.h"

#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "random.h"

enum { CALLS_MAX = 20000, WARM_UP_CALLS = 2 };
static const double row_seconds = 0.5;

/* Memory of a row. */
struct call {
    uint16_t *x;
    uint16_t *out;
    int32_t *ids;
    float *weights;
    /* A permutation of the experts, of which each token takes the first k. */
    int32_t *experts;
    /* The last call that an expert was seen in, to count the distinct. */
    uint64_t *seen;
    double *seconds;
    double *bytes_rates;
    double *bytes;
    w4moe_workspace *ws;
};

static void
call_free(struct call *call)
{
    w4moe_workspace_destroy(call->ws);
    free(call->x);
    free(call->out);
    free(call->ids);
    free(call->weights);
    free(call->experts);
    free(call->seen);
    free(call->seconds);
    free(call->bytes_rates);
    free(call->bytes);
}

/* Activations of 0.5 up to 1 and either sign. */
static void
fill_x(uint16_t *x, size_t n, w4moe_dtype dtype)
{
    struct random_state state = {7};
    unsigned mantissa = dtype == W4MOE_BF16 ? 0x807F : 0x83FF;
    unsigned exponent = dtype == W4MOE_BF16 ? 0x3F00 : 0x3800;
    for (size_t i = 0; i < n; i++) {
        unsigned bits = (unsigned)(random_next(&state) >> 48);
        x[i] = (uint16_t)((bits & mantissa) | exponent);
    }
}

static int
call_new(struct call *call, size_t n_tokens, const struct bench_layer *layer,
        size_t top_k, w4moe_dtype dtype)
{
    size_t hidden = layer->info.hidden_size;
    size_t n_experts = layer->info.n_experts;
    memset(call, 0, sizeof(*call));
    call->x = tool_alloc(n_tokens, hidden * sizeof(call->x[0]), "x");
    call->out = tool_alloc(n_tokens, hidden * sizeof(call->out[0]), "out");
    call->ids = tool_alloc(n_tokens, top_k * sizeof(call->ids[0]), "ids");
    call->weights =
            tool_alloc(n_tokens, top_k * sizeof(call->weights[0]), "weights");
    call->experts = tool_alloc(n_experts, sizeof(call->experts[0]), "experts");
    call->seen = tool_alloc(n_experts, sizeof(call->seen[0]), "experts");
    call->seconds = tool_alloc(CALLS_MAX, sizeof(double), "times");
    call->bytes_rates = tool_alloc(CALLS_MAX, sizeof(double), "rates");
    call->bytes = tool_alloc(CALLS_MAX, sizeof(double), "bytes");
    if (call->x == NULL || call->out == NULL || call->ids == NULL ||
            call->weights == NULL || call->experts == NULL ||
            call->seen == NULL || call->seconds == NULL ||
            call->bytes_rates == NULL || call->bytes == NULL) {
        call_free(call);
        return TOOL_ERROR;
    }
    fill_x(call->x, n_tokens * hidden, dtype);
    for (size_t i = 0; i < n_tokens * top_k; i++) {
        call->weights[i] = 1.0f / (float)top_k;
    }
    for (size_t e = 0; e < n_experts; e++) {
        call->experts[e] = (int32_t)e;
    }
    return TOOL_OK;
}

/* New experts for every token, uniform and without repetition: the first k
 * steps of a shuffle. Returns how many distinct ones there are; number is that
 * of the call, from 1. */
static size_t
choose(struct call *call, struct random_state *state, size_t n_tokens,
        size_t n_experts, size_t top_k, uint64_t number)
{
    size_t n_distinct = 0;
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t j = 0; j < top_k; j++) {
            size_t other = j + random_below(state, (uint32_t)(n_experts - j));
            int32_t expert = call->experts[other];
            call->experts[other] = call->experts[j];
            call->experts[j] = expert;
            call->ids[t * top_k + j] = expert;
            n_distinct += call->seen[expert] != number;
            call->seen[expert] = number;
        }
    }
    return n_distinct;
}

/* The same experts for every token: consecutive ones from a random one on.
 * Returns how many. */
static size_t
choose_one(struct call *call, struct random_state *state, size_t n_tokens,
        size_t n_experts, size_t top_k)
{
    size_t first = random_below(state, (uint32_t)n_experts);
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t j = 0; j < top_k; j++) {
            call->ids[t * top_k + j] = (int32_t)((first + j) % n_experts);
        }
    }
    return top_k;
}

static double
flops(const struct bench_layer *layer, size_t n_tokens, size_t top_k)
{
    double matrices =
            w4moe_activation_gated(layer->info.activation.kind) ? 3.0 : 2.0;
    return 2.0 * (double)n_tokens * (double)top_k * matrices *
           (double)layer->info.hidden_size *
           (double)layer->info.intermediate_size;
}

/* Sets n and the three arrays of call. */
static int
time_calls(struct call *call, size_t *n_p, const w4moe_ctx *ctx,
        const struct bench_layer *layer, const w4moe_forward_args *args,
        enum bench_routing routing, uint32_t n_repeats)
{
    struct random_state state = {1};
    double total = 0.0;
    size_t n = 0;
    uint64_t number = 0;
    while (n < n_repeats || (n < CALLS_MAX && total < row_seconds)) {
        number++;
        size_t n_distinct =
                routing == BENCH_ROUTING_ONE
                        ? choose_one(call, &state, args->n_tokens,
                                  layer->info.n_experts, args->top_k)
                        : choose(call, &state, args->n_tokens,
                                  layer->info.n_experts, args->top_k, number);
        double start = tool_seconds();
        w4moe_status status = w4moe_forward(layer->layer, call->ws, args);
        double seconds = tool_seconds() - start;
        if (status != W4MOE_OK) {
            return tool_failed(ctx, status);
        }
        if (number <= WARM_UP_CALLS) {
            continue;
        }
        call->seconds[n] = seconds;
        call->bytes[n] =
                (double)n_distinct * (double)layer->info.bytes_per_expert;
        call->bytes_rates[n] = call->bytes[n] / seconds;
        total += seconds;
        n++;
    }
    *n_p = n;
    return TOOL_OK;
}

int
bench_time(struct bench_row *row, const w4moe_ctx *ctx,
        const struct bench_layer *layer, size_t top_k,
        enum bench_routing routing, w4moe_dtype dtype, uint32_t n_repeats)
{
    struct call call;
    size_t n_tokens = row->n_tokens;
    int code = call_new(&call, n_tokens, layer, top_k, dtype);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status =
            w4moe_workspace_create(layer->layer, &call.ws, n_tokens, top_k);
    if (status != W4MOE_OK) {
        code = tool_failed(ctx, status);
        goto out_free;
    }
    w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = call.out,
            .x = call.x,
            .dtype = dtype,
            .n_tokens = n_tokens,
            .top_k = top_k,
            .ids = call.ids,
            .weights = call.weights,
            .flags = W4MOE_HOST_IO,
    };
    code = time_calls(
            &call, &row->n_calls, ctx, layer, &args, routing, n_repeats);
    if (code == TOOL_OK) {
        row->seconds = tool_median(call.seconds, row->n_calls);
        row->bytes = tool_median(call.bytes, row->n_calls);
        row->bytes_rate = tool_median(call.bytes_rates, row->n_calls);
        row->tokens_rate = (double)n_tokens / row->seconds;
        row->flops_rate = flops(layer, n_tokens, top_k) / row->seconds;
    }
out_free:
    call_free(&call);
    return code;
}
