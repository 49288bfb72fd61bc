/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Packing, hashing, and what the phases share. */
#include "format/transfer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/bytes.h"
#include "base/size.h"

/* ---------------------------------------------------------- what is shared */

/* Bytes of one expert's arrays. */
static void
measure(uint64_t bytes[W4_N_ARRAYS], const w4moe_matrix *one,
        const size_t entries[W4_N_ARRAYS])
{
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, one);
    const uint64_t all[W4_N_ARRAYS] = {sizes.qweight, sizes.scales,
            sizes.qzeros, sizes.offsets, sizes.perm, sizes.bias};
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        bytes[a] = entries[a] != W4_NO_ENTRY ? all[a] : 0;
    }
}

/* Gives the arrays their places, one behind the other. */
static char *
place(w4moe_matrix *one, const uint64_t bytes[W4_N_ARRAYS], char *next)
{
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        if (bytes[a] != 0) {
            *w4_array_place(one, (enum w4_array)a) = next;
            next += (bytes[a] + 63) / 64 * 64;
        }
    }
    return next;
}

/* Room for rows of both matrices, in groups of any weight's length. */
static w4moe_status
make_rows(struct w4_err *err, struct w4_expert_buffer *buffer)
{
    size_t n_in = buffer->w13.n_in > buffer->w2.n_in ? buffer->w13.n_in
                                                     : buffer->w2.n_in;
    size_t group_size = buffer->w13.group_size < buffer->w2.group_size
                                ? buffer->w13.group_size
                                : buffer->w2.group_size;
    return w4_rows_make(
            err, &buffer->rows, n_in, w4_ceil_div(n_in, group_size));
}

w4moe_status
w4_expert_buffer_make(struct w4_err *err, struct w4_expert_buffer *buffer,
        const struct w4_source *source, const struct w4_plan_layer *layer)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->w13 = layer->w13;
    buffer->w2 = layer->w2;
    buffer->w13.n_experts = buffer->w2.n_experts = 1;
    measure(buffer->w13_bytes, &buffer->w13, layer->w13_entries);
    measure(buffer->w2_bytes, &buffer->w2, layer->w2_entries);
    uint64_t total = 0;
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        total += (buffer->w13_bytes[a] + 63) / 64 * 64 +
                 (buffer->w2_bytes[a] + 63) / 64 * 64;
    }
    buffer->memory = malloc((size_t)total);
    if (buffer->memory == NULL) {
        return w4_fail(err, W4MOE_NOMEM,
                "no memory for an expert of %" PRIu64 " bytes", total);
    }
    char *next = place(&buffer->w13, buffer->w13_bytes, buffer->memory);
    place(&buffer->w2, buffer->w2_bytes, next);
    w4moe_status status = w4_orders_make(err, &buffer->orders, source);
    return status == W4MOE_OK ? make_rows(err, buffer) : status;
}

void
w4_expert_buffer_free(struct w4_expert_buffer *buffer)
{
    w4_orders_free(&buffer->orders);
    w4_rows_free(&buffer->rows);
    free(buffer->memory);
    memset(buffer, 0, sizeof(*buffer));
}

static int
is_caller_thread(void)
{
#ifdef _OPENMP
    return omp_get_thread_num() == 0;
#else
    return 1;
#endif
}

w4moe_status
w4_transfer_report(
        struct w4_transfer *transfer, const char *phase, uint32_t layer)
{
    if (transfer->progress == NULL || !is_caller_thread()) {
        return W4MOE_OK;
    }
    w4moe_progress progress = {
            .struct_size = sizeof(progress),
            .phase = phase,
            .bytes_done = transfer->bytes_done,
            .bytes_total = transfer->bytes_total,
            .layer = layer,
    };
    if (transfer->progress(transfer->progress_user, &progress) != 0) {
        return w4_fail(w4_ctx_err(transfer->ctx), W4MOE_CANCELLED,
                "stopped by the caller after %" PRIu64 " of %" PRIu64 " bytes",
                progress.bytes_done, progress.bytes_total);
    }
    return W4MOE_OK;
}

/* ------------------------------------------------------------------ packing */

static w4moe_status
write_arrays(struct w4_transfer *transfer, w4moe_matrix *one,
        const uint64_t bytes[W4_N_ARRAYS], const size_t entries[W4_N_ARRAYS],
        size_t expert)
{
    for (int a = 0; a < W4_N_ARRAYS; a++) {
        if (bytes[a] == 0) {
            continue;
        }
        void *data = *w4_array_place(one, (enum w4_array)a);
        size_t size =
                w4moe_dtype_size(transfer->plan->entries[entries[a]].dtype);
        w4_swap_le(data, size, (size_t)bytes[a] / size);
        w4moe_status status = w4_st_writer_write(transfer->writer, entries[a],
                expert * bytes[a], data, bytes[a]);
        if (status != W4MOE_OK) {
            return status;
        }
        transfer->bytes_done += bytes[a];
    }
    return W4MOE_OK;
}

static w4moe_status
pack_expert(struct w4_transfer *transfer, struct w4_expert_buffer *buffer,
        const struct w4_plan_layer *layer, size_t expert,
        struct w4_findings *findings)
{
    const struct w4_source *source = transfer->source;
    w4moe_status status = w4_source_pack(transfer->ctx, source, layer->source,
            transfer->plan->first_expert + expert, &buffer->w13, &buffer->w2,
            &buffer->orders, &buffer->rows);
    if (status == W4MOE_OK) {
        w4_findings_of_expert(&findings[expert], &buffer->w13, &buffer->w2);
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
        if (tensor != NULL) {
            status = w4_st_writer_write(transfer->writer,
                    layer->router_entries[i], 0, tensor->data, tensor->n_bytes);
            transfer->bytes_done += tensor->n_bytes;
        }
    }
    return status;
}

