/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers of containers. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "format/matrix.h"
#include "runtime/backend.h"

/* Cuts n experts from `first` on out of a matrix: experts stand one after the
 * other in every array. */
static void
cut_matrix(w4moe_matrix *m, size_t first, size_t n)
{
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, m);
    struct w4_array arrays[W4_MATRIX_ARRAYS];
    int n_arrays = w4_matrix_arrays(arrays, m, &sizes);
    for (int i = 0; i < n_arrays; i++) {
        uint64_t each = arrays[i].size / m->n_experts;
        *arrays[i].place = (char *)*arrays[i].place + each * first;
    }
    m->n_experts = n;
}

/* A layer's description, in parts of which the last two are pointed to. */
struct loaded {
    w4moe_layer_desc desc;
    w4moe_matrix w13;
    w4moe_matrix w2;
};

static w4moe_status
read_layer(struct loaded *loaded, const w4moe_file *file, uint32_t layer)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    *loaded = (struct loaded){
            .desc = {.struct_size = sizeof(loaded->desc),
                    .w13 = &loaded->w13,
                    .w2 = &loaded->w2,
                    .router = {.struct_size = sizeof(w4moe_router)}},
            .w13 = {.struct_size = sizeof(loaded->w13)},
            .w2 = {.struct_size = sizeof(loaded->w2)},
    };
    w4moe_status status = w4moe_file_get_info(file, &info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &loaded->w13, layer, W4MOE_W13);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_matrix(file, &loaded->w2, layer, W4MOE_W2);
    }
    if (status == W4MOE_OK) {
        status = w4moe_file_get_router(file, &loaded->desc.router, layer);
    }
    if (status == W4MOE_OK) {
        loaded->desc.activation = info.activation;
        loaded->desc.first_expert = info.first_expert;
        loaded->desc.n_experts_global = info.n_experts_total;
    }
    return status;
}

static w4moe_status
check_arguments(const w4moe_ctx *ctx, w4moe_layer *const *layer_p,
        const w4moe_file *file)
{
    if (ctx == NULL || layer_p == NULL || file == NULL) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "layer_load: ctx %s, layer_p %s, file %s",
                ctx == NULL ? "NULL" : "given",
                layer_p == NULL ? "NULL" : "given",
                file == NULL ? "NULL" : "given");
    }
    return W4MOE_OK;
}

w4moe_status
w4moe_layer_load(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_file *file, uint32_t layer, unsigned flags)
{
    struct loaded loaded;
    w4moe_status status = check_arguments(ctx, layer_p, file);
    if (status == W4MOE_OK) {
        status = read_layer(&loaded, file, layer);
    }
    return status == W4MOE_OK
                   ? w4moe_layer_create(ctx, layer_p, &loaded.desc, flags)
                   : status;
}

static w4moe_status
check_experts(const w4moe_ctx *ctx, const struct loaded *loaded,
        size_t first_expert, size_t n_experts)
{
    size_t first_here = loaded->desc.first_expert;
    size_t n_here = loaded->w13.n_experts;
    if (n_experts == 0 || first_expert < first_here ||
            first_expert - first_here > n_here ||
            n_experts > n_here - (first_expert - first_here)) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "layer_load: %zu experts from %zu on, of a container with %zu "
                "from %zu on",
                n_experts, first_expert, n_here, first_here);
    }
    return W4MOE_OK;
}

/* Makes the layer of experts that follow each other. */
static w4moe_status
create_range(const w4moe_ctx *ctx, w4moe_layer **layer_p, struct loaded *loaded,
        size_t first_expert, size_t n_experts, unsigned flags)
{
    size_t first = first_expert - loaded->desc.first_expert;
    cut_matrix(&loaded->w13, first, n_experts);
    cut_matrix(&loaded->w2, first, n_experts);
    loaded->desc.first_expert = first_expert;
    return w4moe_layer_create(ctx, layer_p, &loaded->desc, flags);
}

w4moe_status
w4moe_layer_load_experts(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_file *file, uint32_t layer, size_t first_expert,
        size_t n_experts, unsigned flags)
{
    struct loaded loaded;
    w4moe_status status = check_arguments(ctx, layer_p, file);
    if (status == W4MOE_OK) {
        status = read_layer(&loaded, file, layer);
    }
    if (status == W4MOE_OK) {
        status = check_experts(ctx, &loaded, first_expert, n_experts);
    }
    return status == W4MOE_OK ? create_range(ctx, layer_p, &loaded,
                                        first_expert, n_experts, flags)
                              : status;
}

/* -------------------------------------------------- experts of any numbers */

/* What goes into memory of the layer: the experts' arrays, and those of the
 * router if the layer is to stand alone. */
struct gathering {
    struct w4_array arrays[W4_EXPERTS_ARRAYS + W4_ROUTER_ARRAYS];
    int n_experts_arrays;
    int n_arrays;
    int huge;
    uint64_t n_bytes;
};

