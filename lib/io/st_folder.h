/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A folder that holds one set of safetensors files: the names of the files, the
 * text of the index, and how an older set makes way for a new one.
 *
 * Readers take the index if there is one, and else "model.safetensors". So the
 * order is: retire(), names for the new files, a name for the new index,
 * remove(). Wherever that ends, readers see the older set whole, or none, or
 * the new one.
 */
#ifndef W4_IO_ST_FOLDER_H
#define W4_IO_ST_FOLDER_H

#include "io/st_index.h"
#include "io/st_layout.h"

extern const char w4_st_index_name[];
extern const char w4_st_single_name[];

enum { W4_ST_FILE_NAME = 64, W4_ST_SHARDS_MAX = 99999 };

/** Name of file i of n shards. */
extern void w4_st_shard_name(char out[W4_ST_FILE_NAME], size_t i, size_t n);

/** The index of the files of a layout, in memory of its own. Returns: OK;
 * INVALID (more than readers take); NOMEM. */
extern w4moe_status w4_st_folder_index(struct w4_err *err,
        const struct w4_st_layout *layout, const char *path, char **text_p,
        uint64_t *size_p);

/** What is in a folder before, and which files come. */
struct w4_st_folder {
    struct w4_err *err;
    const char *path;
    /** Of the older set. */
    int has_index;
    struct w4_st_index index;
    /** Room for the path of any of its files. */
    char *room;
    size_t room_size;
    /** The new files, sorted, in the memory of the caller. */
    const char *const *names;
    size_t n_names;
    /** Whether they get an index. */
    int is_sharded;
};

/** Looks at the older set. An index that cannot be read names no files.
 * Returns: OK; NOMEM. Release it, also on failure. In: the last five fields are
 * copied. */
extern w4moe_status w4_st_folder_open(struct w4_err *err,
        struct w4_st_folder *folder, const char *path, const char *const *names,
        size_t n_names, int is_sharded);
extern void w4_st_folder_free(struct w4_st_folder *folder);

/* What follows allocates nothing: a set is not left halfway for want of
 * memory. */

/** If new files take the names of older ones, removes the older index, so that
 * it never names some of both. Returns: OK; IO. */
extern w4moe_status w4_st_folder_retire(struct w4_st_folder *folder);

/** Removes what is left of the older set. Returns: OK; IO. */
extern w4moe_status w4_st_folder_remove(struct w4_st_folder *folder);

#endif
