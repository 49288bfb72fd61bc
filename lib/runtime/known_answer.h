/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The test that a loaded backend must pass before it is used.
 */
#ifndef W4_RUNTIME_KNOWN_ANSWER_H
#define W4_RUNTIME_KNOWN_ANSWER_H

#include "runtime/backend.h"

/**
 * Runs a small layer on the context's backend, for many tokens and for one,
 * and compares with what exact arithmetic gives.
 *
 * Returns: OK; MISMATCH (another number, or none); NOMEM; what a function of
 *     the backend returned.
 */
extern w4moe_status w4_known_answer(const w4moe_ctx *ctx);

#endif
