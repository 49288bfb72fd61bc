/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/expert_name.h"

#include <string.h>

/* Words of the grammar. Mixtral and its family number the projections. */
static const struct {
    const char *word;
    enum w4_projection projection;
} projections[] = {
        {"gate_proj", W4_GATE},
        {"up_proj", W4_UP},
        {"down_proj", W4_DOWN},
        {"w1", W4_GATE},
        {"w3", W4_UP},
        {"w2", W4_DOWN},
};

const char *
w4_projection_name(enum w4_projection projection)
{
    static const char *const names[W4_N_PROJECTIONS] = {"gate", "up", "down"};
    return names[projection];
}

/* A decimal number of at most 9 digits that ends at a dot. Returns what
 * follows the dot, or NULL. */
static const char *
parse_number(const char *text, uint32_t *value)
{
    uint32_t v = 0;
    int n = 0;
    while (text[n] >= '0' && text[n] <= '9' && n < 9) {
        v = 10 * v + (uint32_t)(text[n] - '0');
        n++;
    }
    if (n == 0 || text[n] != '.' || (text[0] == '0' && n > 1)) {
        return NULL;
    }
    *value = v;
    return text + n + 1;
}

/* The last ".layers.N." or leading "layers.N." of a name. Returns what follows
 * it, or NULL. */
static const char *
find_layer(const char *name, struct w4_name *parsed)
{
    static const char word[] = "layers.";
    const char *rest = NULL;
    for (const char *at = strstr(name, word); at != NULL;
            at = strstr(at + 1, word)) {
        const char *after = NULL;
        if (at == name || at[-1] == '.') {
            after = parse_number(at + sizeof(word) - 1, &parsed->layer);
        }
        if (after != NULL) {
            parsed->prefix = name;
            parsed->prefix_length = (size_t)(at - name);
            rest = after;
        }
    }
    return rest;
}

/* Finds "WORD." at the start of text or after a dot; returns what follows. */
static const char *
find_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(text, word); at != NULL;
            at = strstr(at + 1, word)) {
        if ((at == text || at[-1] == '.') && at[n] == '.') {
            return at + n + 1;
        }
    }
    return NULL;
}

static int
is_mtp(const struct w4_name *parsed)
{
    static const char word[] = "mtp.";
    size_t n = sizeof(word) - 1;
    for (size_t i = 0; i + n <= parsed->prefix_length; i++) {
        if ((i == 0 || parsed->prefix[i - 1] == '.') &&
                strncmp(parsed->prefix + i, word, n) == 0) {
            return 1;
        }
    }
    return 0;
}

static void
parse_expert(struct w4_name *parsed, const char *rest)
{
    parsed->kind = W4_NAME_UNKNOWN;
    parsed->tensor = rest;
    const char *word = parse_number(rest, &parsed->expert);
    if (word == NULL) {
        return;
    }
    size_t n_words = sizeof(projections) / sizeof(projections[0]);
    for (size_t i = 0; i < n_words; i++) {
        size_t n = strlen(projections[i].word);
        if (strncmp(word, projections[i].word, n) == 0 && word[n] == '.') {
            parsed->kind = W4_NAME_EXPERT;
            parsed->projection = projections[i].projection;
            parsed->tensor = word + n + 1;
        }
    }
}

struct w4_name
w4_name_parse(const char *name)
{
    struct w4_name parsed = {.kind = W4_NAME_OTHER};
    const char *rest = find_layer(name, &parsed);
    if (rest == NULL) {
        return parsed;
    }
    const char *expert = find_word(rest, "experts");
    const char *router = find_word(rest, "gate");
    router = router != NULL ? router : find_word(rest, "router");
    if (expert != NULL) {
        parse_expert(&parsed, expert);
        if (is_mtp(&parsed)) {
            parsed.kind = W4_NAME_MTP;
        }
    } else if (router != NULL && !is_mtp(&parsed)) {
        parsed.kind = W4_NAME_ROUTER;
        parsed.tensor = router;
    }
    return parsed;
}
