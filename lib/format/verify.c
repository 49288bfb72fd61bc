/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The comparison of what was written with the source: every weight of every
 * expert, read back from the file. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/compare.h"
#include "format/transfer.h"

/* What one thread needs. */
struct verifier {
    struct w4_expert_buffer buffer;
    struct w4_compare compare;
};

/* Sums over the rounded weights of an expert. */
struct rounding {
    double error;
    double total;
};

static w4moe_status
verifier_make(struct w4_err *err, struct verifier *v,
        const struct w4_source *source, const struct w4_plan_layer *layer)
{
    size_t n_in =
            layer->w13.n_in > layer->w2.n_in ? layer->w13.n_in : layer->w2.n_in;
    w4moe_status status = w4_compare_make(err, &v->compare, n_in);
    return status == W4MOE_OK
                   ? w4_expert_buffer_make(err, &v->buffer, source, layer)
                   : status;
}

static void
verifier_free(struct verifier *v)
{
    w4_expert_buffer_free(&v->buffer);
    w4_compare_free(&v->compare);
}

/* Copies an expert's arrays out of the file. */
static w4moe_status
read_arrays(struct w4_transfer *transfer, w4moe_matrix *one,
        const uint64_t bytes[W4_N_ARRAYS], const void *const *data,
        const size_t entries[W4_N_ARRAYS], size_t expert)
{
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        if (bytes[a] == 0) {
            continue;
        }
        void *array = *w4_array_place(one, (enum w4_array)a);
        size_t size =
                w4moe_dtype_size(transfer->plan->entries[entries[a]].dtype);
        memcpy(array, (const char *)data[a] + expert * bytes[a],
                (size_t)bytes[a]);
        w4_swap_le(array, size, (size_t)bytes[a] / size);
        transfer->bytes_done += bytes[a];
    }
    return w4_matrix_check_data(
            w4_ctx_err(transfer->ctx), one, "written matrix");
}

/* Entries of a layer in the mapped file. */
struct layer_data {
    const void *w13[W4_N_ARRAYS];
    const void *w2[W4_N_ARRAYS];
};

static w4moe_status
map_layer(struct w4_transfer *transfer, struct layer_data *data,
        const struct w4_plan_layer *layer)
{
    w4moe_status status = W4MOE_OK;
    for (int a = 0; a < W4_N_ARRAYS && status == W4MOE_OK; a++) {
        if (layer->w13_entries[a] != W4_NO_ENTRY) {
            status = w4_st_writer_read(
                    transfer->writer, layer->w13_entries[a], &data->w13[a]);
        }
        if (status == W4MOE_OK && layer->w2_entries[a] != W4_NO_ENTRY) {
            status = w4_st_writer_read(
                    transfer->writer, layer->w2_entries[a], &data->w2[a]);
        }
    }
    return status;
}

static w4moe_status
verify_expert(struct w4_transfer *transfer, struct verifier *v,
        const struct w4_plan_layer *layer, const struct layer_data *data,
        size_t expert, struct rounding *errors)
{
    const struct w4_source *source = transfer->source;
    size_t number = transfer->plan->first_expert + expert;
    const struct w4_weight *weights =
            w4_source_weight(source, layer->source, number, W4_GATE);
    w4moe_status status = w4_orders_read(
            transfer->ctx, &v->buffer.orders, source, layer->source, number);
    if (status == W4MOE_OK) {
        status = read_arrays(transfer, &v->buffer.w13, v->buffer.w13_bytes,
                data->w13, layer->w13_entries, expert);
    }
    if (status == W4MOE_OK) {
        status = read_arrays(transfer, &v->buffer.w2, v->buffer.w2_bytes,
                data->w2, layer->w2_entries, expert);
    }
    v->compare.layer = source->layers[layer->source].number;
    v->compare.expert = number;
    v->compare.error = v->compare.total = 0.0;
    if (status == W4MOE_OK) {
        status = w4_compare_matrix(&v->compare, &v->buffer.w13, weights,
                &v->buffer.orders, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4_compare_matrix(&v->compare, &v->buffer.w2, weights,
                &v->buffer.orders, W4MOE_W2);
    }
    if (status == W4MOE_OK) {
        errors[expert].error = v->compare.error;
        errors[expert].total = v->compare.total;
        status = w4_transfer_report(transfer, "verify", v->compare.layer);
    }
    return status;
}

static w4moe_status
verify_layer(struct w4_transfer *transfer, const struct w4_plan_layer *layer,
        struct rounding *errors)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    struct w4_first first = {0};
    struct layer_data data = {0};
    size_t n_experts = layer->w13.n_experts;
    w4moe_status status = map_layer(transfer, &data, layer);
    if (status != W4MOE_OK) {
        return status;
    }
#pragma omp parallel num_threads(transfer->ctx->n_threads)
    {
        struct verifier v = {0};
        w4_first_note(
                &first, err, verifier_make(err, &v, transfer->source, layer));
#pragma omp for schedule(dynamic)
        for (size_t expert = 0; expert < n_experts; expert++) {
            if (!w4_first_any(&first, err)) {
                w4_first_note(&first, err,
                        verify_expert(
                                transfer, &v, layer, &data, expert, errors));
            }
        }
        verifier_free(&v);
    }
    status = w4_first_raise(&first, err);
    /* In the experts' order, so that the sum is the same on every run. */
    for (size_t expert = 0; expert < n_experts && status == W4MOE_OK;
            expert++) {
        transfer->error += errors[expert].error;
        transfer->total += errors[expert].total;
    }
    return status == W4MOE_OK
                   ? w4_transfer_report(transfer, "verify",
                             transfer->source->layers[layer->source].number)
                   : status;
}

w4moe_status
w4_transfer_verify(struct w4_transfer *transfer)
{
    size_t n_experts = transfer->plan->meta.n_experts;
    struct rounding *errors = calloc(n_experts, sizeof(*errors));
    w4moe_status status = W4MOE_OK;
    if (errors == NULL) {
        status = w4_fail(w4_ctx_err(transfer->ctx), W4MOE_NOMEM,
                "no memory for the errors of %zu experts", n_experts);
    }
    for (size_t l = 0; l < transfer->plan->n_layers && status == W4MOE_OK;
            l++) {
        status = verify_layer(transfer, &transfer->plan->layers[l], errors);
        if (status == W4MOE_OK) {
            transfer->n_experts_verified += n_experts;
        }
    }
    free(errors);
    return status;
}
