/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Counts calls of the allocator, of any thread. For programs that have
 * alloc_count.c among their own sources: it replaces the allocator's functions.
 */
#ifndef W4_TESTS_ALLOC_COUNT_H
#define W4_TESTS_ALLOC_COUNT_H

/** Whether it can: not where another allocator than glibc's is, or the
 * sanitizers' or valgrind's stands before it. */
extern int alloc_count_works(void);

/** Counts from 0 on. Calls made while `is_ignored` (may be NULL) says so, in
 * their thread, do not count. */
extern void alloc_count_begin(int (*is_ignored)(void));

/** Stops. Returns: the calls. */
extern unsigned alloc_count_end(void);

#endif
