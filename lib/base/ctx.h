/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What every module may know of a context. The runtime makes it; the other
 * modules see the public, opaque w4moe_ctx and come here for its parts.
 */
#ifndef W4_BASE_CTX_H
#define W4_BASE_CTX_H

#include "base/err.h"
#include "base/mem.h"
#include "base/parallel.h"

struct w4_backend;

/** The parts that change although the context is const to its users. */
struct w4_ctx_state {
    struct w4_err err;
    struct w4_mem mem;
    /** Of forward calls and operators; NULL with one thread. */
    struct w4_team *team;
};

struct w4moe_ctx {
    struct w4_ctx_state *state;
    /** Threads that work together, at least 1. */
    int n_threads;
    /** The runtime's choice; other modules do not look inside. */
    struct w4_backend *backend;
    /** What w4moe_ctx_describe() returns. */
    char *description;
    /** Index of the device among those of the backend. */
    unsigned device;
};

/** The context's sink of failures; NULL for no context. */
static inline struct w4_err *
w4_ctx_err(const w4moe_ctx *ctx)
{
    return ctx != NULL ? &ctx->state->err : NULL;
}

static inline struct w4_mem *
w4_ctx_mem(const w4moe_ctx *ctx)
{
    return &ctx->state->mem;
}

#endif
