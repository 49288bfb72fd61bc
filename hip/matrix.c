/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Matrices and layers as the kernels see them. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/size.h"
#include "format/layout.h"
#include "gpu.h"

struct w4_gpu_divisor
w4_gpu_divisor(uint32_t d)
{
    uint64_t reciprocal = ((UINT64_C(1) << 32) + d - 1) / d;
    return (struct w4_gpu_divisor){
            .reciprocal = d == 1 ? 0 : (uint32_t)reciprocal, .d = d};
}

static struct w4_gpu_place
place_of(const struct w4_layout *layout, uint64_t index)
{
    struct w4_tile tile = w4_tile_at(layout, index);
    return (struct w4_gpu_place){
            .width = tile.width,
            .half = tile.half,
            .column = (uint32_t)tile.column,
            .column_up = (uint32_t)tile.column_up,
            .word = (uint32_t)tile.word,
            .word_stride = (uint32_t)tile.word_stride,
            .up = (uint32_t)tile.up,
            .scale = (uint32_t)tile.scale,
            .scale_stride = (uint32_t)tile.scale_stride,
            .zero = (uint32_t)tile.zero,
            .zero_stride = (uint32_t)tile.zero_stride,
    };
}

/* From one tile to the next. */
static struct w4_gpu_place
step_between(struct w4_gpu_place a, struct w4_gpu_place b)
{
    return (struct w4_gpu_place){
            .column = b.column - a.column,
            .column_up = b.column_up - a.column_up,
            .word = b.word - a.word,
            .scale = b.scale - a.scale,
            .zero = b.zero - a.zero,
    };
}

/* Of a type that scales or offsets may have. */
static uint64_t
element_size(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 ? 4 : dtype == W4MOE_F8_E8M0 ? 1 : 2;
}

int
w4_gpu_matrix_chunked(const w4moe_matrix *m)
{
    return m->n_in % 32 == 0 && m->group_size % 32 == 0;
}

w4moe_status
w4_gpu_matrix_set(struct w4_err *err, struct w4_gpu_matrix *gpu,
        const w4moe_matrix *m, const char *name)
{
    uint64_t n_groups = (m->n_in + m->group_size - 1) / m->group_size;
    uint64_t words = (uint64_t)(m->n_in / W4_WORD_CODES) * m->n_out;
    uint64_t scales = n_groups * m->n_out;
    /* Kernels count bytes inside an expert in 32 bits. */
    if (words > UINT32_MAX / 4 || scales > UINT32_MAX / 4 ||
            m->n_in > UINT16_MAX * W4_WORD_CODES ||
            m->n_experts > W4_GPU_EXPERTS_MAX) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "%s: %zu experts of %zu x %zu are more than backend hip takes "
                "(%d experts of 1 GiB, %d inputs)",
                name, m->n_experts, m->n_out, m->n_in, W4_GPU_EXPERTS_MAX,
                UINT16_MAX * W4_WORD_CODES);
    }
    struct w4_layout layout = {
            .n_out = m->n_out,
            .n_in = m->n_in,
            .group_size = m->group_size,
            .n_groups = n_groups,
            .tiled = m->order == W4MOE_ORDER_TILE,
            .gated = m->gated != 0,
    };
    uint64_t n_tiles = w4_tile_count(&layout);
    uint32_t chunk = w4_gpu_matrix_chunked(m) ? 32 : W4_WORD_CODES;
    *gpu = (struct w4_gpu_matrix){
            .qweight = m->qweight,
            .scales = m->scales,
            .qzeros = m->qzeros,
            .offsets = m->offsets,
            .perm = m->perm,
            .bias = m->bias,
            .n_experts = (uint32_t)m->n_experts,
            .n_out = (uint32_t)m->n_out,
            .n_in = (uint32_t)m->n_in,
            .gated = m->gated != 0,
            .group = w4_gpu_divisor((uint32_t)m->group_size / chunk),
            .expert_words = (uint32_t)words,
            .expert_scale_bytes =
                    (uint32_t)(scales * element_size(m->scale_dtype)),
            .expert_offset_bytes =
                    (uint32_t)(scales * element_size(m->offset_dtype)),
            .expert_zeros = (uint32_t)(scales / W4_WORD_ZEROS),
            .tile = place_of(&layout, 0),
            .last_tile = place_of(&layout, n_tiles - 1),
            .n_tiles = (uint32_t)n_tiles,
            .scale_type = m->scale_dtype,
            .offset_type = m->offset_dtype,
            .bias_type = m->bias_dtype,
            .n_perms = (uint32_t)m->n_perms,
    };
    if (n_tiles > 1) {
        gpu->step = step_between(gpu->tile, place_of(&layout, 1));
    }
    return W4MOE_OK;
}

void
w4_gpu_activation_set(
        struct w4_gpu_activation *gpu, const w4moe_activation *activation)
{
    *gpu = (struct w4_gpu_activation){
            .kind = activation->kind,
            .limit = activation->limit,
            .alpha = activation->alpha,
            .beta = activation->beta,
            .linear_beta = activation->linear_beta,
    };
}

