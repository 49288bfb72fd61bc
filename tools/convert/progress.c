/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Progress on stderr, and signals; see progress.h. */
#include "progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "text.h"

enum { BAR_MIN = 6, BAR_MAX = 32, STATE_MAX = 2 * TEXT_MAX + 96 };

static const double bar_interval = 0.1;
static const double line_interval = 5.0;
/* A line comes earlier if this share is done since the last one, but not
 * within a second: a short conversion prints none. */
static const double line_share = 0.1;
static const double line_min_interval = 1.0;

static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t line_requested;

static void
on_signal(int number)
{
    if (number == SIGUSR1) {
        line_requested = 1;
    } else {
        stop_requested = 1;
    }
}

void
progress_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) != 0 ||
                action.sa_handler == SIG_IGN) {
            continue; /* for example under nohup */
        }
        memset(&action, 0, sizeof(action));
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART;
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
}

static int
stderr_is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static size_t
terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

void
progress_init(struct progress *progress, enum progress_mode mode)
{
    memset(progress, 0, sizeof(*progress));
    progress->enabled = mode != PROGRESS_NEVER;
    progress->bar = mode == PROGRESS_ALWAYS ||
                    (mode == PROGRESS_AUTO && stderr_is_terminal());
    progress->start = tool_seconds();
    progress->last = progress->start;
}

static void
format_eta(char *out, size_t size, double seconds)
{
    if (!(seconds < 360000.0)) {
        snprintf(out, size, "-");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600) {
        snprintf(out, size, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(out, size, "%u:%02u", s / 60, s % 60);
    }
}

/* The part that bar and line have in common. */
static void
format_state(char *out, size_t size, const struct progress *progress,
        const w4moe_progress *state, double share, double now)
{
    char done[TEXT_MAX];
    char total[TEXT_MAX];
    char eta[32];
    double seconds = now - progress->start;
    double rate = seconds > 0.0 ? (double)state->bytes_done / seconds : 0.0;
    double left = (double)state->bytes_total - (double)state->bytes_done;
    format_eta(eta, sizeof(eta), rate > 0.0 ? left / rate : 1e9);
    snprintf(out, size, "%3.0f %%  %s of %s  %.0f MB/s  ETA %s  %s layer %lu",
            100.0 * share, text_bytes(done, state->bytes_done),
            text_bytes(total, state->bytes_total), rate * 1e-6, eta,
            state->phase, (unsigned long)state->layer);
}

/* The text, and before it a bar in what is left of the line. */
static void
draw_bar(struct progress *progress, const char *text, double share)
{
    char bar[BAR_MAX + 1] = "";
    size_t width = terminal_width();
    size_t used = strlen(text) + 4; /* brackets, a blank, the last column */
    size_t n = width > used ? width - used : 0;
    n = n < BAR_MAX ? n : BAR_MAX;
    fputs("\r\033[K", stderr);
    if (n >= BAR_MIN) {
        size_t filled = (size_t)(share * (double)n);
        memset(bar, '-', n);
        memset(bar, '#', filled);
        fprintf(stderr, "[%s] ", bar);
    }
    fprintf(stderr, "%.*s", (int)(width > 1 ? width - 1 : 1), text);
    fflush(stderr);
    progress->drawn = 1;
}

void
progress_clear(void *user)
{
    struct progress *progress = user;
    if (progress->drawn) {
        progress->drawn = 0;
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}

/* Whether it is time to show something without being asked. */
static int
is_due(const struct progress *progress, double share, double now)
{
    double since = now - progress->last;
    if (!progress->enabled) {
        return 0;
    }
    if (progress->bar) {
        return since >= bar_interval;
    }
    return since >= line_interval ||
           (since >= line_min_interval &&
                   share - progress->last_share >= line_share);
}

int
progress_update(void *user, const w4moe_progress *state)
{
    struct progress *progress = user;
    char text[STATE_MAX];
    double now = tool_seconds();
    double share = state->bytes_total > 0 ? (double)state->bytes_done /
                                                    (double)state->bytes_total
                                          : 0.0;
    share = share < 1.0 ? share : 1.0;
    int asked = line_requested;
    int due = is_due(progress, share, now);
    if (asked || due) {
        format_state(text, sizeof(text), progress, state, share, now);
    }
    if (asked) {
        line_requested = 0;
        progress_clear(progress);
        fprintf(stderr, "%s: %s\n", tool_name, text);
    }
    if (due) {
        if (progress->bar) {
            draw_bar(progress, text, share);
        } else if (!asked) {
            fprintf(stderr, "%s: %s\n", tool_name, text);
        }
        progress->last = now;
        progress->last_share = share;
    }
    return stop_requested != 0;
}
