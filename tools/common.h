/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What all tools share: exit codes, messages, the context, the clock.
 *
 * Not for reading option values (args.h) or for printing numbers (text.h).
 */
#ifndef W4_TOOLS_COMMON_H
#define W4_TOOLS_COMMON_H

#include <w4moe.h>

/** Exit codes of all tools, as their man pages list them. */
enum tool_exit {
    TOOL_OK = 0,
    /** The request is well formed but could not be done. */
    TOOL_ERROR = 1,
    /** The command line is wrong. */
    TOOL_USAGE = 2,
    /** A comparison failed: a hash, a verification, an expected result. */
    TOOL_MISMATCH = 3
};

/** Each tool's main file defines it, for example "moe-run". */
extern const char tool_name[];

/** Prints "NAME: TEXT" on stderr, control characters replaced; returns
 * TOOL_ERROR. */
extern int tool_error(const char *format, ...)
        __attribute__((format(printf, 1, 2)));

/** The same for a wrong command line, with a pointer to --help; returns
 * TOOL_USAGE. */
extern int tool_usage(const char *format, ...)
        __attribute__((format(printf, 1, 2)));

/** Prints the context's last failure; returns TOOL_MISMATCH for
 * W4MOE_MISMATCH, else TOOL_ERROR. */
extern int tool_failed(const w4moe_ctx *ctx, w4moe_status status);

/** What getopt_long() refused: c is '?' or ':', optstring began with ':' and
 * opterr was 0. Returns TOOL_USAGE. */
extern int tool_option_error(int c, char **argv);

/** Prints the version, or a help text, on stdout; returns TOOL_OK. */
extern int tool_version(void);
extern int tool_help(const char *text);

/** Flushes stdout. Returns code, or TOOL_ERROR if what was printed could not
 * be written. */
extern int tool_finish(int code);

/** Where the library's log lines go. */
struct tool_log {
    /** Not 0: warnings are not printed. */
    int quiet;
    /** Called before a line is printed, to make room for it; may be NULL. */
    void (*before)(void *user);
    void *before_user;
    /** Text of the last error while there is no context to ask. */
    char text[512];
    int have_ctx;
};

/**
 * Makes a context whose warnings are printed on stderr.
 *
 * In: backend may be NULL; n_threads 0 means the library's default. log must
 *     live as long as the context.
 * Returns: TOOL_OK, or TOOL_ERROR after printing why.
 */
extern int tool_ctx_create(w4moe_ctx **ctx_p, struct tool_log *log,
        const char *backend, unsigned n_threads);

/** Whether this machine has so much memory at all. A larger request may be
 * granted by the system all the same, and end the process when it is used. */
extern int tool_has_memory(uint64_t n_bytes);

/** Cleared memory for count elements of size bytes, aligned to 64 bytes; NULL
 * after printing why, naming `what`. Release it with free(). */
extern void *tool_alloc(uint64_t count, uint64_t size, const char *what);

/** Seconds of a clock that only goes forward. */
extern double tool_seconds(void);

/** Median; sorts values. n is at least 1. */
extern double tool_median(double *values, size_t n);

#endif
