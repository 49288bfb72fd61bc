/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers: from a container or from matrices in memory. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/abi.h"
#include "base/size.h"
#include "kernel/kernel.h"
#include "runtime/backend.h"

/* What a layer needs of its two matrices together. */
static w4moe_status
check_shapes(struct w4_err *err, const w4moe_layer *layer)
{
    const w4moe_matrix *w13 = &layer->w13;
    const w4moe_matrix *w2 = &layer->w2;
    const char *name = w4moe_activation_name(layer->activation.kind);
    int gated = w4moe_activation_gated(layer->activation.kind);
    if ((w13->gated != 0) != gated || w2->gated != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "activation %s is %sgated, but w13.gated is %d and w2.gated %d",
                name, gated ? "" : "not ", w13->gated, w2->gated);
    }
    if (w13->n_experts != w2->n_experts || w13->n_in != w2->n_out ||
            w13->n_out != w2->n_in * (gated ? 2u : 1u)) {
        return w4_fail(err, W4MOE_INVALID,
                "w13 is %zu experts of %zu x %zu, w2 %zu of %zu x %zu (outputs "
                "x inputs): they do not fit with %s",
                w13->n_experts, w13->n_out, w13->n_in, w2->n_experts, w2->n_out,
                w2->n_in, name);
    }
    return W4MOE_OK;
}

/* An array of a matrix and its size. */
struct array {
    void **place;
    uint64_t size;
};

/* The arrays that are present; returns how many. */
static int
list_arrays(struct array arrays[6], w4moe_matrix *m)
{
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, m);
    const struct array all[6] = {
            {(void **)&m->qweight, sizes.qweight},
            {&m->scales, sizes.scales},
            {(void **)&m->qzeros, sizes.qzeros},
            {&m->offsets, sizes.offsets},
            {(void **)&m->perm, sizes.perm},
            {&m->bias, sizes.bias},
    };
    int n = 0;
    for (int i = 0; i < 6; i++) {
        if (*all[i].place != NULL) {
            arrays[n++] = all[i];
        }
    }
    return n;
}

static uint64_t
matrix_bytes(const w4moe_matrix *matrix)
{
    w4moe_matrix copy = *matrix;
    struct array arrays[6];
    int n = list_arrays(arrays, &copy);
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        bytes += arrays[i].size;
    }
    return bytes;
}

/* All arrays of a layer; returns how many. */
static int
list_layer_arrays(struct array arrays[12], w4moe_layer *layer)
{
    int n = list_arrays(arrays, &layer->w13);
    return n + list_arrays(arrays + n, &layer->w2);
}

/* Memory for n arrays, each from a multiple of W4_MEM_ALIGN on. A huge page
 * belongs to the layer as a whole, and counts as a whole. */
static w4moe_status
own_memory(w4moe_layer *layer, const struct array *arrays, int n, int huge)
{
    struct w4_mem *mem = w4_ctx_mem(layer->ctx);
    struct w4_err *err = w4_ctx_err(layer->ctx);
    uint64_t total = 0;
    int fits = 1;
    for (int i = 0; i < n && fits; i++) {
        uint64_t rounded;
        fits = w4_round_up(&rounded, arrays[i].size, W4_MEM_ALIGN) &&
               w4_add(&total, total, rounded);
    }
    if (!fits || (huge && !w4_round_up(&total, total, W4_MEM_HUGE_ALIGN))) {
        return w4_fail(err, W4MOE_NOMEM,
                "layer: its arrays are beyond the address space");
    }
    w4moe_status status =
            huge ? w4_mem_alloc_huge(mem, err, &layer->owned, total, "layer")
                 : w4_mem_alloc(mem, err, &layer->owned, total, "layer");
    if (status == W4MOE_OK) {
        layer->n_owned = total;
    }
    return status;
}

/* Moves the layer's arrays into memory of its own. */
static w4moe_status
copy_arrays(w4moe_layer *layer, int huge)
{
    struct array arrays[12];
    int n = list_layer_arrays(arrays, layer);
    w4moe_status status = own_memory(layer, arrays, n, huge);
    if (status != W4MOE_OK) {
        return status;
    }
    char *next = layer->owned;
    for (int i = 0; i < n; i++) {
        memcpy(next, *arrays[i].place, (size_t)arrays[i].size);
        *arrays[i].place = next;
        next += (arrays[i].size + W4_MEM_ALIGN - 1) / W4_MEM_ALIGN *
                W4_MEM_ALIGN;
    }
    return W4MOE_OK;
}

static w4moe_status
prefault_arrays(w4moe_layer *layer)
{
    struct array arrays[12];
    int n = list_layer_arrays(arrays, layer);
    w4moe_status status = W4MOE_OK;
    for (int i = 0; i < n && status == W4MOE_OK; i++) {
        status = w4_mem_prefault(w4_ctx_err(layer->ctx), *arrays[i].place,
                arrays[i].size, "layer");
    }
    return status;
}

