/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A checkpoint of foreign bytes: options and rules for names, config.json, and
 * one safetensors file, which may be a container; see struct fuzz_part. */
#include <stdio.h>

#include "conversion.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_part parts[3];
    char in_path[512];
    fuzz_split(parts, 3, data, size);
    fuzz_folder_write("config.json", parts[1].data, parts[1].size);
    fuzz_folder_write("model.safetensors", parts[2].data, parts[2].size);
    snprintf(in_path, sizeof(in_path), "%s%s", fuzz_folder(),
            fuzz_option(&parts[0], FUZZ_FLAGS) & FUZZ_A_FILE
                    ? "/model.safetensors"
                    : "");
    fuzz_convert(in_path, &parts[0], size);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_parts(data, size, max_size, seed, 3, 2);
}
