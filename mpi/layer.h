/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A layer whose experts are spread over ranks: who has which.
 */
#ifndef W4_MPI_LAYER_H
#define W4_MPI_LAYER_H

#include "ranks.h"

struct w4moe_mpi_layer {
    const w4moe_mpi *mpi;
    /** This rank's experts, and the router. */
    const w4moe_layer *local;
    /** The same, if it was loaded here. */
    w4moe_layer *loaded;
    w4moe_layer_info info;
    /** Of the model. */
    size_t n_experts;
    /** On this rank, may be 0. */
    size_t n_here;
    /** [n_experts] each: the rank; the number in `local`, -1 elsewhere; and
     * -1 for all. */
    int32_t *owners;
    int32_t *expert_map;
    int32_t *nowhere;
    /** The last two, one after the other, in device memory; NULL where the
     * backend is "cpu". */
    int32_t *device_maps;
};

/** Bytes of one of them. */
static inline uint64_t
w4_mpi_map_size(const w4moe_mpi_layer *layer)
{
    return layer->n_experts * sizeof(layer->device_maps[0]);
}

#endif
