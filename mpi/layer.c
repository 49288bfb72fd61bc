/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "layer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------- owners */

/* The owners that the caller says, or blocks. */
static w4moe_status
take_owners(w4moe_mpi_layer *layer, const int32_t *owners)
{
    const w4moe_mpi *mpi = layer->mpi;
    uint64_t n_ranks = (uint64_t)mpi->n_ranks;
    for (size_t e = 0; e < layer->n_experts; e++) {
        int32_t owner = owners != NULL
                                ? owners[e]
                                : (int32_t)(e * n_ranks / layer->n_experts);
        if (owner < 0 || owner >= mpi->n_ranks) {
            return w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                    "mpi_layer: expert %zu is rank %" PRId32 "'s, of %d ranks",
                    e, owner, mpi->n_ranks);
        }
        layer->owners[e] = owner;
        layer->nowhere[e] = -1;
        layer->expert_map[e] = -1;
        if (owner == mpi->rank) {
            layer->expert_map[e] = (int32_t)layer->n_here++;
        }
    }
    return W4MOE_OK;
}

/* Whether rank 0 has the same; `scratch` has room for owners. Collective. */
static w4moe_status
compare_owners(const w4moe_mpi_layer *layer, int32_t *scratch)
{
    const w4moe_mpi *mpi = layer->mpi;
    memcpy(scratch, layer->owners, layer->n_experts * sizeof(scratch[0]));
    w4moe_status status = w4_mpi_check(mpi->ctx,
            MPI_Bcast(
                    scratch, (int)layer->n_experts, MPI_INT32_T, 0, mpi->comm),
            "MPI_Bcast");
    if (status != W4MOE_OK) {
        return status;
    }
    for (size_t e = 0; e < layer->n_experts && status == W4MOE_OK; e++) {
        if (scratch[e] != layer->owners[e]) {
            status = w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                    "mpi_layer: expert %zu is rank %" PRId32
                    "'s; as rank 0 says, rank %" PRId32 "'s",
                    e, layer->owners[e], scratch[e]);
        }
    }
    return w4moe_mpi_agree(mpi, status);
}

/* Sets who has which of n_experts experts. Collective, with the status of what
 * this rank did before. */
static w4moe_status
share_owners(w4moe_mpi_layer *layer, w4moe_status status, size_t n_experts,
        const int32_t *owners)
{
    static const char *const names[] = {"mpi_layer: the number of experts"};
    const w4moe_mpi *mpi = layer->mpi;
    int32_t *scratch = NULL;
    if (status == W4MOE_OK && n_experts > INT32_MAX) {
        status = w4_mpi_fail(mpi->ctx, W4MOE_UNSUPPORTED,
                "mpi_layer: %zu experts", n_experts);
    }
    if (status == W4MOE_OK) {
        layer->n_experts = n_experts;
        layer->owners = calloc(n_experts, sizeof(layer->owners[0]));
        layer->expert_map = calloc(n_experts, sizeof(layer->expert_map[0]));
        layer->nowhere = calloc(n_experts, sizeof(layer->nowhere[0]));
        scratch = calloc(n_experts, sizeof(scratch[0]));
        if (layer->owners == NULL || layer->expert_map == NULL ||
                layer->nowhere == NULL || scratch == NULL) {
            status = w4_mpi_fail(
                    mpi->ctx, W4MOE_NOMEM, "no memory for owners of experts");
        }
    }
    if (status == W4MOE_OK) {
        status = take_owners(layer, owners);
    }
    const uint64_t values[] = {n_experts};
    status = w4_mpi_same(mpi, status, values, names, 1);
    if (status == W4MOE_OK) {
        status = compare_owners(layer, scratch);
    }
    free(scratch);
    return status;
}

/* ------------------------------------------------------------------- layers */

/* Maps for calls in device memory. */
static w4moe_status
place_maps(w4moe_mpi_layer *layer)
{
    const w4moe_ctx *ctx = layer->mpi->ctx;
    void *maps = NULL;
    if (strcmp(layer->info.backend, "cpu") == 0) {
        return W4MOE_OK;
    }
    w4moe_status status = w4moe_memory_alloc(
            ctx, &maps, 2 * w4_mpi_map_size(layer), W4MOE_MEMORY_DEVICE);
    layer->device_maps = maps;
    if (status == W4MOE_OK) {
        status = w4moe_memory_copy(
                ctx, maps, layer->expert_map, w4_mpi_map_size(layer), NULL);
    }
    return status == W4MOE_OK
                   ? w4moe_memory_copy(ctx,
                             layer->device_maps + layer->n_experts,
                             layer->nowhere, w4_mpi_map_size(layer), NULL)
                   : status;
}

