/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/expert_name.h"

#include <string.h>

/* ---------------------------------------------------------------- the words */

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

static const struct {
    const char *word;
    enum w4_part part;
} parts[] = {
        {"weight", W4_PART_WEIGHT},
        {"weight_packed", W4_PART_PACKED},
        {"qweight", W4_PART_QWEIGHT},
        {"weight_scale", W4_PART_WEIGHT_SCALE},
        {"weight_scale_inv", W4_PART_SCALE_INV},
        {"scales", W4_PART_SCALES},
        {"scale", W4_PART_SCALE},
        {"weight_zero_point", W4_PART_ZERO_POINT},
        {"qzeros", W4_PART_QZEROS},
        {"g_idx", W4_PART_G_IDX},
        {"weight_g_idx", W4_PART_G_IDX},
        {"weight_shape", W4_PART_SHAPE},
        {"bias", W4_PART_BIAS},
};

/* Tensors of all experts of a layer, from behind "layers.L." on. `mlp1` and
 * `mlp2` are those of GPT-OSS's own release, the linear ones Granite's. */
static const struct {
    const char *end;
    enum w4_name_kind kind;
    enum w4_part part;
} fused[] = {
        {"experts.gate_up_proj", W4_NAME_GATE_UP, W4_PART_WEIGHT},
        {"experts.down_proj", W4_NAME_DOWN, W4_PART_WEIGHT},
        {"experts.gate_up_proj.weight", W4_NAME_GATE_UP, W4_PART_WEIGHT},
        {"experts.down_proj.weight", W4_NAME_DOWN, W4_PART_WEIGHT},
        {"experts.gate_up_proj_blocks", W4_NAME_GATE_UP, W4_PART_BLOCKS},
        {"experts.down_proj_blocks", W4_NAME_DOWN, W4_PART_BLOCKS},
        {"experts.gate_up_proj_scales", W4_NAME_GATE_UP, W4_PART_SCALES},
        {"experts.down_proj_scales", W4_NAME_DOWN, W4_PART_SCALES},
        {"experts.gate_up_proj_bias", W4_NAME_GATE_UP, W4_PART_BIAS},
        {"experts.down_proj_bias", W4_NAME_DOWN, W4_PART_BIAS},
        {"mlp.mlp1_weight.blocks", W4_NAME_GATE_UP, W4_PART_BLOCKS},
        {"mlp.mlp2_weight.blocks", W4_NAME_DOWN, W4_PART_BLOCKS},
        {"mlp.mlp1_weight.scales", W4_NAME_GATE_UP, W4_PART_SCALES},
        {"mlp.mlp2_weight.scales", W4_NAME_DOWN, W4_PART_SCALES},
        {"mlp.mlp1_bias", W4_NAME_GATE_UP, W4_PART_BIAS},
        {"mlp.mlp2_bias", W4_NAME_DOWN, W4_PART_BIAS},
        {"block_sparse_moe.input_linear.weight", W4_NAME_GATE_UP,
                W4_PART_WEIGHT},
        {"block_sparse_moe.output_linear.weight", W4_NAME_DOWN, W4_PART_WEIGHT},
};

