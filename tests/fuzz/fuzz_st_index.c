/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* model.safetensors.index.json as foreign bytes: whatever is read is sorted,
 * without repetition, and names no file of another folder. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io/st_index.h"
#include "io/text.h"

static void
check_names(const char *const *names, size_t n)
{
    FUZZ_CHECK(n > 0);
    for (size_t i = 1; i < n; i++) {
        FUZZ_CHECK(strcmp(names[i - 1], names[i]) < 0);
    }
}

/* Files that have just what the index says; then one that lacks a tensor. */
static void
check_agreement(const struct w4_st_index *index)
{
    size_t n = index->n_names;
    struct w4_tensor *tensors = calloc(n, sizeof(*tensors));
    const struct w4_tensor **by_name = calloc(n, sizeof(*by_name));
    FUZZ_CHECK(tensors != NULL && by_name != NULL);
    for (size_t i = 0; i < n; i++) {
        const char *name = index->names[i];
        tensors[i].name = name;
        size_t file = w4_find_string(
                index->files, index->n_files, name + strlen(name) + 1);
        FUZZ_CHECK(file < index->n_files);
        tensors[i].file = (uint32_t)file;
        by_name[i] = &tensors[i];
    }
    w4moe_status status = w4_st_index_check(fuzz_err(), index, by_name, n);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    status = w4_st_index_check(fuzz_err(), index, by_name, n - 1);
    fuzz_status(status, FUZZ_BIT(W4MOE_FORMAT));
    free(by_name);
    free(tensors);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct w4_st_index index = {0};
    fuzz_memory_begin();
    w4moe_status status = w4_st_index_read(fuzz_err(), &index, path);
    /* A name of 6 bytes, "":"", has two pointers. */
    fuzz_memory_end(size, 4, 16384);
    if (fuzz_status(status, FUZZ_BIT(W4MOE_OK) | FUZZ_BIT(W4MOE_FORMAT))) {
        check_names(index.names, index.n_names);
        check_names(index.files, index.n_files);
        for (size_t i = 0; i < index.n_files; i++) {
            const char *file = index.files[i];
            FUZZ_CHECK(file[0] != '\0' && strchr(file, '/') == NULL);
            FUZZ_CHECK(strcmp(file, ".") != 0 && strcmp(file, "..") != 0);
        }
        check_agreement(&index);
    }
    w4_st_index_free(&index);
    return 0;
}
