/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The oracle's random numbers, number types, comparison, and layer. */
#include "oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tol.h"

uint64_t
oracle_bits(struct oracle_rng *rng)
{
    uint64_t z = rng->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

size_t
oracle_below(struct oracle_rng *rng, size_t n)
{
    return (size_t)(oracle_bits(rng) % n);
}

double
oracle_uniform(struct oracle_rng *rng, double low, double high)
{
    return low + (high - low) * ((double)(oracle_bits(rng) >> 11) * 0x1p-53);
}

void
oracle_deal(struct oracle_rng *rng, int32_t *places, size_t n,
        const unsigned *rows, size_t n_experts)
{
    size_t filled = 0;
    for (size_t e = 0; e < n_experts; e++) {
        for (unsigned i = 0; i < rows[e] && filled < n; i++, filled++) {
            size_t j = oracle_below(rng, filled + 1);
            places[filled] = places[j];
            places[j] = (int32_t)e;
        }
    }
    if (filled != n) {
        fprintf(stderr, "oracle: %zu rows for %zu places\n", filled, n);
        abort();
    }
}

void *
oracle_alloc(size_t n, size_t size)
{
    void *p = calloc(n != 0 ? n : 1, size);
    if (p == NULL) {
        fprintf(stderr, "oracle: no memory for %zu times %zu bytes\n", n, size);
        abort();
    }
    return p;
}

/* ---------------------------------------------------------------- numbers */

/* A binary type: its numbers are whole multiples of 2^quantum and have at most
 * `bits` significant bits. Its code counts them from 0 up, so that the code of
 * r * 2^q, with r of full length, is (q - quantum) * 2^(bits - 1) + r. */
struct type {
    int bits;
    int quantum;
    uint32_t infinity;
    uint32_t sign;
};

static const struct type *
type_of(w4moe_dtype dtype)
{
    static const struct type f32 = {24, -149, 0x7F800000u, 0x80000000u};
    static const struct type f16 = {11, -24, 0x7C00u, 0x8000u};
    static const struct type bf16 = {8, -133, 0x7F80u, 0x8000u};
    switch (dtype) {
    case W4MOE_F32:
        return &f32;
    case W4MOE_F16:
        return &f16;
    case W4MOE_BF16:
        return &bf16;
    default:
        fprintf(stderr, "oracle: no number type %d\n", (int)dtype);
        abort();
    }
}

static uint32_t
encode(const struct type *type, double v)
{
    uint32_t sign = signbit(v) ? type->sign : 0;
    double magnitude = fabs(v);
    if (isnan(v)) {
        return sign | type->infinity | 1u << (type->bits - 2);
    }
    if (isinf(v) || magnitude == 0) {
        return sign | (isinf(v) ? type->infinity : 0);
    }
    int exponent;
    frexp(magnitude, &exponent);
    int q = exponent - type->bits;
    q = q > type->quantum ? q : type->quantum;
    double r = nearbyint(ldexp(magnitude, -q));
    double code = ldexp(q - type->quantum, type->bits - 1) + r;
    return sign | (code < type->infinity ? (uint32_t)code : type->infinity);
}

static double
decode(const struct type *type, uint32_t code)
{
    double sign = (code & type->sign) != 0 ? -1 : 1;
    code &= ~type->sign;
    if (code >= type->infinity) {
        return code == type->infinity ? sign * (double)INFINITY : (double)NAN;
    }
    uint32_t full = 1u << (type->bits - 1);
    uint32_t r = code % full;
    int steps = (int)(code / full);
    if (steps > 0) {
        r += full;
        steps--;
    }
    return sign * ldexp(r, type->quantum + steps);
}

double
oracle_load(const void *array, w4moe_dtype dtype, size_t i)
{
    if (dtype == W4MOE_F8_E8M0) {
        uint8_t byte = ((const uint8_t *)array)[i];
        return byte == 255 ? (double)NAN : ldexp(1, (int)byte - 127);
    }
    return decode(type_of(dtype), dtype == W4MOE_F32
                                          ? ((const uint32_t *)array)[i]
                                          : ((const uint16_t *)array)[i]);
}

void
oracle_store(void *array, w4moe_dtype dtype, size_t i, double v)
{
    if (dtype == W4MOE_F8_E8M0) {
        ((uint8_t *)array)[i] = (uint8_t)(ilogb(v) + 127);
        return;
    }
    uint32_t code = encode(type_of(dtype), v);
    if (dtype == W4MOE_F32) {
        ((uint32_t *)array)[i] = code;
    } else {
        ((uint16_t *)array)[i] = (uint16_t)code;
    }
}

double
oracle_round(w4moe_dtype dtype, double v)
{
    uint32_t place;
    oracle_store(&place, dtype, 0, v);
    return oracle_load(&place, dtype, 0);
}

/* ------------------------------------------------------------- comparison */

/* 0 finite, 1 NaN, 2 +Inf, 3 -Inf. */
static int
class_of(double v)
{
    return isnan(v) ? 1 : !isinf(v) ? 0 : v > 0 ? 2 : 3;
}

void
oracle_score_row(struct oracle_score *score, const void *got, w4moe_dtype dtype,
        const double *exact, const double *ideal, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = oracle_load(got, dtype, i);
        score->n++;
        if (class_of(v) != class_of(ideal[i])) {
            score->n_wrong++;
        } else if (class_of(v) == 0) {
            score->got += (v - exact[i]) * (v - exact[i]);
            score->ideal += (ideal[i] - exact[i]) * (ideal[i] - exact[i]);
        }
    }
}

