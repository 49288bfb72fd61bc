/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names, types, shapes and hashes of a container's tensors. */
#include "format/container.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static const char *const array_names[W4_N_ARRAYS] = {
        "qweight", "scales", "qzeros", "offsets", "perm", "bias"};

void
w4_array_name(char name[W4_TENSOR_NAME_MAX], uint32_t layer, w4moe_which which,
        enum w4_array array)
{
    snprintf(name, W4_TENSOR_NAME_MAX, "layers.%" PRIu32 ".%s.%s", layer,
            which == W4MOE_W13 ? "w13" : "w2", array_names[array]);
}

void
w4_router_name(
        char name[W4_TENSOR_NAME_MAX], uint32_t layer, enum w4_router_part part)
{
    static const char *const names[W4_N_ROUTER_PARTS] = {
            "weight", "bias", "correction_bias"};
    snprintf(name, W4_TENSOR_NAME_MAX, "layers.%" PRIu32 ".router.%s", layer,
            names[part]);
}

void **
w4_array_place(w4moe_matrix *matrix, enum w4_array array)
{
    switch (array) {
    case W4_ARRAY_QWEIGHT:
        return (void **)&matrix->qweight;
    case W4_ARRAY_SCALES:
        return &matrix->scales;
    case W4_ARRAY_QZEROS:
        return (void **)&matrix->qzeros;
    case W4_ARRAY_OFFSETS:
        return &matrix->offsets;
    case W4_ARRAY_PERM:
        return (void **)&matrix->perm;
    case W4_ARRAY_BIAS:
    case W4_N_ARRAYS:
        break;
    }
    return &matrix->bias;
}

/* Shape of an array whose rows go along K: n_rows rows for each of n_columns
 * columns, of which width stand side by side in a full tile. */
static void
set_rows_shape(struct w4_st_entry *entry, const w4moe_matrix *m,
        uint64_t n_rows, uint64_t n_columns, uint64_t width)
{
    entry->shape[0] = m->n_experts;
    if (m->order == W4MOE_ORDER_RDNA3) {
        entry->n_dims = 3;
        entry->shape[1] = n_rows;
        entry->shape[2] = n_columns;
    } else if (m->n_out % W4_TILE_COLUMNS == 0) {
        entry->n_dims = 4;
        entry->shape[1] = n_columns / width;
        entry->shape[2] = n_rows;
        entry->shape[3] = width;
    } else {
        entry->n_dims = 2;
        entry->shape[1] = n_rows * n_columns;
    }
}

/* E8M0 scales are stored as plain bytes, which every reader knows. */
static w4moe_dtype
stored_dtype(w4moe_dtype dtype)
{
    return dtype == W4MOE_F8_E8M0 ? W4MOE_U8 : dtype;
}

void
w4_array_entry(
        struct w4_st_entry *entry, const w4moe_matrix *m, enum w4_array array)
{
    struct w4_layout layout = w4_matrix_layout(m);
    switch (array) {
    case W4_ARRAY_QWEIGHT:
        entry->dtype = W4MOE_I32;
        set_rows_shape(
                entry, m, m->n_in / W4_WORD_CODES, m->n_out, W4_TILE_COLUMNS);
        break;
    case W4_ARRAY_SCALES:
        entry->dtype = stored_dtype(m->scale_dtype);
        set_rows_shape(entry, m, layout.n_groups, m->n_out, W4_TILE_COLUMNS);
        break;
    case W4_ARRAY_QZEROS:
        entry->dtype = W4MOE_I32;
        set_rows_shape(entry, m, layout.n_groups, m->n_out / W4_WORD_ZEROS,
                W4_TILE_COLUMNS / W4_WORD_ZEROS);
        break;
    case W4_ARRAY_OFFSETS:
        entry->dtype = m->offset_dtype;
        set_rows_shape(entry, m, layout.n_groups, m->n_out, W4_TILE_COLUMNS);
        break;
    case W4_ARRAY_PERM:
        entry->dtype = W4MOE_I32;
        entry->n_dims = m->n_perms == 2 ? 3 : 2;
        entry->shape[0] = m->n_experts;
        entry->shape[1] = m->n_perms == 2 ? 2 : m->n_in;
        entry->shape[2] = m->n_in;
        break;
    case W4_ARRAY_BIAS:
    case W4_N_ARRAYS:
        entry->dtype = m->bias_dtype;
        entry->n_dims = 2;
        entry->shape[0] = m->n_experts;
        entry->shape[1] = m->n_out;
        break;
    }
}

int
w4_array_required(const struct w4_meta *meta, enum w4_array array)
{
    if (array == W4_ARRAY_QZEROS) {
        return meta->code == W4MOE_CODE_INT4 && !meta->offsets &&
               (meta->zero_points || meta->order == W4MOE_ORDER_RDNA3);
    }
    return array == W4_ARRAY_QWEIGHT || array == W4_ARRAY_SCALES ||
           (array == W4_ARRAY_OFFSETS && meta->offsets);
}

int
w4_array_allowed(const struct w4_meta *meta, enum w4_array array)
{
    return w4_array_required(meta, array) || array == W4_ARRAY_PERM ||
           array == W4_ARRAY_BIAS;
}

void
w4_hash_key(char key[W4_TENSOR_NAME_MAX + 8], const char *tensor_name)
{
    snprintf(key, W4_TENSOR_NAME_MAX + 8, "xxh3.%.63s", tensor_name);
}

void
w4_hash_print(char text[W4_HASH_TEXT], XXH128_hash_t hash)
{
    snprintf(text, W4_HASH_TEXT, "%016" PRIx64 "%016" PRIx64,
            (uint64_t)hash.high64, (uint64_t)hash.low64);
}

/* The hash is that of the file's bytes: on a big-endian host they are turned
 * back piece by piece. */
static w4moe_status
hash_swapped(struct w4_err *err, XXH128_hash_t *hash, const void *data,
        uint64_t n_bytes, size_t element_size)
{
    unsigned char piece[4096];
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a hash");
    }
    XXH3_128bits_reset(state);
    for (uint64_t at = 0; at < n_bytes; at += sizeof(piece)) {
        uint64_t left = n_bytes - at;
        size_t n = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        memcpy(piece, (const char *)data + at, n);
        w4_swap_le(piece, element_size, n / element_size);
        XXH3_128bits_update(state, piece, n);
    }
    *hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return W4MOE_OK;
}

w4moe_status
w4_hash_text(struct w4_err *err, char text[W4_HASH_TEXT], const void *data,
        uint64_t n_bytes, size_t element_size)
{
    XXH128_hash_t hash;
    w4moe_status status = W4MOE_OK;
    if (W4_BIG_ENDIAN && element_size > 1) {
        status = hash_swapped(err, &hash, data, n_bytes, element_size);
    } else {
        hash = XXH3_128bits(data, (size_t)n_bytes);
    }
    if (status == W4MOE_OK) {
        w4_hash_print(text, hash);
    }
    return status;
}
