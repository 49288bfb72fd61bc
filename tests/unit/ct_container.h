/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Containers made of the tiny checkpoints of ct_fixture.h, and the question
 * whether a container has what its checkpoint has. What goes wrong here ends
 * the test.
 */
#ifndef CT_CONTAINER_H
#define CT_CONTAINER_H

#include "ct_fixture.h"

/** The context of a test; a pair of fixtures for it, with one thread. */
extern w4moe_ctx *ct_ctx;
extern void ct_ctx_setup(void);
extern void ct_ctx_teardown(void);

/** A call that must succeed; one that must fail, with a text that contains
 * `text`. */
extern void ct_ok(w4moe_status status);
extern void ct_refused(
        w4moe_status status, w4moe_status expected, const char *text);

/** Options of a conversion to an order. */
extern w4moe_convert_options ct_options(w4moe_order order);

/** Writes a checkpoint into a folder and converts it to "name" in the test's
 * folder. */
extern void ct_convert(
        const struct ct_model *model, w4moe_order order, const char *name);

/** Opens a container that must be good. Close it. */
extern w4moe_file *ct_open(const char *path);

/** Whether every weight of an open container has the bits of its checkpoint,
 * and its sizes are the checkpoint's. */
extern int ct_has_weights(const w4moe_file *file, const struct ct_model *model);

/** Verifies a container, loads each of its layers and computes it, whatever
 * comes out. For files that may be damaged. */
extern void ct_use(const w4moe_file *file);

#endif
