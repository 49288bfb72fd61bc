/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "golden.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

const struct golden goldens[N_GOLDENS] = {
        {"ct-sym-g32-bf16", GOLDEN_CT, 2, 8, 32, 0, 0},
        {"ct-sym-g128-fp16", GOLDEN_CT, 1, 4, 128, 0, 0},
        {"ct-asym-g64-fp16", GOLDEN_CT, 1, 4, 64, 0, 1},
        {"ct-actorder-g64-bf16", GOLDEN_CT, 1, 4, 64, 1, 0},
        {"ct-channel-bf16-single", GOLDEN_CT, 1, 4, 0, 0, 0},
        {"gptq-v1-g128-fp16", GOLDEN_GPTQ, 1, 4, 128, 0, 1},
        {"gptq-descact-g64-fp16", GOLDEN_GPTQ, 1, 4, 64, 1, 0},
        {"awq-g64-fp16", GOLDEN_AWQ, 1, 4, 64, 0, 1},
        {"gptoss-mxfp4", GOLDEN_GPTOSS, 1, 4, 32, 0, 0},
};

const struct golden *golden;
w4moe_file *golden_files[2];

static struct mini shards[2];
static struct mini expected;

static const char *
data_path(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "tests/data/%s/%s", golden->folder, name);
    return test_source_path(path);
}

void
golden_start(int i)
{
    golden = &goldens[i];
    if (test_file_exists(data_path("model.safetensors"))) {
        mini_read(&shards[0], data_path("model.safetensors"));
    } else {
        mini_read(&shards[0], data_path("model-00001-of-00002.safetensors"));
        mini_read(&shards[1], data_path("model-00002-of-00002.safetensors"));
    }
    mini_read(&expected, data_path("expected.safetensors"));
    for (int order = 0; order < 2; order++) {
        const char *path =
                test_path("%s.%d.safetensors", golden->folder, order);
        w4moe_convert_options options =
                ct_options(order == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3);
        options.force = 1;
        ct_ok(w4moe_convert(ct_ctx, NULL, path, data_path(""), &options));
        golden_files[order] = ct_open(path);
        ct_ok(w4moe_file_verify(golden_files[order]));
    }
}

void
golden_end(void)
{
    w4moe_file_close(golden_files[0]);
    w4moe_file_close(golden_files[1]);
    mini_free(&shards[0]);
    mini_free(&shards[1]);
    mini_free(&expected);
}

const struct mini_tensor *
golden_part(size_t layer, size_t expert, int projection, const char *part)
{
    static const char *const words[2][3] = {
            {"gate_proj", "up_proj", "down_proj"}, {"w1", "w3", "w2"}};
    for (int n = 0; n < 4; n++) {
        const struct mini *shard = &shards[n / 2];
        char middle[32];
        char ending[128];
        snprintf(middle, sizeof(middle), ".layers.%zu.", layer);
        snprintf(ending, sizeof(ending), ".experts.%zu.%s.%s", expert,
                words[n % 2][projection], part);
        size_t n_ending = strlen(ending);
        for (size_t t = 0; t < shard->n_tensors; t++) {
            const char *name = shard->tensors[t].name;
            size_t length = strlen(name);
            if (length > n_ending && strstr(name, middle) != NULL &&
                    strcmp(name + length - n_ending, ending) == 0) {
                return &shard->tensors[t];
            }
        }
    }
    return NULL;
}

uint32_t
golden_le32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

double
golden_half(const struct mini_tensor *tensor, size_t i)
{
    uint32_t bits = tensor->data[2 * i] | (uint32_t)tensor->data[2 * i + 1]
                                                  << 8;
    int is_bf16 = tensor->dtype[0] == 'B';
    int n_mantissa = is_bf16 ? 7 : 10;
    int exponent = (int)(bits & 0x7FFFu) >> n_mantissa;
    double mantissa = bits & ((1u << n_mantissa) - 1);
    mantissa += exponent != 0 ? 1 << n_mantissa : 0;
    double value = ldexp(mantissa,
            (exponent != 0 ? exponent : 1) - (is_bf16 ? 127 : 15) - n_mantissa);
    return (bits & 0x8000u) != 0 ? -value : value;
}

