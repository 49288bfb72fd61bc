/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Runs kernels that were compiled with arch_host.h on the processor. The
 * threads of a workgroup are fibers; between two points where they wait for
 * each other each runs undisturbed, in an order that a seed decides, so that a
 * kernel that relies on an order gives a wrong result with some seed. Shared
 * memory begins as a pattern of 0xFF bytes in each block, between forbidden
 * pages.
 *
 * A launch fails, with a message, if a kernel breaks a promise of arch.h: not
 * all threads reach a barrier, or not all lanes of a wave the same wave
 * operation, a number is not uniform, an address is not aligned. A call site is
 * a line: two calls on one line are the same to these checks.
 *
 * Launches of different threads of the operating system are independent.
 */
#ifndef GPU_SHIM_H
#define GPU_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Matrix instructions that a kernel was compiled for: W4_HOST_LAYOUT. */
enum gpu_shim_layout {
    GPU_SHIM_GFX11 = 11,
    GPU_SHIM_GFX12 = 12,
    GPU_SHIM_NVIDIA = 80
};

enum { GPU_SHIM_MAX_THREADS = 1024, GPU_SHIM_MAX_ARGS = 4096 };

struct gpu_shim_kernel {
    const char *name;
    enum gpu_shim_layout layout;
    unsigned n_threads;
    size_t args_size;
    void (*run)(const void *args);
    const struct gpu_shim_kernel *next;
};

/** The kernel of that name and layout in this program, or NULL. */
const struct gpu_shim_kernel *gpu_shim_find(
        enum gpu_shim_layout layout, const char *name);

/** Runs a kernel on a grid of blocks of n_threads, with a copy of `size` bytes
 * of arguments. Returns 0, or -1 with gpu_shim_message(). */
int gpu_shim_launch(const struct gpu_shim_kernel *kernel, unsigned grid_x,
        unsigned grid_y, unsigned n_threads, const void *args, size_t size);

/** Why the last launch of this thread failed; "" if it did not. */
const char *gpu_shim_message(void);

/** The order of threads and blocks: 0 is ascending, 1 descending, others are
 * random. It holds for all launches from now on; at the start it is the
 * environment's W4MOE_GPU_SEED, or 0. */
void gpu_shim_seed(uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif
