/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The layer that moe-bench times; see bench_layer.h. */
#include "bench_layer.h"

#include <stdlib.h>

#include "common.h"
#include "random.h"

/* Bytes that one generator fills: small enough that threads share evenly. */
enum { CHUNK = 1 << 16 };

/* Made-up weights; the layer borrows them, or has copied them. */
struct bench_weights {
    w4moe_matrix w13;
    w4moe_matrix w2;
};

/* Fills words with (random & mask) | set. Which thread fills a chunk makes no
 * difference to what it gets, but to the memory node it comes to stand on. */
static void
fill(uint64_t *words, uint64_t n_bytes, uint64_t mask, uint64_t set,
        uint64_t seed)
{
    size_t n = (size_t)(n_bytes / sizeof(words[0]));
    size_t n_chunks = n / CHUNK + 1;
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
    for (size_t chunk = 0; chunk < n_chunks; chunk++) {
        struct random_state state = {(seed << 40) + chunk * CHUNK};
        size_t last = chunk + 1 < n_chunks ? (chunk + 1) * CHUNK : n;
        for (size_t i = chunk * CHUNK; i < last; i++) {
            words[i] = (random_next(&state) & mask) | set;
        }
    }
}

/* Memory of which the pages are not yet touched. */
static void *
reserve(uint64_t n_bytes, const char *what)
{
    void *p = NULL;
    uint64_t rounded = (n_bytes + 63) / 64 * 64;
    if (rounded >= n_bytes && rounded <= SIZE_MAX) {
        p = aligned_alloc(64, (size_t)rounded);
    }
    if (p == NULL) {
        tool_error("no memory for %s: %llu bytes", what,
                (unsigned long long)n_bytes);
    }
    return p;
}

/* Four numbers of 16 bits from 2^-7 up to 2^-6, or four powers of two from
 * 2^-11 to 2^-8. */
static void
fill_scales(void *scales, uint64_t n_bytes, w4moe_dtype dtype, uint64_t seed)
{
    if (dtype == W4MOE_F8_E8M0) {
        const uint64_t eight = 0x0101010101010101u;
        fill(scales, n_bytes, 0x03 * eight, 0x74 * eight, seed);
        return;
    }
    uint64_t mantissa = dtype == W4MOE_BF16 ? 0x007F : 0x03FF;
    uint64_t exponent = dtype == W4MOE_BF16 ? 0x3C00 : 0x2000;
    const uint64_t four = 0x0001000100010001u;
    fill(scales, n_bytes, mantissa * four, exponent * four, seed);
}

static void
matrix_free(w4moe_matrix *matrix)
{
    free(matrix->qweight);
    free(matrix->scales);
    free(matrix->qzeros);
}

static void
weights_free(struct bench_layer *layer)
{
    if (layer->weights != NULL) {
        matrix_free(&layer->weights->w13);
        matrix_free(&layer->weights->w2);
        free(layer->weights);
        layer->weights = NULL;
    }
}

static int
matrix_make(w4moe_matrix *matrix, const w4moe_matrix_sizes *sizes,
        int zero_points, uint64_t seed)
{
    matrix->qweight = reserve(sizes->qweight, "codes");
    matrix->scales = reserve(sizes->scales, "scales");
    if (zero_points) {
        matrix->qzeros = reserve(sizes->qzeros, "zero points");
    }
    if (matrix->qweight == NULL || matrix->scales == NULL ||
            (zero_points && matrix->qzeros == NULL)) {
        return TOOL_ERROR;
    }
    /* Sizes are multiples of 8 bytes but for a last word of few scales or
     * zeros, which reserve() has rounded up to. */
    fill((void *)matrix->qweight, (sizes->qweight + 7) / 8 * 8, UINT64_MAX, 0,
            seed);
    fill_scales(matrix->scales, (sizes->scales + 7) / 8 * 8,
            matrix->scale_dtype, seed + 1);
    if (zero_points) {
        fill((void *)matrix->qzeros, (sizes->qzeros + 7) / 8 * 8, UINT64_MAX, 0,
                seed + 2);
    }
    return TOOL_OK;
}

/* Fills the two descriptors and says how much their arrays take. */
static w4moe_status
describe(struct bench_weights *weights, w4moe_matrix_sizes sizes[2],
        const w4moe_ctx *ctx, const struct bench_shape *shape)
{
    w4moe_matrix matrix = {
            .struct_size = sizeof(matrix),
            .order = shape->order,
            .code = shape->code,
            .n_experts = shape->n_experts,
            .scale_dtype = shape->scale_dtype,
    };
    weights->w13 = matrix;
    weights->w13.gated = 1;
    weights->w13.n_out = 2 * shape->intermediate_size;
    weights->w13.n_in = shape->hidden_size;
    weights->w2 = matrix;
    weights->w2.n_out = shape->hidden_size;
    weights->w2.n_in = shape->intermediate_size;
    w4moe_matrix *both[] = {&weights->w13, &weights->w2};
    for (size_t i = 0; i < 2; i++) {
        /* A group longer than the matrix means one scale per column. */
        both[i]->group_size = shape->group_size < both[i]->n_in
                                      ? shape->group_size
                                      : both[i]->n_in;
        sizes[i].struct_size = sizeof(sizes[i]);
        w4moe_status status = w4moe_matrix_measure(ctx, &sizes[i], both[i]);
        if (status != W4MOE_OK) {
            return status;
        }
    }
    return W4MOE_OK;
}

static int
finish(struct bench_layer *layer, const w4moe_ctx *ctx,
        const w4moe_layer *loaded, w4moe_status status, const w4moe_matrix *w13,
        const w4moe_matrix *w2)
{
    layer->info.struct_size = sizeof(layer->info);
    if (status == W4MOE_OK) {
        status = w4moe_layer_get_info(loaded, &layer->info);
    }
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    layer->w13_group_size = w13->group_size;
    layer->w2_group_size = w2->group_size;
    layer->code = w13->code;
    layer->order = w13->order;
    layer->scale_dtype = w13->scale_dtype;
    layer->zero_points = w13->qzeros != NULL;
    return TOOL_OK;
}

int
bench_layer_make(struct bench_layer *layer, const w4moe_ctx *ctx,
        const struct bench_shape *shape, unsigned flags)
{
    w4moe_matrix_sizes sizes[2] = {{0}, {0}};
    int copied = (flags & W4MOE_LAYER_HUGE_PAGES) != 0;
    struct bench_weights *weights =
            tool_alloc(1, sizeof(*weights), "descriptors");
    if (weights == NULL) {
        return TOOL_ERROR;
    }
    layer->weights = weights;
    w4moe_status status = describe(weights, sizes, ctx, shape);
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    uint64_t n_bytes = sizes[0].qweight + sizes[0].scales + sizes[1].qweight +
                       sizes[1].scales;
    if (!tool_has_memory(copied ? 2 * n_bytes : n_bytes)) {
        return tool_error("the weights take %llu bytes%s, more than the memory "
                          "of this machine",
                (unsigned long long)n_bytes,
                copied ? ", twice until they are copied" : "");
    }
    uint64_t seed = 1 + 8 * (uint64_t)shape->first_expert;
    int code = matrix_make(&weights->w13, &sizes[0], shape->zero_points, seed);
    if (code == TOOL_OK) {
        code = matrix_make(
                &weights->w2, &sizes[1], shape->zero_points, seed + 3);
    }
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &weights->w13,
            .w2 = &weights->w2,
            .activation = {.struct_size = sizeof(desc.activation),
                    .kind = W4MOE_ACT_SILU},
            .router = {.struct_size = sizeof(desc.router)},
            .first_expert = shape->first_expert,
            .n_experts_global = shape->n_experts_global,
    };
    status = w4moe_layer_create(ctx, &layer->layer, &desc, flags);
    code = finish(
            layer, ctx, layer->layer, status, &weights->w13, &weights->w2);
    if (copied) {
        weights_free(layer);
    }
    return code;
}

int
bench_layer_open(struct bench_layer *layer, int64_t *layer_no, size_t *top_k,
        const w4moe_ctx *ctx, const char *path)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_status status = w4moe_file_open(ctx, &layer->file, path);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_info(layer->file, &info);
    }
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    if (*layer_no < 0) {
        if (info.n_layers == 0) {
            return tool_error("%s: no layers", path);
        }
        *layer_no = info.layers[0];
    }
    *top_k = info.top_k;
    return TOOL_OK;
}

int
bench_layer_describe(struct bench_layer *layer, const w4moe_ctx *ctx,
        const w4moe_layer *loaded, int64_t layer_no)
{
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    w4moe_matrix w2 = {.struct_size = sizeof(w2)};
    uint32_t number = (uint32_t)layer_no;
    w4moe_status status =
            w4moe_file_get_matrix(layer->file, &w13, number, W4MOE_W13);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(layer->file, &w2, number, W4MOE_W2);
    }
    return finish(layer, ctx, loaded, status, &w13, &w2);
}

int
bench_layer_load(struct bench_layer *layer, int64_t *layer_no, size_t *top_k,
        const w4moe_ctx *ctx, const char *path, unsigned flags)
{
    int code = bench_layer_open(layer, layer_no, top_k, ctx, path);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status = w4moe_layer_load(
            ctx, &layer->layer, layer->file, (uint32_t)*layer_no, flags);
    return status == W4MOE_OK
                   ? bench_layer_describe(layer, ctx, layer->layer, *layer_no)
                   : tool_failed(ctx, status);
}

void
bench_layer_free(struct bench_layer *layer)
{
    w4moe_layer_destroy(layer->layer);
    w4moe_file_close(layer->file);
    weights_free(layer);
}
