/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Pictures of predictions; see plan_plot.h. */
#include "plan_plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

/* What a plot shows: log2 of ranks, log10 of tokens per second. */
struct range {
    double x_min;
    double x_max;
    double y_min;
    double y_max;
};

static struct range
find_range(const struct plan_curve *curves, size_t n)
{
    struct range range = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < curves[c].n_rows; i++) {
            const struct plan_row *row = &curves[c].rows[i];
            double x = log2((double)row->n_ranks);
            double y = log10(row->rate);
            range.x_min = x < range.x_min ? x : range.x_min;
            range.x_max = x > range.x_max ? x : range.x_max;
            range.y_min = y < range.y_min ? y : range.y_min;
            range.y_max = y > range.y_max ? y : range.y_max;
        }
    }
    /* One point has a range, too. */
    range.x_max += range.x_max - range.x_min < 1.0;
    range.y_max += range.y_max - range.y_min < 0.1 ? 0.1 : 0.0;
    return range;
}

/* How far a value is on an axis, from 0 to 1. */
static double
along(double value, double min, double max)
{
    return (value - min) / (max - min);
}

/* -------------------------------------------------------------- characters */

enum { PLOT_ROWS = 17, PLOT_COLUMNS = 61, PLOT_LABELS = 4, LETTERS = 26 };

static void
plot_curve(char plot[PLOT_ROWS][PLOT_COLUMNS + 1], const struct range *range,
        const struct plan_curve *curve, char letter)
{
    for (size_t i = 0; i < curve->n_rows; i++) {
        const struct plan_row *row = &curve->rows[i];
        double x =
                along(log2((double)row->n_ranks), range->x_min, range->x_max);
        double y = along(log10(row->rate), range->y_min, range->y_max);
        plot[(size_t)lround((1.0 - y) * (PLOT_ROWS - 1))]
            [(size_t)lround(x * (PLOT_COLUMNS - 1))] = letter;
    }
}

/* The numbers below the plot, where they have room. */
static void
print_ranks(const struct range *range)
{
    char line[PLOT_COLUMNS + 16];
    size_t used = 0;
    memset(line, ' ', sizeof(line));
    for (double x = ceil(range->x_min); x <= range->x_max; x += 1.0) {
        char text[16];
        int n = snprintf(text, sizeof(text), "%.0f", exp2(x));
        size_t at = (size_t)lround(
                along(x, range->x_min, range->x_max) * (PLOT_COLUMNS - 1));
        if (at >= used && at + (size_t)n < sizeof(line)) {
            memcpy(line + at, text, (size_t)n);
            used = at + (size_t)n + 1;
        }
    }
    printf("%10s  %.*s ranks\n", "", (int)used, line);
}

void
plan_plot_text(const struct plan_curve *curves, size_t n)
{
    char plot[PLOT_ROWS][PLOT_COLUMNS + 1];
    struct range range = find_range(curves, n);
    memset(plot, ' ', sizeof(plot));
    for (size_t c = 0; c < n; c++) {
        plot_curve(plot, &range, &curves[c], (char)('a' + c % LETTERS));
    }
    printf("\ntokens/s\n");
    for (size_t i = 0; i < PLOT_ROWS; i++) {
        double y = range.y_max -
                   (range.y_max - range.y_min) * (double)i / (PLOT_ROWS - 1);
        char label[16] = "";
        if (i % PLOT_LABELS == 0) {
            snprintf(label, sizeof(label), "%.0f", pow(10.0, y));
        }
        size_t length = PLOT_COLUMNS;
        while (length > 0 && plot[i][length - 1] == ' ') {
            length--;
        }
        printf("%10s |%.*s\n", label, (int)length, plot[i]);
    }
    printf("%10s +", "");
    for (size_t i = 0; i < PLOT_COLUMNS; i++) {
        putchar('-');
    }
    putchar('\n');
    print_ranks(&range);
    for (size_t c = 0; c < n; c++) {
        printf("%12c  %lu tokens of each rank\n", (char)('a' + c % LETTERS),
                (unsigned long)curves[c].n_tokens);
    }
}

/* --------------------------------------------------------------------- SVG */

/* Pixels: the picture, and the frame in it. */
enum {
    WIDTH = 760,
    HEIGHT = 480,
    LEFT = 90,
    RIGHT = 600,
    TOP = 50,
    BOTTOM = 410,
    LEGEND = 620
};

