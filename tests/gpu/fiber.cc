/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sanitizers.h"

/* Sanitizers multiply what a frame needs. Only touched pages are memory. */
static const size_t STACK_SIZE = 512 * 1024;

/* The two ends of the switch that is under way. */
static thread_local struct gpu_fiber *arriving;
static thread_local struct gpu_fiber *leaving;

/* The thread sanitizer is looking while a switch is done. */
#define NOT_LOOKED_AT __attribute__((no_sanitize("thread")))

NOT_LOOKED_AT static void
arrived(void)
{
    if (__sanitizer_finish_switch_fiber != nullptr) {
        __sanitizer_finish_switch_fiber(arriving->fake_stack,
                &leaving->stack_bottom, &leaving->stack_size);
    }
}

NOT_LOOKED_AT static void
begin(void)
{
    arrived();
    arriving->body();
    abort();
}

#if defined(__x86_64__)

/* gpu_fiber_swap(&old, new): pushes the registers that a callee keeps, stores
 * the stack pointer to old, and undoes the same with the new one. */
extern "C" void gpu_fiber_swap(void **old_pointer, void *new_pointer);
__asm__(".text\n"
        ".type gpu_fiber_swap, @function\n"
        "gpu_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size gpu_fiber_swap, . - gpu_fiber_swap\n");

static void
set_start(struct gpu_fiber *fiber)
{
    /* What gpu_fiber_swap() pops: six registers, then the address of begin(),
     * which finds a null return address, as at a call. */
    uintptr_t top = (uintptr_t)fiber->stack_bottom + fiber->stack_size;
    void **frame = (void **)top - 8;
    memset(frame, 0, 8 * sizeof(*frame));
    frame[6] = (void *)begin;
    fiber->stack_pointer = frame;
}

NOT_LOOKED_AT static void
swap(struct gpu_fiber *from, struct gpu_fiber *to)
{
    gpu_fiber_swap(&from->stack_pointer, to->stack_pointer);
}

#else

static void
set_start(struct gpu_fiber *fiber)
{
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = (void *)fiber->stack_bottom;
    fiber->context.uc_stack.ss_size = fiber->stack_size;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, begin, 0);
}

NOT_LOOKED_AT static void
swap(struct gpu_fiber *from, struct gpu_fiber *to)
{
    swapcontext(&from->context, &to->context);
}

#endif

void
gpu_fiber_init_main(struct gpu_fiber *fiber)
{
    memset(fiber, 0, sizeof(*fiber));
    if (__tsan_get_current_fiber != nullptr) {
        fiber->tsan = __tsan_get_current_fiber();
    }
}

void
gpu_fiber_init(struct gpu_fiber *fiber, void (*body)(void))
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    memset(fiber, 0, sizeof(*fiber));
    void *pages = mmap(nullptr, STACK_SIZE + page, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages, page, PROT_NONE) != 0) {
        perror("fiber: mmap");
        abort();
    }
    fiber->body = body;
    fiber->pages = (char *)pages;
    fiber->stack_bottom = fiber->pages + page;
    fiber->stack_size = STACK_SIZE;
    gpu_fiber_restart(fiber);
}

void
gpu_fiber_restart(struct gpu_fiber *fiber)
{
    gpu_unpoison(fiber->stack_bottom, fiber->stack_size);
    fiber->fake_stack = nullptr;
    if (__tsan_create_fiber != nullptr) {
        if (fiber->tsan != nullptr) {
            __tsan_destroy_fiber(fiber->tsan);
        }
        fiber->tsan = __tsan_create_fiber(0);
    }
    set_start(fiber);
}

void
gpu_fiber_free(struct gpu_fiber *fiber)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (__tsan_destroy_fiber != nullptr) {
        __tsan_destroy_fiber(fiber->tsan);
    }
    gpu_unpoison(fiber->stack_bottom, fiber->stack_size);
    munmap(fiber->pages, fiber->stack_size + page);
}

NOT_LOOKED_AT void
gpu_fiber_switch(struct gpu_fiber *from, struct gpu_fiber *to)
{
    leaving = from;
    arriving = to;
    if (__sanitizer_start_switch_fiber != nullptr) {
        __sanitizer_start_switch_fiber(
                &from->fake_stack, to->stack_bottom, to->stack_size);
    }
    gpu_tsan_look();
    if (__tsan_switch_to_fiber != nullptr) {
        const unsigned no_sync = 1;
        __tsan_switch_to_fiber(to->tsan, no_sync);
    }
    swap(from, to);
    gpu_tsan_look_away();
    arrived();
}
