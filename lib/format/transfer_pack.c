/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The first phase: every expert is packed, compared with the checkpoint and
 * written, while it is in the cache. */
#include <stdlib.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "format/compare.h"
#include "format/transfer.h"

/* What one thread needs. */
struct packer {
    struct w4_expert_buffer buffer;
    struct w4_compare compare;
};

/* What came of one expert. */
struct result {
    struct w4_findings findings;
    /* Sums over its rounded weights. */
    double error;
    double total;
};

static w4moe_status
packer_make(struct w4_err *err, struct packer *p,
        const struct w4_source *source, const struct w4_plan_layer *layer)
{
    size_t n_in =
            layer->w13.n_in > layer->w2.n_in ? layer->w13.n_in : layer->w2.n_in;
    w4moe_status status = w4_compare_make(err, &p->compare, n_in);
    return status == W4MOE_OK
                   ? w4_expert_buffer_make(err, &p->buffer, source, layer)
                   : status;
}

static void
packer_free(struct packer *p)
{
    w4_expert_buffer_free(&p->buffer);
    w4_compare_free(&p->compare);
}

/* Compares what has been packed of expert `number` of the source. */
static w4moe_status
compare_expert(const struct w4_transfer *transfer, struct packer *p,
        const struct w4_plan_layer *layer, size_t number, struct result *result)
{
    const struct w4_source *source = transfer->source;
    const struct w4_weight *weights =
            w4_source_weight(source, layer->source, number, W4_GATE);
    struct w4_compare *compare = &p->compare;
    compare->layer = source->layers[layer->source].number;
    compare->expert = number;
    compare->error = compare->total = 0.0;
    w4moe_status status = w4_matrix_check_data(
            w4_ctx_err(transfer->ctx), &p->buffer.w13, "packed w13");
    if (status == W4MOE_OK) {
        status = w4_compare_matrix(
                compare, &p->buffer.w13, weights, &p->buffer.orders, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4_compare_matrix(
                compare, &p->buffer.w2, weights, &p->buffer.orders, W4MOE_W2);
    }
    result->error = compare->error;
    result->total = compare->total;
    return status;
}

/* Writes the arrays of an expert, and notes the hash of each. */
static w4moe_status
write_arrays(struct w4_transfer *transfer, w4moe_matrix *one,
        const uint64_t bytes[W4_N_ARRAYS], const size_t entries[W4_N_ARRAYS],
        size_t expert)
{
    size_t n_experts = transfer->plan->meta.n_experts;
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        if (bytes[a] == 0) {
            continue;
        }
        void *data = *w4_array_place(one, (enum w4_array)a);
        size_t size =
                w4moe_dtype_size(transfer->plan->entries[entries[a]].dtype);
        w4_swap_le(data, size, (size_t)bytes[a] / size);
        transfer->pieces[entries[a] * n_experts + expert] =
                XXH3_64bits(data, (size_t)bytes[a]);
        w4moe_status status = w4_st_writer_write(transfer->writer, entries[a],
                expert * bytes[a], data, bytes[a]);
        if (status != W4MOE_OK) {
            return status;
        }
        transfer->bytes_done += bytes[a];
    }
    return W4MOE_OK;
}

/* Hash of the codes of an expert that has been written. */
static uint64_t
hash_of_codes(const struct w4_transfer *transfer,
        const struct w4_plan_layer *layer, size_t expert)
{
    size_t n_experts = transfer->plan->meta.n_experts;
    const uint64_t *pieces = transfer->pieces;
    const uint64_t hashes[2] = {
            pieces[layer->w13_entries[W4_ARRAY_QWEIGHT] * n_experts + expert],
            pieces[layer->w2_entries[W4_ARRAY_QWEIGHT] * n_experts + expert]};
    return XXH3_64bits(hashes, sizeof(hashes));
}

static w4moe_status
pack_expert(struct w4_transfer *transfer, struct packer *p,
        const struct w4_plan_layer *layer, size_t expert, struct result *result)
{
    const struct w4_source *source = transfer->source;
    struct w4_expert_buffer *buffer = &p->buffer;
    size_t number = transfer->plan->first_expert + expert;
    *result = (struct result){0};
    w4moe_status status = w4_source_pack(transfer->ctx, source, layer->source,
            number, &buffer->w13, &buffer->w2, &buffer->orders, &buffer->rows);
    if (status == W4MOE_OK) {
        w4_findings_of_expert(&result->findings, &buffer->w13, &buffer->w2);
        if (transfer->verify) {
            status = compare_expert(transfer, p, layer, number, result);
        }
    }
    if (status == W4MOE_OK) {
        status = write_arrays(transfer, &buffer->w13, buffer->w13_bytes,
                layer->w13_entries, expert);
    }
    if (status == W4MOE_OK) {
        status = write_arrays(transfer, &buffer->w2, buffer->w2_bytes,
                layer->w2_entries, expert);
    }
    if (status == W4MOE_OK) {
        result->findings.hash = hash_of_codes(transfer, layer, expert);
        status = w4_transfer_report(
                transfer, "convert", source->layers[layer->source].number);
    }
    return status;
}

