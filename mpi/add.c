/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The end of a chunk: results that have come back, and the shared experts. */
#include "exchange.h"
#include "place.h"

/* Some tokens of the call, whose results are in a chunk's buffers. */
struct tokens {
    size_t first;
    size_t n;
    void *out;
};

/* Adds the results that came back to what `to` holds, or to 0. */
static w4moe_status
add_results(const struct w4_mpi_call *call, const struct tokens *tokens,
        size_t chunk, void *to, size_t stride, w4moe_dtype dtype,
        unsigned accumulate)
{
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = to,
            .out_stride = stride,
            .out_dtype = dtype,
            .rows = w4_mpi_buffers_of(call->place, chunk)->results_back,
            .row_dtype = W4MOE_F32,
            .n_rows = w4_mpi_all_results(call, chunk),
            .row_ids =
                    call->place->result_rows + tokens->first * call->args.top_k,
            .n_tokens = tokens->n,
            .k = call->args.top_k,
            .n_columns = call->ws->hidden_size,
            .flags = w4_mpi_host_flag(call) | accumulate,
            .stream = call->stream,
    };
    return w4moe_combine(call->mpi->ctx, &args);
}

/* Rows to rows of another type. */
static w4moe_status
convert(const struct w4_mpi_call *call, size_t n, void *to, size_t to_stride,
        w4moe_dtype to_dtype, const void *from, size_t stride,
        w4moe_dtype dtype)
{
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = to,
            .out_stride = to_stride,
            .out_dtype = to_dtype,
            .rows = from,
            .row_stride = stride,
            .row_dtype = dtype,
            .n_rows = n,
            .n_tokens = n,
            .k = 1,
            .n_columns = call->ws->hidden_size,
            .flags = w4_mpi_host_flag(call),
            .stream = call->stream,
    };
    return w4moe_combine(call->mpi->ctx, &args);
}

/* Adds the shared experts of some tokens to the workspace's sums: a call in
 * which no other expert is here. Zeros are ids, and weights. */
static w4moe_status
add_shared(const struct w4_mpi_call *call, const struct tokens *tokens)
{
    const struct w4_mpi_place *place = call->place;
    const w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = place->sums,
            .x = w4_mpi_rows(call->args.x, tokens->first, call->args.x_stride,
                    call->args.dtype),
            .x_stride = call->args.x_stride,
            .dtype = call->args.dtype,
            .n_tokens = tokens->n,
            .top_k = 1,
            .ids = place->zeros,
            .weights = (const float *)place->zeros,
            .expert_map = w4_mpi_nowhere(call),
            .n_experts_global = call->ws->n_experts,
            .stream = call->stream,
            .flags = w4_mpi_host_flag(call) | W4MOE_ACCUMULATE |
                     (call->args.flags & W4MOE_BATCH_INVARIANT),
            .out_dtype = W4MOE_F32,
    };
    return w4moe_forward(call->layer->local, call->ws->local, &args);
}

/* The results of tokens, and the shared experts', by sums in fp32. */
static w4moe_status
add_with_shared(const struct w4_mpi_call *call, const struct tokens *tokens,
        size_t chunk)
{
    const w4moe_forward_args *args = &call->args;
    float *sums = call->place->sums;
    unsigned accumulate = args->flags & W4MOE_ACCUMULATE;
    w4moe_status status = W4MOE_OK;
    if (accumulate) {
        status = convert(call, tokens->n, sums, 0, W4MOE_F32, tokens->out,
                args->out_stride, args->out_dtype);
    }
    if (status == W4MOE_OK) {
        status = add_results(
                call, tokens, chunk, sums, 0, W4MOE_F32, accumulate);
    }
    if (status == W4MOE_OK) {
        status = add_shared(call, tokens);
    }
    return status == W4MOE_OK
                   ? convert(call, tokens->n, tokens->out, args->out_stride,
                             args->out_dtype, sums, 0, W4MOE_F32)
                   : status;
}

w4moe_status
w4_mpi_add(const struct w4_mpi_call *call, size_t chunk)
{
    const w4moe_forward_args *args = &call->args;
    uint64_t row_size = call->ws->hidden_size * sizeof(float);
    struct tokens tokens;
    tokens.n = w4_mpi_chunk_tokens(call, chunk, &tokens.first);
    if (tokens.n == 0) {
        return W4MOE_OK;
    }
    tokens.out = (char *)args->out + tokens.first * args->out_stride *
                                             w4moe_dtype_size(args->out_dtype);
    w4moe_status status = w4_mpi_copy(call,
            w4_mpi_buffers_of(call->place, chunk)->results_back,
            w4_mpi_buffers_of(call->transport, chunk)->results_back,
            w4_mpi_all_results(call, chunk) * row_size);
    if (status != W4MOE_OK) {
        return status;
    }
    if (call->layer->info.n_shared_experts == 0 ||
            (args->flags & W4MOE_NO_SHARED) != 0) {
        return add_results(call, &tokens, chunk, tokens.out, args->out_stride,
                args->out_dtype, args->flags & W4MOE_ACCUMULATE);
    }
    return add_with_shared(call, &tokens, chunk);
}
