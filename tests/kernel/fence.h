/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Read-only copies of arrays with pages on both sides that may not be touched:
 * whoever reads beyond an array, or writes it, gets SIGSEGV.
 */
#ifndef W4_TESTS_FENCE_H
#define W4_TESTS_FENCE_H

#include <w4moe.h>

/** Which end of an array touches its forbidden page; on the other one there
 * may be some bytes, of 0xFF, between. */
enum fence_side { FENCE_END, FENCE_BEGIN };

/** Some copies, which are released together. */
struct fence {
    enum fence_side side;
    size_t n;
    struct {
        void *pages;
        size_t n_bytes;
    } regions[32];
};

/** A copy of an array; NULL of NULL. */
extern void *fence_copy(struct fence *fence, const void *array, size_t n_bytes);

/** A matrix all of whose arrays are such copies. */
extern w4moe_matrix fence_matrix(
        struct fence *fence, const w4moe_ctx *ctx, const w4moe_matrix *matrix);

extern void fence_free(struct fence *fence);

#endif
