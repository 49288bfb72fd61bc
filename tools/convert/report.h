/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What moe-convert prints at the end: about a conversion, and about a
 * container.
 */
#ifndef W4_TOOLS_REPORT_H
#define W4_TOOLS_REPORT_H

#include <w4moe.h>

/** A conversion that succeeded. */
struct report_run {
    const char *in_path;
    /** NULL without one. */
    const char *out_path;
    double seconds;
    int dry_run;
    int verify;
};

/** Prints the report on stdout, as JSON if json is not 0. Returns an exit
 * code. */
extern int report_convert(const w4moe_convert_report *report,
        const struct report_run *run, int json);

/** Opens the container at path and prints what it holds. */
extern int report_info(const w4moe_ctx *ctx, const char *path, int json);

/** Opens the container at path, compares its hashes and says so, unless quiet
 * is set. */
extern int report_check(
        const w4moe_ctx *ctx, const char *path, int json, int quiet);

#endif
