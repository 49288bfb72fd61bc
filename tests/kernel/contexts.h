/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Contexts of the CPU backend for tests: with several numbers of threads, and
 * of every kernel variant.
 */
#ifndef W4_TESTS_CONTEXTS_H
#define W4_TESTS_CONTEXTS_H

#include <w4moe.h>

/** A context of one kernel variant (NULL: the one that W4MOE_CPU names, or the
 * best) with n_threads threads; memory_limit 0: none. NULL if this processor
 * does not run the variant; any other failure fails the test. */
extern w4moe_ctx *context_make(
        const char *variant, unsigned n_threads, uint64_t memory_limit);

/** The variants that this processor runs, "ref" first. */
enum { CONTEXT_VARIANTS_MAX = 16 };

struct context_variants {
    size_t n;
    char names[CONTEXT_VARIANTS_MAX][32];
};

extern void context_list(struct context_variants *variants);

/** Contexts by their number of threads; the first has one, the second two. */
enum { N_CONTEXTS = 4 };
extern const unsigned context_threads[N_CONTEXTS];
extern w4moe_ctx *contexts[N_CONTEXTS];

/** For tcase_add_checked_fixture(). */
extern void contexts_setup(void);
extern void contexts_teardown(void);

#endif