double
oracle_ratio(const struct oracle_score *score)
{
    return score->got > 0 ? sqrt(score->got) / sqrt(score->ideal) : 0;
}

int
oracle_accept(const struct oracle_score *score)
{
    double noise = score->noise * sqrt((double)score->n);
    return score->n_wrong == 0 &&
           sqrt(score->got) <= TOL_RATIO * sqrt(score->ideal) + noise;
}

/* ------------------------------------------------------------------ layer */

void
oracle_product(double *y, const struct oracle_matrix *m, size_t expert,
        const double *a)
{
    for (size_t n = 0; n < m->spec.n_out; n++) {
        size_t row = expert * m->spec.n_out + n;
        const double *w = m->weights + row * m->spec.n_in;
        double sum = 0;
        for (size_t i = 0; i < m->spec.n_in; i++) {
            sum += a[i] * w[i];
        }
        y[n] = sum + m->bias[row];
    }
}

static double
sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* min(x, limit) and min(max(x, -limit), limit) that keep a NaN. */
static double
at_most(double x, double limit)
{
    return isnan(x) ? x : fmin(x, limit);
}

static double
clamp(double x, double limit)
{
    return isnan(x) ? x : fmin(fmax(x, -limit), limit);
}

/* x (1 + erf(x / sqrt 2)) / 2, without the cancellation. */
static double
gelu(double x)
{
    return x * erfc(-x / sqrt(2)) / 2;
}

/* 1 + tanh(z) is 2 sigmoid(2 z), without the cancellation. */
static double
gelu_tanh(double x)
{
    double pi = 3.14159265358979323846;
    return x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715 * x * x * x));
}

static double
clamped_swiglu(double g, double u, double limit, double alpha, double shift)
{
    g = at_most(g, limit);
    return (clamp(u, limit) + shift) * (g * sigmoid(alpha * g));
}

double
oracle_activation(const w4moe_activation *act, double g, double u)
{
    double limit = (double)act->limit;
    double alpha = act->alpha != 0 ? (double)act->alpha : (double)1.702f;
    double beta = (double)act->beta;
    double linear = (double)act->linear_beta;
    switch (act->kind) {
    case W4MOE_ACT_SILU:
        if (limit > 0) {
            g = at_most(g, limit);
            u = clamp(u, limit);
        }
        return g * sigmoid(g) * u;
    case W4MOE_ACT_GELU:
        return gelu(g) * u;
    case W4MOE_ACT_GELU_TANH:
        return gelu_tanh(g) * u;
    case W4MOE_ACT_SWIGLUOAI:
        return clamped_swiglu(g, u, limit > 0 ? limit : 7, alpha, 1);
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        return clamped_swiglu(g, u, limit, alpha, beta);
    case W4MOE_ACT_SWIGLUSTEP:
        limit = limit > 0 ? limit : 7;
        return at_most(g * sigmoid(g), limit) * clamp(u, limit);
    case W4MOE_ACT_SITU:
        return beta * tanh(g / beta) * sigmoid(g) *
               (linear > 0 ? linear * tanh(u / linear) : u);
    case W4MOE_ACT_SILU_NO_MUL:
        return g * sigmoid(g);
    case W4MOE_ACT_GELU_NO_MUL:
        return gelu(g);
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        return gelu_tanh(g);
    case W4MOE_ACT_RELU2_NO_MUL:
        return isnan(g) ? g : fmax(g, 0) * fmax(g, 0);
    }
    fprintf(stderr, "oracle: no activation %d\n", (int)act->kind);
    abort();
}

