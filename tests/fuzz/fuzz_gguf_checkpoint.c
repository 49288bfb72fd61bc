/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A GGUF checkpoint of foreign bytes: options, and the file; see struct
 * fuzz_part. */
#include <stdio.h>
#include <string.h>

#include "conversion.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_part parts[2];
    char in_path[512];
    fuzz_split(parts, 2, data, size);
    if (parts[0].size > FUZZ_MAP) {
        /* There are none for GGUF files. */
        parts[0].size = FUZZ_MAP;
    }
    if (parts[1].size < 4 || memcmp(parts[1].data, "GGUF", 4) != 0) {
        /* No GGUF file, and no config.json beside it. */
        return 0;
    }
    fuzz_folder_write("model.gguf", parts[1].data, parts[1].size);
    snprintf(in_path, sizeof(in_path), "%s%s", fuzz_folder(),
            fuzz_option(&parts[0], FUZZ_FLAGS) & FUZZ_A_FILE ? "/model.gguf"
                                                             : "");
    fuzz_convert(in_path, &parts[0], size);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct fuzz_part parts[2];
    if (seed % 8 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    fuzz_split(parts, 2, data, size);
    size_t n_before = (size_t)(parts[1].data - data);
    size_t n = fuzz_mutate_gguf(
            data + n_before, parts[1].size, max_size - n_before, seed / 8);
    return n_before + n;
}
