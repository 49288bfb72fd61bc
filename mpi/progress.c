/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* Between two tests. Sockets take some milliseconds' worth of data meanwhile;
 * shorter pauses take time from computing. */
enum { PAUSE_NANOSECONDS = 100000 };

struct w4_mpi_progress {
    pthread_t thread;
    pthread_mutex_t mutex;
    /* Tells the thread of work, or of the end. */
    pthread_cond_t wake;
    /* Not looked at. Some compilers take MPI_STATUSES_IGNORE, which is no
     * address, for one. */
    MPI_Status statuses[W4_MPI_PROGRESS_MAX];
    /* All below by the mutex, which the thread holds while it is in MPI. */
    MPI_Request *requests;
    int n;
    int code;
    int active;
    int ending;
};

static void *
run(void *argument)
{
    struct w4_mpi_progress *p = argument;
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    (void)pthread_mutex_lock(&p->mutex);
    while (!p->ending) {
        if (!p->active) {
            (void)pthread_cond_wait(&p->wake, &p->mutex);
            continue;
        }
        int done = 0;
        p->code = MPI_Testall(p->n, p->requests, &done, p->statuses);
        p->active = !done && p->code == MPI_SUCCESS;
        (void)pthread_mutex_unlock(&p->mutex);
        (void)nanosleep(&pause, NULL);
        (void)pthread_mutex_lock(&p->mutex);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* Starts the thread, which gets no signals: they are for the program's own. */
static int
start(struct w4_mpi_progress *p)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&p->thread, NULL, run, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

w4moe_status
w4_mpi_progress_create(
        const w4moe_ctx *ctx, struct w4_mpi_progress **progress_p)
{
    struct w4_mpi_progress *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return w4_mpi_fail(ctx, W4MOE_NOMEM, "no memory for a thread");
    }
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    if (start(p) != 0) {
        (void)pthread_cond_destroy(&p->wake);
        (void)pthread_mutex_destroy(&p->mutex);
        free(p);
        return w4_mpi_fail(ctx, W4MOE_NOMEM, "no thread to drive MPI");
    }
    *progress_p = p;
    return W4MOE_OK;
}

void
w4_mpi_progress_destroy(struct w4_mpi_progress *p)
{
    if (p == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->ending = 1;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->mutex);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
}

void
w4_mpi_progress_begin(struct w4_mpi_progress *p, MPI_Request *requests, int n)
{
    if (p == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->requests = requests;
    p->n = n;
    p->code = MPI_SUCCESS;
    p->active = 1;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->mutex);
}

int
w4_mpi_progress_end(struct w4_mpi_progress *p)
{
    if (p == NULL) {
        return MPI_SUCCESS;
    }
    (void)pthread_mutex_lock(&p->mutex);
    p->active = 0;
    int code = p->code;
    (void)pthread_mutex_unlock(&p->mutex);
    return code;
}
