/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A conversion of a checkpoint of foreign bytes. It is refused and leaves
 * nothing behind, or it comes to its end, and the container is good.
 */
#ifndef FUZZ_CONVERSION_H
#define FUZZ_CONVERSION_H

#include "fuzz.h"

/** Bytes of the part of an input that has options, 0 where it is shorter; from
 * MAP on it is the text of a map of names, if there is any. */
enum { FUZZ_FLAGS, FUZZ_EXPERTS, FUZZ_GROUPS, FUZZ_MAP };

/** Bits of the flags. With A_FILE, which is for the target, the input is a
 * file, else a folder. */
enum {
    FUZZ_RDNA3 = 1,
    FUZZ_ASYMMETRIC = 2,
    FUZZ_ZERO_WRAP = 4,
    FUZZ_A_FILE = 8,
    FUZZ_REQUANTIZE = 16
};

/** Such a byte. */
extern unsigned fuzz_option(const struct fuzz_part *part, size_t i);

/** A dry run with these options, and a conversion to a file in fuzz_folder() if
 * that will be small. size: of the whole input. */
extern void fuzz_convert(
        const char *in_path, const struct fuzz_part *part, size_t size);

#endif
