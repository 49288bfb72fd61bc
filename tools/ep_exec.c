/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A tool's program with MPI; see ep_exec.h. */
#include "ep_exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

/* The path of TOOL-ep, to be released with free(); NULL without memory. */
static char *
find_program(void)
{
    const char *folder = secure_getenv("W4MOE_LIBEXEC_DIR");
    if (folder == NULL || folder[0] == '\0') {
        folder = W4_LIBEXEC_FOLDER;
    }
    char *path;
    if (asprintf(&path, "%s/%s-ep", folder, tool_name) < 0) {
        tool_error("no memory for a path");
        return NULL;
    }
    return path;
}

int
ep_exec(char **argv)
{
    char *path = find_program();
    if (path == NULL) {
        return TOOL_ERROR;
    }
    execv(path, argv);
    tool_error("--ep: %s: %s; it is built where configure finds MPI", path,
            strerror(errno));
    free(path);
    return TOOL_ERROR;
}
