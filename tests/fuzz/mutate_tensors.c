/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * A mutator of what a safetensors file holds. It reads a good file, changes a
 * name, a type, a shape or a text, and writes a file that is good again: so
 * that what is wrong with it is for the readers of tensors to find.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "fuzz.h"
#include "test_random.h"

/* ----------------------------------------------------------------- changes */

/* Begins anew in each call. */
static struct test_random random_state;

static size_t
below(size_t n)
{
    return test_random_below(&random_state, n);
}

/* Any bytes but 0, which no JSON text may have here. */
static void
change_text(char text[FUZZ_TEXT])
{
    size_t n = LLVMFuzzerMutate((uint8_t *)text, strlen(text), FUZZ_TEXT - 1);
    text[n] = '\0';
}

/* The text with a tensor's hash, in a container; NULL if there is none. */
static struct fuzz_text *
hash_of(struct fuzz_content *c, const struct fuzz_item *item)
{
    for (size_t i = 0; i < c->n_texts; i++) {
        const char *key = c->texts[i].key;
        if (strncmp(key, "xxh3.", 5) == 0 && strcmp(key + 5, item->name) == 0) {
            return &c->texts[i];
        }
    }
    return NULL;
}

static void
set_hash_key(struct fuzz_text *hash, const char *name)
{
    char key[FUZZ_TEXT];
    snprintf(key, sizeof(key), "xxh3.%.*s", FUZZ_TEXT - 6, name);
    memcpy(hash->key, key, sizeof(key));
}

/* The place of some word of a dotted name, and its length. */
static char *
some_word(char *name, size_t *n)
{
    char *word = name;
    for (char *dot = strchr(name, '.'); dot != NULL;
            dot = strchr(dot + 1, '.')) {
        word = below(2) == 0 ? dot + 1 : word;
    }
    *n = strcspn(word, ".");
    return word;
}

/* Puts another word into a name: of another tensor, or of a grammar. */
static void
change_word(struct fuzz_content *c, char name[FUZZ_TEXT])
{
    static const char *const words[] = {"gate_proj", "w1", "w2", "w3", "w13",
            "weight_packed", "weight_scale", "weight_zero_point",
            "weight_g_idx", "weight_shape", "weight", "qweight", "scales",
            "qzeros", "g_idx", "scale", "weight_scale_inv", "gate_up_proj",
            "gate_up_proj_bias", "gate_up_proj_blocks", "down_proj",
            "down_proj_scales", "input_linear", "perm", "bias", "offsets",
            "experts", "layers", "router", "gate", "mtp", "0", "1", "4095",
            "4096", "2147483648", "e_score_correction_bias"};
    char before[FUZZ_TEXT];
    char other[FUZZ_TEXT];
    size_t n;
    size_t n_other;
    memcpy(before, name, FUZZ_TEXT);
    memcpy(other, c->items[below(c->n_items)].name, FUZZ_TEXT);
    char *word = some_word(before, &n);
    const char *put = some_word(other, &n_other);
    if (below(2) == 0) {
        put = words[below(sizeof(words) / sizeof(words[0]))];
        n_other = strlen(put);
    }
    snprintf(name, FUZZ_TEXT, "%.*s%.*s%s", (int)(word - before), before,
            (int)n_other, put, word + n);
}

static void
change_name(struct fuzz_content *c, struct fuzz_item *item)
{
    char name[FUZZ_TEXT];
    struct fuzz_text *hash = below(4) != 0 ? hash_of(c, item) : NULL;
    memcpy(name, item->name, FUZZ_TEXT);
    if (below(4) == 0) {
        change_text(name);
    } else {
        change_word(c, name);
    }
    if (hash != NULL) {
        set_hash_key(hash, name);
    }
    memcpy(item->name, name, FUZZ_TEXT);
}

/* One more tensor, like another but for its name. */
static void
copy_item(struct fuzz_content *c, const struct fuzz_item *item)
{
    if (c->n_items == FUZZ_TENSORS_MAX || c->n_texts == FUZZ_KEYS_MAX) {
        return;
    }
    const struct fuzz_text *hash = hash_of(c, item);
    struct fuzz_item *copy = &c->items[c->n_items++];
    *copy = *item;
    change_word(c, copy->name);
    if (hash != NULL) {
        struct fuzz_text *text = &c->texts[c->n_texts++];
        *text = *hash;
        set_hash_key(text, copy->name);
    }
}