/* Colours that people tell apart who see few of them. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73",
        "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
enum { COLOURS = sizeof(colours) / sizeof(colours[0]) };

static double
pixel_x(const struct range *range, double x)
{
    return LEFT + along(x, range->x_min, range->x_max) * (RIGHT - LEFT);
}

static double
pixel_y(const struct range *range, double y)
{
    return BOTTOM - along(y, range->y_min, range->y_max) * (BOTTOM - TOP);
}

static void
svg_head(FILE *file)
{
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n"
            "<title>Predicted tokens per second by ranks</title>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"28\" font-size=\"16\">Predicted speed, experts "
            "spread over ranks</text>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
}

static void
svg_line(FILE *file, double x1, double y1, double x2, double y2)
{
    fprintf(file,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
            "stroke=\"#dddddd\"/>\n",
            x1, y1, x2, y2);
}

/* Powers of two of ranks; 1, 2 and 5 times powers of ten of speed. */
static void
svg_axes(FILE *file, const struct range *range)
{
    static const int steps[] = {1, 2, 5};
    for (double x = ceil(range->x_min); x <= range->x_max; x += 1.0) {
        double at = pixel_x(range, x);
        svg_line(file, at, TOP, at, BOTTOM);
        fprintf(file,
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f"
                "</text>\n",
                at, BOTTOM + 20, exp2(x));
    }
    for (double p = floor(range->y_min); p <= range->y_max; p += 1.0) {
        for (size_t i = 0; i < 3; i++) {
            double y = p + log10(steps[i]);
            if (y < range->y_min || y > range->y_max) {
                continue;
            }
            double at = pixel_y(range, y);
            svg_line(file, LEFT, at, RIGHT, at);
            fprintf(file,
                    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.15g"
                    "</text>\n",
                    LEFT - 8, at + 4.0, steps[i] * pow(10.0, p));
        }
    }
    fprintf(file,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" "
            "stroke=\"black\"/>\n"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">ranks</text>\n"
            "<text transform=\"translate(22 %d) rotate(-90)\" "
            "text-anchor=\"middle\">tokens/s of all ranks</text>\n",
            LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP, (LEFT + RIGHT) / 2,
            BOTTOM + 45, (TOP + BOTTOM) / 2);
}

/* What ranks would do that only multiplied: up to the frame's top. */
static void
svg_ideal(FILE *file, const struct range *range, const struct plan_row *row,
        const char *colour)
{
    double x = log2((double)row->n_ranks);
    double y = log10(row->rate);
    double end_x = range->x_max;
    double end_y = y + (end_x - x) * log10(2.0);
    if (end_y > range->y_max) {
        end_x = x + (range->y_max - y) / log10(2.0);
        end_y = range->y_max;
    }
    fprintf(file,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
            "stroke=\"%s\" stroke-dasharray=\"3 4\" opacity=\"0.6\"/>\n",
            pixel_x(range, x), pixel_y(range, y), pixel_x(range, end_x),
            pixel_y(range, end_y), colour);
}

static void
svg_curve(FILE *file, const struct range *range, const struct plan_curve *curve,
        size_t number)
{
    const char *colour = colours[number % COLOURS];
    double legend = TOP + 14.0 + 20.0 * (double)number;
    svg_ideal(file, range, &curve->rows[0], colour);
    fprintf(file,
            "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" "
            "points=\"",
            colour);
    for (size_t i = 0; i < curve->n_rows; i++) {
        fprintf(file, "%s%.1f,%.1f", i > 0 ? " " : "",
                pixel_x(range, log2((double)curve->rows[i].n_ranks)),
                pixel_y(range, log10(curve->rows[i].rate)));
    }
    fprintf(file, "\"/>\n");
    for (size_t i = 0; i < curve->n_rows; i++) {
        fprintf(file,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
                pixel_x(range, log2((double)curve->rows[i].n_ranks)),
                pixel_y(range, log10(curve->rows[i].rate)), colour);
    }
    fprintf(file,
            "<circle cx=\"%d\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n"
            "<text x=\"%d\" y=\"%.1f\">%lu tokens a rank</text>\n",
            LEGEND, legend - 4.0, colour, LEGEND + 12, legend,
            (unsigned long)curve->n_tokens);
}

int
plan_plot_svg(const char *path, const struct plan_curve *curves, size_t n)
{
    struct range range = find_range(curves, n);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return tool_error("%s: %s", path, strerror(errno));
    }
    svg_head(file);
    svg_axes(file, &range);
    for (size_t i = 0; i < n; i++) {
        svg_curve(file, &range, &curves[i], i);
    }
    fprintf(file,
            "<text x=\"%d\" y=\"%d\" fill=\"#555555\">dotted: twice the "
            "ranks, twice the speed</text>\n</svg>\n",
            LEFT, HEIGHT - 8);
    int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        return tool_error("%s: %s", path, strerror(errno));
    }
    return TOOL_OK;
}
