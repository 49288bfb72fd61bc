/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A conversion of a checkpoint of foreign bytes, config.json and one
 * safetensors file: see struct fuzz_part. It is refused before anything
 * is written, or it comes to its end, and the container is good. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    struct fuzz_part parts[2];
    fuzz_split(parts, 2, data, size);
    fuzz_folder_write("config.json", parts[0].data, parts[0].size);
    fuzz_folder_write("model.safetensors", parts[1].data, parts[1].size);
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

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_parts(data, size, max_size, seed, 2, 1);
}
