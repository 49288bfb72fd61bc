/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A GGUF file: what is read of it lies inside of it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io/gguf_file.h"
#include "io/gguf_types.h"

/* Whether n bytes are in the file. */
static int
is_inside(const struct w4_gguf_file *file, const void *data, uint64_t n)
{
    const unsigned char *at = data;
    const unsigned char *begin = file->map.data;
    return at >= begin && at <= begin + file->map.size &&
           n <= (uint64_t)(begin + file->map.size - at);
}

/* Every value, as far as it has one. */
static void
check_keys(const struct w4_gguf_file *file)
{
    for (size_t i = 0; i < file->n_keys; i++) {
        const struct w4_gguf_key *key = &file->keys[i];
        uint64_t value = 0;
        FUZZ_CHECK(i == 0 || strcmp(key[-1].name, key->name) < 0);
        FUZZ_CHECK(w4_gguf_file_find(file, key->name) == key);
        if (key->type == W4_GGUF_VALUE_STRING) {
            FUZZ_CHECK(key->is_array || key->data == NULL ||
                       strlen(key->data) == key->n);
            continue;
        }
        size_t n_bytes = w4_gguf_value_size(key->type);
        FUZZ_CHECK(n_bytes != 0 && key->n <= file->map.size);
        FUZZ_CHECK(is_inside(file, key->data, key->n * n_bytes));
        if (w4_gguf_key_uint(key, &value)) {
            FUZZ_CHECK(!key->is_array);
        }
    }
    FUZZ_CHECK(file->alignment != 0 && file->alignment <= W4_GGUF_ALIGN_MAX);
}

/* One after the other, and none of no size. */
static void
check_tensors(const struct w4_gguf_file *file,
        const struct w4_gguf_tensor *tensors, size_t n)
{
    const char *end = (const char *)file->map.data + file->data;
    for (size_t i = 0; i < n; i++) {
        const struct w4_gguf_tensor *tensor = &tensors[i];
        const char *data = tensor->data;
        FUZZ_CHECK(tensor->name[0] != '\0' && tensor->n_bytes != 0);
        FUZZ_CHECK(strcmp(w4_gguf_type_info(tensor->type)->name,
                           tensor->type_name) == 0);
        FUZZ_CHECK(data >= end && (uint64_t)(data - end) < file->alignment);
        FUZZ_CHECK(is_inside(file, data, tensor->n_bytes));
        end = data + tensor->n_bytes;
        for (uint32_t d = 0; d < W4_GGUF_RANK_MAX; d++) {
            FUZZ_CHECK(tensor->shape[d] != 0);
            FUZZ_CHECK(d < tensor->n_dims || tensor->shape[d] == 1);
        }
    }
}

/* In memory of its own size, so that a read behind it is seen. Returns whether
 * its header and tensors are good. */
static int
read_file(const uint8_t *data, size_t size)
{
    char path[] = "memory";
    char *copy = fuzz_copy(data, size);
    struct w4_gguf_file file = {
            .path = path, .map = {.data = (unsigned char *)copy, .size = size}};
    struct w4_gguf_tensor *tensors = NULL;
    fuzz_memory_begin();
    w4moe_status status = w4_gguf_file_read(fuzz_err(), &file);
    int is_good = fuzz_status(status, FUZZ_READER);
    if (is_good) {
        check_keys(&file);
        tensors = calloc(file.n_tensors + 1, sizeof(*tensors));
        FUZZ_CHECK(tensors != NULL);
        status = w4_gguf_file_tensors(fuzz_err(), &file, tensors, 0);
        is_good = fuzz_status(
                status, FUZZ_BIT(W4MOE_OK) | FUZZ_BIT(W4MOE_FORMAT));
        if (is_good) {
            check_tensors(&file, tensors, file.n_tensors);
        }
    }
    fuzz_memory_end(size, 4, 4096);
    free(tensors);
    w4_gguf_file_free(&file);
    free(copy);
    return is_good;
}

/* The same as a file, whose keys are read by their names. */
static void
open_file(const uint8_t *data, size_t size, int is_good)
{
    struct w4_gguf_set *set = NULL;
    const char *path = fuzz_file(data, size);
    w4moe_status status = w4_gguf_open(fuzz_err(), &set, path);
    if (!fuzz_status(status, FUZZ_READER)) {
        FUZZ_CHECK(set == NULL);
        return;
    }
    FUZZ_CHECK(is_good && w4_gguf_is(path));
    FUZZ_CHECK(w4_gguf_file_count(set) == 1);
    FUZZ_CHECK(w4_gguf_file_bytes(set) == size);
    for (size_t i = 0; i < w4_gguf_count(set); i++) {
        const struct w4_gguf_tensor *tensor = w4_gguf_at(set, i);
        FUZZ_CHECK(w4_gguf_find(set, tensor->name) == tensor);
    }
    w4_gguf_close(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int is_good = read_file(data, size);
    if (size % 4 == 0) {
        open_file(data, size, is_good);
    }
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_gguf(data, size, max_size, seed);
}
