/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * The comparison of what was written with the source: every weight of every
 * expert, read back from the file and decoded by the definition of the layout,
 * must have the bits that the checkpoint's own definition gives.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/transfer.h"

/* What one thread needs. */
struct verifier {
    struct w4_expert_buffer buffer;
    /** Order of the intermediate features, [I]. */
    int32_t *inner;
    /** One row from the file, one from the checkpoint, and room for that in
     * another order. */
    float *got;
    float *expected;
    float *ordered;
};

static w4moe_status
verifier_make(struct w4_err *err, struct verifier *v,
        const struct w4_plan_layer *layer)
{
    size_t n_row =
            layer->w13.n_in > layer->w2.n_in ? layer->w13.n_in : layer->w2.n_in;
    v->inner = calloc(layer->w2.n_in, sizeof(*v->inner));
    v->got = calloc(n_row, sizeof(*v->got));
    v->expected = calloc(n_row, sizeof(*v->expected));
    v->ordered = calloc(n_row, sizeof(*v->ordered));
    if (v->inner == NULL || v->got == NULL || v->expected == NULL ||
            v->ordered == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "no memory for rows of %zu weights", n_row);
    }
    return w4_expert_buffer_make(err, &v->buffer, layer);
}

static void
verifier_free(struct verifier *v)
{
    w4_expert_buffer_free(&v->buffer);
    free(v->inner);
    free(v->got);
    free(v->expected);
    free(v->ordered);
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

/* Puts the checkpoint's row of down into the order of the packed features. */
static void
reorder(struct verifier *v, size_t n)
{
    for (size_t p = 0; p < n; p++) {
        v->ordered[p] = v->expected[v->inner[p]];
    }
    float *row = v->expected;
    v->expected = v->ordered;
    v->ordered = row;
}

/* One packed column against its row of the checkpoint. */
static w4moe_status
compare_column(const struct w4_transfer *transfer, struct verifier *v,
        const struct w4_plan_layer *layer, size_t expert, w4moe_which which,
        uint64_t column)
{
    const struct w4_source *source = transfer->source;
    size_t n_inner = layer->w2.n_in;
    enum w4_projection projection = which == W4MOE_W2  ? W4_DOWN
                                    : column < n_inner ? W4_GATE
                                                       : W4_UP;
    size_t n_in = which == W4MOE_W13 ? layer->w13.n_in : n_inner;
    size_t row = which == W4MOE_W13 ? (size_t)v->inner[column % n_inner]
                                    : (size_t)column;
    source->ops->read_row(
            source, layer->source, expert, projection, row, v->expected);
    if (which == W4MOE_W2) {
        reorder(v, n_in);
    }
    if (memcmp(v->got, v->expected, n_in * sizeof(float)) == 0) {
        return W4MOE_OK;
    }
    size_t p = 0;
    while (memcmp(&v->got[p], &v->expected[p], sizeof(float)) == 0) {
        p++;
    }
    return w4_fail(w4_ctx_err(transfer->ctx), W4MOE_MISMATCH,
            "layer %" PRIu32 ", expert %zu, %s[%zu], packed position %zu: "
            "written %.9g, the checkpoint has %.9g",
            source->layers[layer->source].number, expert,
            w4_projection_name(projection), row, p, (double)v->got[p],
            (double)v->expected[p]);
}

static w4moe_status
compare_matrix(const struct w4_transfer *transfer, struct verifier *v,
        const struct w4_plan_layer *layer, size_t expert, w4moe_which which)
{
    const w4moe_matrix *one =
            which == W4MOE_W13 ? &v->buffer.w13 : &v->buffer.w2;
    struct w4_layout layout = w4_matrix_layout(one);
    struct w4_expert e = w4_matrix_expert(one, 0);
    for (uint64_t t = 0; t < w4_tile_count(&layout); t++) {
        struct w4_tile tile = w4_tile_at(&layout, t);
        for (uint32_t c = 0; c < tile.width; c++) {
            w4_dequantize_column(v->got, one, &e, &tile, c);
            w4moe_status status = compare_column(transfer, v, layer, expert,
                    which, w4_tile_column(&tile, c));
            if (status != W4MOE_OK) {
                return status;
            }
        }
    }
    return W4MOE_OK;
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
        size_t expert)
{
    const struct w4_source *source = transfer->source;
    w4moe_status status = source->ops->intermediate_order(
            transfer->ctx, source, layer->source, expert, v->inner);
    if (status == W4MOE_OK) {
        status = read_arrays(transfer, &v->buffer.w13, v->buffer.w13_bytes,
                data->w13, layer->w13_entries, expert);
    }
    if (status == W4MOE_OK) {
        status = read_arrays(transfer, &v->buffer.w2, v->buffer.w2_bytes,
                data->w2, layer->w2_entries, expert);
    }
    if (status == W4MOE_OK) {
        status = compare_matrix(transfer, v, layer, expert, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = compare_matrix(transfer, v, layer, expert, W4MOE_W2);
    }
    if (status == W4MOE_OK) {
        status = w4_transfer_report(
                transfer, "verify", source->layers[layer->source].number);
    }
    return status;
}

static w4moe_status
verify_layer(struct w4_transfer *transfer, const struct w4_plan_layer *layer)
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
        w4_first_note(&first, err, verifier_make(err, &v, layer));
#pragma omp for schedule(dynamic)
        for (size_t expert = 0; expert < n_experts; expert++) {
            if (!w4_first_any(&first, err)) {
                w4_first_note(&first, err,
                        verify_expert(transfer, &v, layer, &data, expert));
            }
        }
        verifier_free(&v);
    }
    status = w4_first_raise(&first, err);
    return status == W4MOE_OK
                   ? w4_transfer_report(transfer, "verify",
                             transfer->source->layers[layer->source].number)
                   : status;
}

w4moe_status
w4_transfer_verify(struct w4_transfer *transfer)
{
    for (size_t l = 0; l < transfer->plan->n_layers; l++) {
        const struct w4_plan_layer *layer = &transfer->plan->layers[l];
        w4moe_status status = verify_layer(transfer, layer);
        if (status != W4MOE_OK) {
            return status;
        }
        transfer->n_experts_verified += layer->w13.n_experts;
    }
    return W4MOE_OK;
}
