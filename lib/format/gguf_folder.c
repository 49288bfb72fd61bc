/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Finding the model in a folder of GGUF files. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf_source.h"
#include "io/text.h"

static int
ends_with(const char *name, const char *end)
{
    size_t n = strlen(name);
    size_t n_end = strlen(end);
    return n > n_end && strcmp(name + n - n_end, end) == 0;
}

/* Whether a name is that of a part of a split, but not of the first:
 * NAME-00002-of-00003.gguf. */
static int
is_later_part(const char *name)
{
    static const char form[] = "-ddddd-of-ddddd.gguf";
    size_t n = strlen(name);
    size_t n_form = sizeof(form) - 1;
    if (n <= n_form) {
        return 0;
    }
    const char *end = name + n - n_form;
    for (size_t i = 0; i < n_form; i++) {
        int is_digit = end[i] >= '0' && end[i] <= '9';
        if (form[i] == 'd' ? !is_digit : end[i] != form[i]) {
            return 0;
        }
    }
    return strncmp(end + 1, "00001", 5) != 0;
}

/* Takes the names of a folder one by one. Out: *found: that of the model. */
static w4moe_status
read_names(struct w4_err *err, DIR *dir, char **found, const char *folder)
{
    for (struct dirent *entry = readdir(dir); entry != NULL;
            entry = readdir(dir)) {
        const char *name = entry->d_name;
        if (name[0] == '.' || !ends_with(name, ".gguf") ||
                is_later_part(name)) {
            continue;
        }
        if (*found != NULL) {
            /* In an order that does not depend on the file system. */
            int first = strcmp(*found, name) < 0;
            return w4_fail(err, W4MOE_FORMAT,
                    "%s: holds several GGUF files, \"%.60s\" and \"%.60s\": "
                    "give the path of one",
                    w4_show_path(folder).text,
                    w4_show_string(first ? *found : name).text,
                    w4_show_string(first ? name : *found).text);
        }
        *found = strdup(name);
        if (*found == NULL) {
            return w4_fail(err, W4MOE_NOMEM, "no memory for a name");
        }
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_in_folder(struct w4_err *err, char **path, const char *folder)
{
    char *name = NULL;
    *path = NULL;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return w4_fail(err, errno == ENOMEM ? W4MOE_NOMEM : W4MOE_IO, "%s: %s",
                w4_show_path(folder).text, strerror(errno));
    }
    w4moe_status status = read_names(err, dir, &name, folder);
    closedir(dir);
    if (status == W4MOE_OK && name != NULL) {
        *path = w4_path_join(folder, name);
        if (*path == NULL) {
            status = w4_fail(err, W4MOE_NOMEM, "no memory for a path");
        }
    }
    free(name);
    return status;
}
