/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "io/gguf_scan.h"
#include "io/gguf_tensor.h"
#include "io/text.h"

/* Magic, version, number of tensors, number of keys. */
enum { HEAD_SIZE = 4 + 4 + 8 + 8, ALIGNMENT_DEFAULT = 32 };

/* -------------------------------------------------------------------- head */

static w4moe_status
check_version(const struct w4_gguf_scan *scan, uint32_t version)
{
    if (version == 2 || version == 3) {
        return W4MOE_OK;
    }
    uint32_t swapped = __builtin_bswap32(version);
    if (swapped >= 1 && swapped <= 3) {
        return w4_gguf_scan_fail(scan, W4MOE_UNSUPPORTED,
                "a big-endian GGUF file, of version %" PRIu32, swapped);
    }
    return w4_gguf_scan_fail(scan, W4MOE_UNSUPPORTED,
            "version %" PRIu32 " of GGUF, 2 and 3 are read", version);
}

/* Whether n entries of a kind can be in what is left. */
static w4moe_status
check_count(const struct w4_gguf_scan *scan, uint64_t n, const char *kind,
        size_t entry_min)
{
    size_t left = scan->size - scan->at;
    if (n > left / entry_min) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "%" PRIu64 " %ss in the %zu bytes that follow, which are of "
                "at least %zu bytes each",
                n, kind, left, entry_min);
    }
    return W4MOE_OK;
}

/* Reads what comes before the first key. */
static w4moe_status
read_head(struct w4_gguf_scan *scan, struct w4_gguf_file *file)
{
    const struct w4_map *map = &file->map;
    if (map->size < HEAD_SIZE || memcmp(map->data, "GGUF", 4) != 0) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT, "%s",
                map->size < HEAD_SIZE ? "is too short for a GGUF file"
                                      : "does not begin with \"GGUF\"");
    }
    w4moe_status status = check_version(scan, w4_load_le32(scan->bytes + 4));
    if (status != W4MOE_OK) {
        return status;
    }
    uint64_t n_tensors = w4_load_le64(scan->bytes + 8);
    uint64_t n_keys = w4_load_le64(scan->bytes + 16);
    scan->at = HEAD_SIZE;
    status = check_count(scan, n_keys, "key", W4_GGUF_KEY_MIN);
    if (status != W4MOE_OK) {
        return status;
    }
    status = check_count(scan, n_tensors, "tensor", W4_GGUF_ENTRY_MIN);
    if (status != W4MOE_OK) {
        return status;
    }
    file->n_keys = (size_t)n_keys;
    file->n_tensors = (size_t)n_tensors;
    return W4MOE_OK;
}

/* ----------------------------------------------------------------- entries */

/* Entries are read twice: once to check and to count them, so that memory is
 * in proportion to what is there and not to what is claimed, and once to keep
 * them. */

/* Counts or, when there is memory for it, keeps a text as a string. */
static const char *
keep(struct w4_gguf_file *file, const char *text, size_t size)
{
    char *kept = NULL;
    if (file->strings != NULL) {
        kept = file->strings + file->n_strings;
        memcpy(kept, text, size);
        kept[size] = '\0';
    }
    file->n_strings += size + 1;
    return kept;
}

/* Reads all keys; keeps them when there is memory for them. */
static w4moe_status
read_keys(struct w4_gguf_scan *scan, struct w4_gguf_file *file)
{
    for (size_t i = 0; i < file->n_keys; i++) {
        struct w4_gguf_key key;
        w4_gguf_scan_entry(scan, "key", i, file->n_keys);
        w4moe_status status = w4_gguf_key_scan(scan, &key);
        if (status != W4MOE_OK) {
            return status;
        }
        key.name = keep(file, key.name, scan->name.size);
        if (key.type == W4_GGUF_VALUE_STRING && key.data != NULL) {
            key.data = keep(file, key.data, (size_t)key.n);
        }
        if (file->keys != NULL) {
            file->keys[i] = key;
        }
    }
    w4_gguf_scan_entry(scan, NULL, 0, 0);
    return W4MOE_OK;
}

/* Checks each tensor by itself and counts the bytes of their names. */
static w4moe_status
count_tensors(struct w4_gguf_scan *scan, struct w4_gguf_file *file)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        struct w4_gguf_tensor tensor;
        uint64_t offset;
        w4_gguf_scan_entry(scan, "tensor", i, file->n_tensors);
        w4moe_status status = w4_gguf_tensor_scan(scan, &tensor, &offset);
        if (status != W4MOE_OK) {
            return status;
        }
        keep(file, tensor.name, scan->name.size);
    }
    w4_gguf_scan_entry(scan, NULL, 0, 0);
    return W4MOE_OK;
}

