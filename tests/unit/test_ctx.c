/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "test_ctx.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ctx.h"

/* The context comes first: its address is that of the whole. */
struct whole {
    struct w4moe_ctx ctx;
    struct w4_ctx_state state;
    atomic_uint log_lines;
};

static void
count_line(void *user, w4moe_log_level level, const char *text)
{
    (void)level;
    (void)text;
    atomic_fetch_add((atomic_uint *)user, 1);
}

w4moe_ctx *
test_ctx(unsigned n_threads)
{
    struct whole *whole = calloc(1, sizeof(*whole));
    if (whole == NULL) {
        fputs("no memory for a context\n", stderr);
        abort();
    }
    w4_err_init(&whole->state.err, count_line, &whole->log_lines);
    whole->ctx.state = &whole->state;
    whole->ctx.n_threads = n_threads != 0 ? (int)n_threads : 1;
    return &whole->ctx;
}

void
test_ctx_free(w4moe_ctx *ctx)
{
    if (ctx != NULL) {
        w4_err_fini(&ctx->state->err);
        free(ctx);
    }
}

const char *
test_ctx_text(const w4moe_ctx *ctx)
{
    return w4_err_text(w4_ctx_err(ctx));
}

unsigned
test_ctx_log_lines(const w4moe_ctx *ctx)
{
    return atomic_load((const atomic_uint *)ctx->state->err.log_user);
}
