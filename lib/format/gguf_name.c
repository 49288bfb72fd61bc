/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names of tensors in GGUF files. */
#include <string.h>

#include "format/gguf_source.h"

/* Digits of a number at most. */
enum { DIGITS_MAX = 9 };

/* If text begins with a word, what comes after it; else NULL. */
static const char *
after(const char *text, const char *word)
{
    size_t n = strlen(word);
    return strncmp(text, word, n) == 0 ? text + n : NULL;
}

/* If text begins with a number and a dot, what comes after them; else NULL. */
static const char *
after_number(const char *text, uint32_t *number)
{
    uint32_t value = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > DIGITS_MAX || text[n] != '.' ||
            (text[0] == '0' && n > 1)) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    *number = value;
    return text + n + 1;
}

/* "weight" or "bias"; returns whether it is one of them. */
static int
parse_part(const char *text, int *is_bias)
{
    *is_bias = strcmp(text, "bias") == 0;
    return *is_bias || strcmp(text, "weight") == 0;
}

/* "ffn_WORD_exps." or "ffn_WORD.E.", and the part. Returns whether the name is
 * one of these, whatever its part. */
static int
parse_experts(struct w4_gguf_name *name, const char *text)
{
    static const struct {
        const char *word;
        enum w4_projection projection;
    } words[] = {
            {"ffn_gate", W4_GATE},
            {"ffn_up", W4_UP},
            {"ffn_down", W4_DOWN},
            {"ffn_gate_up", W4_N_PROJECTIONS},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *rest = after(text, words[i].word);
        const char *part = rest != NULL ? after(rest, "_exps.") : NULL;
        enum w4_gguf_kind kind = W4_GGUF_NAME_EXPERTS;
        if (part == NULL && rest != NULL && *rest == '.') {
            part = after_number(rest + 1, &name->expert);
            kind = W4_GGUF_NAME_EXPERT;
        }
        if (part != NULL) {
            int known = parse_part(part, &name->is_bias) &&
                        !(kind == W4_GGUF_NAME_EXPERT &&
                                words[i].projection == W4_N_PROJECTIONS);
            name->kind = known ? kind : W4_GGUF_NAME_UNKNOWN;
            name->projection = words[i].projection;
            return 1;
        }
    }
    return 0;
}

static int
parse_router(struct w4_gguf_name *name, const char *text)
{
    static const struct {
        const char *name;
        enum w4_router_part part;
    } parts[] = {
            {"ffn_gate_inp.weight", W4_ROUTER_WEIGHT},
            {"ffn_gate_inp.bias", W4_ROUTER_BIAS},
            {"exp_probs_b.bias", W4_ROUTER_CORRECTION_BIAS},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(text, parts[i].name) == 0) {
            name->kind = W4_GGUF_NAME_ROUTER;
            name->router = parts[i].part;
            return 1;
        }
    }
    return 0;
}

struct w4_gguf_name
w4_gguf_name_parse(const char *text)
{
    struct w4_gguf_name name = {.kind = W4_GGUF_NAME_OTHER};
    const char *rest = after(text, "blk.");
    rest = rest != NULL ? after_number(rest, &name.layer) : NULL;
    if (rest != NULL &&
            (parse_experts(&name, rest) || parse_router(&name, rest))) {
        return name;
    }
    if (strstr(text, "_exps") != NULL) {
        name.kind = W4_GGUF_NAME_UNKNOWN;
    }
    return name;
}
