/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "runtime/choice.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/module.h"

/* A backend: built in, or the file of a module. */
struct candidate {
    const char *name;
    const struct w4_backend_ops *ops;
    const char *file;
};

/* Best first: "auto" takes the first that can be had. */
static const struct candidate candidates[] = {
        {.name = "hip", .file = "w4moe-hip.so"},
        {.name = "cpu", .ops = &w4_cpu_backend},
};

enum { N_CANDIDATES = sizeof(candidates) / sizeof(candidates[0]) };

/* The course of a choice. */
struct choice {
    const char *asked;
    int any;
    /* The candidate that is in use; N_CANDIDATES if none. */
    int used;
    /* Why each of the others is not. */
    char why[N_CANDIDATES][W4_ERR_TEXT];
};

/* ----------------------------------------------------------------- trying */

/* The caller's log, without the failures of a backend that is only tried. */
struct filter {
    w4moe_log_fn *log;
    void *user;
};

static void
log_but_errors(void *user, w4moe_log_level level, const char *text)
{
    const struct filter *filter = user;
    if (level != W4MOE_LOG_ERROR) {
        filter->log(filter->user, level, text);
    }
}

static w4moe_status
open_candidate(w4moe_ctx *ctx, const struct candidate *candidate,
        const w4moe_ctx_options *options)
{
    if (candidate->ops == NULL) {
        return w4_module_open(ctx, candidate->name, candidate->file, options);
    }
    w4moe_status status =
            candidate->ops->open(ctx, &ctx->backend->state, options);
    if (status == W4MOE_OK) {
        ctx->backend->ops = candidate->ops;
    }
    return status;
}

/* Opens a candidate, or fills why. Failures go nowhere else: the context's
 * record of them is empty afterwards. */
static w4moe_status
try_candidate(w4moe_ctx *ctx, const struct candidate *candidate,
        const w4moe_ctx_options *options, char why[W4_ERR_TEXT])
{
    struct w4_err *err = w4_ctx_err(ctx);
    struct filter filter = {err->log, err->log_user};
    if (filter.log != NULL) {
        err->log = log_but_errors;
        err->log_user = &filter;
    }
    w4moe_status status = open_candidate(ctx, candidate, options);
    snprintf(why, W4_ERR_TEXT, "%s", w4_err_text(err));
    w4_err_fini(err);
    w4_err_init(err, filter.log, filter.user);
    return status;
}

/* --------------------------------------------------------------- choosing */

static w4moe_status
try_all(struct choice *choice, w4moe_ctx *ctx, const w4moe_ctx_options *options)
{
    w4moe_status status = W4MOE_UNSUPPORTED;
    for (int i = 0; i < N_CANDIDATES; i++) {
        const struct candidate *candidate = &candidates[i];
        char *why = choice->why[i];
        if (!choice->any && strcmp(choice->asked, candidate->name) != 0) {
            snprintf(why, W4_ERR_TEXT, "backend %s: not asked for",
                    candidate->name);
        } else if (status == W4MOE_OK) {
            snprintf(why, W4_ERR_TEXT, "backend %s: not used: %s comes first",
                    candidate->name, candidates[choice->used].name);
        } else {
            status = try_candidate(ctx, candidate, options, why);
            if (status == W4MOE_OK) {
                choice->used = i;
            } else if (choice->any) {
                w4_log(w4_ctx_err(ctx), W4MOE_LOG_INFO, "%s", why);
            }
        }
    }
    return status;
}

/* The failure of a choice: the reason of the backend that was asked for; with
 * "auto" all of them, the last resort's first. */
static w4moe_status
fail(const struct choice *choice, struct w4_err *err, w4moe_status status)
{
    char text[N_CANDIDATES * W4_ERR_TEXT];
    size_t n = 0;
    text[0] = '\0';
    for (int i = N_CANDIDATES - 1; i >= 0; i--) {
        if (choice->any || strcmp(choice->asked, candidates[i].name) == 0) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
                    n > 0 ? "; " : "", choice->why[i]);
        }
    }
    if (n == 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend \"%.32s\" is not known; known: auto, cpu, hip",
                choice->asked);
    }
    return w4_fail(err, status, "%s", text);
}

/* ------------------------------------------------------------- describing */

/* Space that is left in a description. */
struct space {
    char *text;
    size_t size;
};

/* Accounts for n characters, as snprintf() counts them. */
static void
advance(struct space *space, int n)
{
    size_t taken = n < 0                     ? 0
                   : (size_t)n < space->size ? (size_t)n
                                             : space->size - 1;
    space->text += taken;
    space->size -= taken;
}

static void
describe(const struct choice *choice, const w4moe_ctx *ctx)
{
    struct space space = {ctx->description, W4_DESCRIPTION_SIZE};
    advance(&space,
            snprintf(space.text, space.size, "w4moe %s\n", w4moe_version()));
    advance(&space, ctx->backend->ops->describe(ctx, space.text, space.size));
    for (int i = 0; i < N_CANDIDATES; i++) {
        if (i != choice->used) {
            advance(&space,
                    snprintf(space.text, space.size, "%s\n", choice->why[i]));
        }
    }
}

w4moe_status
w4_backend_choose(w4moe_ctx *ctx, const w4moe_ctx_options *options)
{
    struct choice choice = {
            .asked = options->backend != NULL ? options->backend : "auto",
            .used = N_CANDIDATES,
    };
    choice.any = strcmp(choice.asked, "auto") == 0;
    w4moe_status status = try_all(&choice, ctx, options);
    if (status != W4MOE_OK) {
        return fail(&choice, w4_ctx_err(ctx), status);
    }
    describe(&choice, ctx);
    return W4MOE_OK;
}
