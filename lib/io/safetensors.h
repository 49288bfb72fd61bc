/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Reading safetensors files, one or a set of shards, as hostile input.
 *
 * Every file is mapped and checked whole when it is opened: the header's
 * length against the file and a cap, a strict JSON grammar without duplicate
 * keys, every shape product without overflow, every range inside the file,
 * and all ranges together tiling the data without hole or overlap. After that
 * a tensor's data can be read without further checks, but it may start at any
 * address: load with memcpy.
 *
 * A file must not be truncated while it is open.
 */
#ifndef W4_IO_SAFETENSORS_H
#define W4_IO_SAFETENSORS_H

#include "base/err.h"

/** The longest header that is read, in bytes, and the highest rank. */
enum { W4_ST_HEADER_MAX = 100 * 1000 * 1000, W4_ST_RANK_MAX = 8 };

/** One tensor. Lives as long as its set. */
struct w4_tensor {
    const char *name;
    /** W4MOE_DTYPE_NONE for types of safetensors that w4moe has no name for;
     * see dtype_name. */
    w4moe_dtype dtype;
    /** As in the file, for example "BF16" or "F4". */
    const char *dtype_name;
    uint32_t n_dims;
    uint64_t shape[W4_ST_RANK_MAX];
    const void *data;
    uint64_t n_bytes;
    /** Which file of the set holds it. */
    uint32_t file;
};

/** One or more open files, read as one. */
struct w4_st_set;

/**
 * Opens a set.
 *
 * In: path: a regular file; or a folder with "model.safetensors.index.json"
 *     (its shards are opened), else with "model.safetensors". File names in an
 *     index must be plain; links are followed.
 * Out: *set_p; release it with w4_st_close().
 * Returns: OK; IO; FORMAT (also: a shard or a tensor that the index names is
 *     missing, a tensor stands in two shards or not where the index says);
 *     UNSUPPORTED (rank above W4_ST_RANK_MAX); NOMEM. The text begins with the
 *     file's path and names the tensor and the values.
 */
extern w4moe_status w4_st_open(
        struct w4_err *err, struct w4_st_set **set_p, const char *path);

/** Closes a set; may be NULL. */
extern void w4_st_close(struct w4_st_set *set);

/** Tensors of all files; they are in order of file and offset. */
extern size_t w4_st_count(const struct w4_st_set *set);
extern const struct w4_tensor *w4_st_at(const struct w4_st_set *set, size_t i);

/** A tensor by its name, in logarithmic time; NULL if there is none. */
extern const struct w4_tensor *w4_st_find(
        const struct w4_st_set *set, const char *name);

/** A value of the first file's __metadata__; NULL if there is none. */
extern const char *w4_st_metadata(const struct w4_st_set *set, const char *key);

/** Key i of the first file's __metadata__, in ascending order; NULL from their
 * number on. */
extern const char *w4_st_metadata_key(const struct w4_st_set *set, size_t i);

/** Files, and the path of each (for texts and for finding config.json). */
extern size_t w4_st_file_count(const struct w4_st_set *set);
extern const char *w4_st_file_path(const struct w4_st_set *set, size_t file);

/** Bytes of all files. */
extern uint64_t w4_st_file_bytes(const struct w4_st_set *set);

/**
 * Writable private mapping instead of a read-only one: on a big-endian host
 * every tensor of the set is turned to host order, in memory only. On a
 * little-endian host it does nothing. Call once, before threads share the set.
 */
extern w4moe_status w4_st_to_host(struct w4_err *err, struct w4_st_set *set);

#endif
