/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Mutators that know where a file's parts are. */
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

struct fuzz_checkpoint
fuzz_checkpoint_split(const uint8_t *data, size_t size)
{
    struct fuzz_checkpoint c = {.config = data};
    if (size >= 4) {
        size_t n = w4_load_le32(data);
        c.config = data + 4;
        c.config_size = n < size - 4 ? n : size - 4;
        c.weights = c.config + c.config_size;
        c.weights_size = size - 4 - c.config_size;
    }
    return c;
}
