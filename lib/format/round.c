/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Eight weights at a time, in two vectors; sums are in a fixed order, so that
 * every machine makes the same codes.
 */
#include "format/round.h"

#include <inttypes.h>
#include <math.h>

#include "base/half.h"
#include "io/text.h"

enum { ZERO = W4_ZERO_SYMMETRIC, CODE_MAX = 15 };

/* Half of the weights of a step, and integers as many. */
enum { LANES = 4, STEP = 2 * LANES };
typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));

/* A scale as it is used: the integer nearest to weight * inverse, plus zero,
 * within 0 .. 15, is the code. */
struct grid {
    float scale;
    float inverse;
    int32_t zero;
};

/* A group's range, which includes 0. */
struct range {
    float min;
    float max;
};

/* Weights so small that the inverse of their scale might overflow are
 * multiplied by LIFT, which is exact, and so is their scale where it is used.
 */
#define LIFT 0x1p+100f
#define LIFT_BELOW 0x1p-90f

/* ------------------------------------------------------------------- scales */

/* The numbers of a type of scales: the least positive one, the least normal
 * one, and the greatest scale by which all codes mean finite floats. */
struct scale_type {
    float least;
    float normal;
    float limit;
};

static struct scale_type
scale_type(w4moe_dtype dtype)
{
    if (dtype == W4MOE_F16) {
        return (struct scale_type){0x1p-24f, 0x1p-14f, 65504.0f};
    }
    float least = dtype == W4MOE_BF16 ? 0x1p-133f : 0x1p-149f;
    return (struct scale_type){least, 0x1p-126f, 0x1p+124f};
}

/* Rounds a scale to its type. Returns whether it is small enough. */
static int
round_scale(float *scale, double wanted, w4moe_dtype dtype)
{
    struct scale_type type = scale_type(dtype);
    union {
        float single;
        uint16_t half;
    } room = {0.0f};
    w4_store_float(&room, dtype, 0, (float)wanted);
    float rounded = w4_load_float(&room, dtype, 0);
    if (fabsf(rounded) < type.normal && fabs((double)rounded) < fabs(wanted)) {
        rounded += wanted < 0.0 ? -type.least : type.least;
    }
    *scale = rounded;
    return fabsf(rounded) <= type.limit;
}

/* ------------------------------------------------------------------- groups */

static inline floats
load(const float *values)
{
    floats v;
    memcpy(&v, values, sizeof(v));
    return v;
}

/* a where mask is all ones, b where it is 0. */
static inline ints
select_ints(ints mask, ints a, ints b)
{
    return (a & mask) | (b & ~mask);
}

static inline floats
select_floats(ints mask, floats a, floats b)
{
    return (floats)select_ints(mask, (ints)a, (ints)b);
}

/* The codes nearest to t, which is less than 2^22, ties to even: adding
 * 1.5 * 2^23 leaves the integer in the low bits. */
static inline ints
codes_of(floats t, int32_t zero)
{
    const float shift = 0x1.8p23f;
    ints least = {0};
    ints most = least + CODE_MAX;
    ints q = (ints)(t + shift) - ((int32_t)w4_bits_of_float(shift) - zero);
    q = select_ints(q < least, least, q);
    return select_ints(q > most, most, q);
}

static inline floats
lesser(floats a, floats b)
{
    return select_floats(a < b, a, b);
}

static inline floats
greater(floats a, floats b)
{
    return select_floats(a > b, a, b);
}

static struct range
range_of(const float *values, size_t n)
{
    floats min = {0};
    floats max = {0};
    struct range range = {0};
    for (size_t i = 0; i < n; i += STEP) {
        floats first = load(values + i);
        floats second = load(values + i + LANES);
        min = lesser(lesser(first, second), min);
        max = greater(greater(first, second), max);
    }
    for (size_t j = 0; j < LANES; j++) {
        range.min = min[j] < range.min ? min[j] : range.min;
        range.max = max[j] > range.max ? max[j] : range.max;
    }
    return range;
}

/* Squares of the errors of weights that are t in units of the scale. */
static inline floats
squares(floats t)
{
    ints q = codes_of(t, ZERO) - ZERO;
    floats error = t - __builtin_convertvector(q, floats);
    return error * error;
}

