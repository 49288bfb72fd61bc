/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Counts calls of the allocator, of any thread, and makes some fail. For
 * programs that have alloc_count.c among their own sources: it replaces the
 * allocator's functions and pthread_create().
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

/** From now on the n-th call (from 1 on) that asks for a block of memory or
 * for a thread fails; with all_later also those after it. Calls of OpenMP's
 * library do not count, nor do its threads: without memory it ends the
 * process. */
extern void alloc_fail_begin(unsigned n, int all_later);

/** Stops. Returns: whether a call has failed. */
extern int alloc_fail_end(void);

/** Blocks of memory that are in use, without those of OpenMP's library: to be
 * compared with what it was. */
extern long alloc_live(void);

#endif
