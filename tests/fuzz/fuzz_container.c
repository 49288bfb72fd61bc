/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A container as foreign bytes: whatever opens can be used, and computes
 * something. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Tokens of a call. */
enum { TOKENS = 3 };

/* Every expert as floats. There are 8 codes in 4 bytes of the file, so they are
 * not much longer than it. */
static void
use_matrix(const w4moe_file *file, uint32_t layer, w4moe_which which)
{
    w4moe_matrix m = {.struct_size = sizeof(m)};
    w4moe_status status = w4moe_file_get_matrix(file, &m, layer, which);
    FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
    float *out = malloc(m.n_out * m.n_in * sizeof(*out));
    FUZZ_CHECK(out != NULL);
    for (size_t expert = 0; expert < m.n_experts; expert++) {
        status = w4moe_dequantize(fuzz_ctx(), out, &m, expert);
        fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    }
    free(out);
}

/* What a call starts from. */
enum start { FROM_IDS, FROM_LOGITS, FROM_HIDDEN_STATES };

/* A call of three tokens: its experts are given, or the layer's router chooses
 * them, if it is one that can be computed. All arrays are of their own size. */
static void
compute(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_file_info *info, size_t top_k, enum start start)
{
    int is_routed = start != FROM_IDS;
    /* Of more experts no logit is looked at. */
    size_t n_logits = info->n_experts_total <= W4MOE_ROUTE_EXPERTS_MAX
                              ? info->n_experts_total
                              : 1;
    size_t n = TOKENS * info->hidden_size;
    size_t n_chosen = TOKENS * top_k;
    uint16_t *x = calloc(n, sizeof(*x));
    uint16_t *out = calloc(n, sizeof(*out));
    int32_t *ids = calloc(n_chosen, sizeof(*ids));
    float *weights = calloc(n_chosen, sizeof(*weights));
    float *logits = calloc(TOKENS * n_logits, sizeof(*logits));
    FUZZ_CHECK(x != NULL && out != NULL && ids != NULL && weights != NULL &&
               logits != NULL);
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint16_t)(0x3F00 + i % 200);
    }
    for (size_t i = 0; i < n_chosen; i++) {
        ids[i] = (int32_t)(info->first_expert + i % info->n_experts);
        weights[i] = 0.5f;
    }
    const w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = out,
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = TOKENS,
            .top_k = top_k,
            .ids = is_routed ? NULL : ids,
            .weights = is_routed ? NULL : weights,
            .router_logits = start == FROM_LOGITS ? logits : NULL,
            .logits_dtype = W4MOE_F32,
    };
    w4moe_status status = w4moe_forward(layer, ws, &args);
    /* A router's numbers may be anything, and logits with them. */
    fuzz_status(status, is_routed ? FUZZ_READER | FUZZ_BIT(W4MOE_INVALID)
                                  : FUZZ_BIT(W4MOE_OK));
    free(logits);
    free(weights);
    free(ids);
    free(out);
    free(x);
}

/* What a program does that runs a layer. */
static void
use_layer(const w4moe_file *file, const w4moe_file_info *info, uint32_t layer)
{
    size_t top_k = info->top_k < 8 ? info->top_k : 1;
    w4moe_layer *loaded = NULL;
    w4moe_workspace *ws = NULL;
    w4moe_status status = w4moe_layer_load(fuzz_ctx(), &loaded, file, layer, 0);
    if (fuzz_status(status, FUZZ_READER)) {
        status = w4moe_workspace_create(loaded, &ws, TOKENS, top_k);
        FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
        compute(loaded, ws, info, top_k, FROM_IDS);
        w4moe_layer_info facts = {.struct_size = sizeof(facts)};
        status = w4moe_layer_get_info(loaded, &facts);
        FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
        if (info->router.kind != W4MOE_ROUTER_NONE) {
            compute(loaded, ws, info, top_k, FROM_LOGITS);
        }
        if (facts.has_router_weight) {
            compute(loaded, ws, info, top_k, FROM_HIDDEN_STATES);
        }
    }
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(loaded);
}

static void
use_file(const w4moe_file *file)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    w4moe_status status = w4moe_file_get_info(file, &info);
    FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
    FUZZ_CHECK(info.n_layers > 0 && info.format_version == 1);
    for (size_t i = 0; i < info.n_layers; i++) {
        FUZZ_CHECK(i == 0 || info.layers[i - 1] < info.layers[i]);
        use_matrix(file, info.layers[i], W4MOE_W13);
        use_matrix(file, info.layers[i], W4MOE_W2);
        use_layer(file, &info, info.layers[i]);
    }
    status = w4moe_file_verify(file);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK) | FUZZ_BIT(W4MOE_MISMATCH));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    w4moe_file *file = NULL;
    w4moe_ctx *ctx = fuzz_ctx();
    fuzz_memory_begin();
    w4moe_status status = w4moe_file_open(ctx, &file, path);
    /* As for any safetensors file, and a little for each layer. */
    fuzz_memory_end(size, 5, 16384);
    if (fuzz_status(status, FUZZ_READER)) {
        use_file(file);
        w4moe_file_close(file);
    }
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_st(data, size, max_size, seed);
}
