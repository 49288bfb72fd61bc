/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Predicted tokens per second over the number of ranks, as a picture: in
 * characters, and as SVG. Both axes are logarithmic.
 */
#ifndef W4_TOOLS_PLAN_PLOT_H
#define W4_TOOLS_PLAN_PLOT_H

#include "plan_report.h"

/** Prints a plot of all curves, by a letter each. */
extern void plan_plot_text(const struct plan_curve *curves, size_t n);

/** Writes a plot of all curves, with what they would be if ranks only
 * multiplied. Returns an exit code, after printing why. */
extern int plan_plot_svg(
        const char *path, const struct plan_curve *curves, size_t n);

#endif
