/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The context: options, threads, the order of things. */
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/abi.h"
#include "runtime/choice.h"
#include "runtime/module.h"

enum { THREADS_MAX = 4096 };

static int
default_threads(void)
{
#ifdef _OPENMP
    int n = omp_get_max_threads();
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
#else
    int n = w4_processors();
    return n > THREADS_MAX ? THREADS_MAX : n;
#endif
}

w4moe_status
w4moe_ctx_create(w4moe_ctx **ctx_p, const w4moe_ctx_options *options)
{
    static const w4moe_ctx_options defaults = {.struct_size = sizeof(defaults)};
    w4moe_ctx_options own;
    w4moe_status status = w4_struct_in(NULL, &own, sizeof(own), sizeof(own),
            options != NULL ? options : &defaults, "w4moe_ctx_options");
    if (status != W4MOE_OK || ctx_p == NULL) {
        return status != W4MOE_OK ? status : W4MOE_INVALID;
    }
    w4moe_ctx *ctx = calloc(1, sizeof(*ctx));
    struct w4_ctx_state *state = calloc(1, sizeof(*state));
    struct w4_backend *backend = calloc(1, sizeof(*backend));
    char *description = calloc(1, W4_DESCRIPTION_SIZE);
    if (ctx == NULL || state == NULL || backend == NULL ||
            description == NULL) {
        status = W4MOE_NOMEM;
        goto err_free;
    }
    w4_err_init(&state->err, own.log, own.log_user);
    state->mem.limit = own.memory_limit;
    ctx->state = state;
    ctx->backend = backend;
    ctx->description = description;
    ctx->device = own.device;
    if (own.n_threads > THREADS_MAX) {
        status = w4_fail(&state->err, W4MOE_INVALID, "%u threads (at most %d)",
                own.n_threads, THREADS_MAX);
        goto err_fini;
    }
    ctx->n_threads =
            own.n_threads != 0 ? (int)own.n_threads : default_threads();
    status = w4_team_create(&state->err, &state->team, ctx->n_threads);
    if (status == W4MOE_OK) {
        status = w4_backend_choose(ctx, &own);
    }
    if (status != W4MOE_OK) {
        goto err_fini;
    }
    *ctx_p = ctx;
    return W4MOE_OK;

err_fini:
    w4_team_destroy(state->team);
    w4_err_fini(&state->err);
err_free:
    free(description);
    free(backend);
    free(state);
    free(ctx);
    return status;
}

void
w4moe_ctx_destroy(w4moe_ctx *ctx)
{
    if (ctx == NULL) {
        return;
    }
    w4_backend_close(ctx);
    w4_team_destroy(ctx->state->team);
    w4_err_fini(&ctx->state->err);
    free(ctx->backend);
    free(ctx->description);
    free(ctx->state);
    free(ctx);
}

const char *
w4moe_ctx_error(const w4moe_ctx *ctx)
{
    return ctx != NULL ? w4_err_text(&ctx->state->err) : "";
}

w4moe_status
w4moe_ctx_fail(const w4moe_ctx *ctx, w4moe_status status, const char *text)
{
    if (ctx == NULL || status == W4MOE_OK) {
        return status;
    }
    return w4_fail(
            w4_ctx_err(ctx), status, "%s", text != NULL ? text : "no text");
}

const char *
w4moe_ctx_describe(const w4moe_ctx *ctx)
{
    return ctx != NULL ? ctx->description : "";
}
