/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A new file that gets its name when it is whole.
 *
 * Where the file system has files without a name (Linux: O_TMPFILE), it is one
 * until then, so that a process that is killed leaves nothing. Elsewhere it
 * has a temporary name, "PATH.XXXXXX.partial", which a killed process leaves
 * behind.
 */
#ifndef W4_IO_NEW_FILE_H
#define W4_IO_NEW_FILE_H

#include <stddef.h>

#include "base/err.h"

/** A new file; what open() fills in, and free() empties. */
struct w4_new_file {
    struct w4_err *err;
    char *path;
    /** The folder of path. */
    char *folder;
    /** Room for a temporary name, and whether the file has it. */
    char *temporary;
    int has_temporary;
    int file;
    /** Bytes that reserve() got. */
    uint64_t n_reserved;
    /** What map() mapped. */
    void *mapping;
    size_t n_mapped;
};

/** No file, for fields that may not be opened. */
#define W4_NEW_FILE_NONE ((struct w4_new_file){.file = -1})

/** Makes the file in the folder of path, which must exist; the mode is what
 * the umask leaves of 0666. Returns: OK; IO; NOMEM. */
extern w4moe_status w4_new_file_open(
        struct w4_err *err, struct w4_new_file *file, const char *path);

/** Compares n_bytes with what is free where the file is. Returns: OK, also if
 * the file system does not tell; IO, with both numbers. */
extern w4moe_status w4_new_file_check_room(
        const struct w4_new_file *file, uint64_t n_bytes);

/** Makes the file size bytes long, on the disk if the file system can do that
 * at once. It does not shrink. Returns: OK; IO. */
extern w4moe_status w4_new_file_reserve(
        struct w4_new_file *file, uint64_t size);

/** Writes n bytes at offset. Any thread. Returns: OK; IO. */
extern w4moe_status w4_new_file_write(const struct w4_new_file *file,
        uint64_t offset, const void *data, uint64_t n);

/** Maps the first n bytes, read-only, until the file is closed; the mapping is
 * made once, and n, at most PTRDIFF_MAX, must not change. Not while another
 * thread calls it. Returns: OK; IO; NOMEM (no address space). */
extern w4moe_status w4_new_file_map(
        struct w4_new_file *file, const char **data_p, uint64_t n);

/** Brings the content to the disk. Returns: OK; IO. */
extern w4moe_status w4_new_file_sync(const struct w4_new_file *file);

/** Gives the file its name; what had that name is replaced. Allocates nothing,
 * as sync_folder(): a set of files is not left halfway for want of memory.
 * Returns: OK; IO. */
extern w4moe_status w4_new_file_publish(struct w4_new_file *file);

/** Closes the file, which is gone if it was not published. */
extern void w4_new_file_free(struct w4_new_file *file);

/** Brings to the disk which names there are in a folder, or in that of a file.
 * Where folders cannot be synced, nothing is lost but the promise that the
 * names survive a crash of the system. Returns: OK; IO. */
extern w4moe_status w4_sync_folder(struct w4_err *err, const char *folder);
extern w4moe_status w4_new_file_sync_folder(const struct w4_new_file *file);

#endif