static w4moe_status
copy_router(struct w4_transfer *transfer, const struct w4_plan_layer *layer)
{
    w4moe_status status = W4MOE_OK;
    const struct w4_source_layer *source =
            &transfer->source->layers[layer->source];
    for (int i = 0; i < W4_N_ROUTER_PARTS && status == W4MOE_OK; i++) {
        const struct w4_tensor *tensor = source->router[i];
        size_t entry = layer->router_entries[i];
        if (tensor == NULL) {
            continue;
        }
        transfer->pieces[entry * transfer->plan->meta.n_experts] =
                XXH3_64bits(tensor->data, (size_t)tensor->n_bytes);
        status = w4_st_writer_write(
                transfer->writer, entry, 0, tensor->data, tensor->n_bytes);
        transfer->bytes_done += tensor->n_bytes;
    }
    return status;
}

static w4moe_status
pack_layer(struct w4_transfer *transfer, const struct w4_plan_layer *layer,
        struct result *results)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    struct w4_first first = {0};
    size_t n_experts = layer->w13.n_experts;
#pragma omp parallel num_threads(transfer->ctx->n_threads)
    {
        struct packer p = {0};
        w4_first_note(
                &first, err, packer_make(err, &p, transfer->source, layer));
#pragma omp for schedule(dynamic)
        for (size_t expert = 0; expert < n_experts; expert++) {
            if (!w4_first_any(&first, err)) {
                w4_first_note(&first, err,
                        pack_expert(
                                transfer, &p, layer, expert, &results[expert]));
            }
        }
        packer_free(&p);
    }
    w4moe_status status = w4_first_raise(&first, err);
    /* The caller's thread may not have had an expert. */
    return status == W4MOE_OK
                   ? w4_transfer_report(transfer, "convert",
                             transfer->source->layers[layer->source].number)
                   : status;
}

/* Adds up what came of a layer's experts, in their order, so that sums are the
 * same on every run. */
static w4moe_status
add_results(struct w4_transfer *transfer, const struct w4_plan_layer *layer,
        struct result *results)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    size_t n = layer->w13.n_experts;
    struct w4_findings *findings = calloc(n, sizeof(*findings));
    if (findings == NULL) {
        return w4_fail(
                err, W4MOE_NOMEM, "no memory for findings in %zu experts", n);
    }
    for (size_t e = 0; e < n; e++) {
        findings[e] = results[e].findings;
        transfer->error += results[e].error;
        transfer->total += results[e].total;
    }
    w4moe_status status = w4_findings_of_layer(err, findings, n);
    for (size_t e = 0; e < n && status == W4MOE_OK; e++) {
        w4_findings_add(err, &transfer->findings, &findings[e],
                transfer->source->layers[layer->source].number,
                transfer->plan->meta.first_expert + e);
    }
    free(findings);
    return status;
}

w4moe_status
w4_transfer_pack(struct w4_transfer *transfer)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    const struct w4_plan *plan = transfer->plan;
    size_t n_experts = plan->meta.n_experts;
    struct result *results = calloc(n_experts, sizeof(*results));
    w4moe_status status = W4MOE_OK;
    transfer->pieces =
            calloc(plan->n_entries * n_experts, sizeof(*transfer->pieces));
    if (results == NULL || transfer->pieces == NULL) {
        status = w4_fail(err, W4MOE_NOMEM,
                "no memory for hashes of %zu x %zu arrays", plan->n_entries,
                n_experts);
    }
    for (size_t l = 0; l < plan->n_layers && status == W4MOE_OK; l++) {
        const struct w4_plan_layer *layer = &plan->layers[l];
        status = pack_layer(transfer, layer, results);
        if (status == W4MOE_OK) {
            status = add_results(transfer, layer, results);
        }
        if (status == W4MOE_OK) {
            status = copy_router(transfer, layer);
        }
        transfer->n_experts_verified += transfer->verify ? n_experts : 0;
    }
    if (status == W4MOE_OK) {
        w4_findings_sum(err, &transfer->findings);
    }
    free(results);
    return status;
}
