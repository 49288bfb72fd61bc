/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A loop over items with threads: the one way of a forward call to more than
 * one.
 *
 * A team has helpers that wait for a loop, a short while awake and then asleep.
 * The caller of a loop never waits for a helper to come, only for items that
 * one has begun: where other processes hold the processors it goes on alone.
 * (The barrier at the end of an OpenMP region waits for every thread of it;
 * with a competing process on each processor that made calls 18 to 35 times
 * slower. bench/LOG.md has the figures.) Nothing is allocated in a loop.
 */
#ifndef W4_BASE_PARALLEL_H
#define W4_BASE_PARALLEL_H

#include <stddef.h>

#include "base/err.h"

struct w4_team;

/** Starts n_threads - 1 helpers. *team_p is NULL if that is none. Returns OK or
 * NOMEM. */
extern w4moe_status w4_team_create(
        struct w4_err *err, struct w4_team **team_p, int n_threads);

/** Ends the helpers; team may be NULL. */
extern void w4_team_destroy(struct w4_team *team);

/** Does item i of a job. */
typedef void w4_item_fn(const void *job, size_t i);

/** Calls item(job, i) for every i below n, and returns when all are done.
 *
 * Each thread has a run of consecutive items and then helps the others with
 * theirs. Without a team, or while another thread's loop has it, the caller
 * does all items in ascending order. */
extern void w4_parallel(
        struct w4_team *team, size_t n, w4_item_fn *item, const void *job);

/** Threads of a team: helpers and the caller. */
extern size_t w4_team_size(const struct w4_team *team);

/** Processors that this process may use, at least 1. */
extern int w4_processors(void);

#endif
