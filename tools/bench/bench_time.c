/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Timing forward calls; see bench_time.h. */
#include "bench_time.h"

#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { CALLS_MAX = 20000, WARM_UP_CALLS = 2 };
static const double row_seconds = 0.5;

/* Memory of a row. */
struct call {
    uint16_t *x;
    uint16_t *out;
    int32_t *ids;
    float *weights;
    /* bench_route()'s. */
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
    bench_fill_x(call->x, n_tokens * hidden, dtype, 7);
    for (size_t i = 0; i < n_tokens * top_k; i++) {
        call->weights[i] = 1.0f / (float)top_k;
    }
    bench_route_begin(call->experts, n_experts);
    return TOOL_OK;
}

/* How many experts there are in a call; number is that of the call, from 1. */
static size_t
count_distinct(struct call *call, size_t n_slots, uint64_t number)
{
    size_t n_distinct = 0;
    for (size_t i = 0; i < n_slots; i++) {
        n_distinct += call->seen[call->ids[i]] != number;
        call->seen[call->ids[i]] = number;
    }
    return n_distinct;
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
        bench_route(routing, call->ids, call->experts, &state, args->n_tokens,
                layer->info.n_experts, args->top_k);
        size_t n_distinct =
                count_distinct(call, args->n_tokens * args->top_k, number);
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