static void
change_shape(struct fuzz_content *c, struct fuzz_item *item)
{
    const struct fuzz_item *other = &c->items[below(c->n_items)];
    uint64_t *length = NULL;
    if (item->n_dims > 0) {
        length = &item->shape[below(item->n_dims)];
    }
    switch (below(8)) {
    case 0:
        item->n_dims = other->n_dims;
        memcpy(item->shape, other->shape, sizeof(item->shape));
        return;
    case 1:
        if (item->n_dims < W4_ST_RANK_MAX) {
            item->shape[item->n_dims++] = below(3);
        }
        return;
    case 2:
        item->n_dims -= item->n_dims > 0;
        return;
    default:
        break;
    }
    if (length != NULL) {
        const uint64_t lengths[] = {0, 1, 2, *length + 1, *length - 1,
                *length * 2, *length / 2, *length + 8};
        *length = lengths[below(8)];
    }
}

static void
change_type(struct fuzz_item *item)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } types[] = {{"F32", 32}, {"F16", 16}, {"BF16", 16}, {"I32", 32},
            {"U32", 32}, {"U8", 8}, {"I64", 64}, {"F8_E8M0", 8}, {"F4", 4},
            {"F64", 64}, {"I8", 8}, {"F8_E4M3", 8}};
    size_t i = below(sizeof(types) / sizeof(types[0]));
    item->dtype = types[i].name;
    item->bits = types[i].bits;
}

static void
change_metadata(struct fuzz_content *c)
{
    static const char *const values[] = {"0", "1", "2", "8", "16", "128",
            "2147483647", "2147483648", "true", "false", "e2m1", "int4", "tile",
            "rdna3", "silu", "relu2_no_mul", "sigmoid", "-1.5", "nan", "1e39",
            ""};
    if (c->n_texts == 0) {
        return;
    }
    struct fuzz_text *text = &c->texts[below(c->n_texts)];
    switch (below(4)) {
    case 0:
        change_text(text->value);
        break;
    case 1:
        change_text(text->key);
        break;
    case 2:
        *text = c->texts[--c->n_texts];
        break;
    default:
        strcpy(text->value, values[below(sizeof(values) / sizeof(values[0]))]);
        break;
    }
}

/* A tensor, and its hash in a container. */
static void
remove_item(struct fuzz_content *c, struct fuzz_item *item)
{
    struct fuzz_text *hash = hash_of(c, item);
    if (hash != NULL) {
        *hash = c->texts[--c->n_texts];
    }
    *item = c->items[--c->n_items];
}

static void
change(struct fuzz_content *c)
{
    struct fuzz_item *item = &c->items[below(c->n_items)];
    switch (below(8)) {
    case 0:
        remove_item(c, item);
        break;
    case 1:
        copy_item(c, item);
        break;
    case 2:
    case 3:
        change_name(c, item);
        break;
    case 4:
        change_type(item);
        break;
    case 5:
        change_shape(c, item);
        break;
    default:
        change_metadata(c);
        break;
    }
}

/* Makes the bytes of each tensor as many as its type and shape say. Returns 0
 * if they become too many. */
static int
fit_data(struct fuzz_content *c, size_t max_size)
{
    for (size_t i = 0; i < c->n_items; i++) {
        struct fuzz_item *item = &c->items[i];
        uint64_t n = item->bits;
        for (uint32_t d = 0; d < item->n_dims; d++) {
            if (n > 8 * max_size || item->shape[d] > 8 * max_size) {
                return 0;
            }
            n *= item->shape[d];
        }
        item->n_bytes = n / 8;
    }
    return 1;
}

size_t
fuzz_mutate_tensors(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct w4_st_set *set = NULL;
    size_t n = 0;
    if (w4_st_open(NULL, &set, fuzz_file(data, size)) != W4MOE_OK) {
        return 0;
    }
    struct fuzz_content *c = calloc(1, sizeof(*c));
    uint8_t *out = malloc(max_size);
    FUZZ_CHECK(c != NULL && out != NULL);
    if (fuzz_content_read(c, set)) {
        random_state.counter = seed;
        change(c);
        n = fit_data(c, max_size) ? fuzz_content_write(c, out, max_size) : 0;
    }
    w4_st_close(set);
    memcpy(data, out, n);
    free(out);
    free(c);
    return n;
}
