/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Progress of a conversion on stderr, and signals: some stop it, and SIGUSR1
 * asks how far it is.
 *
 * On a terminal it is one line that is drawn again at most 10 times a second
 * and erased at the end. Elsewhere it is a plain line now and then.
 */
#ifndef W4_TOOLS_PROGRESS_H
#define W4_TOOLS_PROGRESS_H

#include <w4moe.h>

enum progress_mode {
    /** A bar if stderr is a terminal (and TERM is not "dumb"), else lines. */
    PROGRESS_AUTO,
    /** A bar. */
    PROGRESS_ALWAYS,
    /** Nothing. */
    PROGRESS_NEVER
};

struct progress {
    int enabled;
    int bar;
    double start;
    /** Time and share (0 to 1) of what was printed last. */
    double last;
    double last_share;
    /** Whether a bar stands on the terminal. */
    _Atomic int drawn;
};

extern void progress_init(struct progress *progress, enum progress_mode mode);

/** A w4moe_progress_fn; user is a struct progress. Asks to stop after a
 * signal. After SIGUSR1 it prints a line, in every mode. */
extern int progress_update(void *user, const w4moe_progress *state);

/** Erases the bar, if any; user is a struct progress. */
extern void progress_clear(void *user);

/** From now on SIGINT, SIGTERM and SIGHUP (unless ignored) only make
 * progress_update() ask to stop, and SIGUSR1 makes it print a line. */
extern void progress_catch_signals(void);

#endif
