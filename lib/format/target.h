/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Where a conversion's output goes: a file, or a folder that is made if needed.
 */
#ifndef W4_FORMAT_TARGET_H
#define W4_FORMAT_TARGET_H

#include "base/err.h"

/** A target; {0} is none. */
struct w4_target {
    /** As the caller gave it. */
    const char *path;
    int is_folder;
    /** Whether the folder was made for it, to be removed after a failure. */
    int was_made;
};

/** Whether a path is one of a file: it ends in ".safetensors". */
extern int w4_target_is_file(const char *path);

/** Makes the folder if there must be one, and looks at what is there: without
 * force nothing of the output's name may be, and with it a folder may only hold
 * a container, because all files that its index names are removed.
 * Returns: OK; INVALID; IO; NOMEM. Release it, also on failure. */
extern w4moe_status w4_target_make(struct w4_err *err, struct w4_target *target,
        const char *path, int force);

/** Removes a folder that was made, unless the conversion came to its end. */
extern void w4_target_free(struct w4_target *target, int done);

#endif