/* Sum of squared errors by a symmetric scale, in units of it. */
static float
squared_error(const float *values, size_t n, float inverse)
{
    floats first = {0};
    floats second = {0};
    for (size_t i = 0; i < n; i += STEP) {
        first += squares(load(values + i) * inverse);
        second += squares(load(values + i + LANES) * inverse);
    }
    floats sum = first + second;
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Writes the codes of a group as words, little-endian. */
static void
put_codes(unsigned char *words, const float *values, size_t n,
        const struct grid *grid)
{
    for (size_t i = 0; i < n; i += STEP) {
        ints low = codes_of(load(values + i) * grid->inverse, grid->zero);
        ints high =
                codes_of(load(values + i + LANES) * grid->inverse, grid->zero);
        /* Codes j and j + 4 in lane j. */
        ints both = low | high << 16;
        uint32_t word = (uint32_t)both[0] | (uint32_t)both[1] << 4 |
                        (uint32_t)both[2] << 8 | (uint32_t)both[3] << 12;
        w4_swap_le(&word, sizeof(word), 1);
        memcpy(words + i / 2, &word, sizeof(word));
    }
}

/* A grid of a wanted scale, of weights that were multiplied by lift. Returns
 * whether the scale is small enough. */
static int
make_grid(struct grid *grid, double wanted, float lift, w4moe_dtype dtype)
{
    int fits = round_scale(&grid->scale, wanted / (double)lift, dtype);
    grid->inverse = (float)(1.0 / ((double)grid->scale * (double)lift));
    grid->zero = ZERO;
    return fits;
}

/* The best of the symmetric grids. Returns whether there is one. */
static int
symmetric_grid(struct grid *best, const float *values, size_t n,
        const struct range *range, float lift, w4moe_dtype dtype)
{
    double e =
            range->max > -range->min ? (double)range->max : (double)range->min;
    const double wanted[] = {e / -8.0, e / -8.5, fabs(e) / 7.0};
    double least = INFINITY;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct grid grid;
        if (!make_grid(&grid, wanted[i], lift, dtype)) {
            continue;
        }
        /* Relative to the square of e, which is no number too small. */
        double unit = (double)grid.scale * (double)lift / e;
        double error = unit * unit;
        error *= (double)squared_error(values, n, grid.inverse);
        if (error < least) {
            least = error;
            *best = grid;
        }
    }
    return least < (double)INFINITY;
}

/* The asymmetric grid. Returns whether there is one. */
static int
asymmetric_grid(struct grid *grid, const struct range *range, float lift,
        w4moe_dtype dtype)
{
    double wanted = ((double)range->max - (double)range->min) / CODE_MAX;
    int fits = make_grid(grid, wanted, lift, dtype);
    double zero = rint((double)-range->min * (double)grid->inverse);
    grid->zero = zero < CODE_MAX ? (int32_t)zero : CODE_MAX;
    return fits;
}

/* Rounds one group, whose numbers are finite: the scale and zero point at
 * place `place`. Returns whether there is a scale. */
static int
round_group(const struct w4_weight *weight, unsigned char *words, size_t place,
        float *values, size_t n, const struct w4_rows *out)
{
    w4moe_dtype dtype = weight->scale_dtype;
    struct range range = range_of(values, n);
    struct grid grid = {.zero = ZERO};
    int fits = 1;
    if (range.max - range.min != 0.0f) {
        float lift =
                range.max < LIFT_BELOW && range.min > -LIFT_BELOW ? LIFT : 1.0f;
        for (size_t i = 0; lift != 1.0f && i < n; i++) {
            values[i] *= lift;
        }
        range.min *= lift;
        range.max *= lift;
        fits = weight->has_zeros
                       ? asymmetric_grid(&grid, &range, lift, dtype)
                       : symmetric_grid(&grid, values, n, &range, lift, dtype);
    }
    if (!fits) {
        return 0;
    }
    put_codes(words, values, n, &grid);
    w4_store_float(out->scales, dtype, place, grid.scale);
    if (weight->has_zeros) {
        out->zeros[place] = (uint8_t)grid.zero;
    }
    return 1;
}

/* --------------------------------------------------------------------- rows */

/* Whether all numbers are finite. */
static int
are_finite(const float *values, size_t n)
{
    const ints exponent = (ints){0} + 0x7F800000;
    ints wrong = {0};
    for (size_t i = 0; i < n; i += LANES) {
        wrong |= ((ints)load(values + i) & exponent) == exponent;
    }
    return (wrong[0] | wrong[1] | wrong[2] | wrong[3]) == 0;
}

/* The text of a row that cannot be rounded: the first weight that is not
 * finite, or the largest of the group that begins at `first`. */
static w4moe_status
refuse(struct w4_err *err, const struct w4_weight *weight, size_t n,
        const float *values, size_t first, size_t end, int finite)
{
    size_t worst = first;
    for (size_t i = first; i < end; i++) {
        if (finite ? fabsf(values[i]) > fabsf(values[worst])
                   : !isfinite(values[i])) {
            worst = i;
            if (!finite) {
                break;
            }
        }
    }
    const char *name = weight->name != NULL ? weight->name : "weights";
    return w4_fail(err, W4MOE_FORMAT,
            "tensor \"%s\": the weight of row %zu, column %zu is %g%s%s",
            w4_show_string(name).text, w4_weight_row(weight, n), worst,
            (double)values[worst],
            finite ? ", too large for scales of type " : "",
            finite ? w4moe_dtype_name(weight->scale_dtype) : "");
}

w4moe_status
w4_round_row(struct w4_err *err, const struct w4_weight *weight, size_t n,
        size_t r, float *values, struct w4_rows *out)
{
    size_t n_in = weight->n_in;
    size_t step = weight->group_size;
    size_t place = r * w4_weight_groups(weight);
    unsigned char *words = out->words + r * (n_in / 2);
    if (!are_finite(values, n_in)) {
        return refuse(err, weight, n, values, 0, n_in, 0);
    }
    for (size_t first = 0; first < n_in; first += step) {
        size_t end = first + step < n_in ? first + step : n_in;
        if (!round_group(weight, words + first / 2, place++, values + first,
                    end - first, out)) {
            return refuse(err, weight, n, values, first, end, 1);
        }
    }
    out->codes[r] = words;
    return W4MOE_OK;
}