/* Scratch of oracle_forward() for one slot, and the sums of a token. */
struct scratch {
    double *product;
    double *activated;
    double *rounded;
    double *exact;
    double *ideal;
};

/* A slot: a token's row at an expert. */
struct slot {
    const struct oracle_matrix *w13;
    const struct oracle_matrix *w2;
    size_t expert;
    double weight;
    int on_input;
};

/* Adds w2(activation(w13(x))) of one slot, without and with the first
 * rounding. */
static void
add_slot(struct scratch *s, const struct oracle_call *call, const double *x,
        const struct slot *slot)
{
    size_t inter = slot->w2->spec.n_in;
    double factor = slot->on_input ? slot->weight : 1;
    oracle_product(s->product, slot->w13, slot->expert, x);
    for (size_t i = 0; i < inter; i++) {
        double up = slot->w13->spec.gated ? s->product[inter + i] : 0;
        s->activated[i] = oracle_activation(
                &call->activation, s->product[i] * factor, up * factor);
        s->rounded[i] = oracle_round(call->dtype, s->activated[i]);
    }
    factor = slot->on_input ? 1 : slot->weight;
    oracle_product(s->product, slot->w2, slot->expert, s->activated);
    for (size_t n = 0; n < slot->w2->spec.n_out; n++) {
        s->exact[n] += s->product[n] * factor;
    }
    oracle_product(s->product, slot->w2, slot->expert, s->rounded);
    for (size_t n = 0; n < slot->w2->spec.n_out; n++) {
        s->ideal[n] += s->product[n] * factor;
    }
}

static void
add_token(struct scratch *s, const struct oracle_call *call, size_t t)
{
    const double *x = call->x + t * call->w13->spec.n_in;
    struct slot slot = {.w13 = call->w13,
            .w2 = call->w2,
            .on_input = (call->flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0};
    for (size_t j = 0; j < call->top_k; j++) {
        int32_t expert = call->ids[t * call->top_k + j];
        expert = call->expert_map != NULL ? call->expert_map[expert] : expert;
        slot.expert = (size_t)expert;
        slot.weight = (double)call->weights[t * call->top_k + j];
        if (expert >= 0) {
            add_slot(s, call, x, &slot);
        }
    }
    slot = (struct slot){.w13 = call->shared_w13, .w2 = call->shared_w2};
    size_t n_shared = slot.w13 != NULL ? slot.w13->spec.n_experts : 0;
    for (; slot.expert < n_shared; slot.expert++) {
        slot.weight = call->shared_weights[t * n_shared + slot.expert];
        add_slot(s, call, x, &slot);
    }
}

/* The larger of two matrices, in outputs. */
static size_t
most_outputs(const struct oracle_matrix *a, const struct oracle_matrix *b)
{
    size_t n = b != NULL ? b->spec.n_out : 0;
    return a->spec.n_out > n ? a->spec.n_out : n;
}

void
oracle_forward(double *exact, double *ideal, const struct oracle_call *call)
{
    size_t hidden = call->w13->spec.n_in;
    size_t n = most_outputs(call->w13, call->shared_w13);
    n = n > hidden ? n : hidden;
    struct scratch s = {
            .product = oracle_alloc(n, sizeof(double)),
            .activated = oracle_alloc(n, sizeof(double)),
            .rounded = oracle_alloc(n, sizeof(double)),
    };
    int add = (call->flags & W4MOE_ACCUMULATE) != 0;
    w4moe_dtype out_dtype =
            call->out_dtype != W4MOE_DTYPE_NONE ? call->out_dtype : call->dtype;
    for (size_t t = 0; t < call->n_tokens; t++) {
        s.exact = exact + t * hidden;
        s.ideal = ideal + t * hidden;
        for (size_t i = 0; i < hidden; i++) {
            s.exact[i] = add ? call->before[t * hidden + i] : 0;
            s.ideal[i] = s.exact[i];
        }
        add_token(&s, call, t);
        for (size_t i = 0; i < hidden; i++) {
            s.ideal[i] = oracle_round(out_dtype, s.ideal[i]);
        }
    }
    free(s.product);
    free(s.activated);
    free(s.rounded);
}
