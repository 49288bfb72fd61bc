/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * One tensor's entry in the header of a safetensors file, checked by itself.
 * What entries have to do with each other is for st_header.c.
 */
#ifndef W4_IO_ST_TENSOR_H
#define W4_IO_ST_TENSOR_H

#include "io/json_scan.h"
#include "io/st_header.h"

/** Reads the value of an entry, which comes next in json and whose grammar has
 * been checked. In: tensor cleared, with its name. Out: the rest of it.
 * Returns: OK; FORMAT; UNSUPPORTED. */
extern w4moe_status w4_st_tensor_read(struct w4_err *err,
        const struct w4_st_file *file, struct w4_json *json,
        struct w4_tensor *tensor);

/** Bytes of one number of a tensor's data, for a change of byte order; 1 for
 * numbers below a byte. */
extern size_t w4_st_number_size(const struct w4_tensor *tensor);

#endif
