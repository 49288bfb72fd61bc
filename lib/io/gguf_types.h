/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Sizes of the types that GGUF files name by numbers.
 */
#ifndef W4_IO_GGUF_TYPES_H
#define W4_IO_GGUF_TYPES_H

#include <stddef.h>

#include "io/gguf.h"

/** A type of tensors. */
struct w4_gguf_type_info {
    /** NULL: there is none of this number. */
    const char *name;
    /** Elements and bytes of a block. */
    uint32_t block;
    uint32_t block_bytes;
};

/** Of a number that may be any; NULL if it is not in enum w4_gguf_type. */
extern const struct w4_gguf_type_info *w4_gguf_type_info(uint32_t type);

/** Bytes of a number or bool of metadata; 0 for STRING, ARRAY and whatever is
 * not in enum w4_gguf_value. */
extern size_t w4_gguf_value_size(uint32_t type);

#endif
