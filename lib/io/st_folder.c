/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/st_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/json_put.h"
#include "io/new_file.h"
#include "io/text.h"

const char w4_st_index_name[] = "model.safetensors.index.json";
const char w4_st_single_name[] = "model.safetensors";

/* ------------------------------------------------------------ the new files */

void
w4_st_shard_name(char out[W4_ST_FILE_NAME], size_t i, size_t n)
{
    snprintf(
            out, W4_ST_FILE_NAME, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static void
put_file(struct w4_json_sink *sink, const struct w4_st_layout *layout,
        size_t shard)
{
    char file[W4_ST_FILE_NAME];
    w4_st_shard_name(file, shard, layout->n_shards);
    w4_json_put(sink, ": ");
    w4_json_put_string(sink, file);
}

static void
put_index(struct w4_json_sink *sink, const struct w4_st_layout *layout)
{
    size_t n_pads = 0;
    w4_json_put(sink, "{\n  \"metadata\": {\"total_size\": ");
    w4_json_put_number(sink, layout->data_size);
    w4_json_put(sink, "},\n  \"weight_map\": {");
    for (size_t i = 0; i < layout->n_places; i++) {
        const struct w4_st_place *place = &layout->places[i];
        w4_json_put(sink, i == 0 ? "\n    " : ",\n    ");
        w4_json_put_string(sink, place->entry.name);
        put_file(sink, layout, place->shard);
        if (place->n_pad != 0) {
            w4_json_put(sink, ",\n    \"");
            w4_st_put_pad_name(sink, n_pads++);
            w4_json_put(sink, "\"");
            put_file(sink, layout, place->shard);
        }
    }
    w4_json_put(sink, "\n  }\n}\n");
}

w4moe_status
w4_st_folder_index(struct w4_err *err, const struct w4_st_layout *layout,
        const char *path, char **text_p, uint64_t *size_p)
{
    struct w4_json_sink sink = {0};
    put_index(&sink, layout);
    if (sink.size > W4_ST_HEADER_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "%s: an index of %" PRIu64 " bytes, at most %d can be read",
                w4_show_path(path).text, sink.size, W4_ST_HEADER_MAX);
    }
    uint64_t size = sink.size;
    char *text = malloc((size_t)size);
    if (text == NULL) {
        return w4_fail(err, W4MOE_NOMEM,
                "%s: no memory for an index of %" PRIu64 " bytes",
                w4_show_path(path).text, size);
    }
    sink = (struct w4_json_sink){.out = text};
    put_index(&sink, layout);
    *text_p = text;
    *size_p = size;
    return W4MOE_OK;
}

/* ------------------------------------------------------------ the older set */

/* Removes a name of the folder, if it is there. */
static w4moe_status
remove_name(const struct w4_st_folder *folder, const char *name)
{
    snprintf(folder->room, folder->room_size, "%s/%s", folder->path, name);
    if (unlink(folder->room) != 0 && errno != ENOENT) {
        return w4_fail(folder->err, W4MOE_IO, "%s: cannot be removed: %s",
                w4_show_path(folder->room).text, strerror(errno));
    }
    return W4MOE_OK;
}

static w4moe_status
remove_index(struct w4_st_folder *folder)
{
    w4moe_status status = remove_name(folder, w4_st_index_name);
    if (status == W4MOE_OK) {
        folder->has_index = 0;
        status = w4_sync_folder(folder->err, folder->path);
    }
    return status;
}

static int
is_new(const struct w4_st_folder *folder, const char *name)
{
    return w4_find_string(folder->names, folder->n_names, name) <
           folder->n_names;
}

/* Whatever an index names, only such files are removed. */
static int
is_safetensors(const char *name)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(name);
    return n >= sizeof(end) && strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

/* Room for the longest path that is known. */
static w4moe_status
make_room(struct w4_st_folder *folder)
{
    size_t longest = sizeof(w4_st_index_name);
    for (size_t i = 0; i < folder->index.n_files; i++) {
        size_t n = strlen(folder->index.files[i]);
        longest = n > longest ? n : longest;
    }
    folder->room_size = strlen(folder->path) + 1 + longest + 1;
    free(folder->room);
    folder->room = malloc(folder->room_size);
    return folder->room != NULL ? W4MOE_OK
                                : w4_fail(folder->err, W4MOE_NOMEM,
                                          "%s: no memory for names in it",
                                          w4_show_path(folder->path).text);
}

w4moe_status
w4_st_folder_open(struct w4_err *err, struct w4_st_folder *folder,
        const char *path, const char *const *names, size_t n_names,
        int is_sharded)
{
    *folder = (struct w4_st_folder){
            .err = err,
            .path = path,
            .names = names,
            .n_names = n_names,
            .is_sharded = is_sharded,
    };
    w4moe_status status = make_room(folder);
    if (status != W4MOE_OK) {
        return status;
    }
    snprintf(folder->room, folder->room_size, "%s/%s", path, w4_st_index_name);
    if (access(folder->room, F_OK) == 0) {
        folder->has_index = 1;
        status = w4_st_index_read(NULL, &folder->index, folder->room);
    }
    if (status == W4MOE_NOMEM) {
        return w4_fail(err, status, "%s: no memory for its index",
                w4_show_path(path).text);
    }
    if (status != W4MOE_OK) {
        w4_st_index_free(&folder->index);
        return W4MOE_OK;
    }
    return make_room(folder);
}

void
w4_st_folder_free(struct w4_st_folder *folder)
{
    w4_st_index_free(&folder->index);
    free(folder->room);
    folder->room = NULL;
}

w4moe_status
w4_st_folder_retire(struct w4_st_folder *folder)
{
    int is_apart = 1;
    for (size_t i = 0; i < folder->index.n_files; i++) {
        is_apart &= !is_new(folder, folder->index.files[i]);
    }
    if (!folder->has_index || is_apart) {
        return W4MOE_OK;
    }
    /* Without the index readers would take it. */
    w4moe_status status = folder->is_sharded
                                  ? remove_name(folder, w4_st_single_name)
                                  : W4MOE_OK;
    return status == W4MOE_OK ? remove_index(folder) : status;
}

w4moe_status
w4_st_folder_remove(struct w4_st_folder *folder)
{
    w4moe_status status = W4MOE_OK;
    if (folder->is_sharded) {
        status = remove_name(folder, w4_st_single_name);
    } else if (folder->has_index) {
        status = remove_index(folder);
    }
    for (size_t i = 0; i < folder->index.n_files && status == W4MOE_OK; i++) {
        const char *name = folder->index.files[i];
        if (!is_new(folder, name) && is_safetensors(name)) {
            status = remove_name(folder, name);
        }
    }
    return status;
}
