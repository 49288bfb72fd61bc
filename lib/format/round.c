/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * The inner loops are over a fixed number of lanes, so that compilers make
 * vectors of them; sums are in a fixed order, so that every machine makes the
 * same codes.
 */
#include "format/round.h"

#include <inttypes.h>
#include <math.h>

#include "base/half.h"
#include "io/text.h"

enum { LANES = 8, ZERO = W4_ZERO_SYMMETRIC, CODE_MAX = 15 };

/* A scale as it is used: q, the integer nearest to weight * inverse in
 * [low, high], stands for the weight. */
struct grid {
    float scale;
    float inverse;
    float low;
    float high;
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

/* The integer nearest to t in [low, high], ties to even: adding 1.5 * 2^23
 * leaves it in the low bits. */
static inline int32_t
nearest(float t, float low, float high)
{
    const float shift = 0x1.8p23f;
    t = t < low ? low : t;
    t = t > high ? high : t;
    return (int32_t)(w4_bits_of_float(t + shift) - w4_bits_of_float(shift));
}

static struct range
range_of(const float *values, size_t n)
{
    float min[LANES] = {0};
    float max[LANES] = {0};
    struct range range = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float value = values[i + j];
            min[j] = value < min[j] ? value : min[j];
            max[j] = value > max[j] ? value : max[j];
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        range.min = min[j] < range.min ? min[j] : range.min;
        range.max = max[j] > range.max ? max[j] : range.max;
    }
    return range;
}

/* Sum of squared errors, in units of the scale. */
static float
squared_error(const float *values, size_t n, const struct grid *grid)
{
    float sums[LANES] = {0};
    float sum = 0.0f;
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            float t = values[i + j] * grid->inverse;
            float error = t - (float)nearest(t, grid->low, grid->high);
            sums[j] += error * error;
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        sum += sums[j];
    }
    return sum;
}

/* Writes the codes of a group: bytes of two. */
static void
put_codes(unsigned char *bytes, const float *values, size_t n,
        const struct grid *grid, int32_t zero)
{
    for (size_t i = 0; i < n; i += LANES) {
        uint32_t codes[LANES];
        for (size_t j = 0; j < LANES; j++) {
            float t = values[i + j] * grid->inverse;
            codes[j] = (uint32_t)(nearest(t, grid->low, grid->high) + zero);
        }
        for (size_t j = 0; j < LANES / 2; j++) {
            bytes[i / 2 + j] =
                    (unsigned char)(codes[2 * j] | codes[2 * j + 1] << 4);
        }
    }
}

/* A grid of a wanted scale, of weights that were multiplied by lift. Returns
 * whether the scale is small enough. */
static int
make_grid(struct grid *grid, double wanted, float lift, w4moe_dtype dtype)
{
    int fits = round_scale(&grid->scale, wanted / (double)lift, dtype);
    grid->inverse = (float)(1.0 / ((double)grid->scale * (double)lift));
    grid->low = -(float)ZERO;
    grid->high = (float)(CODE_MAX - ZERO);
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
        double error = (double)squared_error(values, n, &grid) * unit * unit;
        if (error < least) {
            least = error;
            *best = grid;
        }
    }
    return least < (double)INFINITY;
}

/* The asymmetric grid and its zero point. Returns whether there is one. */
static int
asymmetric_grid(struct grid *grid, int32_t *zero, const struct range *range,
        float lift, w4moe_dtype dtype)
{
    double wanted = ((double)range->max - (double)range->min) / CODE_MAX;
    int fits = make_grid(grid, wanted, lift, dtype);
    *zero = nearest(-range->min * grid->inverse, 0.0f, (float)CODE_MAX);
    grid->low = -(float)*zero;
    grid->high = (float)(CODE_MAX - *zero);
    return fits;
}

/* Rounds one group, whose numbers are finite: the scale and zero point at
 * place `place`. Returns whether there is a scale. */
static int
round_group(const struct w4_weight *weight, unsigned char *bytes, size_t place,
        float *values, size_t n, const struct w4_rows *out)
{
    w4moe_dtype dtype = weight->scale_dtype;
    struct range range = range_of(values, n);
    struct grid grid = {0};
    int32_t zero = ZERO;
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
                       ? asymmetric_grid(&grid, &zero, &range, lift, dtype)
                       : symmetric_grid(&grid, values, n, &range, lift, dtype);
    }
    if (!fits) {
        return 0;
    }
    put_codes(bytes, values, n, &grid, zero);
    w4_store_float(out->scales, dtype, place, grid.scale);
    if (weight->has_zeros) {
        out->zeros[place] = (uint8_t)zero;
    }
    return 1;
}

/* --------------------------------------------------------------------- rows */

/* Whether all numbers are finite. */
static int
are_finite(const float *values, size_t n)
{
    uint32_t wrong[LANES] = {0};
    uint32_t any = 0;
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            uint32_t exponent = w4_bits_of_float(values[i + j]) & 0x7F800000u;
            wrong[j] |= exponent == 0x7F800000u;
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        any |= wrong[j];
    }
    return any == 0;
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
    unsigned char *bytes = out->words + r * (n_in / 2);
    if (!are_finite(values, n_in)) {
        return refuse(err, weight, n, values, 0, n_in, 0);
    }
    for (size_t first = 0; first < n_in; first += step) {
        size_t end = first + step < n_in ? first + step : n_in;
        if (!round_group(weight, bytes + first / 2, place++, values + first,
                    end - first, out)) {
            return refuse(err, weight, n, values, first, end, 1);
        }
    }
    out->codes[r] = bytes;
    return W4MOE_OK;
}
