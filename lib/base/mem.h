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

/** Alignment of everything w4_mem_alloc() returns. */
enum { W4_MEM_ALIGN = 64 };

struct w4_mem {
    /** 0: none. */
    uint64_t limit;
    _Atomic uint64_t used;
};

/** Cleared memory of `size` bytes at a multiple of 64. `what` names it in the
 * text of a failure. Out: *p. Returns OK or NOMEM. */
extern w4moe_status w4_mem_alloc(struct w4_mem *mem, struct w4_err *err,
        void **p, uint64_t size, const char *what);

/** Releases what w4_mem_alloc() gave, of the same size; p may be NULL. */
extern void w4_mem_free(struct w4_mem *mem, void *p, uint64_t size);

#endif
