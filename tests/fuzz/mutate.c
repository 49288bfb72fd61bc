/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Mutators that know where a file's parts are. */
#include <stdlib.h>

#include "base/bytes.h"
#include "fuzz.h"

/* Bytes of a safetensors file before the header. */
enum { PREFIX = 8 };

/* What a header is not longer than here. */
enum { HEADER_MAX = 1 << 16 };

size_t
fuzz_mutate_st(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint8_t header[HEADER_MAX];
    if (seed % 4 != 0) {
        size_t n_good = fuzz_mutate_tensors(data, size, max_size, seed / 4);
        if (n_good != 0) {
            return n_good;
        }
    }
    seed /= 4;
    uint64_t n = size >= PREFIX ? w4_load_le64(data) : 0;
    if (seed % 8 == 0 || size < PREFIX || n > size - PREFIX || n > HEADER_MAX) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    size_t n_data = size - PREFIX - (size_t)n;
    if (seed % 8 == 1) {
        return PREFIX + (size_t)n +
               LLVMFuzzerMutate(data + PREFIX + n, n_data,
                       max_size - PREFIX - (size_t)n);
    }
    size_t room = max_size - PREFIX - n_data;
    memcpy(header, data + PREFIX, (size_t)n);
    size_t n_new = LLVMFuzzerMutate(
            header, (size_t)n, room < HEADER_MAX ? room : HEADER_MAX);
    memmove(data + PREFIX + n_new, data + PREFIX + n, n_data);
    memcpy(data + PREFIX, header, n_new);
    w4_store_le64(data, n_new);
    return PREFIX + n_new + n_data;
}

size_t
fuzz_mutate_parts(uint8_t *data, size_t size, size_t max_size, unsigned seed,
        size_t n, size_t first_st)
{
    struct fuzz_part parts[FUZZ_PARTS_MAX];
    if (seed % 16 == 0) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    fuzz_split(parts, n, data, size);
    /* The later ones are larger, and have more to find. */
    size_t i = seed / 16 % 4 == 0 ? seed / 64 % n : n - 1 - seed / 64 % 2;
    uint8_t *part = malloc(max_size);
    uint8_t *out = malloc(max_size);
    FUZZ_CHECK(part != NULL && out != NULL);
    if (parts[i].size > 0) {
        memcpy(part, parts[i].data, parts[i].size);
    }
    size_t n_part = parts[i].size;
    parts[i].data = part;
    parts[i].size = i < first_st
                            ? LLVMFuzzerMutate(part, n_part, max_size)
                            : fuzz_mutate_st(part, n_part, max_size, seed / 64);
    size_t n_out = fuzz_join(out, max_size, parts, n);
    memcpy(data, out, n_out);
    free(out);
    free(part);
    return n_out;
}
