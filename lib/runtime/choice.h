/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Which backend a context gets.
 */
#ifndef W4_RUNTIME_CHOICE_H
#define W4_RUNTIME_CHOICE_H

#include "runtime/backend.h"

/** Bytes of the description of a context. */
enum { W4_DESCRIPTION_SIZE = 4096 };

/**
 * Opens the backend that the options name, or the best that can be had, into
 * ctx->backend, and writes ctx->description. What "auto" passes over is no
 * failure: it is logged, for information, and described.
 *
 * Returns: OK, or why there is none.
 */
extern w4moe_status w4_backend_choose(
        w4moe_ctx *ctx, const w4moe_ctx_options *options);

#endif
