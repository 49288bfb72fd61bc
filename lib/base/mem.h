/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Memory that counts towards a context's limit.
 */
#ifndef W4_BASE_MEM_H
#define W4_BASE_MEM_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"

/** Alignments of what w4_mem_alloc() and w4_mem_alloc_huge() return. The
 * second is the size of a huge page of most processors. */
enum { W4_MEM_ALIGN = 64, W4_MEM_HUGE_ALIGN = 1 << 21 };

struct w4_mem {
    /** 0: none. */
    uint64_t limit;
    _Atomic uint64_t used;
};

/** Books memory that is not made here, a device's. Returns OK or NOMEM. */
extern w4moe_status w4_mem_book(struct w4_mem *mem, struct w4_err *err,
        uint64_t size, const char *what);
extern void w4_mem_unbook(struct w4_mem *mem, uint64_t size);

/** Cleared memory of `size` bytes at a multiple of 64. `what` names it in the
 * text of a failure. Out: *p. Returns OK or NOMEM. */
extern w4moe_status w4_mem_alloc(struct w4_mem *mem, struct w4_err *err,
        void **p, uint64_t size, const char *what);

/** The same at a multiple of 2 MiB. The kernel is asked for huge pages, which
 * it may not have: then it is plain memory. */
extern w4moe_status w4_mem_alloc_huge(struct w4_mem *mem, struct w4_err *err,
        void **p, uint64_t size, const char *what);

/** Releases what one of these gave, of the same size; p may be NULL. */
extern void w4_mem_free(struct w4_mem *mem, void *p, uint64_t size);

/** Memory of `size` bytes at a multiple of `align`, a power of 2; size is a
 * multiple of it, too. With W4_MEM_HUGE_ALIGN the kernel is asked for huge
 * pages. It is not touched yet, and in no account. Returns NULL if there is
 * none; release it with free(). */
extern void *w4_mem_reserve(uint64_t size, uint64_t align);

/** Reads all pages of memory in, so that no later read of it waits for a disk.
 * `what` names it in the text of a failure. Returns OK, or IO (a mapped file
 * that cannot be read), which only some kernels tell; on others the process
 * gets SIGBUS, as it would from a later read. */
extern w4moe_status w4_mem_prefault(
        struct w4_err *err, const void *p, uint64_t size, const char *what);

#endif
