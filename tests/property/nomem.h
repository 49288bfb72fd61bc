/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Calls of the library with allocations that fail, one after the other. For
 * programs that have nomem.c and tests/kernel/alloc_count.c among their own
 * sources.
 */
#ifndef W4_TESTS_NOMEM_H
#define W4_TESTS_NOMEM_H

#include <stddef.h>
#include <stdint.h>

#include <w4moe.h>

/** What came of a scenario. */
struct nomem_result {
    /** Of all that was computed. */
    uint64_t hash;
    /** A call failed, and an output had been written. */
    int is_touched;
};

/** Something done with the library. Whatever it makes it gives back. */
struct nomem_scenario {
    const char *name;
    /** The calls, up to the first that fails. Only the library may allocate
     * here. Returns: that call's status. */
    w4moe_status (*run)(struct nomem_result *result);
    /** After each run; may be NULL. Takes files into the hash, removes them,
     * and fails the test if there are any after a failure. */
    void (*after)(struct nomem_result *result, w4moe_status status);
};

/** What outputs hold before a call. */
extern void *const nomem_untouched;

/** Notes whether an output pointer is untouched after a failure. */
extern void nomem_pointer(
        struct nomem_result *result, w4moe_status status, const void *p);

/** Takes bytes into the hash. */
extern void nomem_hash(struct nomem_result *result, const void *p, size_t n);

/** Runs a scenario undisturbed; then with the first allocation failing, the
 * second, and so on, until there is none left to fail; then the same with all
 * later ones failing, too. Fails the test unless each run ends with
 * W4MOE_NOMEM, or with W4MOE_OK and the same hash, with no block of memory more
 * in use than before. */
extern void nomem_check(const struct nomem_scenario *scenario);

#endif