static w4moe_status
pack_layer(struct w4_transfer *transfer, const struct w4_plan_layer *layer,
        struct w4_findings *findings)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    struct w4_first first = {0};
    size_t n_experts = layer->w13.n_experts;
#pragma omp parallel num_threads(transfer->ctx->n_threads)
    {
        struct w4_expert_buffer buffer;
        w4_first_note(&first, err,
                w4_expert_buffer_make(err, &buffer, transfer->source, layer));
#pragma omp for schedule(dynamic)
        for (size_t expert = 0; expert < n_experts; expert++) {
            if (!w4_first_any(&first, err)) {
                w4_first_note(&first, err,
                        pack_expert(
                                transfer, &buffer, layer, expert, findings));
            }
        }
        w4_expert_buffer_free(&buffer);
    }
    w4moe_status status = w4_first_raise(&first, err);
    /* The caller's thread may not have had an expert. */
    return status == W4MOE_OK
                   ? w4_transfer_report(transfer, "convert",
                             transfer->source->layers[layer->source].number)
                   : status;
}

/* Adds what was found in a layer's experts, in their order. */
static w4moe_status
add_findings(struct w4_transfer *transfer, const struct w4_plan_layer *layer,
        struct w4_findings *findings)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    size_t n = layer->w13.n_experts;
    w4moe_status status = w4_findings_of_layer(err, findings, n);
    for (size_t e = 0; e < n && status == W4MOE_OK; e++) {
        w4_findings_add(err, &transfer->findings, &findings[e],
                transfer->source->layers[layer->source].number,
                transfer->plan->meta.first_expert + e);
    }
    return status;
}

w4moe_status
w4_transfer_pack(struct w4_transfer *transfer)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    size_t n_experts = transfer->plan->meta.n_experts;
    struct w4_findings *findings = calloc(n_experts, sizeof(*findings));
    w4moe_status status = W4MOE_OK;
    if (findings == NULL) {
        status = w4_fail(err, W4MOE_NOMEM,
                "no memory for findings in %zu experts", n_experts);
    }
    for (size_t l = 0; l < transfer->plan->n_layers && status == W4MOE_OK;
            l++) {
        const struct w4_plan_layer *layer = &transfer->plan->layers[l];
        status = pack_layer(transfer, layer, findings);
        if (status == W4MOE_OK) {
            status = add_findings(transfer, layer, findings);
        }
        if (status == W4MOE_OK) {
            status = copy_router(transfer, layer);
        }
    }
    if (status == W4MOE_OK) {
        w4_findings_sum(err, &transfer->findings);
    }
    free(findings);
    return status;
}

/* ------------------------------------------------------------------ hashing */

static uint64_t
entry_bytes(const struct w4_st_entry *entry)
{
    uint64_t bytes = w4moe_dtype_size(entry->dtype);
    for (uint32_t d = 0; d < entry->n_dims; d++) {
        bytes *= entry->shape[d];
    }
    return bytes;
}

/* Hashes of all entries, as texts; data[i] is entry i's in the file. */
static w4moe_status
hash_entries(struct w4_transfer *transfer, char (*texts)[W4_HASH_TEXT],
        const void *const *data)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    const struct w4_plan *plan = transfer->plan;
    struct w4_first first = {0};
#pragma omp parallel for schedule(dynamic) num_threads(transfer->ctx->n_threads)
    for (size_t i = 0; i < plan->n_entries; i++) {
        if (w4_first_any(&first, err)) {
            continue;
        }
        uint64_t n = entry_bytes(&plan->entries[i]);
        w4moe_status status = w4_hash_text(err, texts[i], data[i], n, 1);
        transfer->bytes_done += n;
        if (status == W4MOE_OK) {
            status = w4_transfer_report(transfer, "hash", 0);
        }
        w4_first_note(&first, err, status);
    }
    return w4_first_raise(&first, err);
}

w4moe_status
w4_transfer_hash(struct w4_transfer *transfer)
{
    const struct w4_plan *plan = transfer->plan;
    char(*texts)[W4_HASH_TEXT] = calloc(plan->n_entries, sizeof(*texts));
    const void **data = calloc(plan->n_entries, sizeof(*data));
    w4moe_status status = W4MOE_OK;
    if (texts == NULL || data == NULL) {
        status = w4_fail(w4_ctx_err(transfer->ctx), W4MOE_NOMEM,
                "no memory for %zu hashes", plan->n_entries);
    }
    for (size_t i = 0; i < plan->n_entries && status == W4MOE_OK; i++) {
        status = w4_st_writer_read(transfer->writer, i, &data[i]);
    }
    if (status == W4MOE_OK) {
        status = hash_entries(transfer, texts, data);
    }
    for (size_t i = 0; i < plan->n_entries && status == W4MOE_OK; i++) {
        char key[W4_TENSOR_NAME_MAX + 8];
        w4_hash_key(key, plan->names[i]);
        status = w4_st_writer_set(transfer->writer, key, texts[i]);
    }
    free(data);
    free(texts);
    return status;
}
