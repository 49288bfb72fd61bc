/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    /** Threads beyond share the runs of items of the first ones. */
    RUNS_MAX = 64,
    /** Looks at memory before a thread sleeps: some 100 microseconds. */
    LOOKS = 2000,
    CACHE_LINE = 64
};

/* Consecutive items; whoever has taken `next` does it. */
struct run {
    _Alignas(CACHE_LINE) _Atomic size_t next;
    size_t end;
};

/* One loop, on its caller's stack. */
struct loop {
    w4_item_fn *item;
    const void *job;
    size_t n_runs;
    /* Helpers that may still look at this. Changed under the lock. */
    _Atomic int n_inside;
    struct run runs[RUNS_MAX];
};

struct helper {
    struct w4_team *team;
    /* From 1 on: the run that it begins with. */
    size_t number;
    pthread_t thread;
};

struct w4_team {
    /* A loop is running; its caller has the team. */
    atomic_flag taken;
    /* Counts loops, so that a helper sees a new one. Changed under the lock. */
    _Atomic unsigned n_loops;

    pthread_mutex_t lock;
    /* Under the lock. */
    struct loop *loop;
    int n_asleep;
    int caller_asleep;
    int ended;
    pthread_cond_t wake_helpers;
    pthread_cond_t wake_caller;

    size_t n_helpers;
    struct helper helpers[];
};

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Does items of the run `first` and then of the others, until none is left. */
static void
do_items(struct loop *loop, size_t first)
{
    for (size_t i = 0; i < loop->n_runs; i++) {
        struct run *run = &loop->runs[(first + i) % loop->n_runs];
        /* A look first: the counter must not run away. */
        while (atomic_load_explicit(&run->next, memory_order_relaxed) <
                run->end) {
            size_t item = atomic_fetch_add_explicit(
                    &run->next, 1, memory_order_relaxed);
            if (item >= run->end) {
                break;
            }
            loop->item(loop->job, item);
        }
    }
}

/* Waits for a loop that the helper has not seen. Returns it, entered, or NULL
 * for one that is over already. */
static struct loop *
enter_loop(struct w4_team *team, unsigned *seen, int *ended)
{
    for (int i = 0; i < LOOKS && atomic_load(&team->n_loops) == *seen; i++) {
        relax();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->n_loops) == *seen && !team->ended) {
        team->n_asleep++;
        pthread_cond_wait(&team->wake_helpers, &team->lock);
        team->n_asleep--;
    }
    *seen = atomic_load(&team->n_loops);
    *ended = team->ended;
    struct loop *loop = team->loop;
    if (loop != NULL) {
        atomic_fetch_add(&loop->n_inside, 1);
    }
    pthread_mutex_unlock(&team->lock);
    return loop;
}

static void
leave_loop(struct w4_team *team, struct loop *loop)
{
    pthread_mutex_lock(&team->lock);
    if (atomic_fetch_sub(&loop->n_inside, 1) == 1 && team->caller_asleep) {
        pthread_cond_signal(&team->wake_caller);
    }
    pthread_mutex_unlock(&team->lock);
}

static void *
help(void *helper)
{
    const struct helper *me = helper;
    unsigned seen = 0;
    int ended = 0;
    while (!ended) {
        struct loop *loop = enter_loop(me->team, &seen, &ended);
        if (loop != NULL) {
            do_items(loop, me->number);
            leave_loop(me->team, loop);
        }
    }
    return NULL;
}

static int
start_helper(struct w4_team *team)
{
    struct helper *helper = &team->helpers[team->n_helpers];
    helper->team = team;
    helper->number = team->n_helpers + 1;
    if (pthread_create(&helper->thread, NULL, help, helper) != 0) {
        return 0;
    }
    team->n_helpers++;
    return 1;
}

/* With all signals blocked: they are for the application's threads. */
static int
start_helpers(struct w4_team *team, size_t n)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->n_helpers < n && start_helper(team)) {
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return team->n_helpers == n;
}

w4moe_status
w4_team_create(struct w4_err *err, struct w4_team **team_p, int n_threads)
{
    *team_p = NULL;
    if (n_threads <= 1) {
        return W4MOE_OK;
    }
    size_t n_helpers = (size_t)n_threads - 1;
    struct w4_team *team =
            calloc(1, sizeof(*team) + n_helpers * sizeof(team->helpers[0]));
    if (team == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for %d threads", n_threads);
    }
    atomic_flag_clear(&team->taken);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake_helpers, NULL);
    pthread_cond_init(&team->wake_caller, NULL);
    if (!start_helpers(team, n_helpers)) {
        size_t n_started = team->n_helpers;
        w4_team_destroy(team);
        return w4_fail(err, W4MOE_NOMEM,
                "%d threads: the system started no more than %zu", n_threads,
                n_started + 1);
    }
    *team_p = team;
    return W4MOE_OK;
}

void
w4_team_destroy(struct w4_team *team)
{
    if (team == NULL) {
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->ended = 1;
    atomic_fetch_add(&team->n_loops, 1);
    pthread_cond_broadcast(&team->wake_helpers);
    pthread_mutex_unlock(&team->lock);
    for (size_t i = 0; i < team->n_helpers; i++) {
        pthread_join(team->helpers[i].thread, NULL);
    }
    pthread_cond_destroy(&team->wake_caller);
    pthread_cond_destroy(&team->wake_helpers);
    pthread_mutex_destroy(&team->lock);
    free(team);
}

size_t
w4_team_size(const struct w4_team *team)
{
    return team != NULL ? team->n_helpers + 1 : 1;
}

static void
set_loop(struct w4_team *team, struct loop *loop)
{
    pthread_mutex_lock(&team->lock);
    team->loop = loop;
    if (loop != NULL) {
        atomic_fetch_add(&team->n_loops, 1);
        if (team->n_asleep > 0) {
            pthread_cond_broadcast(&team->wake_helpers);
        }
    }
    pthread_mutex_unlock(&team->lock);
}

/* Waits for the items that helpers have begun. */
static void
wait_for_helpers(struct w4_team *team, struct loop *loop)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&loop->n_inside) == 0) {
            break;
        }
        relax();
    }
    /* Also when there is none: the last one must have let go of the lock before
     * the loop's memory goes. */
    pthread_mutex_lock(&team->lock);
    team->caller_asleep = 1;
    while (atomic_load(&loop->n_inside) > 0) {
        pthread_cond_wait(&team->wake_caller, &team->lock);
    }
    team->caller_asleep = 0;
    pthread_mutex_unlock(&team->lock);
}

void
w4_parallel(struct w4_team *team, size_t n, w4_item_fn *item, const void *job)
{
    if (team == NULL || n <= 1 || atomic_flag_test_and_set(&team->taken)) {
        for (size_t i = 0; i < n; i++) {
            item(job, i);
        }
        return;
    }
    struct loop loop;
    size_t size = w4_team_size(team);
    loop.item = item;
    loop.job = job;
    atomic_init(&loop.n_inside, 0);
    loop.n_runs = size < RUNS_MAX ? size : RUNS_MAX;
    for (size_t r = 0; r < loop.n_runs; r++) {
        size_t extra = n % loop.n_runs;
        size_t first = n / loop.n_runs * r + (r < extra ? r : extra);
        atomic_init(&loop.runs[r].next, first);
        loop.runs[r].end = first + n / loop.n_runs + (r < extra);
    }
    set_loop(team, &loop);
    do_items(&loop, 0);
    set_loop(team, NULL);
    wait_for_helpers(team, &loop);
    atomic_flag_clear(&team->taken);
}

int
w4_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}