/* Sizes become those of n experts. */
static w4moe_status
plan_gathering(const w4moe_ctx *ctx, struct gathering *g, struct loaded *loaded,
        size_t n, unsigned flags)
{
    struct w4_array *arrays = g->arrays;
    w4moe_matrix_sizes w13;
    w4moe_matrix_sizes w2;
    w4_matrix_sizes(&w13, &loaded->w13);
    w4_matrix_sizes(&w2, &loaded->w2);
    g->n_arrays = w4_matrix_arrays(arrays, &loaded->w13, &w13);
    g->n_arrays += w4_matrix_arrays(arrays + g->n_arrays, &loaded->w2, &w2);
    g->n_experts_arrays = g->n_arrays;
    g->huge = (flags & W4MOE_LAYER_HUGE_PAGES) != 0;
    if (g->huge || (flags & W4MOE_LAYER_COPY) != 0) {
        g->n_arrays +=
                w4_router_arrays(arrays + g->n_arrays, &loaded->desc.router,
                        loaded->desc.n_experts_global, loaded->w13.n_in);
    }
    g->n_bytes = 0;
    int fits = 1;
    for (int i = 0; i < g->n_arrays && fits; i++) {
        uint64_t rounded;
        if (i < g->n_experts_arrays) {
            arrays[i].size = arrays[i].size / loaded->w13.n_experts * n;
        }
        fits = w4_round_up(&rounded, arrays[i].size, W4_MEM_ALIGN) &&
               w4_add(&g->n_bytes, g->n_bytes, rounded);
    }
    if (!fits || (g->huge && !w4_round_up(&g->n_bytes, g->n_bytes,
                                     W4_MEM_HUGE_ALIGN))) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_NOMEM,
                "layer_load: %zu experts are beyond the address space", n);
    }
    return W4MOE_OK;
}

/* Copies the arrays to memory, the experts' parts of those that have parts.
 * The description has the copies from then on. */
static void
gather(const struct gathering *g, struct loaded *loaded, char *memory,
        const int32_t *experts, size_t n)
{
    size_t first_here = loaded->desc.first_expert;
    for (int i = 0; i < g->n_arrays; i++) {
        size_t size = (size_t)g->arrays[i].size;
        const char *from = *g->arrays[i].place;
        *g->arrays[i].place = memory;
        if (i >= g->n_experts_arrays) {
            memcpy(memory, from, size);
        }
        for (size_t e = 0; e < n && i < g->n_experts_arrays; e++) {
            memcpy(memory + e * (size / n),
                    from + ((size_t)experts[e] - first_here) * (size / n),
                    size / n);
        }
        memory += (size + W4_MEM_ALIGN - 1) / W4_MEM_ALIGN * W4_MEM_ALIGN;
    }
    loaded->w13.n_experts = n;
    loaded->w2.n_experts = n;
    loaded->desc.first_expert = 0;
}

static w4moe_status
create_list(const w4moe_ctx *ctx, w4moe_layer **layer_p, struct loaded *loaded,
        const int32_t *experts, size_t n, unsigned flags)
{
    struct w4_mem *mem = w4_ctx_mem(ctx);
    struct w4_err *err = w4_ctx_err(ctx);
    struct gathering g;
    void *memory = NULL;
    w4moe_status status = plan_gathering(ctx, &g, loaded, n, flags);
    if (status == W4MOE_OK) {
        status = g.huge ? w4_mem_alloc_huge(
                                  mem, err, &memory, g.n_bytes, "layer")
                        : w4_mem_alloc(mem, err, &memory, g.n_bytes, "layer");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    gather(&g, loaded, memory, experts, n);
    /* What is to be copied has been. */
    flags &= ~(unsigned)(W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES);
    status = w4moe_layer_create(ctx, layer_p, &loaded->desc, flags);
    if (status == W4MOE_OK) {
        (*layer_p)->is_list = 1;
    }
    if (status == W4MOE_OK && (*layer_p)->n_owned == 0) {
        (*layer_p)->gathered = memory;
        (*layer_p)->n_gathered = g.n_bytes;
        return W4MOE_OK;
    }
    w4_mem_free(mem, memory, g.n_bytes);
    return status;
}

w4moe_status
w4moe_layer_load_list(const w4moe_ctx *ctx, w4moe_layer **layer_p,
        const w4moe_file *file, uint32_t layer, const int32_t *experts,
        size_t n_experts, unsigned flags)
{
    struct loaded loaded;
    w4moe_status status = check_arguments(ctx, layer_p, file);
    if (status == W4MOE_OK && (experts == NULL || n_experts == 0)) {
        status = w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "layer_load: experts %s, %zu of them",
                experts == NULL ? "NULL" : "given", n_experts);
    }
    if (status == W4MOE_OK) {
        status = read_layer(&loaded, file, layer);
    }
    for (size_t i = 0; i < n_experts && status == W4MOE_OK; i++) {
        if (experts[i] < 0 || (i != 0 && experts[i] <= experts[i - 1])) {
            status = w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                    "layer_load: experts[%zu] is %" PRId32
                    ", they must ascend from 0",
                    i, experts[i]);
        } else {
            status = check_experts(ctx, &loaded, (size_t)experts[i], 1);
        }
    }
    if (status != W4MOE_OK) {
        return status;
    }
    size_t first = (size_t)experts[0];
    return (size_t)experts[n_experts - 1] - first == n_experts - 1
                   ? create_range(
                             ctx, layer_p, &loaded, first, n_experts, flags)
                   : create_list(
                             ctx, layer_p, &loaded, experts, n_experts, flags);
}
