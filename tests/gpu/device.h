/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What arch_host.h needs of the shim: functions that run in a thread of a
 * kernel.
 */
#ifndef GPU_DEVICE_H
#define GPU_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "shim.h"

enum { GPU_WAVE = 32, GPU_MAX_WORDS = 32 };

/** The running thread of a kernel. */
struct gpu_shim_thread {
    unsigned thread;
    unsigned block_x;
    unsigned block_y;
};
extern __thread struct gpu_shim_thread gpu_shim_now;

/** A line of a kernel. */
struct gpu_site {
    const char *file;
    int line;
};

/** As the default of a parameter: where the function is called. */
static constexpr gpu_site
gpu_here(const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
    return gpu_site{file, line};
}

/** Puts a kernel in the table that gpu_shim_find() reads. Returns true. */
bool gpu_shim_register(struct gpu_shim_kernel *kernel);

/** Ends the launch. */
[[noreturn]] void gpu_shim_fail(const gpu_site &site, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

void gpu_shim_barrier(const gpu_site &site);

/** What each lane brought to a wave operation. */
struct gpu_shim_lanes {
    uint32_t word[GPU_WAVE][GPU_MAX_WORDS];
};

/** Waits until all lanes of the wave are in the same operation on the same
 * line, each with n words, and returns them all. They stay until the lane's
 * next operation but one. */
const gpu_shim_lanes &gpu_shim_gather(const char *operation,
        const gpu_site &site, const uint32_t *words, size_t n_words);

/** 16 bytes that the thread copies, later than it says so: zeros, if `from` is
 * NULL. See copies.h. */
void gpu_shim_copy(const gpu_site &site, void *to, const void *from);
void gpu_shim_copies_end(void);
void gpu_shim_copies_wait(size_t n);

/** The workgroup's array of a GPU_SHARED, which a key stands for. */
void *gpu_shim_shared(const gpu_site &site, const void *key, size_t n_bytes);

/** Whether n bytes are within one of the workgroup's arrays. */
bool gpu_shim_is_shared(const void *address, size_t n_bytes);

#endif