/* Tensors of routers, from behind "layers.L." on. */
static const struct {
    const char *end;
    enum w4_router_part part;
} routers[] = {
        {"gate.weight", W4_ROUTER_WEIGHT},
        {"gate.bias", W4_ROUTER_BIAS},
        {"gate.e_score_correction_bias", W4_ROUTER_CORRECTION_BIAS},
        {"router.weight", W4_ROUTER_WEIGHT},
        {"router.layer.weight", W4_ROUTER_WEIGHT},
        {"router.bias", W4_ROUTER_BIAS},
        {"block_sparse_moe.e_score_correction_bias", W4_ROUTER_CORRECTION_BIAS},
        {"moe_statics.e_score_correction_bias", W4_ROUTER_CORRECTION_BIAS},
        {"feed_forward.expert_bias", W4_ROUTER_CORRECTION_BIAS},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
w4_projection_name(enum w4_projection projection)
{
    static const char *const names[W4_N_PROJECTIONS] = {"gate", "up", "down"};
    return names[projection];
}

/* ------------------------------------------------------------------ parsing */

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

/* The last ".WORD.N." or leading "WORD.N." of a name. Returns what follows it,
 * or NULL. */
static const char *
find_layer_word(const char *name, const char *word, struct w4_name *parsed)
{
    const char *rest = NULL;
    for (const char *at = strstr(name, word); at != NULL;
            at = strstr(at + 1, word)) {
        const char *after = NULL;
        uint32_t layer;
        if (at == name || at[-1] == '.') {
            after = parse_number(at + strlen(word), &layer);
        }
        if (after != NULL) {
            parsed->layer = layer;
            parsed->prefix = name;
            parsed->prefix_length = (size_t)(at - name);
            rest = after;
        }
    }
    return rest;
}

static const char *
find_layer(const char *name, struct w4_name *parsed)
{
    const char *rest = find_layer_word(name, "layers.", parsed);
    return rest != NULL ? rest : find_layer_word(name, "block.", parsed);
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

/* Whether a text ends with dotted words, or is them. */
static int
ends_with_words(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t n_end = strlen(end);
    if (n < n_end || strcmp(text + n - n_end, end) != 0) {
        return 0;
    }
    return n == n_end || text[n - n_end - 1] == '.';
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

/* What follows "experts." if it is of one expert. */
static void
parse_expert(struct w4_name *parsed, const char *rest)
{
    const char *word = parse_number(rest, &parsed->expert);
    for (size_t i = 0; word != NULL && i < COUNT(projections); i++) {
        size_t n = strlen(projections[i].word);
        if (strncmp(word, projections[i].word, n) == 0 && word[n] == '.') {
            parsed->kind = W4_NAME_EXPERT;
            parsed->projection = projections[i].projection;
            parsed->tensor = word + n + 1;
        }
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (strcmp(parsed->tensor, parts[i].word) == 0) {
            parsed->part = parts[i].part;
        }
    }
}

/* Returns whether it is a tensor of all experts. */
static int
parse_fused(struct w4_name *parsed, const char *rest)
{
    for (size_t i = 0; i < COUNT(fused); i++) {
        if (ends_with_words(rest, fused[i].end)) {
            parsed->kind = fused[i].kind;
            parsed->part = fused[i].part;
            return 1;
        }
    }
    return 0;
}

static void
parse_router(struct w4_name *parsed, const char *rest)
{
    const char *tensor = find_word(rest, "gate");
    tensor = tensor != NULL ? tensor : find_word(rest, "router");
    if (tensor != NULL) {
        parsed->kind = W4_NAME_ROUTER;
        parsed->tensor = tensor;
    }
    for (size_t i = 0; i < COUNT(routers); i++) {
        if (ends_with_words(rest, routers[i].end)) {
            parsed->kind = W4_NAME_ROUTER;
            parsed->router = routers[i].part;
        }
    }
}

struct w4_name
w4_name_parse(const char *name)
{
    struct w4_name parsed = {.kind = W4_NAME_OTHER,
            .part = W4_N_PARTS,
            .router = W4_ROUTER_OTHER};
    const char *rest = find_layer(name, &parsed);
    if (rest == NULL) {
        return parsed;
    }
    parsed.tensor = rest;
    const char *expert = find_word(rest, "experts");
    if (parse_fused(&parsed, rest)) {
        parsed.kind = is_mtp(&parsed) ? W4_NAME_MTP : parsed.kind;
    } else if (expert != NULL) {
        parsed.kind = W4_NAME_UNKNOWN;
        parsed.tensor = expert;
        parse_expert(&parsed, expert);
        parsed.kind = is_mtp(&parsed) ? W4_NAME_MTP : parsed.kind;
    } else if (!is_mtp(&parsed)) {
        parse_router(&parsed, rest);
    }
    return parsed;
}

/* ------------------------------------------------------------------ nearest */

/* How many pairs of neighbouring letters of a form a name has, too. */
static size_t
likeness(const char *name, const char *form)
{
    size_t n = 0;
    for (const char *at = form; at[0] != '\0' && at[1] != '\0'; at++) {
        const char pair[3] = {at[0], at[1], '\0'};
        n += strstr(name, pair) != NULL;
    }
    return n;
}

/* Appends as much of a text as fits. */
static void
append(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    size_t n = strlen(text);
    size_t room = size - used - 1;
    n = n < room ? n : room;
    memcpy(out + used, text, n);
    out[used + n] = '\0';
}

void
w4_name_nearest(char *out, size_t size, const char *name)
{
    enum { N_SHOWN = 3 };
    unsigned char taken[COUNT(fused) + COUNT(projections)] = {0};
    out[0] = '\0';
    for (int shown = 0; shown < N_SHOWN; shown++) {
        size_t best = 0;
        size_t best_likeness = 0;
        for (size_t i = 0; i < COUNT(taken); i++) {
            const char *form = i < COUNT(fused)
                                       ? fused[i].end
                                       : projections[i - COUNT(fused)].word;
            /* A projection stands for "experts.E.PROJECTION.PART". */
            size_t n = likeness(name, form) +
                       (i < COUNT(fused) ? 0 : likeness(name, "experts."));
            /* Of a long form that fits no better, no. */
            n = 64 * n / (strlen(form) + (i < COUNT(fused) ? 0 : 8));
            if (!taken[i] && n >= best_likeness) {
                best = i;
                best_likeness = n;
            }
        }
        taken[best] = 1;
        append(out, size, shown == 0 ? "" : ", ");
        if (best < COUNT(fused)) {
            append(out, size, fused[best].end);
        } else {
            append(out, size, "experts.E.");
            append(out, size, projections[best - COUNT(fused)].word);
            append(out, size, ".PART");
        }
    }
}
