/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A conversion of a checkpoint of foreign bytes, config.json and one
 * safetensors file: see struct fuzz_checkpoint. It is refused before anything
 * is written, or it comes to its end, and the container is good. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "fuzz.h"

/* Bytes of a container that is written in earnest. */
enum { SMALL = 1 << 18 };

/* How many files there are. */
static unsigned
count_files(const char *folder)
{
    unsigned n = 0;
    DIR *entries = opendir(folder);
    FUZZ_CHECK(entries != NULL);
    while (readdir(entries) != NULL) {
        n++;
    }
    closedir(entries);
    return n;
}

/* A conversion that its dry run has allowed. */
static void
convert(const char *folder, w4moe_order order,
        const w4moe_convert_report *planned)
{
    w4moe_ctx *ctx = fuzz_ctx();
    char path[512];
    snprintf(path, sizeof(path), "%s/out.safetensors", folder);
    w4moe_convert_options options = {
            .struct_size = sizeof(options), .order = order};
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_status status = w4moe_convert(ctx, &report, path, folder, &options);
    FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
    FUZZ_CHECK(report.n_experts_verified ==
               planned->n_layers * planned->n_experts);
    FUZZ_CHECK(
            order != planned->order || report.bytes_out == planned->bytes_out);
    w4moe_file *file = NULL;
    status = w4moe_file_open(ctx, &file, path);
    FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
    status = w4moe_file_verify(file);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    w4moe_file_info info = {.struct_size = sizeof(info)};
    status = w4moe_file_get_info(file, &info);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    FUZZ_CHECK(info.n_layers == planned->n_layers &&
               info.n_experts == planned->n_experts &&
               info.hidden_size == planned->hidden_size &&
               info.intermediate_size == planned->intermediate_size);
    w4moe_file_close(file);
    FUZZ_CHECK(unlink(path) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    struct fuzz_checkpoint input = fuzz_checkpoint_split(data, size);
    fuzz_folder_write("config.json", input.config, input.config_size);
    fuzz_folder_write("model.safetensors", input.weights, input.weights_size);
    unsigned n_files = count_files(folder);
    w4moe_convert_options options = {
            .struct_size = sizeof(options), .dry_run = 1};
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_ctx *ctx = fuzz_ctx();
    fuzz_memory_begin();
    w4moe_status status = w4moe_convert(ctx, &report, NULL, folder, &options);
    /* As for config.json, which may be nearly all of it. */
    fuzz_memory_end(size, 128, 65536);
    if (fuzz_status(status, FUZZ_READER) && report.bytes_out <= SMALL) {
        convert(folder, W4MOE_ORDER_TILE, &report);
        convert(folder, W4MOE_ORDER_RDNA3, &report);
    }
    FUZZ_CHECK(count_files(folder) == n_files);
    return 0;
}

/* Changes one of the two files. */
size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct fuzz_checkpoint input = fuzz_checkpoint_split(data, size);
    if (size < 4 || seed % 16 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    size_t n_config = input.config_size;
    if (seed % 4 != 0) {
        uint8_t *weights = data + 4 + n_config;
        return 4 + n_config +
               fuzz_mutate_st(weights, input.weights_size,
                       max_size - 4 - n_config, seed / 16);
    }
    size_t n_weights = input.weights_size;
    uint8_t *config = malloc(max_size);
    FUZZ_CHECK(config != NULL);
    memcpy(config, data + 4, n_config);
    size_t n_new = LLVMFuzzerMutate(config, n_config, max_size - 4 - n_weights);
    memmove(data + 4 + n_new, data + 4 + n_config, n_weights);
    memcpy(data + 4, config, n_new);
    for (int i = 0; i < 4; i++) {
        data[i] = (uint8_t)(n_new >> 8 * i);
    }
    free(config);
    return 4 + n_new + n_weights;
}
