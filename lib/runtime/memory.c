/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Memory for callers: checks, then the backend. */
#include <inttypes.h>

#include "runtime/backend.h"

w4moe_status
w4moe_memory_alloc(const w4moe_ctx *ctx, void **memory_p, uint64_t n_bytes,
        w4moe_memory where)
{
    if (ctx == NULL || memory_p == NULL ||
            (where != W4MOE_MEMORY_HOST && where != W4MOE_MEMORY_PINNED &&
                    where != W4MOE_MEMORY_DEVICE)) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "memory_alloc: ctx %s, memory_p %s, memory of kind %d",
                ctx == NULL ? "NULL" : "given",
                memory_p == NULL ? "NULL" : "given", (int)where);
    }
    if (n_bytes == 0) {
        *memory_p = NULL;
        return W4MOE_OK;
    }
    return ctx->backend->ops->memory_alloc(ctx, memory_p, n_bytes, where);
}

void
w4moe_memory_free(const w4moe_ctx *ctx, void *memory, uint64_t n_bytes,
        w4moe_memory where)
{
    if (ctx != NULL && memory != NULL) {
        ctx->backend->ops->memory_free(ctx, memory, n_bytes, where);
    }
}

w4moe_status
w4moe_memory_copy(const w4moe_ctx *ctx, void *to, const void *from,
        uint64_t n_bytes, void *stream)
{
    if (ctx == NULL || n_bytes > SIZE_MAX ||
            (n_bytes != 0 && (to == NULL || from == NULL))) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "memory_copy: ctx %s, to %s, from %s, %" PRIu64 " bytes",
                ctx == NULL ? "NULL" : "given", to == NULL ? "NULL" : "given",
                from == NULL ? "NULL" : "given", n_bytes);
    }
    return n_bytes != 0 ? ctx->backend->ops->memory_copy(
                                  ctx, to, from, n_bytes, stream)
                        : W4MOE_OK;
}
