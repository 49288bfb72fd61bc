/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a container is made of: its metadata, and the names, types and shapes
 * of its tensors. The one place for both the reader and the writer; specified
 * in w4moe-format(5).
 */
#ifndef W4_FORMAT_CONTAINER_H
#define W4_FORMAT_CONTAINER_H

#include <xxhash.h>

#include "format/matrix.h"
#include "format/router_part.h"
#include "io/safetensors.h"
#include "io/st_writer.h"

/** Longest tensor name of a container, with its NUL. */
enum { W4_TENSOR_NAME_MAX = 64 };

/** Hexadecimal digits of a hash, with the NUL. */
enum { W4_HASH_TEXT = 33 };

/** The arrays of a matrix as tensors. */
enum w4_array {
    W4_ARRAY_QWEIGHT,
    W4_ARRAY_SCALES,
    W4_ARRAY_QZEROS,
    W4_ARRAY_OFFSETS,
    W4_ARRAY_PERM,
    W4_ARRAY_BIAS,
    W4_N_ARRAYS
};

/** Metadata of a whole container. */
struct w4_meta {
    w4moe_order order;
    w4moe_code code;
    int zero_points;
    int offsets;
    size_t n_experts;
    /** Which experts of the model these are, and how many it has. */
    size_t first_expert;
    size_t n_experts_total;
    size_t top_k;
    size_t hidden_size;
    size_t intermediate_size;
    size_t w13_group_size;
    size_t w2_group_size;
    w4moe_activation activation;
    w4moe_router router;
    /** See w4moe_file_info. */
    uint32_t router_first_layer;
    const char *producer;
    const char *source_scheme;
    const char *model_type;
};

/** Puts the metadata into a file that is being written. */
extern w4moe_status w4_meta_write(struct w4_err *err,
        struct w4_st_writer *writer, const struct w4_meta *meta);

/** Whether an open set says that it is a container. */
extern int w4_meta_is_container(const struct w4_st_set *set);

/** Reads and checks the metadata of an open set; the strings point into it.
 * Returns OK, FORMAT or UNSUPPORTED (a newer version). */
extern w4moe_status w4_meta_read(
        struct w4_err *err, struct w4_meta *meta, const struct w4_st_set *set);

/** The descriptor (without arrays, perm, bias and offsets) of a matrix of a
 * container; scale_dtype is the caller's to set. */
extern w4moe_matrix w4_meta_matrix(
        const struct w4_meta *meta, w4moe_which which);

/** "layers.L.w13.ARRAY". */
extern void w4_array_name(char name[W4_TENSOR_NAME_MAX], uint32_t layer,
        w4moe_which which, enum w4_array array);

/** "layers.L.router.PART". */
extern void w4_router_name(char name[W4_TENSOR_NAME_MAX], uint32_t layer,
        enum w4_router_part part);

/** Where a descriptor keeps an array. */
extern void **w4_array_place(w4moe_matrix *matrix, enum w4_array array);

/** Type and shape of an array of a checked descriptor as a tensor (the name is
 * left alone), whether or not the array is present. */
extern void w4_array_entry(struct w4_st_entry *entry,
        const w4moe_matrix *matrix, enum w4_array array);

/** Whether a container with this metadata holds the array of every matrix
 * (for example qweight); perm and bias are there by the layer. */
extern int w4_array_required(const struct w4_meta *meta, enum w4_array array);

/** Whether it may hold the array. */
extern int w4_array_allowed(const struct w4_meta *meta, enum w4_array array);

/** "xxh3.NAME", the metadata key of a tensor's hash. */
extern void w4_hash_key(
        char key[W4_TENSOR_NAME_MAX + 8], const char *tensor_name);

/** A hash as lower-case hexadecimal digits. */
extern void w4_hash_print(char text[W4_HASH_TEXT], XXH128_hash_t hash);

/** XXH3-128 of n elements of element_size bytes, in their order in the file,
 * as lower-case hexadecimal digits. data is in host order. Returns OK or
 * NOMEM. */
extern w4moe_status w4_hash_text(struct w4_err *err, char text[W4_HASH_TEXT],
        const void *data, uint64_t n_bytes, size_t element_size);

#endif
