/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The names of hip/kernels/arch.h for kernels that run in the shim, with checks
 * of all that arch.h asks of a kernel. W4_HOST_LAYOUT says whose matrix
 * instructions: 11 and 12 are gfx11 and gfx12, 80 is NVIDIA's.
 */
#ifndef W4_ARCH_HOST_H
#define W4_ARCH_HOST_H

#include <string.h>

#include "device.h"

/* Inlined in any case: the same functions are compiled for several layouts
 * within one program, which must not share them. */
#define GPU_INLINE inline __attribute__((always_inline))
#define GPU_UNROLL
#define GPU_ROLLED
#define GPU_UNROLL_STAGE
#define GPU_HAS_MATRICES 1

#include "host_math.h"

/* Two steps, so that names that are macros are replaced. */
#define GPU_KERNEL(threads, name, type, p)                                     \
    GPU_HOST_KERNEL(threads, name, type, p)
#define GPU_HOST_KERNEL(threads, name, type, p)                                \
    static void name(const struct type &p);                                    \
    static void name##_run(const void *args)                                   \
    {                                                                          \
        name(*static_cast<const struct type *>(args));                         \
    }                                                                          \
    static struct gpu_shim_kernel name##_entry = {#name,                       \
            static_cast<enum gpu_shim_layout>(W4_HOST_LAYOUT), threads,        \
            sizeof(struct type), name##_run, nullptr};                         \
    __attribute__((unused)) static const bool name##_registered =              \
            gpu_shim_register(&name##_entry);                                  \
    static void name(const struct type &p)

#define GPU_SHARED(type, name, n)                                              \
    static const char name##_key = 0;                                          \
    type(&name)[n] = *static_cast<type(*)[n]>(                                 \
            gpu_shim_shared(gpu_here(), &name##_key, sizeof(type[n])))

/* Threads. */

GPU_INLINE unsigned
gpu_thread(void)
{
    return gpu_shim_now.thread;
}

GPU_INLINE unsigned
gpu_block_x(void)
{
    return gpu_shim_now.block_x;
}

GPU_INLINE unsigned
gpu_block_y(void)
{
    return gpu_shim_now.block_y;
}

GPU_INLINE void
gpu_barrier(gpu_site site = gpu_here())
{
    gpu_shim_barrier(site);
}

GPU_INLINE void
gpu_keep_order(void)
{
}

/* Waves. */

GPU_INLINE unsigned
gpu_host_lane(void)
{
    return gpu_shim_now.thread % GPU_WAVE;
}

/* n words that must be the same in all lanes. */
GPU_INLINE void
gpu_host_same(const char *operation, const gpu_site &site,
        const uint32_t *words, size_t n_words)
{
    const gpu_shim_lanes &lanes =
            gpu_shim_gather(operation, site, words, n_words);
    if (memcmp(lanes.word[0], words, n_words * sizeof(*words)) != 0) {
        gpu_shim_fail(site, "%s: lane 0 has another value", operation);
    }
}

GPU_INLINE int
gpu_uniform(int x, gpu_site site = gpu_here())
{
    uint32_t word = static_cast<uint32_t>(x);
    gpu_host_same("gpu_uniform", site, &word, 1);
    return x;
}

template <int MASK>
GPU_INLINE float
gpu_shuffle_xor(float x, gpu_site site = gpu_here())
{
    static_assert(MASK > 0 && MASK < GPU_WAVE, "mask of gpu_shuffle_xor()");
    uint32_t words[2] = {gpu_bits(x), MASK};
    const gpu_shim_lanes &lanes =
            gpu_shim_gather("gpu_shuffle_xor", site, words, 2);
    if (lanes.word[0][1] != MASK) {
        gpu_shim_fail(site, "gpu_shuffle_xor: lane 0 has another mask");
    }
    return gpu_from_bits(lanes.word[gpu_host_lane() ^ MASK][0]);
}

GPU_INLINE uint32_t
gpu_broadcast(uint32_t x, unsigned lane, gpu_site site = gpu_here())
{
    uint32_t words[2] = {x, lane};
    if (lane >= GPU_WAVE) {
        gpu_shim_fail(site, "gpu_broadcast: lane %u", lane);
    }
    const gpu_shim_lanes &lanes =
            gpu_shim_gather("gpu_broadcast", site, words, 2);
    if (lanes.word[0][1] != lane) {
        gpu_shim_fail(site, "gpu_broadcast: lane 0 has another number");
    }
    return lanes.word[lane][0];
}

GPU_INLINE uint32_t
gpu_ballot(bool condition, gpu_site site = gpu_here())
{
    uint32_t word = condition;
    const gpu_shim_lanes &lanes = gpu_shim_gather("gpu_ballot", site, &word, 1);
    uint32_t bits = 0;
    for (unsigned lane = 0; lane < GPU_WAVE; lane++) {
        bits |= lanes.word[lane][0] << lane;
    }
    return bits;
}

GPU_INLINE uint32_t
gpu_count(uint32_t *p, uint32_t n, gpu_site site = gpu_here())
{
    if (!gpu_shim_is_shared(p, sizeof(*p))) {
        gpu_shim_fail(site, "gpu_count: not in shared memory");
    }
    return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

/* Loads. */

GPU_INLINE void
gpu_host_aligned(
        const char *operation, const gpu_site &site, const void *p, size_t n)
{
    if (reinterpret_cast<uintptr_t>(p) % n != 0) {
        gpu_shim_fail(site, "%s: an address that is not aligned to %zu bytes",
                operation, n);
    }
}

/* A load that is an instruction for global memory. */
template <class T>
GPU_INLINE T
gpu_host_load(const char *operation, const gpu_site &site, const void *base,
        uint32_t i)
{
    T value;
    const char *p = static_cast<const char *>(base) + i;
    gpu_host_aligned(operation, site, p, sizeof(value));
    if (gpu_shim_is_shared(p, 1)) {
        gpu_shim_fail(site, "%s: of shared memory", operation);
    }
    memcpy(&value, p, sizeof(value));
    return value;
}

GPU_INLINE struct gpu_u4
gpu_load4(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<struct gpu_u4>("gpu_load4", site, p, i);
}

GPU_INLINE struct gpu_u4
gpu_read4(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<struct gpu_u4>("gpu_read4", site, p, i);
}

GPU_INLINE struct gpu_u2
gpu_load2(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<struct gpu_u2>("gpu_load2", site, p, i);
}

GPU_INLINE uint32_t
gpu_load1(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<uint32_t>("gpu_load1", site, p, i);
}

GPU_INLINE uint32_t
gpu_load_u16(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<uint16_t>("gpu_load_u16", site, p, i);
}

GPU_INLINE uint32_t
gpu_load_u8(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    return gpu_host_load<uint8_t>("gpu_load_u8", site, p, i);
}

GPU_INLINE struct gpu_u4
gpu_uniform_load4(const void *p, uint32_t i, gpu_site site = gpu_here())
{
    uint64_t address = reinterpret_cast<uintptr_t>(p) + i;
    uint32_t words[2] = {static_cast<uint32_t>(address),
            static_cast<uint32_t>(address >> 32)};
    gpu_host_same("gpu_uniform_load4", site, words, 2);
    return gpu_host_load<struct gpu_u4>("gpu_uniform_load4", site, p, i);
}

/* Stores. */

template <class T>
GPU_INLINE void
gpu_host_write(const char *operation, const gpu_site &site, void *p, const T &v)
{
    gpu_host_aligned(operation, site, p, sizeof(v));
    if (gpu_shim_is_shared(p, 1)) {
        gpu_shim_fail(site, "%s: to shared memory", operation);
    }
    memcpy(p, &v, sizeof(v));
}

GPU_INLINE void
gpu_write4(void *p, struct gpu_u4 v, gpu_site site = gpu_here())
{
    gpu_host_write("gpu_write4", site, p, v);
}

GPU_INLINE void
gpu_write2(void *p, struct gpu_u2 v, gpu_site site = gpu_here())
{
    gpu_host_write("gpu_write2", site, p, v);
}

#if W4_HOST_LAYOUT == 11
#include "layout_gfx11.h"
#elif W4_HOST_LAYOUT == 12
#include "layout_gfx12.h"
#elif W4_HOST_LAYOUT == 80
#include "layout_nvidia.h"
#else
#error "W4_HOST_LAYOUT is none of 11, 12, 80"
#endif

#endif
