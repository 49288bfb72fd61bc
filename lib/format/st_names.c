/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/st_names.h"

#include <stdlib.h>
#include <string.h>

#include "format/name_map.h"
#include "io/text.h"

void
w4_st_names_free(struct w4_st_names *names)
{
    for (size_t t = 0; names->mapped != NULL && t < w4_st_count(names->set);
            t++) {
        free(names->mapped[t]);
    }
    free(names->mapped);
    names->mapped = NULL;
}

/* Maps one name; *mapped stays NULL if the tensor is to be left out. */
static w4moe_status
map_name(struct w4_err *err, char **mapped, struct w4_name_map *map,
        const char *name)
{
    char text[W4_MAPPED_NAME_MAX];
    enum w4_mapping mapping = w4_name_map_apply(map, text, name);
    if (mapping == W4_MAPPING_TOO_LONG) {
        return w4_fail(err, W4MOE_FORMAT,
                "tensor \"%s\": the map makes a name of it that is too long",
                w4_show_string(name).text);
    }
    if (mapping == W4_MAPPING_SKIP) {
        return W4MOE_OK;
    }
    *mapped = strdup(mapping == W4_MAPPING_NAME ? text : name);
    return *mapped != NULL ? W4MOE_OK
                           : w4_fail(err, W4MOE_NOMEM,
                                     "tensor \"%s\": no memory for its name",
                                     w4_show_string(name).text);
}

/* Rules that fit nothing are told: they are likely a mistake. */
static void
warn_of_unused(
        struct w4_err *err, const struct w4_name_map *map, const char *path)
{
    for (size_t line = w4_name_map_unused(map, 0); line != 0;
            line = w4_name_map_unused(map, line)) {
        w4_log(err, W4MOE_LOG_WARNING, "%s: line %zu fits no tensor", path,
                line);
    }
}

w4moe_status
w4_st_names_make(struct w4_err *err, struct w4_st_names *names,
        const struct w4_st_set *set, const char *map_path)
{
    struct w4_name_map *map = NULL;
    size_t n = w4_st_count(set);
    *names = (struct w4_st_names){.set = set};
    if (map_path == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = w4_name_map_read(err, &map, map_path);
    if (status == W4MOE_OK) {
        names->mapped = calloc(n + 1, sizeof(*names->mapped));
        if (names->mapped == NULL) {
            status = w4_fail(err, W4MOE_NOMEM, "no memory for %zu names", n);
        }
    }
    for (size_t t = 0; t < n && status == W4MOE_OK; t++) {
        status = map_name(err, &names->mapped[t], map, w4_st_at(set, t)->name);
    }
    if (status == W4MOE_OK) {
        warn_of_unused(err, map, map_path);
    }
    w4_name_map_free(map);
    return status;
}

const char *
w4_st_names_at(const struct w4_st_names *names, size_t t)
{
    if (names->mapped == NULL) {
        return w4_st_at(names->set, t)->name;
    }
    return names->mapped[t] != NULL ? names->mapped[t] : "";
}
