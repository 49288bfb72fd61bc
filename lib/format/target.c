/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/container.h"
#include "io/st_folder.h"
#include "io/text.h"

int
w4_target_is_file(const char *path)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(path);
    return n >= sizeof(end) - 1 &&
           strcmp(path + n - (sizeof(end) - 1), end) == 0;
}

static int
exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static w4moe_status
refuse_existing(struct w4_err *err, const char *path)
{
    return w4_fail(err, W4MOE_INVALID,
            "%s: exists; it is replaced only by force",
            w4_show_path(path).text);
}

/* Refuses what is not a container, and what an index names if nobody can tell.
 * A single file that cannot be opened is no loss. */
static w4moe_status
check_replaced(struct w4_err *err, const char *folder, int has_index)
{
    struct w4_st_set *set = NULL;
    w4moe_status status = w4_st_open(NULL, &set, folder);
    if (status == W4MOE_OK) {
        int is_container = w4_meta_is_container(set);
        w4_st_close(set);
        return is_container ? W4MOE_OK
                            : w4_fail(err, W4MOE_INVALID,
                                      "%s: holds files that are not a "
                                      "container's; they are not replaced, "
                                      "not even by force",
                                      w4_show_path(folder).text);
    }
    if (status == W4MOE_NOMEM) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory to look into it",
                w4_show_path(folder).text);
    }
    return has_index ? w4_fail(err, W4MOE_INVALID,
                               "%s: holds an index, but no whole container; "
                               "only that would be replaced",
                               w4_show_path(folder).text)
                     : W4MOE_OK;
}

static w4moe_status
check_folder(struct w4_err *err, const char *folder, int force)
{
    char *single = w4_path_join(folder, w4_st_single_name);
    char *index = w4_path_join(folder, w4_st_index_name);
    w4moe_status status = W4MOE_OK;
    if (single == NULL || index == NULL) {
        status = w4_fail(err, W4MOE_NOMEM, "%s: no memory", folder);
    } else if (exists(index) || exists(single)) {
        status = force ? check_replaced(err, folder, exists(index))
                       : refuse_existing(err, exists(index) ? index : single);
    }
    free(index);
    free(single);
    return status;
}

w4moe_status
w4_target_make(struct w4_err *err, struct w4_target *target, const char *path,
        int force)
{
    *target = (struct w4_target){
            .path = path, .is_folder = !w4_target_is_file(path)};
    if (!target->is_folder) {
        return force || !exists(path) ? W4MOE_OK : refuse_existing(err, path);
    }
    if (mkdir(path, 0777) == 0) {
        target->was_made = 1;
        return W4MOE_OK;
    }
    if (errno != EEXIST) {
        return w4_fail(err, W4MOE_IO, "%s: %s", w4_show_path(path).text,
                strerror(errno));
    }
    return check_folder(err, path, force);
}

void
w4_target_free(struct w4_target *target, int done)
{
    if (target->was_made && !done) {
        rmdir(target->path);
    }
}
