/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * A mutator of GGUF files. It reads a good file, changes the value of a key or
 * a tensor's name, type or shape, and writes it with sizes and offsets that are
 * right again: so that what is wrong with it is for the readers of tensors to
 * find.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "io/gguf_file.h"
#include "io/gguf_types.h"
#include "sink.h"
#include "test_random.h"

enum { TENSORS_MAX = 256, N_TENSORS_AT = 8, PAD = 32 };

/* Begins anew in each call. */
static struct test_random random_state;

static size_t
below(size_t n)
{
    return test_random_below(&random_state, n);
}

/* ----------------------------------------------------------------- changes */

/* A number among the keys, in the file itself. */
static void
change_key(uint8_t *data, const struct w4_gguf_file *file)
{
    if (file->n_keys == 0) {
        return;
    }
    const struct w4_gguf_key *key = &file->keys[below(file->n_keys)];
    size_t n = w4_gguf_value_size(key->type);
    if (n == 0 || key->n == 0) {
        return;
    }
    size_t at = (size_t)((const uint8_t *)key->data - file->map.data);
    uint8_t *value = data + at + n * below((size_t)key->n);
    if (below(2) == 0) {
        LLVMFuzzerMutate(value, n, n);
    } else {
        static const uint8_t values[] = {0, 1, 2, 3, 8, 31, 32, 33, 64, 255};
        memset(value, 0, n);
        value[0] = values[below(sizeof(values))];
    }
}

static void
change_shape(struct w4_gguf_tensor *tensor, const struct w4_gguf_tensor *other)
{
    uint64_t *length = &tensor->shape[below(W4_GGUF_RANK_MAX)];
    const uint64_t lengths[] = {
            1, 2, 32, 256, *length + 1, *length - 1, *length * 2, *length / 2};
    switch (below(4)) {
    case 0:
        tensor->n_dims = other->n_dims;
        memcpy(tensor->shape, other->shape, sizeof(tensor->shape));
        break;
    case 1:
        tensor->n_dims = (uint32_t)(1 + below(W4_GGUF_RANK_MAX));
        break;
    default:
        *length = lengths[below(8)];
        break;
    }
}

/* Another's name, with a digit or a letter of it changed at times. */
static const char *
other_name(char text[256], const char *name)
{
    size_t n = strlen(name);
    if (n >= 256 || below(2) == 0) {
        return name;
    }
    memcpy(text, name, n + 1);
    char *c = text + below(n);
    *c = *c >= '0' && *c <= '9' ? (char)('0' + below(10))
                                : (char)('a' + below(26));
    return text;
}

static size_t
change_tensors(struct w4_gguf_tensor *tensors, size_t n, char name[256])
{
    static const uint8_t types[] = {W4_GGUF_F32, W4_GGUF_F16, W4_GGUF_BF16,
            W4_GGUF_Q4_0, W4_GGUF_Q4_1, W4_GGUF_Q5_0, W4_GGUF_Q5_1,
            W4_GGUF_Q8_0, W4_GGUF_Q4_K, W4_GGUF_Q5_K, W4_GGUF_Q6_K,
            W4_GGUF_IQ4_NL, W4_GGUF_MXFP4, W4_GGUF_Q2_K};
    struct w4_gguf_tensor *tensor = &tensors[below(n)];
    const struct w4_gguf_tensor *other = &tensors[below(n)];
    switch (below(6)) {
    case 0:
        *tensor = tensors[n - 1];
        return n - 1;
    case 1:
        tensors[n] = *other;
        tensors[n].name = other_name(name, tensor->name);
        return n + 1;
    case 2:
        tensor->name = other_name(name, other->name);
        return n;
    case 3:
        change_shape(tensor, other);
        return n;
    default:
        tensor->type = types[below(sizeof(types))];
        return n;
    }
}

/* ----------------------------------------------------------------- writing */

static void
put_number(struct sink *sink, uint64_t number, size_t n)
{
    uint8_t bytes[8];
    w4_store_le64(bytes, number);
    sink_put(sink, bytes, n);
}

