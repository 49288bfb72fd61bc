/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the matrix instructions of the layouts have in common. Each is computed
 * from what the lanes really brought. Products are exact and sums are double,
 * rounded once for an instruction.
 */
#ifndef W4_HOST_MATRIX_H
#define W4_HOST_MATRIX_H

typedef float (*gpu_host_decode)(uint32_t bits);

/* Pairs as the bits of floats. */
GPU_INLINE void
gpu_host_unpack(uint32_t *floats, gpu_host_decode decode, const uint32_t *pairs,
        unsigned n_pairs)
{
    for (unsigned i = 0; i < n_pairs; i++) {
        floats[2 * i] = gpu_bits(decode(pairs[i]));
        floats[2 * i + 1] = gpu_bits(decode(pairs[i] >> 16));
    }
}

GPU_INLINE double
gpu_host_product(uint32_t a, uint32_t b)
{
    return static_cast<double>(gpu_from_bits(a)) *
           static_cast<double>(gpu_from_bits(b));
}

/* n u32, 2 or a multiple of 4, of shared memory. */
GPU_INLINE void
gpu_host_load_row(const char *operation, const gpu_site &site, uint32_t *v,
        const uint32_t *row, unsigned n)
{
    if (!gpu_shim_is_shared(row, n * sizeof(*row))) {
        gpu_shim_fail(site, "%s: not in shared memory", operation);
    }
    gpu_host_aligned(operation, site, row, n == 2 ? 8 : 16);
    memcpy(v, row, n * sizeof(*row));
}

/* 16 bytes to shared memory. */
GPU_INLINE void
gpu_put4(uint32_t *p, struct gpu_u4 v, gpu_site site = gpu_here())
{
    if (!gpu_shim_is_shared(p, sizeof(v))) {
        gpu_shim_fail(site, "gpu_put4: not in shared memory");
    }
    gpu_host_aligned("gpu_put4", site, p, 16);
    memcpy(p, v.v, sizeof(v));
}

#endif
