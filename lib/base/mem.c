/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"

/* Books the bytes, unless that would pass the limit. */
static int
reserve(struct w4_mem *mem, uint64_t size)
{
    uint64_t used = atomic_load(&mem->used);
    uint64_t after;
    do {
        if (!w4_add(&after, used, size) ||
                (mem->limit != 0 && after > mem->limit)) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak(&mem->used, &used, after));
    return 1;
}

w4moe_status
w4_mem_book(
        struct w4_mem *mem, struct w4_err *err, uint64_t size, const char *what)
{
    if (!reserve(mem, size)) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes would pass the memory limit of %" PRIu64
                " bytes (%" PRIu64 " in use)",
                what, size, mem->limit, atomic_load(&mem->used));
    }
    return W4MOE_OK;
}

void
w4_mem_unbook(struct w4_mem *mem, uint64_t size)
{
    atomic_fetch_sub(&mem->used, size);
}

void *
w4_mem_reserve(uint64_t size, uint64_t align)
{
    void *memory = aligned_alloc((size_t)align, (size_t)size);
#ifdef MADV_HUGEPAGE
    if (memory != NULL && align == W4_MEM_HUGE_ALIGN) {
        /* Advice: if it is not taken, the memory serves all the same. */
        (void)madvise(memory, (size_t)size, MADV_HUGEPAGE);
    }
#endif
    return memory;
}

static w4moe_status
alloc(struct w4_mem *mem, struct w4_err *err, void **p, uint64_t size,
        uint64_t align, const char *what)
{
    uint64_t rounded;
    if (!w4_round_up(&rounded, size != 0 ? size : 1, align) ||
            rounded > PTRDIFF_MAX) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes are beyond the address space", what,
                size);
    }
    w4moe_status status = w4_mem_book(mem, err, size, what);
    if (status != W4MOE_OK) {
        return status;
    }
    void *memory = w4_mem_reserve(rounded, align);
    if (memory == NULL) {
        w4_mem_unbook(mem, size);
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %" PRIu64 " bytes",
                what, size);
    }
    memset(memory, 0, (size_t)rounded);
    *p = memory;
    return W4MOE_OK;
}

w4moe_status
w4_mem_alloc(struct w4_mem *mem, struct w4_err *err, void **p, uint64_t size,
        const char *what)
{
    return alloc(mem, err, p, size, W4_MEM_ALIGN, what);
}

w4moe_status
w4_mem_alloc_huge(struct w4_mem *mem, struct w4_err *err, void **p,
        uint64_t size, const char *what)
{
    return alloc(mem, err, p, size, W4_MEM_HUGE_ALIGN, what);
}

void
w4_mem_free(struct w4_mem *mem, void *p, uint64_t size)
{
    if (p != NULL) {
        free(p);
        atomic_fetch_sub(&mem->used, size);
    }
}

/* Whether the kernel has read the pages in; else errno says why not. */
static int
populate(uintptr_t begin, uintptr_t end)
{
#ifdef MADV_POPULATE_READ
    return madvise((void *)begin, (size_t)(end - begin), MADV_POPULATE_READ) ==
           0;
#else
    (void)begin;
    (void)end;
    errno = ENOSYS;
    return 0;
#endif
}

w4moe_status
w4_mem_prefault(
        struct w4_err *err, const void *p, uint64_t size, const char *what)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)p / page * page;
    uintptr_t end = (uintptr_t)p + (uintptr_t)size;
    if (size == 0 || populate(begin, end)) {
        return W4MOE_OK;
    }
    if (errno == EFAULT) {
        return w4_fail(err, W4MOE_IO,
                "%s: %" PRIu64 " bytes cannot be read in: their file has "
                "become shorter, or the disk fails",
                what, size);
    }
    for (uintptr_t at = begin; at < end; at += page) {
        /* The first page may begin before the memory does. */
        (void)*(const volatile char *)(at > begin ? at : (uintptr_t)p);
    }
    return W4MOE_OK;
}
