/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What all tools share; see common.h. */
#include "common.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/size.h"

enum { ALIGNMENT = 64 };

/* Texts may quote names from files: no escape sequence of theirs reaches the
 * terminal. */
static void __attribute__((format(printf, 1, 0)))
print_clean(const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof(text), format, args);
    for (char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F) {
            *p = '?';
        }
    }
    fprintf(stderr, "%s: %s\n", tool_name, text);
}

int
tool_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_clean(format, args);
    va_end(args);
    return TOOL_ERROR;
}

int
tool_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_clean(format, args);
    va_end(args);
    fprintf(stderr, "Try '%s --help'.\n", tool_name);
    return TOOL_USAGE;
}

int
tool_failed(const w4moe_ctx *ctx, w4moe_status status)
{
    const char *text = w4moe_ctx_error(ctx);
    tool_error("%s", text[0] != '\0' ? text : w4moe_status_string(status));
    return status == W4MOE_MISMATCH ? TOOL_MISMATCH : TOOL_ERROR;
}

int
tool_option_error(int c, char **argv)
{
    const char *given = argv[optind - 1];
    if (c == ':') {
        return tool_usage("option '%s' needs a value", given);
    }
    if (strncmp(given, "--", 2) != 0 && optopt != 0) {
        return tool_usage("unknown option '-%c'", optopt);
    }
    if (optopt != 0) {
        return tool_usage("option '%s' takes no value", given);
    }
    return tool_usage("unknown or ambiguous option '%s'", given);
}

int
tool_version(void)
{
    printf("%s (w4moe) %s\n", tool_name, W4MOE_VERSION);
    if (strcmp(w4moe_version(), W4MOE_VERSION) != 0) {
        printf("library %s\n", w4moe_version());
    }
    return TOOL_OK;
}

int
tool_help(const char *text)
{
    fputs(text, stdout);
    return TOOL_OK;
}

int
tool_finish(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        int other = tool_error("standard output: %s", strerror(errno));
        return code == TOOL_OK ? other : code;
    }
    return code;
}

static void
on_log(void *user, w4moe_log_level level, const char *text)
{
    struct tool_log *log = user;
    if (level == W4MOE_LOG_WARNING && !log->quiet) {
        if (log->before != NULL) {
            log->before(log->before_user);
        }
        tool_error("warning: %s", text);
    } else if (level == W4MOE_LOG_ERROR && !log->have_ctx) {
        snprintf(log->text, sizeof(log->text), "%s", text);
    }
}

int
tool_ctx_create(w4moe_ctx **ctx_p, struct tool_log *log, const char *backend,
        unsigned n_threads)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = backend,
            .n_threads = n_threads,
            .log = on_log,
            .log_user = log,
    };
    w4moe_status status = w4moe_ctx_create(ctx_p, &options);
    if (status != W4MOE_OK) {
        return tool_error("%s",
                log->text[0] != '\0' ? log->text : w4moe_status_string(status));
    }
    log->have_ctx = 1;
    return TOOL_OK;
}

int
tool_has_memory(uint64_t n_bytes)
{
#ifdef _SC_PHYS_PAGES
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0) {
        return n_bytes / (uint64_t)page_size < (uint64_t)pages;
    }
#endif
    return n_bytes <= SIZE_MAX;
}

void *
tool_alloc(uint64_t count, uint64_t size, const char *what)
{
    uint64_t n_bytes = 0;
    void *p = NULL;
    if (w4_mul(&n_bytes, count, size) &&
            w4_round_up(&n_bytes, n_bytes, ALIGNMENT) && n_bytes <= SIZE_MAX &&
            tool_has_memory(n_bytes)) {
        p = aligned_alloc(ALIGNMENT, n_bytes > 0 ? (size_t)n_bytes : ALIGNMENT);
    }
    if (p == NULL) {
        tool_error("no memory for %s: %llu elements of %llu bytes", what,
                (unsigned long long)count, (unsigned long long)size);
        return NULL;
    }
    return memset(p, 0, (size_t)n_bytes);
}

double
tool_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double
tool_median(double *values, size_t n)
{
    qsort(values, n, sizeof(values[0]), compare_doubles);
    double upper = values[n / 2];
    return n % 2 != 0 ? upper : (values[n / 2 - 1] + upper) / 2.0;
}
