/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers of containers. */
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
    if (status != W4MOE_OK) {
        return status;
    }
    size_t first_here = loaded.desc.first_expert;
    size_t n_here = loaded.w13.n_experts;
    if (n_experts == 0 || first_expert < first_here ||
            first_expert - first_here > n_here ||
            n_experts > n_here - (first_expert - first_here)) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_INVALID,
                "layer_load: %zu experts from %zu on, of a container with %zu "
                "from %zu on",
                n_experts, first_expert, n_here, first_here);
    }
    cut_matrix(&loaded.w13, first_expert - first_here, n_experts);
    cut_matrix(&loaded.w2, first_expert - first_here, n_experts);
    loaded.desc.first_expert = first_expert;
    return w4moe_layer_create(ctx, layer_p, &loaded.desc, flags);
}
