/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Files that are read whole, as text. */
#ifndef W4_IO_SMALL_FILE_H
#define W4_IO_SMALL_FILE_H

#include <stddef.h>

#include "base/err.h"

/** Reads a file of at most `max` bytes.
 *
 * Out: *text_p, *size_p bytes and a NUL behind them; free it. Returns: OK; IO;
 * FORMAT (no regular file, or a longer one); NOMEM. */
extern w4moe_status w4_small_file_read(struct w4_err *err, char **text_p,
        size_t *size_p, const char *path, size_t max);

#endif