/* What the flags ask for. Copying has read all pages already. */
static w4moe_status
place_arrays(w4moe_layer *layer, unsigned flags)
{
    int huge = (flags & W4MOE_LAYER_HUGE_PAGES) != 0;
    if (huge || (flags & W4MOE_LAYER_COPY) != 0) {
        return copy_arrays(layer, huge);
    }
    return (flags & W4MOE_LAYER_PREFAULT) != 0 ? prefault_arrays(layer)
                                               : W4MOE_OK;
}

/* Checks a layer whose fields are set but for the activation. */
static w4moe_status
check_layer(w4moe_layer *layer, const w4moe_activation *activation)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_status status = w4_matrix_check_data(err, &layer->w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_matrix_check_data(err, &layer->w2, "w2");
    }
    if (status == W4MOE_OK) {
        status = w4_activation_check(err, &layer->activation, activation);
    }
    return status == W4MOE_OK ? check_shapes(err, layer) : status;
}

w4moe_status
w4moe_layer_create(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_layer_desc *desc, unsigned flags)
{
    const unsigned known =
            W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES | W4MOE_LAYER_PREFAULT;
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_layer_desc own;
    w4moe_status status = w4_struct_in(
            err, &own, sizeof(own), sizeof(own), desc, "w4moe_layer_desc");
    if (status != W4MOE_OK) {
        return status;
    }
    if (ctx == NULL || layer_p == NULL || (flags & ~known) != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "layer: ctx %s, layer_p %s, flags %#x",
                ctx == NULL ? "NULL" : "given",
                layer_p == NULL ? "NULL" : "given", flags);
    }
    w4moe_layer *layer = calloc(1, sizeof(*layer));
    if (layer == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a layer");
    }
    layer->ctx = ctx;
    layer->router = own.router;
    if (layer->router.struct_size == 0 &&
            layer->router.kind == W4MOE_ROUTER_NONE) {
        layer->router.struct_size = sizeof(layer->router);
    }
    status = w4_struct_in(err, &layer->w13, sizeof(layer->w13),
            sizeof(layer->w13), own.w13, "w13");
    if (status == W4MOE_OK) {
        status = w4_struct_in(err, &layer->w2, sizeof(layer->w2),
                sizeof(layer->w2), own.w2, "w2");
    }
    if (status == W4MOE_OK) {
        status = check_layer(layer, &own.activation);
    }
    if (status == W4MOE_OK) {
        status = place_arrays(layer, flags);
    }
    if (status != W4MOE_OK) {
        w4moe_layer_destroy(layer);
        return status;
    }
    *layer_p = layer;
    return W4MOE_OK;
}

w4moe_status
w4moe_layer_load(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_file *file, uint32_t layer, unsigned flags)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (ctx == NULL || layer_p == NULL || file == NULL) {
        return w4_fail(err, W4MOE_INVALID,
                "layer_load: ctx %s, layer_p %s, file %s",
                ctx == NULL ? "NULL" : "given",
                layer_p == NULL ? "NULL" : "given",
                file == NULL ? "NULL" : "given");
    }
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_matrix w13 = {.struct_size = sizeof(w13)};
    w4moe_matrix w2 = {.struct_size = sizeof(w2)};
    w4moe_status status = w4moe_file_get_info(file, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &w13, layer, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &w2, layer, W4MOE_W2);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = info.activation,
            .router = info.router,
    };
    return w4moe_layer_create(ctx, layer_p, &desc, flags);
}

void
w4moe_layer_destroy(w4moe_layer *layer)
{
    if (layer != NULL) {
        w4_mem_free(w4_ctx_mem(layer->ctx), layer->owned, layer->n_owned);
        free(layer);
    }
}

w4moe_status
w4moe_layer_get_info(const w4moe_layer *layer, w4moe_layer_info *info)
{
    if (layer == NULL) {
        return W4MOE_INVALID;
    }
    uint64_t bytes = matrix_bytes(&layer->w13) + matrix_bytes(&layer->w2);
    w4moe_layer_info result = {
            .struct_size = sizeof(result),
            .n_experts = w4_layer_experts(layer),
            .hidden_size = w4_layer_hidden(layer),
            .intermediate_size = w4_layer_intermediate(layer),
            .activation = layer->activation,
            .router = layer->router,
            .bytes_per_expert = bytes / w4_layer_experts(layer),
            .bytes_owned = layer->n_owned,
    };
    return w4_struct_out(w4_ctx_err(layer->ctx), info, &result, sizeof(result),
            sizeof(result), "w4moe_layer_info");
}
