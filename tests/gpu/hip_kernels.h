/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Kernels by themselves: the code objects of a device, launches, and arrays
 * with something behind them that must stay.
 */
#ifndef HIP_KERNELS_H
#define HIP_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../../hip/hip_api.h"

/** Loads those of a device of this architecture (see hip_device_use()). */
extern void hip_kernels_load(const char *arch);
extern void hip_kernels_unload(void);

/** Runs a kernel on a row of workgroups, and waits for it. */
extern void hip_kernel_run(
        const char *name, unsigned n_blocks, unsigned n_threads, void *args);

/** On a grid of x * y workgroups. */
extern void hip_kernel_run_grid(const char *name, unsigned x, unsigned y,
        unsigned n_threads, void *args);

/** As hip_kernel_run(), for kernels that may fail. */
extern hipError_t hip_kernel_try(
        const char *name, unsigned n_blocks, unsigned n_threads, void *args);

/** Device memory of n words and as many guards as are looked at. */
extern int32_t *hip_words(size_t n);

/** Releases them; n of them, and the guards, in host memory, for free(). */
extern int32_t *hip_words_back(int32_t *device, size_t n);

/** Whether what is behind the first n_used of n words, and their guards, are as
 * they were. */
extern int hip_words_intact(const int32_t *words, size_t n, size_t n_used);

#endif
