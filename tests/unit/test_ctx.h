/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A context for unit tests, made of lib/base alone: it has threads and a place
 * for failures, but no backend. It is not for tests of the runtime.
 */
#ifndef TEST_CTX_H
#define TEST_CTX_H

#include <w4moe/base.h>

/** A context of n_threads threads (0: one), for test_ctx_free(). Ends the
 * test if there is no memory. */
extern w4moe_ctx *test_ctx(unsigned n_threads);

extern void test_ctx_free(w4moe_ctx *ctx);

/** Text of this thread's last failure, "" if none. */
extern const char *test_ctx_text(const w4moe_ctx *ctx);

/** Lines that the context has logged so far. */
extern unsigned test_ctx_log_lines(const w4moe_ctx *ctx);

#endif
