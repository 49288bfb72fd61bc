/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A safetensors file as foreign bytes: whatever opens has tensors that lie in
 * the file, side by side, and can be found by their names. */
#include <string.h>

#include "fuzz.h"
#include "io/safetensors.h"

static void
check_tensor(const struct w4_st_set *set, const struct w4_tensor *tensor,
        const char **end)
{
    const char *data = tensor->data;
    FUZZ_CHECK(*end == NULL || data == *end);
    *end = data + tensor->n_bytes;
    FUZZ_CHECK(tensor->n_dims <= W4_ST_RANK_MAX && tensor->file == 0);
    FUZZ_CHECK(w4_st_find(set, tensor->name) == tensor);
    uint64_t n_bytes = w4moe_dtype_size(tensor->dtype);
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        n_bytes *= tensor->shape[i];
    }
    FUZZ_CHECK(n_bytes == tensor->n_bytes || tensor->dtype == W4MOE_DTYPE_NONE);
    /* The sanitizer sees whether they can be read. */
    volatile char sum = 0;
    for (uint64_t i = 0; i < tensor->n_bytes; i++) {
        sum = (char)(sum ^ data[i]);
    }
}

static void
check_metadata(const struct w4_st_set *set)
{
    const char *last = NULL;
    const char *key;
    for (size_t i = 0; (key = w4_st_metadata_key(set, i)) != NULL; i++) {
        FUZZ_CHECK(last == NULL || strcmp(last, key) < 0);
        const char *value = w4_st_metadata(set, key);
        FUZZ_CHECK(value != NULL && strlen(value) < SIZE_MAX);
        last = key;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct w4_st_set *set = NULL;
    fuzz_memory_begin();
    w4moe_status status = w4_st_open(fuzz_err(), &set, path);
    /* An entry of 49 bytes has a place of 112 in the table. */
    fuzz_memory_end(size, 4, 16384);
    if (!fuzz_status(status, FUZZ_READER)) {
        FUZZ_CHECK(set == NULL);
        return 0;
    }
    FUZZ_CHECK(w4_st_file_count(set) == 1 && w4_st_file_bytes(set) == size);
    const char *end = NULL;
    for (size_t i = 0; i < w4_st_count(set); i++) {
        check_tensor(set, w4_st_at(set, i), &end);
    }
    check_metadata(set);
    w4_st_close(set);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_st(data, size, max_size, seed);
}
