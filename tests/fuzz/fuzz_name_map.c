/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A map of names, of which the first line is a name to be mapped instead, and
 * so are its own FROMs. */
#include <stdlib.h>
#include <string.h>

#include "format/name_map.h"
#include "fuzz.h"

/* Whatever it becomes, it becomes the same again. */
static void
apply(struct w4_name_map *map, const char *name)
{
    char out[2][W4_MAPPED_NAME_MAX];
    enum w4_mapping mapping = W4_MAPPING_NONE;
    memset(out, 0x7F, sizeof(out));
    for (int i = 0; i < 2; i++) {
        enum w4_mapping again = w4_name_map_apply(map, out[i], name);
        FUZZ_CHECK(i == 0 || again == mapping);
        mapping = again;
    }
    if (mapping == W4_MAPPING_NAME) {
        FUZZ_CHECK(memchr(out[0], '\0', W4_MAPPED_NAME_MAX) != NULL);
        FUZZ_CHECK(strcmp(out[0], out[1]) == 0);
    }
}

/* Line numbers rise, up to the last line. */
static size_t
count_unused(const struct w4_name_map *map, size_t n_lines)
{
    size_t n = 0;
    for (size_t line = 0;
            (line = w4_name_map_unused(map, line)) != 0 && n <= n_lines;) {
        FUZZ_CHECK(line <= n_lines);
        n++;
    }
    FUZZ_CHECK(n <= n_lines);
    return n;
}

/* Maps the first line of the text, then the beginnings of all. */
static void
use_map(struct w4_name_map *map, char *text)
{
    size_t n_lines = 1;
    for (const char *c = text; *c != '\0'; c++) {
        n_lines += *c == '\n';
    }
    size_t n_unused = count_unused(map, n_lines);
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        line[strcspn(line, " \t\r#")] = '\0';
        apply(map, line);
        line = end != NULL ? end + 1 : NULL;
    }
    FUZZ_CHECK(count_unused(map, n_lines) <= n_unused);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct w4_name_map *map = NULL;
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n_name = line != NULL ? (size_t)(line - data) + 1 : 0;
    const char *path = fuzz_file(data + n_name, size - n_name);
    fuzz_memory_begin();
    w4moe_status status = w4_name_map_read(fuzz_err(), &map, path);
    /* A line may be one byte; and what reading a file takes. */
    fuzz_memory_end(size, 40, 16384);
    if (fuzz_status(status, FUZZ_READER)) {
        char *text = malloc(size + 1);
        FUZZ_CHECK(text != NULL);
        if (size > 0) {
            memcpy(text, data, size);
        }
        text[size] = '\0';
        /* The map has none of its own. */
        for (size_t i = 0; i < n_name; i++) {
            text[i] = text[i] != '\0' ? text[i] : '0';
        }
        use_map(map, text);
        free(text);
    } else {
        FUZZ_CHECK(map == NULL);
    }
    w4_name_map_free(map);
    return 0;
}
