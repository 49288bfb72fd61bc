/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Temporary folders and hand-made safetensors files, for the tests of lib/io.
 */
#ifndef W4_TESTS_ST_HELPERS_H
#define W4_TESTS_ST_HELPERS_H

#include <check.h>

#include "io/st_writer.h"

/** Where failures of a test go; a pair of fixtures for it. */
extern struct w4_err st_err;
extern void st_err_setup(void);
extern void st_err_teardown(void);

/** Opens a file or folder that must be good. Close it. */
extern struct w4_st_set *st_open_good(const char *path);

/** Opens one that must be refused with this status and a text that begins with
 * the path and contains `text`. */
extern void st_open_bad(
        const char *path, w4moe_status status, const char *text);

/** A header with a bit of everything: metadata, escapes, an empty tensor, rank
 * 0, a type that w4moe has no name for, entries in another order than their
 * data, spaces at the end; and the names in order of offset. */
extern const char st_small[];
extern const char *const st_small_names[4];
enum { ST_SMALL_DATA = 29 };

/** Makes a folder under $TMPDIR or /tmp for the whole program; the second
 * removes it with all that is in it. */
extern void st_folder_make(void);
extern void st_folder_remove(void);

/** Path of a name in that folder. Valid until the ninth call after this. */
extern const char *st_path(const char *name);

/** Makes a folder in that folder; returns its path, valid for good. */
extern const char *st_subfolder(const char *name);

/** Writes a file in that folder; returns its path. */
extern const char *st_write(const char *name, const void *bytes, size_t n);

/** Writes a text; ' in it stands for ". Returns the path. */
extern const char *st_write_text(const char *name, const char *text);

/** Writes a safetensors file of this header, in which ' stands for ", and
 * n_data bytes 0, 1, 2... */
extern const char *st_write_file(
        const char *name, const char *json, size_t n_data);

/** Whether files without a name can be made in a folder. */
extern int st_has_unnamed(const char *folder);

/** The whole content of a file. Free it. */
extern unsigned char *st_read(const char *path, size_t *n);

/** Path of the entry of a folder whose name contains a text; there must be
 * just one. */
extern const char *st_only(const char *folder, const char *part);

/** Entries of a folder whose names contain a text. */
extern unsigned st_count(const char *folder, const char *part);

/** A call that must succeed. */
#define ST_CHECK_OK(call)                                                      \
    ck_assert_msg((call) == W4MOE_OK, "%s", w4_err_text(&st_err))

/** A layout for writers: sizes around 64 bytes, an empty tensor, rank 0, a
 * name with escapes; the bytes of each entry. The file has padding in
 * ST_N_PADS places. */
enum { ST_N_ENTRIES = 7, ST_N_PADS = 4 };
extern const struct w4_st_entry st_entries[ST_N_ENTRIES];
extern const uint64_t st_sizes[ST_N_ENTRIES];

/** What the tests write as byte `offset` of an entry. */
extern unsigned char st_pattern(size_t entry, uint64_t offset);

/** Makes a writer of these entries. */
extern struct w4_st_writer *st_create(const char *path);

/** Writes bytes [begin, end) of an entry; all bytes of all entries. */
extern w4moe_status st_write_part(struct w4_st_writer *writer, size_t entry,
        uint64_t begin, uint64_t end);
extern void st_write_entries(struct w4_st_writer *writer);

/** Reads such a file back and compares all of it. */
extern void st_check_written(const char *path);

/** Compares two files byte by byte. */
extern void st_check_same(const char *path, const char *other);

#endif
