/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Fibers: flows of control with stacks of their own within one thread of the
 * operating system. A switch is a few instructions on x86-64 and a
 * swapcontext() elsewhere. The address and thread sanitizers are told, where
 * the program has them.
 */
#ifndef GPU_FIBER_H
#define GPU_FIBER_H

#include <stddef.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct gpu_fiber {
    void (*body)(void);
    /* Pages of the stack, with a forbidden page before it; NULL: the stack of
     * the thread itself. */
    char *pages;
    /* Where it goes on. */
#if defined(__x86_64__)
    void *stack_pointer;
#else
    ucontext_t context;
#endif
    /* For the sanitizers. */
    const void *stack_bottom;
    size_t stack_size;
    void *fake_stack;
    void *tsan;
};

/** The fiber that the calling thread itself is. */
void gpu_fiber_init_main(struct gpu_fiber *fiber);

/** A fiber that will run body(), which must not return. Aborts without memory.
 */
void gpu_fiber_init(struct gpu_fiber *fiber, void (*body)(void));

/** Forgets where the fiber is: the next switch begins its body again. */
void gpu_fiber_restart(struct gpu_fiber *fiber);

void gpu_fiber_free(struct gpu_fiber *fiber);

/** Leaves `from`, which is running, for `to`. The thread sanitizer must not be
 * looking, and is not when this returns; in between each fiber has its own
 * state, and a body begins with looking. */
void gpu_fiber_switch(struct gpu_fiber *from, struct gpu_fiber *to);

#endif
