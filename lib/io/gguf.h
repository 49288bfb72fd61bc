/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Reading GGUF files, one or the parts of a split, as hostile input.
 *
 * Versions 2 and 3, little-endian. Every file is mapped and its header checked
 * whole when it is opened: all lengths and counts against the file, names as
 * UTF-8, no key and no tensor twice, shapes without overflow and in whole
 * blocks of their type, and data one after the other, padded to the file's
 * alignment, all of it inside the file. After that a tensor's data can be read
 * without further checks, but it may start at any address and is little-endian:
 * load with memcpy and base/bytes.h. Bytes behind the last tensor are ignored,
 * as others do.
 *
 * What an opened set needs in memory is in proportion to the bytes that its
 * headers really have, about three times as much at worst.
 *
 * A file must not be changed or truncated while it is open.
 */
#ifndef W4_IO_GGUF_H
#define W4_IO_GGUF_H

#include "base/err.h"

enum {
    /** Highest rank. */
    W4_GGUF_RANK_MAX = 4,
    /** The longest name of a key or tensor, in bytes; none is empty. */
    W4_GGUF_NAME_MAX = 65535,
    /** The longest header that is read, in bytes. Large ones, which have a
     * vocabulary of 260,000 words and its merges, are a tenth of it. */
    W4_GGUF_HEADER_MAX = 1 << 28,
    /** The widest general.alignment; 32 if a file has none. */
    W4_GGUF_ALIGN_MAX = 1 << 20,
    /** The most parts of a split: their names have five digits. */
    W4_GGUF_PARTS_MAX = 99999,
};

/** Types of tensors: ggml's numbers. Those that are left out were taken back.
 * A tensor of another type is refused, for its size is not known. */
enum w4_gguf_type {
    W4_GGUF_F32 = 0,
    W4_GGUF_F16 = 1,
    W4_GGUF_Q4_0 = 2,
    W4_GGUF_Q4_1 = 3,
    W4_GGUF_Q5_0 = 6,
    W4_GGUF_Q5_1 = 7,
    W4_GGUF_Q8_0 = 8,
    W4_GGUF_Q8_1 = 9,
    W4_GGUF_Q2_K = 10,
    W4_GGUF_Q3_K = 11,
    W4_GGUF_Q4_K = 12,
    W4_GGUF_Q5_K = 13,
    W4_GGUF_Q6_K = 14,
    W4_GGUF_Q8_K = 15,
    W4_GGUF_IQ2_XXS = 16,
    W4_GGUF_IQ2_XS = 17,
    W4_GGUF_IQ3_XXS = 18,
    W4_GGUF_IQ1_S = 19,
    W4_GGUF_IQ4_NL = 20,
    W4_GGUF_IQ3_S = 21,
    W4_GGUF_IQ2_S = 22,
    W4_GGUF_IQ4_XS = 23,
    W4_GGUF_I8 = 24,
    W4_GGUF_I16 = 25,
    W4_GGUF_I32 = 26,
    W4_GGUF_I64 = 27,
    W4_GGUF_F64 = 28,
    W4_GGUF_IQ1_M = 29,
    W4_GGUF_BF16 = 30,
    W4_GGUF_TQ1_0 = 34,
    W4_GGUF_TQ2_0 = 35,
    W4_GGUF_MXFP4 = 39,
    W4_GGUF_NVFP4 = 40,
    W4_GGUF_Q1_0 = 41,
    W4_GGUF_Q2_0 = 42,
};

/** Types of metadata: GGUF's numbers. */
enum w4_gguf_value {
    W4_GGUF_VALUE_UINT8 = 0,
    W4_GGUF_VALUE_INT8 = 1,
    W4_GGUF_VALUE_UINT16 = 2,
    W4_GGUF_VALUE_INT16 = 3,
    W4_GGUF_VALUE_UINT32 = 4,
    W4_GGUF_VALUE_INT32 = 5,
    W4_GGUF_VALUE_FLOAT32 = 6,
    W4_GGUF_VALUE_BOOL = 7,
    W4_GGUF_VALUE_STRING = 8,
    W4_GGUF_VALUE_ARRAY = 9,
    W4_GGUF_VALUE_UINT64 = 10,
    W4_GGUF_VALUE_INT64 = 11,
    W4_GGUF_VALUE_FLOAT64 = 12,
};

