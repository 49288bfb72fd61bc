/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Opening a checkpoint and choosing its scheme. */
#include "format/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Path of the config.json beside or inside path. */
static char *
config_path(const char *path, int folder)
{
    static const char name[] = "config.json";
    size_t n = strlen(path);
    const char *slash = strrchr(path, '/');
    size_t n_folder = folder ? n : slash != NULL ? (size_t)(slash - path) : 0;
    char *result = malloc(n_folder + sizeof(name) + 2);
    if (result == NULL) {
        return NULL;
    }
    if (!folder && slash == NULL) {
        memcpy(result, name, sizeof(name));
        return result;
    }
    memcpy(result, path, n_folder);
    result[n_folder] = '/';
    memcpy(result + n_folder + 1, name, sizeof(name));
    return result;
}

w4moe_status
w4_source_open(const w4moe_ctx *ctx, struct w4_source *source, const char *path)
{
    struct w4_err *err = w4_ctx_err(ctx);
    struct stat info;
    memset(source, 0, sizeof(*source));
    if (stat(path, &info) != 0) {
        return w4_fail(err, W4MOE_IO, "%s: %s", path, strerror(errno));
    }
    char *config = config_path(path, S_ISDIR(info.st_mode));
    if (config == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory for its path", path);
    }
    /* The config first: what is not supported is refused at once. */
    w4moe_status status = w4_model_config_read(err, &source->config, config);
    free(config);
    if (status == W4MOE_OK) {
        status = w4_st_open(err, &source->set, path);
    }
    if (status == W4MOE_OK) {
        status = w4_ct_source_open(ctx, source);
    }
    if (status != W4MOE_OK) {
        w4_source_close(source);
    }
    return status;
}

void
w4_source_close(struct w4_source *source)
{
    if (source->ops != NULL) {
        source->ops->close(source);
    }
    free(source->layers);
    w4_st_close(source->set);
    memset(source, 0, sizeof(*source));
}
