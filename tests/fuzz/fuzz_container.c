/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A container as foreign bytes: whatever opens can be used. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

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

/* What a program does that runs a layer. Backends may have wishes of their own,
 * and say so. */
static void
use_layer(const w4moe_file *file, uint32_t layer)
{
    w4moe_layer *loaded = NULL;
    w4moe_status status = w4moe_layer_load(fuzz_ctx(), &loaded, file, layer, 0);
    if (fuzz_status(status, FUZZ_READER | FUZZ_BIT(W4MOE_INVALID))) {
        w4moe_layer_destroy(loaded);
    }
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
        use_layer(file, info.layers[i]);
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
