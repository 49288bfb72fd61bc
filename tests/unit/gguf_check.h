/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Opening GGUF files in tests.
 */
#ifndef W4_TESTS_GGUF_CHECK_H
#define W4_TESTS_GGUF_CHECK_H

#include "io/gguf.h"

#include "gguf_helpers.h"

/** Where failures of a test go; a pair of fixtures for it. */
extern struct w4_err gguf_err;
extern void gguf_err_setup(void);
extern void gguf_err_teardown(void);

/** Opens a file that must be good. Close it. */
extern struct w4_gguf_set *gguf_open_good(const char *path);

/** Opens one that must be refused with this status and a text that begins with
 * a path of the same folder and contains `text`. */
extern void gguf_open_bad(
        const char *path, w4moe_status status, const char *text);

/** The same for a file in the making, which is finished. */
extern void gguf_build_bad(
        struct gguf_build *build, w4moe_status status, const char *text);

/** Reads all bytes of all tensors and checks what every set must keep to. */
extern void gguf_check_sane(const struct w4_gguf_set *set);

/** Whether a tensor is of this type and shape (unused: 1) and has the pattern
 * of its name in n_bytes. */
extern void gguf_check_tensor(const struct w4_gguf_tensor *tensor,
        enum w4_gguf_type type, const char *type_name, uint32_t n_dims,
        const uint64_t *shape, uint64_t n_bytes);

#endif