static w4moe_status
read_alignment(const struct w4_gguf_scan *scan, struct w4_gguf_file *file)
{
    const struct w4_gguf_key *key =
            w4_gguf_file_find(file, "general.alignment");
    file->alignment = ALIGNMENT_DEFAULT;
    if (key == NULL) {
        return W4MOE_OK;
    }
    if (!w4_gguf_key_uint(key, &file->alignment)) {
        return w4_gguf_scan_fail(
                scan, W4MOE_FORMAT, "general.alignment is not a number");
    }
    uint64_t alignment = file->alignment;
    if (alignment == 0 || alignment > W4_GGUF_ALIGN_MAX ||
            (alignment & (alignment - 1)) != 0) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "general.alignment is %" PRIu64 ", not a power of two up to %d",
                alignment, W4_GGUF_ALIGN_MAX);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_file_read(struct w4_err *err, struct w4_gguf_file *file)
{
    struct w4_gguf_scan scan;
    w4_gguf_scan_init(&scan, err, file->path, &file->map, 0);
    w4moe_status status = read_head(&scan, file);
    if (status != W4MOE_OK) {
        return status;
    }
    status = read_keys(&scan, file);
    if (status != W4MOE_OK) {
        return status;
    }
    file->entries = scan.at;
    status = count_tensors(&scan, file);
    if (status != W4MOE_OK) {
        return status;
    }
    size_t end = scan.at;
    file->strings = malloc(file->n_strings + 1);
    file->keys = calloc(file->n_keys + 1, sizeof(*file->keys));
    if (file->strings == NULL || file->keys == NULL) {
        return w4_gguf_scan_fail(&scan, W4MOE_NOMEM,
                "no memory for %zu keys and the names of %zu tensors",
                file->n_keys, file->n_tensors);
    }
    file->n_strings = 0;
    scan.at = HEAD_SIZE;
    status = read_keys(&scan, file);
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_gguf_keys_sort(err, file->path, file->keys, file->n_keys);
    if (status != W4MOE_OK) {
        return status;
    }
    status = read_alignment(&scan, file);
    if (status != W4MOE_OK) {
        return status;
    }
    /* A file without tensors may end before its data would begin. */
    file->data = (end + file->alignment - 1) & ~(file->alignment - 1);
    return W4MOE_OK;
}

/* ----------------------------------------------------------------- tensors */

/* Gives a tensor its data, which must begin where that of the one before it,
 * with its padding, ends: *end bytes behind the beginning of the data. */
static w4moe_status
place(const struct w4_gguf_scan *scan, const struct w4_gguf_file *file,
        struct w4_gguf_tensor *tensor, uint64_t offset, uint64_t *end)
{
    uint64_t size = file->map.size;
    uint64_t left = size > file->data ? size - file->data : 0;
    if (offset != *end) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "offset %" PRIu64 ", but the data before it, padded to "
                "%" PRIu64 ", ends at %" PRIu64,
                offset, file->alignment, *end);
    }
    if (offset > left || tensor->n_bytes > left - offset) {
        return w4_gguf_scan_fail(scan, W4MOE_FORMAT,
                "%" PRIu64 " bytes at offset %" PRIu64 " of the data, which "
                "has %" PRIu64 ": the file is too short",
                tensor->n_bytes, offset, left);
    }
    tensor->data = file->map.data + (file->data + offset);
    /* No overflow: a mapped file ends far below 2^64. */
    *end = (offset + tensor->n_bytes + file->alignment - 1) &
           ~(file->alignment - 1);
    return W4MOE_OK;
}

w4moe_status
w4_gguf_file_tensors(struct w4_err *err, struct w4_gguf_file *file,
        struct w4_gguf_tensor *tensors, uint32_t index)
{
    struct w4_gguf_scan scan;
    uint64_t end = 0;
    w4_gguf_scan_init(&scan, err, file->path, &file->map, file->entries);
    for (size_t i = 0; i < file->n_tensors; i++) {
        struct w4_gguf_tensor *tensor = &tensors[i];
        uint64_t offset = 0;
        w4_gguf_scan_entry(&scan, "tensor", i, file->n_tensors);
        w4moe_status status = w4_gguf_tensor_scan(&scan, tensor, &offset);
        if (status != W4MOE_OK) {
            return status;
        }
        status = place(&scan, file, tensor, offset, &end);
        if (status != W4MOE_OK) {
            return status;
        }
        tensor->name = keep(file, tensor->name, scan.name.size);
        tensor->file = index;
    }
    return W4MOE_OK;
}

const struct w4_gguf_key *
w4_gguf_file_find(const struct w4_gguf_file *file, const char *key)
{
    return w4_gguf_keys_find(file->keys, file->n_keys, key);
}

void
w4_gguf_file_free(struct w4_gguf_file *file)
{
    free(file->keys);
    free(file->strings);
    file->keys = NULL;
    file->strings = NULL;
}
