/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/name_map.h"

#include <stdlib.h>
#include <string.h>

#include "io/small_file.h"

enum { DIGITS_MAX = 9 };

struct rule {
    const char *from;
    const char *to;
    size_t line;
    size_t n_uses;
};

struct w4_name_map {
    char *text;
    struct rule *rules;
    size_t n_rules;
};

/* ------------------------------------------------------------------- words */

enum word { WORD_NONE, WORD_LAYER, WORD_EXPERT, WORD_PART, N_WORDS };

static const char *const words[N_WORDS] = {"", "{l}", "{e}", "{part}"};

/* The word that a pattern has at this place. */
static enum word
word_at(const char *pattern)
{
    for (int w = WORD_LAYER; w < N_WORDS; w++) {
        if (strncmp(pattern, words[w], strlen(words[w])) == 0) {
            return (enum word)w;
        }
    }
    return WORD_NONE;
}

/* What the words of a name are: pieces of it. */
struct match {
    const char *text[N_WORDS];
    size_t length[N_WORDS];
};

/* Whether a name is what a pattern says. A word that comes twice must be the
 * same both times. */
static int
matches(const char *pattern, const char *name, struct match *match)
{
    memset(match, 0, sizeof(*match));
    while (*pattern != '\0') {
        enum word word = word_at(pattern);
        if (word == WORD_NONE) {
            if (*pattern++ != *name++) {
                return 0;
            }
            continue;
        }
        size_t n =
                word == WORD_PART ? strlen(name) : strspn(name, "0123456789");
        if (n == 0 || (word != WORD_PART && n > DIGITS_MAX) ||
                (match->text[word] != NULL &&
                        (match->length[word] != n ||
                                memcmp(match->text[word], name, n) != 0))) {
            return 0;
        }
        match->text[word] = name;
        match->length[word] = n;
        name += n;
        pattern += strlen(words[word]);
    }
    return *name == '\0';
}

/* Writes the name that a pattern makes of the words. Returns 0 if it is too
 * long. */
static int
expand(char out[W4_MAPPED_NAME_MAX], const char *pattern,
        const struct match *match)
{
    size_t used = 0;
    while (*pattern != '\0') {
        enum word word = word_at(pattern);
        const char *text = word == WORD_NONE ? pattern : match->text[word];
        size_t n = word == WORD_NONE ? 1 : match->length[word];
        if (n >= W4_MAPPED_NAME_MAX - used) {
            return 0;
        }
        memcpy(out + used, text, n);
        used += n;
        pattern += word == WORD_NONE ? 1 : strlen(words[word]);
    }
    out[used] = '\0';
    return 1;
}

/* ----------------------------------------------------------------- reading */

static int
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word of a line, ending it with NUL. NULL if there is none. */
static char *
next_field(char **at)
{
    char *p = *at;
    while (is_blank(*p)) {
        p++;
    }
    char *field = p;
    while (*p != '\0' && !is_blank(*p)) {
        p++;
    }
    if (*p != '\0') {
        *p++ = '\0';
    }
    *at = p;
    return *field != '\0' ? field : NULL;
}

/* What is wrong with a rule; NULL if nothing is. */
static const char *
fault_of(const char *from, const char *to, const char *rest)
{
    unsigned has = 0;
    if (from == NULL || to == NULL || rest != NULL) {
        return "two names are needed, FROM and TO";
    }
    for (const char *p = from; *p != '\0'; p++) {
        enum word word = word_at(p);
        has |= 1u << word;
        if (word == WORD_PART && strcmp(p, words[WORD_PART]) != 0) {
            return "{part} may stand at the end only";
        }
        if (*p == '{' && word == WORD_NONE) {
            return "only {l}, {e} and {part} are known";
        }
    }
    for (const char *p = to; *p != '\0'; p++) {
        enum word word = word_at(p);
        if (*p == '{' && word == WORD_NONE) {
            return "only {l}, {e} and {part} are known";
        }
        if (word != WORD_NONE && (has >> word & 1u) == 0) {
            return "TO has a word that FROM has not";
        }
    }
    return NULL;
}

/* Reads the lines; the text is cut up. */
static w4moe_status
read_rules(struct w4_err *err, struct w4_name_map *map, const char *path)
{
    size_t line = 0;
    for (char *at = map->text; at != NULL;) {
        char *end = strchr(at, '\n');
        char *next = end != NULL ? end + 1 : NULL;
        if (end != NULL) {
            *end = '\0';
        }
        at[strcspn(at, "#")] = '\0';
        line++;
        const char *from = next_field(&at);
        const char *to = next_field(&at);
        const char *rest = next_field(&at);
        if (from != NULL) {
            const char *fault = fault_of(from, to, rest);
            if (fault != NULL) {
                return w4_fail(err, W4MOE_FORMAT, "%s: line %zu: %s", path,
                        line, fault);
            }
            map->rules[map->n_rules++] =
                    (struct rule){.from = from, .to = to, .line = line};
        }
        at = next;
    }
    return W4MOE_OK;
}

/* Reads the whole file as one text, and makes room for its lines. */
static w4moe_status
read_text(struct w4_err *err, struct w4_name_map *map, const char *path)
{
    size_t size = 0;
    w4moe_status status =
            w4_small_file_read(err, &map->text, &size, path, W4_NAME_MAP_MAX);
    if (status == W4MOE_OK && strlen(map->text) != size) {
        status = w4_fail(err, W4MOE_FORMAT, "%s: no text: it has a NUL", path);
    }
    return status;
}

w4moe_status
w4_name_map_read(
        struct w4_err *err, struct w4_name_map **map_p, const char *path)
{
    struct w4_name_map *map = calloc(1, sizeof(*map));
    if (map == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "%s: no memory", path);
    }
    w4moe_status status = read_text(err, map, path);
    if (status == W4MOE_OK) {
        size_t n_lines = 1;
        for (const char *p = map->text; *p != '\0'; p++) {
            n_lines += *p == '\n';
        }
        map->rules = calloc(n_lines, sizeof(*map->rules));
        status = map->rules != NULL ? read_rules(err, map, path)
                                    : w4_fail(err, W4MOE_NOMEM,
                                              "%s: no memory for %zu lines",
                                              path, n_lines);
    }
    if (status != W4MOE_OK) {
        w4_name_map_free(map);
        return status;
    }
    *map_p = map;
    return W4MOE_OK;
}

void
w4_name_map_free(struct w4_name_map *map)
{
    if (map != NULL) {
        free(map->rules);
        free(map->text);
        free(map);
    }
}

/* ---------------------------------------------------------------- applying */

enum w4_mapping
w4_name_map_apply(
        struct w4_name_map *map, char out[W4_MAPPED_NAME_MAX], const char *name)
{
    struct match match;
    for (size_t i = 0; i < map->n_rules; i++) {
        struct rule *rule = &map->rules[i];
        if (!matches(rule->from, name, &match)) {
            continue;
        }
        rule->n_uses++;
        if (strcmp(rule->to, "-") == 0) {
            return W4_MAPPING_SKIP;
        }
        return expand(out, rule->to, &match) ? W4_MAPPING_NAME
                                             : W4_MAPPING_TOO_LONG;
    }
    return W4_MAPPING_NONE;
}

size_t
w4_name_map_unused(const struct w4_name_map *map, size_t line)
{
    for (size_t i = 0; i < map->n_rules; i++) {
        if (map->rules[i].line > line && map->rules[i].n_uses == 0) {
            return map->rules[i].line;
        }
    }
    return 0;
}
