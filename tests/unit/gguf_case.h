/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * GGUF checkpoints that are put together tensor by tensor, and dry runs of
 * their conversion. Uses the context of ct_container.h.
 */
#ifndef GGUF_CASE_H
#define GGUF_CASE_H

#include <w4moe.h>

#include "gguf_blocks.h"
#include "gguf_helpers.h"

/** Experts, and the sizes that they have. */
enum { E = 2, H = 64, I = 32 };

/** The file in the making, and how it will be converted; a fixture that makes
 * the context and sets dry_run. */
extern struct gguf_build case_build;
extern w4moe_convert_options case_options;
extern void case_setup(void);

/** Begins a file of two layers with the keys of an architecture, but for one
 * (may be NULL). */
extern void case_begin(const char *arch, const char *without);

/** Adds the key ARCH.NAME. */
extern void case_key(const char *arch, const char *name, uint32_t value);

/** Adds a tensor of pattern bytes. */
extern void case_tensor(
        const char *name, enum gguf_type type, size_t n0, size_t n1, size_t n2);

/** Adds the matrices of all experts of a layer, but for "gate", "up" or "down"
 * (may be NULL). */
extern void case_experts(
        unsigned layer, enum gguf_type type, const char *without);

/** Writes the file and converts it. */
extern w4moe_status case_convert(w4moe_convert_report *report);

/** The same of one that must be refused with a text that contains `text`. */
extern void case_refused(w4moe_status status, const char *text);

#endif
