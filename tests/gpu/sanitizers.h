/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the sanitizers' run-time libraries offer. The names are weak: they are
 * null in a program without that sanitizer.
 */
#ifndef GPU_SANITIZERS_H
#define GPU_SANITIZERS_H

#include <stddef.h>

#define GPU_WEAK __attribute__((weak))

extern "C" {
GPU_WEAK void __sanitizer_start_switch_fiber(
        void **fake_stack, const void *bottom, size_t size);
GPU_WEAK void __sanitizer_finish_switch_fiber(
        void *fake_stack, const void **bottom, size_t *size);
GPU_WEAK void __asan_poison_memory_region(
        void const volatile *address, size_t size);
GPU_WEAK void __asan_unpoison_memory_region(
        void const volatile *address, size_t size);
GPU_WEAK void *__tsan_get_current_fiber(void);
GPU_WEAK void *__tsan_create_fiber(unsigned flags);
GPU_WEAK void __tsan_destroy_fiber(void *fiber);
GPU_WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);
GPU_WEAK void __tsan_acquire(void *address);
GPU_WEAK void __tsan_release(void *address);
GPU_WEAK void AnnotateIgnoreReadsBegin(const char *file, int line);
GPU_WEAK void AnnotateIgnoreReadsEnd(const char *file, int line);
GPU_WEAK void AnnotateIgnoreWritesBegin(const char *file, int line);
GPU_WEAK void AnnotateIgnoreWritesEnd(const char *file, int line);
}

static inline void
gpu_poison(const void *address, size_t size)
{
    if (__asan_poison_memory_region != nullptr) {
        __asan_poison_memory_region(address, size);
    }
}

static inline void
gpu_unpoison(const void *address, size_t size)
{
    if (__asan_unpoison_memory_region != nullptr) {
        __asan_unpoison_memory_region(address, size);
    }
}

static inline bool
gpu_has_tsan(void)
{
    return __tsan_release != nullptr;
}

/* For the thread sanitizer fibers are threads, and a switch orders nothing.
 * What orders their accesses is told with these two. */
static inline void
gpu_tsan_release(void *address)
{
    if (__tsan_release != nullptr) {
        __tsan_release(address);
    }
}

static inline void
gpu_tsan_acquire(void *address)
{
    if (__tsan_acquire != nullptr) {
        __tsan_acquire(address);
    }
}

/* Between these two the thread sanitizer does not look. */
static inline void
gpu_tsan_look_away(void)
{
    if (AnnotateIgnoreReadsBegin != nullptr) {
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
}

static inline void
gpu_tsan_look(void)
{
    if (AnnotateIgnoreReadsEnd != nullptr) {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
}

/** While one lives, it does not look: the scheduler's own data are shared by
 * all fibers, which never run at the same time. */
class gpu_tsan_pause
{
  public:
    gpu_tsan_pause()
    {
        gpu_tsan_look_away();
    }

    ~gpu_tsan_pause()
    {
        gpu_tsan_look();
    }

    gpu_tsan_pause(const gpu_tsan_pause &) = delete;
    gpu_tsan_pause &operator=(const gpu_tsan_pause &) = delete;
};

#endif
