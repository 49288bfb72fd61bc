/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Writing one safetensors file, or a set of them with an index, so that it
 * exists whole or not at all.
 *
 * The layout is fixed at creation. Data is written to a file without a name in
 * the folder of the target, or where the file system has none such, with a
 * temporary name (see new_file.h), in any order and by any number of threads;
 * the header comes last, so that a file that was cut off does not open. Each
 * tensor starts at a multiple of 64 bytes of the file: the header is padded
 * with spaces, and where a tensor's size is not a multiple of 64 and another
 * tensor follows, one of zero bytes named "pad.N" (U8, N from 0 on) stands
 * between them, because safetensors allows no holes.
 */
#ifndef W4_IO_ST_WRITER_H
#define W4_IO_ST_WRITER_H

#include "io/safetensors.h"

/** A tensor to be written. */
struct w4_st_entry {
    const char *name;
    /** Not W4MOE_DTYPE_NONE. */
    w4moe_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[W4_ST_RANK_MAX];
};

struct w4_st_writer;

enum {
    /** Lay out only. */
    W4_ST_DRY_RUN = 1,
    /** The target is a folder, which gets "model.safetensors". Unlike a file of
     * that name it replaces a set that the folder holds: the older index, and
     * the files that it names, are removed on commit. */
    W4_ST_FOLDER = 2
};

/**
 * Lays out a file and, unless it is a dry run, makes it without its name and
 * reserves its blocks, so that a full disk is known at once.
 *
 * With max_shard_bytes, for folders only, there are several files,
 * "model-00001-of-0000N.safetensors" and so on, and an index,
 * "model.safetensors.index.json". The entries stay in order; one with which the
 * data of a file would be larger gets the next file, so that a larger one has
 * a file of its own. All files have the same metadata; the numbers of padding
 * run through all of them.
 *
 * In: path of the target, which must exist if it is a folder, and otherwise be
 *     in one; a file is not looked at: it is replaced on commit. entries [n]:
 *     copied. flags: W4_ST_*. max_shard_bytes: 0 for one file.
 * Returns: OK; IO (with errno's text, or the bytes that are needed and
 *     those that are free); INVALID
 *     (two entries of one name; a name that is "__metadata__", of the form
 *     "pad.N" or not UTF-8; no such type; sizes beyond 2^63; a limit for a
 *     single file, or without entries; more than 99999 files); NOMEM.
 */
extern w4moe_status w4_st_writer_create(struct w4_err *err,
        struct w4_st_writer **writer_p, const char *path,
        const struct w4_st_entry *entries, size_t n, unsigned flags,
        uint64_t max_shard_bytes);

/**
 * Sets a value of __metadata__ (a copy is kept). A key whose value is not yet
 * known is first set to a text of the same length; after the layout is fixed
 * (first write) a value may only be replaced by one of equal length, both as
 * it is and as JSON writes it. Any thread.
 * Returns: OK; INVALID (also: not UTF-8); NOMEM.
 */
extern w4moe_status w4_st_writer_set(
        struct w4_st_writer *writer, const char *key, const char *value);

/** Bytes of the file, or of all but the index. Fixes the layout. */
extern w4moe_status w4_st_writer_size(
        struct w4_st_writer *writer, uint64_t *n_bytes);

/**
 * Writes bytes [offset, offset + n) of an entry's data, which is in
 * little-endian order. Fixes the layout. Any thread.
 * Returns: OK; IO; INVALID (outside the entry; a dry run).
 */
extern w4moe_status w4_st_writer_write(struct w4_st_writer *writer,
        size_t entry, uint64_t offset, const void *data, uint64_t n);

/** Maps what has been written, read-only, so that it can be compared and
 * hashed: *data_p is entry's data. The mapping lives as long as the writer.
 * Not before the last write; not while another thread calls it. */
extern w4moe_status w4_st_writer_read(
        struct w4_st_writer *writer, size_t entry, const void **data_p);

/** Writes the headers, syncs, and gives the files their names, an index last;
 * older ones are replaced. At any time readers of a folder find the older set
 * whole, or nothing, or the new one. The writer is gone afterwards, and on
 * failure the files, too. */
extern w4moe_status w4_st_writer_commit(struct w4_st_writer *writer);

/** Gives up: nothing remains. writer may be NULL. */
extern void w4_st_writer_abort(struct w4_st_writer *writer);

#endif