/** One tensor. Lives as long as its set. */
struct w4_gguf_tensor {
    /** UTF-8, not empty. */
    const char *name;
    /** One of enum w4_gguf_type, and its name, for example "Q4_K". */
    uint32_t type;
    const char *type_name;
    uint32_t n_dims;
    /** In ggml's order: shape[0] is contiguous and in whole blocks of the
     * type. None is 0; those from n_dims on are 1. */
    uint64_t shape[W4_GGUF_RANK_MAX];
    const void *data;
    uint64_t n_bytes;
    /** Which file of the set holds it. */
    uint32_t file;
};

/** One or more open files, read as one. */
struct w4_gguf_set;

/** Whether a path is a regular file that begins with "GGUF". */
extern int w4_gguf_is(const char *path);

/**
 * Opens a set.
 *
 * In: path: a file, or the first part of a split, with a name that ends with
 *     "-00001-of-0000N.gguf"; then all N beside it are opened. Links are
 *     followed, but the names are those beside the path as given.
 * Out: *set_p; release it with w4_gguf_close().
 * Returns: OK; IO; FORMAT (also: not the first part; a part is missing or is
 *     that of another split; the parts do not have the tensors that
 *     split.tensors.count says); UNSUPPORTED (another version or the other
 *     byte order; a tensor of an unknown type; an array of arrays); NOMEM. The
 *     text begins with the file's path and names the key or tensor and the
 *     values.
 */
extern w4moe_status w4_gguf_open(
        struct w4_err *err, struct w4_gguf_set **set_p, const char *path);

/** Closes a set; may be NULL. */
extern void w4_gguf_close(struct w4_gguf_set *set);

/** Tensors of all files; they are in order of file and offset. */
extern size_t w4_gguf_count(const struct w4_gguf_set *set);
extern const struct w4_gguf_tensor *w4_gguf_at(
        const struct w4_gguf_set *set, size_t i);

/** A tensor by its name, in logarithmic time; NULL if there is none. */
extern const struct w4_gguf_tensor *w4_gguf_find(
        const struct w4_gguf_set *set, const char *name);

/** Files, and the path of each. */
extern size_t w4_gguf_file_count(const struct w4_gguf_set *set);
extern const char *w4_gguf_file_path(
        const struct w4_gguf_set *set, size_t file);

/** Bytes of all files. */
extern uint64_t w4_gguf_file_bytes(const struct w4_gguf_set *set);

/**
 * Metadata of the first file, in logarithmic time. Each returns 1 if the key
 * is there and has a fitting type, else 0 and leaves *value alone.
 */

/** Of any integer type, if it is not negative. */
extern int w4_gguf_get_uint(
        const struct w4_gguf_set *set, const char *key, uint64_t *value);
/** FLOAT32 or FLOAT64. */
extern int w4_gguf_get_float(
        const struct w4_gguf_set *set, const char *key, double *value);
/** BOOL: 0 or 1. */
extern int w4_gguf_get_bool(
        const struct w4_gguf_set *set, const char *key, int *value);
/** STRING; NULL if there is none, or if it holds a NUL or is not UTF-8. */
extern const char *w4_gguf_get_string(
        const struct w4_gguf_set *set, const char *key);

/** An array of numbers or of BOOL, as it stands in the file: at any address,
 * little-endian. */
struct w4_gguf_array {
    /** Of the elements: one of enum w4_gguf_value, not STRING or ARRAY. */
    uint32_t type;
    uint64_t n;
    const void *data;
};
extern int w4_gguf_get_array(const struct w4_gguf_set *set, const char *key,
        struct w4_gguf_array *array);

/** Element i < n as w4_gguf_get_uint() would give it. */
extern int w4_gguf_array_uint(
        const struct w4_gguf_array *array, uint64_t i, uint64_t *value);

#endif