static void
put_padding(struct sink *sink, size_t alignment)
{
    while (sink->size < sink->room && sink->size % alignment != 0) {
        sink_put(sink, "", 1);
    }
}

/* Bytes of a tensor by its type and shape, far less than 2^63; 0 if they are
 * more than there may be. */
static uint64_t
size_of(const struct w4_gguf_tensor *tensor, size_t max_size)
{
    const struct w4_gguf_type_info *info = w4_gguf_type_info(tensor->type);
    uint64_t n = 1;
    for (uint32_t d = 0; d < tensor->n_dims; d++) {
        if (tensor->shape[d] > 8 * max_size || n > 8 * max_size) {
            return 0;
        }
        n *= tensor->shape[d];
    }
    return n / info->block * info->block_bytes;
}

static void
put_entries(struct sink *sink, const struct w4_gguf_tensor *tensors, size_t n,
        const uint64_t *sizes, uint64_t alignment)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        put_number(sink, strlen(tensors[i].name), 8);
        sink_put(sink, tensors[i].name, strlen(tensors[i].name));
        put_number(sink, tensors[i].n_dims, 4);
        for (uint32_t d = 0; d < tensors[i].n_dims; d++) {
            put_number(sink, tensors[i].shape[d], 8);
        }
        put_number(sink, tensors[i].type, 4);
        put_number(sink, offset, 8);
        offset = (offset + sizes[i] + alignment - 1) / alignment * alignment;
    }
}

/* Data that became longer are repeated. */
static size_t
write_file(struct sink *sink, const struct w4_gguf_file *file,
        const struct w4_gguf_tensor *tensors, size_t n)
{
    uint64_t sizes[TENSORS_MAX + 1];
    for (size_t i = 0; i < n; i++) {
        sizes[i] = size_of(&tensors[i], sink->room);
        if (sizes[i] == 0) {
            return 0;
        }
    }
    sink_put(sink, file->map.data, file->entries);
    put_entries(sink, tensors, n, sizes, file->alignment);
    put_padding(sink, (size_t)file->alignment);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t left = sizes[i]; left > 0 && sink->size < sink->room;) {
            uint64_t now =
                    left < tensors[i].n_bytes ? left : tensors[i].n_bytes;
            sink_put(sink, tensors[i].data, (size_t)now);
            left -= now;
        }
        put_padding(sink, (size_t)file->alignment);
    }
    if (sink->size >= sink->room) {
        return 0;
    }
    w4_store_le64(sink->out + N_TENSORS_AT, n);
    return sink->size;
}

/* Returns 0, and has changed nothing, if the file is not good, or the new one
 * too large. */
static size_t
mutate(uint8_t *data, struct w4_gguf_file *file, size_t max_size)
{
    static struct w4_gguf_tensor tensors[TENSORS_MAX + 1];
    char name[256];
    if (w4_gguf_file_read(NULL, file) != W4MOE_OK || file->n_tensors == 0 ||
            file->n_tensors > TENSORS_MAX ||
            w4_gguf_file_tensors(NULL, file, tensors, 0) != W4MOE_OK) {
        return 0;
    }
    if (below(3) == 0) {
        change_key(data, file);
        return (size_t)file->map.size;
    }
    size_t n = change_tensors(tensors, file->n_tensors, name);
    struct sink sink = {malloc(max_size), max_size, 0};
    FUZZ_CHECK(sink.out != NULL);
    size_t size = write_file(&sink, file, tensors, n);
    memcpy(data, sink.out, size);
    free(sink.out);
    return size;
}

size_t
fuzz_mutate_gguf(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    char path[] = "memory";
    size_t n = 0;
    random_state.counter = seed / 8;
    if (seed % 8 != 0) {
        uint8_t *copy = (uint8_t *)fuzz_copy(data, size);
        struct w4_gguf_file file = {
                .path = path, .map = {.data = copy, .size = size}};
        n = mutate(data, &file, max_size);
        w4_gguf_file_free(&file);
        free(copy);
    }
    return n != 0 ? n : LLVMFuzzerMutate(data, size, max_size);
}
