/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One tensor's entry in the header of a GGUF file, checked by itself. Where
 * its data is depends on the entries before it, and is for gguf_file.c.
 */
#ifndef W4_IO_GGUF_TENSOR_H
#define W4_IO_GGUF_TENSOR_H

#include "io/gguf.h"
#include "io/gguf_scan.h"

/** The fewest bytes that an entry can have: its name's length and one byte,
 * rank 0, type, offset. */
enum { W4_GGUF_ENTRY_MIN = 8 + 1 + 4 + 4 + 8 };

/** Reads the next entry, whose name is scan->name then; it still stands in the
 * file, without a NUL. Out: all of tensor but data and file; its offset in the
 * file's data, unchecked. Returns: OK; FORMAT; UNSUPPORTED. */
extern w4moe_status w4_gguf_tensor_scan(struct w4_gguf_scan *scan,
        struct w4_gguf_tensor *tensor, uint64_t *offset);

#endif
