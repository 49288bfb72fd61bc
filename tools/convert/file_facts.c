/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Looking at a container; see file_facts.h. */
#include "file_facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "io/safetensors.h"

const char *const router_parts[N_ROUTER_PARTS] = {
        "weight", "bias", "correction_bias"};

/* Sums over all matrices. */
struct sums {
    uint64_t n_bytes;
    uint64_t n_weights;
};

static w4moe_status
add_matrix(struct file_facts *facts, struct sums *sums, const w4moe_ctx *ctx,
        const w4moe_matrix *m)
{
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    w4moe_status status = w4moe_matrix_measure(ctx, &sizes, m);
    if (status != W4MOE_OK) {
        return status;
    }
    facts->code = m->code;
    facts->scale_dtypes |= 1u << m->scale_dtype;
    facts->offset_dtypes |= m->offsets != NULL ? 1u << m->offset_dtype : 0;
    facts->bias_dtypes |= m->bias != NULL ? 1u << m->bias_dtype : 0;
    sums->n_bytes += sizes.qweight + sizes.scales + sizes.offsets + sizes.perm +
                     sizes.bias + (m->qzeros != NULL ? sizes.qzeros : 0);
    sums->n_weights += (uint64_t)m->n_experts * m->n_out * m->n_in;
    return W4MOE_OK;
}

static w4moe_status
add_layer(struct file_facts *facts, struct sums *sums, const w4moe_ctx *ctx,
        const w4moe_file *file, uint32_t number)
{
    static const w4moe_which both[] = {W4MOE_W13, W4MOE_W2};
    w4moe_status status = W4MOE_OK;
    int has_perm = 0;
    for (size_t i = 0; i < 2 && status == W4MOE_OK; i++) {
        w4moe_matrix m = {.struct_size = sizeof(m)};
        status = w4moe_file_get_matrix(file, &m, number, both[i]);
        if (status == W4MOE_OK) {
            status = add_matrix(facts, sums, ctx, &m);
            has_perm |= m.perm != NULL;
        }
    }
    facts->n_perm_layers += has_perm != 0;
    return status;
}

/* What only the file itself says: the public interface has no routers, and
 * describes zero points of 8 as it does others. */
static w4moe_status
look_at_set(struct file_facts *facts, const char *path)
{
    struct w4_st_set *set = NULL;
    w4moe_status status = w4_st_open(NULL, &set, path);
    if (status != W4MOE_OK) {
        return status;
    }
    const char *zero_points = w4_st_metadata(set, "zero_points");
    facts->zero_points =
            zero_points != NULL && strcmp(zero_points, "true") == 0;
    facts->n_files = w4_st_file_count(set);
    facts->n_file_bytes = w4_st_file_bytes(set);
    for (size_t i = 0; i < facts->info.n_layers; i++) {
        for (size_t part = 0; part < N_ROUTER_PARTS; part++) {
            char name[64];
            snprintf(name, sizeof(name), "layers.%" PRIu32 ".router.%s",
                    facts->info.layers[i], router_parts[part]);
            facts->n_router_layers[part] += w4_st_find(set, name) != NULL;
        }
    }
    w4_st_close(set);
    return W4MOE_OK;
}

int
file_facts_read(struct file_facts *facts, const w4moe_ctx *ctx,
        const w4moe_file *file, const char *path)
{
    struct file_facts f = {.info = {.struct_size = sizeof(f.info)}};
    struct sums sums = {0};
    w4moe_status status = w4moe_file_get_info(file, &f.info);
    for (size_t i = 0; i < f.info.n_layers && status == W4MOE_OK; i++) {
        status = add_layer(&f, &sums, ctx, file, f.info.layers[i]);
    }
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    /* There is a layer, and an expert in it, or the file would not open. */
    f.bytes_per_layer = sums.n_bytes / f.info.n_layers;
    f.bytes_per_expert = f.bytes_per_layer / f.info.n_experts;
    f.bits_per_weight = 8.0 * (double)sums.n_bytes / (double)sums.n_weights;
    status = look_at_set(&f, path);
    if (status != W4MOE_OK) {
        return tool_error("%s: %s", path, w4moe_status_string(status));
    }
    *facts = f;
    return TOOL_OK;
}
