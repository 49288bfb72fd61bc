/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A folder of foreign bytes with an index and two shards, "1" and "2": whatever
 * opens has each tensor once, in the file that it says. See struct
 * fuzz_part. */
#include <string.h>

#include "fuzz.h"
#include "io/safetensors.h"

static void
check_tensors(const struct w4_st_set *set)
{
    const struct w4_tensor *last = NULL;
    for (size_t i = 0; i < w4_st_count(set); i++) {
        const struct w4_tensor *tensor = w4_st_at(set, i);
        FUZZ_CHECK(tensor->file < w4_st_file_count(set));
        FUZZ_CHECK(w4_st_find(set, tensor->name) == tensor);
        if (last != NULL && last->file == tensor->file) {
            FUZZ_CHECK((const char *)last->data + last->n_bytes ==
                       (const char *)tensor->data);
        }
        FUZZ_CHECK(last == NULL || last->file <= tensor->file);
        last = tensor;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder();
    struct w4_st_set *set = NULL;
    struct fuzz_part parts[3];
    fuzz_split(parts, 3, data, size);
    fuzz_folder_write(
            "model.safetensors.index.json", parts[0].data, parts[0].size);
    fuzz_folder_write("1", parts[1].data, parts[1].size);
    fuzz_folder_write("2", parts[2].data, parts[2].size);
    fuzz_memory_begin();
    w4moe_status status = w4_st_open(fuzz_err(), &set, folder);
    /* As for an index, or for the files. */
    fuzz_memory_end(size, 4, 32768);
    if (!fuzz_status(status, FUZZ_READER)) {
        FUZZ_CHECK(set == NULL);
        return 0;
    }
    uint64_t n_bytes = 0;
    FUZZ_CHECK(w4_st_file_count(set) >= 1 && w4_st_file_count(set) <= 2);
    for (size_t i = 0; i < w4_st_file_count(set); i++) {
        const char *path = w4_st_file_path(set, i);
        n_bytes += parts[path[strlen(path) - 1] == '1' ? 1 : 2].size;
    }
    FUZZ_CHECK(w4_st_file_bytes(set) == n_bytes);
    check_tensors(set);
    w4_st_close(set);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_parts(data, size, max_size, seed, 3, 1);
}
