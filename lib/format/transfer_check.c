/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The second phase: the file is read back, compared by hashes with what was
 * packed, and hashed tensor by tensor. */
#include <stdlib.h>
#include <xxhash.h>

#include "format/transfer.h"

/* Bytes that are hashed twice while they are in the cache. */
enum { BLOCK = 64 * 1024 };

/* One tensor of the file, in pieces of equal size: one for each expert, or one
 * in all. */
struct tensor {
    const unsigned char *data;
    uint64_t n_bytes;
    size_t n_pieces;
    const uint64_t *pieces;
};

static uint64_t
entry_bytes(const struct w4_st_entry *entry)
{
    uint64_t bytes = w4moe_dtype_size(entry->dtype);
    for (uint32_t d = 0; d < entry->n_dims; d++) {
        bytes *= entry->shape[d];
    }
    return bytes;
}

/* Hashes a piece, also as a part of the whole. */
static uint64_t
hash_piece(XXH3_state_t *whole, XXH3_state_t *part, const unsigned char *data,
        uint64_t n_bytes)
{
    XXH3_64bits_reset(part);
    for (uint64_t at = 0; at < n_bytes; at += BLOCK) {
        uint64_t left = n_bytes - at;
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        XXH3_64bits_update(part, data + at, n);
        XXH3_128bits_update(whole, data + at, n);
    }
    return XXH3_64bits_digest(part);
}

/* Compares the pieces of a tensor, and hashes it. */
static w4moe_status
check_tensor(struct w4_transfer *transfer, const struct tensor *tensor,
        const char *name, XXH128_hash_t *hash)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    XXH3_state_t *whole = XXH3_createState();
    XXH3_state_t *part = XXH3_createState();
    uint64_t n_bytes = tensor->n_bytes / tensor->n_pieces;
    w4moe_status status = W4MOE_OK;
    if (whole == NULL || part == NULL) {
        status = w4_fail(err, W4MOE_NOMEM, "no memory for a hash");
    } else {
        XXH3_128bits_reset(whole);
    }
    for (size_t i = 0; i < tensor->n_pieces && status == W4MOE_OK; i++) {
        uint64_t got =
                hash_piece(whole, part, tensor->data + i * n_bytes, n_bytes);
        if (got != tensor->pieces[i]) {
            status = w4_fail(err, W4MOE_MISMATCH,
                    "tensor \"%s\", part %zu of %zu: the file does not hold "
                    "what was written to it",
                    name, i, tensor->n_pieces);
        }
        transfer->bytes_done += n_bytes;
        if (status == W4MOE_OK) {
            status = w4_transfer_report(transfer, "check", 0);
        }
    }
    if (status == W4MOE_OK) {
        *hash = XXH3_128bits_digest(whole);
    }
    XXH3_freeState(part);
    XXH3_freeState(whole);
    return status;
}

/* Hashes of all entries; tensors[i] is entry i's in the file. */
static w4moe_status
check_tensors(struct w4_transfer *transfer, const struct tensor *tensors,
        XXH128_hash_t *hashes)
{
    struct w4_err *err = w4_ctx_err(transfer->ctx);
    const struct w4_plan *plan = transfer->plan;
    struct w4_first first = {0};
#pragma omp parallel for schedule(dynamic) num_threads(transfer->ctx->n_threads)
    for (size_t i = 0; i < plan->n_entries; i++) {
        if (!w4_first_any(&first, err)) {
            w4_first_note(&first, err,
                    check_tensor(
                            transfer, &tensors[i], plan->names[i], &hashes[i]));
        }
    }
    return w4_first_raise(&first, err);
}

/* Where the tensors of the file stand. */
static w4moe_status
find_tensors(struct w4_transfer *transfer, struct tensor *tensors)
{
    const struct w4_plan *plan = transfer->plan;
    size_t n_experts = plan->meta.n_experts;
    w4moe_status status = W4MOE_OK;
    for (size_t i = 0; i < plan->n_entries && status == W4MOE_OK; i++) {
        const void *data = NULL;
        status = w4_st_writer_read(transfer->writer, i, &data);
        tensors[i] = (struct tensor){
                .data = data,
                .n_bytes = entry_bytes(&plan->entries[i]),
                .n_pieces = n_experts,
                .pieces = transfer->pieces + i * n_experts,
        };
    }
    for (size_t l = 0; l < plan->n_layers; l++) {
        for (int r = 0; r < W4_N_ROUTER_PARTS; r++) {
            size_t entry = plan->layers[l].router_entries[r];
            if (entry != W4_NO_ENTRY) {
                tensors[entry].n_pieces = 1;
            }
        }
    }
    return status;
}

w4moe_status
w4_transfer_check(struct w4_transfer *transfer)
{
    const struct w4_plan *plan = transfer->plan;
    XXH128_hash_t *hashes = calloc(plan->n_entries, sizeof(*hashes));
    struct tensor *tensors = calloc(plan->n_entries, sizeof(*tensors));
    w4moe_status status = W4MOE_OK;
    if (hashes == NULL || tensors == NULL) {
        status = w4_fail(w4_ctx_err(transfer->ctx), W4MOE_NOMEM,
                "no memory for %zu hashes", plan->n_entries);
    }
    if (status == W4MOE_OK) {
        status = find_tensors(transfer, tensors);
    }
    if (status == W4MOE_OK) {
        status = check_tensors(transfer, tensors, hashes);
    }
    for (size_t i = 0; i < plan->n_entries && status == W4MOE_OK; i++) {
        char key[W4_TENSOR_NAME_MAX + 8];
        char text[W4_HASH_TEXT];
        w4_hash_key(key, plan->names[i]);
        w4_hash_print(text, hashes[i]);
        status = w4_st_writer_set(transfer->writer, key, text);
    }
    free(tensors);
    free(hashes);
    return status;
}
