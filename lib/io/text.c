/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/text.h"

#include <stdlib.h>
#include <string.h>

/* How much of a name and of a path a message shows. Together with the words
 * around them, one path and three names fit into a message. */
enum { NAME_MAX_SHOWN = 72, PATH_MAX_SHOWN = 180 };

static int
is_continuation(char c)
{
    return ((unsigned char)c & 0xC0u) == 0x80u;
}

struct w4_shown
w4_show(const char *text, size_t size)
{
    struct w4_shown shown;
    size_t n = size;
    if (n > NAME_MAX_SHOWN) {
        n = NAME_MAX_SHOWN;
        while (n > 0 && is_continuation(text[n])) {
            n--;
        }
    }
    for (size_t i = 0; i < n; i++) {
        shown.text[i] = text[i] != '\0' ? text[i] : '?';
    }
    strcpy(shown.text + n, n < size ? "..." : "");
    return shown;
}

struct w4_shown
w4_show_string(const char *text)
{
    return w4_show(text, strlen(text));
}

struct w4_shown
w4_show_path(const char *path)
{
    struct w4_shown shown;
    size_t size = strlen(path);
    size_t start = 0;
    size_t at = 0;
    if (size > PATH_MAX_SHOWN) {
        start = size - PATH_MAX_SHOWN;
        while (is_continuation(path[start])) {
            start++;
        }
        memcpy(shown.text, "...", 3);
        at = 3;
    }
    memcpy(shown.text + at, path + start, size - start + 1);
    return shown;
}

size_t
w4_utf8_size(const unsigned char *text, size_t left)
{
    if (left == 0) {
        return 0;
    }
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    /* Longer than needed, a surrogate, or above U+10FFFF. */
    if ((first == 0xE0 && text[1] < 0xA0) ||
            (first == 0xED && text[1] > 0x9F) ||
            (first == 0xF0 && text[1] < 0x90) ||
            (first == 0xF4 && text[1] > 0x8F)) {
        return 0;
    }
    return size;
}

void
w4_copy_string(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && is_continuation(text[n])) {
            n--;
        }
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void
w4_sort_strings(const char **strings, size_t n)
{
    if (n > 1) {
        qsort(strings, n, sizeof(*strings), compare);
    }
}

size_t
w4_find_string(const char *const *strings, size_t n, const char *text)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(strings[middle], text);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return n;
}

char *
w4_path_join(const char *folder, const char *name)
{
    size_t n_folder = strlen(folder);
    size_t n_name = strlen(name);
    char *path = malloc(n_folder + 1 + n_name + 1);
    if (path != NULL) {
        memcpy(path, folder, n_folder);
        path[n_folder] = '/';
        memcpy(path + n_folder + 1, name, n_name + 1);
    }
    return path;
}
