/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Where failures go: the text of the last one, for each thread, and the
 * caller's log function.
 *
 * The first detector of a failure calls w4_fail(); its callers only pass the
 * status on.
 */
#ifndef W4_BASE_ERR_H
#define W4_BASE_ERR_H

#include <pthread.h>
#include <sys/types.h>

#include <w4moe/base.h>

enum { W4_ERR_TEXT = 512, W4_ERR_THREADS = 32 };

/** The text of one thread's last failure. */
struct w4_err_slot {
    /** Of the kernel: unlike a pthread_t it does not come back soon. */
    pid_t thread;
    /** Age, to find the oldest slot when all are taken; 0: free. */
    uint64_t stamp;
    char text[W4_ERR_TEXT];
};

/** A sink of failures. Safe to use by several threads. */
struct w4_err {
    w4moe_log_fn *log;
    void *log_user;
    pthread_mutex_t lock;
    uint64_t stamp;
    struct w4_err_slot slots[W4_ERR_THREADS];
};

extern void w4_err_init(struct w4_err *err, w4moe_log_fn *log, void *log_user);
extern void w4_err_fini(struct w4_err *err);

/** Records and logs a failure of this thread; returns status. err may be
 * NULL. Control characters, which a name from a file may have, become '?'. */
extern w4moe_status w4_fail(struct w4_err *err, w4moe_status status,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Sends one line to the log, without recording a failure. Control characters
 * become '?'. */
extern void w4_log(struct w4_err *err, w4moe_log_level level,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

/** This thread's last text, "" if none. */
extern const char *w4_err_text(struct w4_err *err);

/** The first failure among the threads of a parallel region, to be passed on
 * to the thread that started the region. Initialise with {0}. */
struct w4_first {
    w4moe_status status;
    char text[W4_ERR_TEXT];
};

/** Notes this thread's failure if it is the region's first; returns status.
 * OK is ignored. */
extern w4moe_status w4_first_note(
        struct w4_first *first, struct w4_err *err, w4moe_status status);

/** Whether any thread has noted a failure; others may stop early. */
extern int w4_first_any(struct w4_first *first, struct w4_err *err);

/** After the region: makes the noted failure this thread's last; returns its
 * status. It was logged when it happened. */
extern w4moe_status w4_first_raise(
        const struct w4_first *first, struct w4_err *err);

#endif