/* Takes the rank's part. Collective, with the status of what made it. */
static w4moe_status
take_local(w4moe_mpi_layer *layer, w4moe_status status)
{
    static const char *const names[] = {"mpi_layer: the hidden size",
            "mpi_layer: the number of shared experts"};
    const w4moe_mpi *mpi = layer->mpi;
    if (status == W4MOE_OK) {
        layer->info.struct_size = sizeof(layer->info);
        status = w4moe_layer_get_info(layer->local, &layer->info);
    }
    if (status == W4MOE_OK && layer->info.ctx != mpi->ctx) {
        status = w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                "mpi_layer: the layer is of another context");
    }
    if (status == W4MOE_OK && layer->n_here != 0 &&
            layer->info.n_experts != layer->n_here) {
        status = w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                "mpi_layer: a layer of %zu experts on rank %d, which has %zu",
                layer->info.n_experts, mpi->rank, layer->n_here);
    }
    if (status == W4MOE_OK) {
        status = place_maps(layer);
    }
    const uint64_t values[] = {
            layer->info.hidden_size, layer->info.n_shared_experts};
    return w4_mpi_same(mpi, status, values, names, 2);
}

/* Makes an empty one. */
static w4moe_status
begin(const w4moe_mpi *mpi, w4moe_mpi_layer **layer_p)
{
    *layer_p = calloc(1, sizeof(**layer_p));
    if (*layer_p == NULL) {
        return w4_mpi_fail(mpi->ctx, W4MOE_NOMEM, "no memory for a layer");
    }
    (*layer_p)->mpi = mpi;
    return W4MOE_OK;
}

w4moe_status
w4moe_mpi_layer_create(const w4moe_mpi *mpi, w4moe_mpi_layer **layer_p,
        const w4moe_layer *local, const int32_t *owners)
{
    if (mpi == NULL || layer_p == NULL || local == NULL) {
        return w4moe_ctx_fail(mpi != NULL ? mpi->ctx : NULL, W4MOE_INVALID,
                "mpi_layer: mpi, layer_p or local is NULL");
    }
    w4moe_mpi_layer *layer = NULL;
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    w4moe_status status = w4moe_layer_get_info(local, &info);
    if (status == W4MOE_OK) {
        status = begin(mpi, &layer);
    }
    status = w4moe_mpi_agree(mpi, status);
    if (status == W4MOE_OK) {
        layer->local = local;
        status = share_owners(layer, status, info.n_experts_global, owners);
    }
    if (status == W4MOE_OK) {
        status = take_local(layer, status);
    }
    if (status != W4MOE_OK) {
        w4moe_mpi_layer_destroy(layer);
        return status;
    }
    *layer_p = layer;
    return W4MOE_OK;
}

/* Loads what this rank has; where that is nothing, what a layer must have. */
static w4moe_status
load_local(w4moe_mpi_layer *layer, const w4moe_file *file, uint32_t number,
        size_t first_of_file, unsigned flags)
{
    const w4moe_ctx *ctx = layer->mpi->ctx;
    if (layer->n_here == 0) {
        return w4moe_layer_load_experts(
                ctx, &layer->loaded, file, number, first_of_file, 1, flags);
    }
    int32_t *experts = calloc(layer->n_here, sizeof(experts[0]));
    if (experts == NULL) {
        return w4_mpi_fail(ctx, W4MOE_NOMEM, "no memory for a list of experts");
    }
    for (size_t e = 0; e < layer->n_experts; e++) {
        if (layer->expert_map[e] >= 0) {
            experts[layer->expert_map[e]] = (int32_t)e;
        }
    }
    w4moe_status status = w4moe_layer_load_list(
            ctx, &layer->loaded, file, number, experts, layer->n_here, flags);
    free(experts);
    return status;
}

w4moe_status
w4moe_mpi_layer_load(const w4moe_mpi *mpi, w4moe_mpi_layer **layer_p,
        const w4moe_file *file, uint32_t number, const int32_t *owners,
        unsigned flags)
{
    if (mpi == NULL || layer_p == NULL) {
        return w4moe_ctx_fail(mpi != NULL ? mpi->ctx : NULL, W4MOE_INVALID,
                "mpi_layer: mpi or layer_p is NULL");
    }
    w4moe_mpi_layer *layer = NULL;
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_status status = file != NULL ? w4moe_file_get_info(file, &info)
                                       : w4moe_ctx_fail(mpi->ctx, W4MOE_INVALID,
                                                 "mpi_layer: file is NULL");
    if (status == W4MOE_OK) {
        status = begin(mpi, &layer);
    }
    status = w4moe_mpi_agree(mpi, status);
    if (status == W4MOE_OK) {
        status = share_owners(layer, status, info.n_experts_total, owners);
    }
    if (status == W4MOE_OK) {
        status = load_local(layer, file, number, info.first_expert, flags);
        layer->local = layer->loaded;
        status = take_local(layer, status);
    }
    if (status != W4MOE_OK) {
        w4moe_mpi_layer_destroy(layer);
        return status;
    }
    *layer_p = layer;
    return W4MOE_OK;
}

void
w4moe_mpi_layer_destroy(w4moe_mpi_layer *layer)
{
    if (layer != NULL) {
        w4moe_memory_free(layer->mpi->ctx, layer->device_maps,
                2 * w4_mpi_map_size(layer), W4MOE_MEMORY_DEVICE);
        w4moe_layer_destroy(layer->loaded);
        free(layer->owners);
        free(layer->expert_map);
        free(layer->nowhere);
        free(layer);
    }
}

const w4moe_layer *
w4moe_mpi_layer_local(const w4moe_mpi_layer *layer)
{
    return layer != NULL ? layer->local : NULL;
}