const struct mini_tensor *
golden_g_idx(size_t layer, size_t expert, int projection)
{
    const struct mini_tensor *g_idx = golden_part(layer, expert, projection,
            golden->scheme == GOLDEN_CT ? "weight_g_idx" : "g_idx");
    /* GPTQ writes it without an order, too. */
    return golden->has_order ? g_idx : NULL;
}

/* ------------------------------------------------------------------ GPT-OSS */

/* A tensor of all experts. */
static const struct mini_tensor *
fused_part(size_t layer, int projection, const char *part)
{
    char name[MINI_NAME];
    snprintf(name, sizeof(name), "model.layers.%zu.mlp.experts.%s_%s", layer,
            projection == 2 ? "down_proj" : "gate_up_proj", part);
    const struct mini_tensor *tensor = mini_find(&shards[0], name);
    tensor = tensor != NULL ? tensor : mini_find(&shards[1], name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    return tensor;
}

/* Row of such a tensor: those of gate and up alternate. */
static size_t
fused_row(const struct mini_tensor *tensor, size_t expert, int projection,
        size_t n)
{
    size_t row = projection == 2 ? n : 2 * n + (size_t)projection;
    return expert * (size_t)tensor->shape[1] + row;
}

/* The value of an E2M1 code, sign, two bits of exponent, one of mantissa. */
static double
e2m1(unsigned code)
{
    int exponent = (int)(code >> 1 & 3u);
    double mantissa = (code & 1u) / 2.0;
    double value =
            exponent == 0 ? mantissa : ldexp(1.0 + mantissa, exponent - 1);
    return code < 8 ? value : -value;
}

static float *
mxfp4_weight(size_t layer, size_t expert, int projection)
{
    const struct mini_tensor *blocks = fused_part(layer, projection, "blocks");
    const struct mini_tensor *scales = fused_part(layer, projection, "scales");
    size_t n_groups = (size_t)blocks->shape[2];
    size_t n_in = 32 * n_groups;
    size_t n_out = (size_t)blocks->shape[1] / (projection == 2 ? 1 : 2);
    float *weight = malloc(n_out * n_in * sizeof(*weight));
    ck_assert_ptr_nonnull(weight);
    for (size_t i = 0; i < n_out * n_in; i++) {
        size_t k = i % n_in;
        size_t row = fused_row(blocks, expert, projection, i / n_in);
        unsigned byte = blocks->data[(row * n_in + k) / 2];
        int scale = scales->data[row * n_groups + k / 32];
        double value = e2m1(k % 2 == 0 ? byte & 15u : byte >> 4);
        weight[i] = (float)ldexp(value, scale - 127);
    }
    return weight;
}

double
golden_bias(size_t layer, size_t expert, int projection, size_t n)
{
    if (golden->scheme != GOLDEN_GPTOSS) {
        return 0.0;
    }
    const struct mini_tensor *bias = fused_part(layer, projection, "bias");
    return golden_half(bias, fused_row(bias, expert, projection, n));
}

/* ------------------------------------------------------------------ weights */

/* What a weight is made of. */
struct tensors {
    const struct mini_tensor *codes;
    const struct mini_tensor *scales;
    const struct mini_tensor *zeros;
    const struct mini_tensor *g_idx;
    size_t n_out;
    size_t n_in;
    size_t n_groups;
};

static struct tensors
find_tensors(size_t layer, size_t expert, int projection)
{
    static const char *const names[][3] = {
            {"weight_packed", "weight_scale", "weight_zero_point"},
            {"qweight", "scales", "qzeros"},
            {"qweight", "scales", "qzeros"},
    };
    const char *const *name = names[golden->scheme];
    struct tensors t = {
            .codes = golden_part(layer, expert, projection, name[0]),
            .scales = golden_part(layer, expert, projection, name[1]),
            .zeros = golden_part(layer, expert, projection, name[2]),
            .g_idx = golden_g_idx(layer, expert, projection),
    };
    ck_assert(t.codes != NULL && t.scales != NULL);
    ck_assert_int_eq(t.g_idx != NULL, golden->has_order);
    size_t rows = (size_t)t.codes->shape[0];
    size_t columns = (size_t)t.codes->shape[1];
    int is_ct = golden->scheme == GOLDEN_CT;
    t.n_out = is_ct                           ? rows
              : golden->scheme == GOLDEN_GPTQ ? columns
                                              : 8 * columns;
    t.n_in = is_ct                           ? 8 * columns
             : golden->scheme == GOLDEN_GPTQ ? 8 * rows
                                             : rows;
    t.n_groups = (size_t)t.scales->shape[is_ct ? 1 : 0];
    return t;
}

static unsigned
nibble_of(const struct mini_tensor *tensor, size_t word, size_t nibble)
{
    return golden_le32(tensor->data + 4 * word) >> 4 * nibble & 15u;
}

/* Nibble of output n in a word of AutoAWQ. */
static size_t
awq_nibble(size_t n)
{
    static const size_t nibbles[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return nibbles[n % 8];
}

static unsigned
code_of(const struct tensors *t, size_t n, size_t k)
{
    switch (golden->scheme) {
    case GOLDEN_GPTQ:
        return nibble_of(t->codes, k / 8 * t->n_out + n, k % 8);
    case GOLDEN_AWQ:
        return nibble_of(t->codes, (k * t->n_out + n) / 8, awq_nibble(n));
    case GOLDEN_CT:
    default:
        return nibble_of(t->codes, (n * t->n_in + k) / 8, k % 8);
    }
}

static unsigned
zero_of(const struct tensors *t, size_t n, size_t group)
{
    if (t->zeros == NULL) {
        return 8;
    }
    switch (golden->scheme) {
    case GOLDEN_GPTQ: /* of version 1 */
        return nibble_of(t->zeros, (group * t->n_out + n) / 8, n % 8) + 1;
    case GOLDEN_AWQ:
        return nibble_of(t->zeros, (group * t->n_out + n) / 8, awq_nibble(n));
    case GOLDEN_CT:
    default:
        return nibble_of(t->zeros, n / 8 * t->n_groups + group, n % 8);
    }
}

float *
golden_weight(size_t layer, size_t expert, int projection)
{
    if (golden->scheme == GOLDEN_GPTOSS) {
        return mxfp4_weight(layer, expert, projection);
    }
    struct tensors t = find_tensors(layer, expert, projection);
    size_t g = golden->group_size != 0 ? golden->group_size : t.n_in;
    int has_zeros = 0;
    float *weight = malloc(t.n_out * t.n_in * sizeof(*weight));
    ck_assert_ptr_nonnull(weight);
    for (size_t i = 0; i < t.n_out * t.n_in; i++) {
        size_t n = i / t.n_in;
        size_t k = i % t.n_in;
        size_t group =
                t.g_idx != NULL ? golden_le32(t.g_idx->data + 4 * k) : k / g;
        size_t at = golden->scheme == GOLDEN_CT ? n * t.n_groups + group
                                                : group * t.n_out + n;
        int zero = (int)zero_of(&t, n, group);
        has_zeros |= zero != 8;
        weight[i] = (float)(((int)code_of(&t, n, k) - zero) *
                            golden_half(t.scales, at));
    }
    ck_assert_int_eq(has_zeros, golden->has_zeros);
    return weight;
}

const struct mini_tensor *
golden_expected(size_t layer, const char *name)
{
    char full[MINI_NAME];
    snprintf(full, sizeof(full), "layers.%zu.%s", layer, name);
    const struct mini_tensor *tensor = mini_find(&expected, full);
    ck_assert_msg(tensor != NULL, "no tensor %s", full);
    return tensor;
}

void *
golden_host(const struct mini_tensor *tensor, size_t size)
{
    unsigned char *out = malloc(tensor->n_bytes);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < tensor->n_bytes; i += size) {
        uint32_t value = 0;
        for (size_t b = 0; b < size; b++) {
            value |= (uint32_t)tensor->data[i + b] << 8 * b;
        }
        uint16_t half = (uint16_t)value;
        memcpy(out + i, size == 2 ? (const void *)&half : &value, size);
    }
    return out;
}
