/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Small things about text that the files of this folder share: foreign text
 * in messages, UTF-8, sorting, paths. Not a general string library.
 */
#ifndef W4_IO_TEXT_H
#define W4_IO_TEXT_H

#include <stddef.h>

enum { W4_SHOWN_SIZE = 192 };

/** A text as it may stand in a message: short. Control characters are replaced
 * in all of a message, by w4_fail(). */
struct w4_shown {
    char text[W4_SHOWN_SIZE];
};

/** The beginning of a text of `size` bytes that came out of a file. */
extern struct w4_shown w4_show(const char *text, size_t size);

/** The same of a string. */
extern struct w4_shown w4_show_string(const char *text);

/** A path; of a long one the end. */
extern struct w4_shown w4_show_path(const char *path);

/** Bytes of the UTF-8 character at `text`, of which `left` bytes are there;
 * 0 if it is not valid (RFC 3629). */
extern size_t w4_utf8_size(const unsigned char *text, size_t left);

/** Copies a string into `size` bytes, one at least; of one that is too long the
 * beginning, in whole characters if it is UTF-8. */
extern void w4_copy_string(char *out, size_t size, const char *text);

/** Sorts an array of strings by their bytes. */
extern void w4_sort_strings(const char **strings, size_t n);

/** Position of a string in a sorted array of n; n if it is not there. */
extern size_t w4_find_string(
        const char *const *strings, size_t n, const char *text);

/** "folder/name" in memory of its own; NULL if there is none. */
extern char *w4_path_join(const char *folder, const char *name);

#endif