/* ------------------------------------------------------------------ layers */

/* Bytes of all arrays, each from a multiple of 256 on. */
static w4moe_status
measure(struct w4_err *err, uint64_t *total, const struct w4_array *arrays,
        int n)
{
    *total = 0;
    for (int i = 0; i < n; i++) {
        uint64_t rounded;
        if (!w4_round_up(&rounded, arrays[i].size, W4_GPU_ALIGN) ||
                !w4_add(total, *total, rounded)) {
            return w4_fail(err, W4MOE_NOMEM,
                    "layer: its arrays are beyond the address space");
        }
    }
    return W4MOE_OK;
}

/* Copies arrays to the device; `places` then have the pointers there. */
static w4moe_status
upload(struct w4_err *err, char *memory, const struct w4_array *from,
        const struct w4_array *places, int n)
{
    for (int i = 0; i < n; i++) {
        w4moe_status status = w4_gpu_check(err,
                hipMemcpy(memory, *from[i].place, (size_t)from[i].size,
                        hipMemcpyHostToDevice),
                "hipMemcpy");
        if (status != W4MOE_OK) {
            return status;
        }
        *places[i].place = memory;
        memory +=
                (from[i].size + W4_GPU_ALIGN - 1) / W4_GPU_ALIGN * W4_GPU_ALIGN;
    }
    /* From pageable memory the last part may still be on its way, for which
     * not every stream waits. */
    return w4_gpu_check(
            err, hipStreamSynchronize(NULL), "hipStreamSynchronize");
}

static w4moe_status
describe_experts(struct w4_err *err, struct w4_gpu_experts *gpu,
        const struct w4_experts *experts, const char *w13, const char *w2)
{
    w4moe_status status = w4_gpu_matrix_set(err, &gpu->w13, &experts->w13, w13);
    return status == W4MOE_OK
                   ? w4_gpu_matrix_set(err, &gpu->w2, &experts->w2, w2)
                   : status;
}

/* A layer whose arrays are in device memory. */
static w4moe_status
describe_layer(
        struct w4_err *err, struct w4_gpu_layer *gpu, const w4moe_layer *layer)
{
    size_t n_shared = w4_layer_shared(layer);
    gpu->router = layer->router;
    gpu->shared_gate = layer->shared_gate;
    if (n_shared > W4_GPU_SHARED_MAX) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "layer: %zu shared experts; backend hip takes %d", n_shared,
                W4_GPU_SHARED_MAX);
    }
    w4moe_status status =
            describe_experts(err, &gpu->routed, &layer->routed, "w13", "w2");
    if (status != W4MOE_OK || n_shared == 0) {
        return status;
    }
    return describe_experts(
            err, &gpu->shared, &layer->shared, "shared_w13", "shared_w2");
}

/* The layer's arrays in device memory; `copy` is it with pointers there. */
static w4moe_status
place_layer(w4moe_layer *layer, w4moe_layer *copy, struct w4_gpu_layer *gpu)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    struct w4_array from[W4_LAYER_ARRAYS];
    struct w4_array places[W4_LAYER_ARRAYS];
    int n = w4_layer_arrays(from, layer);
    (void)w4_layer_arrays(places, copy);
    uint64_t total;
    w4moe_status status = measure(err, &total, from, n);
    if (status == W4MOE_OK) {
        status = w4_gpu_alloc(layer->ctx, &gpu->memory, total, "layer");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    status = upload(err, gpu->memory, from, places, n);
    if (status == W4MOE_OK) {
        status = describe_layer(err, gpu, copy);
    }
    if (status != W4MOE_OK) {
        w4_gpu_free(layer->ctx, gpu->memory, total);
        return status;
    }
    layer->n_owned = total;
    return W4MOE_OK;
}

w4moe_status
w4_gpu_layer_open(w4moe_layer *layer, unsigned flags)
{
    /* The weights are always copied. */
    (void)flags;
    const struct w4_gpu *device = w4_gpu_of(layer->ctx);
    struct w4_err *err = w4_ctx_err(layer->ctx);
    struct w4_gpu_layer *gpu = calloc(1, sizeof(*gpu));
    if (gpu == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a layer");
    }
    w4moe_layer copy = *layer;
    int before = 0;
    w4moe_status status = w4_gpu_enter(err, device, &before);
    if (status == W4MOE_OK) {
        status = place_layer(layer, &copy, gpu);
        w4_gpu_leave(device, before);
    }
    if (status != W4MOE_OK) {
        free(gpu);
        return status;
    }
    layer->device = gpu;
    return W4MOE_OK;
}

void
w4_gpu_layer_close(w4moe_layer *layer)
{
    const struct w4_gpu *device = w4_gpu_of(layer->ctx);
    struct w4_gpu_layer *gpu = layer->device;
    int before = device->device;
    /* Released in any case; a failure has nobody to go to. */
    (void)w4_gpu_enter(NULL, device, &before);
    w4_gpu_free(layer->ctx, gpu->memory, layer->n_owned);
    w4_gpu_leave(device, before);
    free(gpu);
}
