/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Sums of rows, chosen by a table. Arguments have been checked by the callers.
 */
#ifndef W4_KERNEL_SUM_ROWS_H
#define W4_KERNEL_SUM_ROWS_H

#include <w4moe/kernel.h>

#include "base/parallel.h"

/** Does what w4moe_combine() promises, in host memory; strides are set, and
 * row_ids are rows that are there or negative. accumulate: begin with what out
 * holds; the flags are not looked at. */
extern void w4_sum_rows(
        struct w4_team *team, const w4moe_combine_args *args, int accumulate);

#endif
