/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
w4_mem_alloc(struct w4_mem *mem, struct w4_err *err, void **p, uint64_t size,
        const char *what)
{
    uint64_t rounded;
    if (!w4_round_up(&rounded, size != 0 ? size : 1, W4_MEM_ALIGN) ||
            rounded > PTRDIFF_MAX) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes are beyond the address space", what,
                size);
    }
    if (!reserve(mem, size)) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: %" PRIu64 " bytes would pass the memory limit of %" PRIu64
                " bytes (%" PRIu64 " in use)",
                what, size, mem->limit, atomic_load(&mem->used));
    }
    void *memory = aligned_alloc(W4_MEM_ALIGN, (size_t)rounded);
    if (memory == NULL) {
        atomic_fetch_sub(&mem->used, size);
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for %" PRIu64 " bytes",
                what, size);
    }
    memset(memory, 0, (size_t)rounded);
    *p = memory;
    return W4MOE_OK;
}

void
w4_mem_free(struct w4_mem *mem, void *p, uint64_t size)
{
    if (p != NULL) {
        free(p);
        atomic_fetch_sub(&mem->used, size);
    }
}
