/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Backends that are modules: found, loaded, checked, tested.
 */
#ifndef W4_RUNTIME_MODULE_H
#define W4_RUNTIME_MODULE_H

#include "runtime/backend.h"

/**
 * Loads the module `file` of the backend `name` and makes it the backend of
 * ctx, if it passes every check and the known-answer test. After a failure
 * everything is closed again and ctx->backend is cleared; the text of the
 * failure names the file and the reason.
 *
 * The folder of modules is fixed when the library is built; the environment
 * variable W4MOE_BACKEND_DIR names another.
 *
 * Returns: OK; UNSUPPORTED (no such module, or not a sound one); what the
 *     module's open() returned; DEVICE or NOMEM (the test met it).
 */
extern w4moe_status w4_module_open(w4moe_ctx *ctx, const char *name,
        const char *file, const w4moe_ctx_options *options);

/** Closes the context's backend, a module or not, and clears ctx->backend. */
extern void w4_backend_close(w4moe_ctx *ctx);

#endif
