/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The tokenizer of JSON: its tokens lie in the text, and it takes what another
 * parser takes (jansson), but for what the header says. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io/json_scan.h"

static void
check_string(const struct w4_json *json)
{
    FUZZ_CHECK(json->length <= json->raw_size);
    /* Of its own size, so that a write behind it is seen. */
    char *text = malloc(json->length + 1);
    FUZZ_CHECK(text != NULL);
    w4_json_copy(json, text);
    FUZZ_CHECK(strlen(text) == json->length);
    FUZZ_CHECK(w4_json_is(json, text));
    if (json->length > 0) {
        text[json->length - 1] ^= 1;
        FUZZ_CHECK(!w4_json_is(json, text));
    }
    free(text);
}

/* Reads all tokens; returns the last. */
static enum w4_json_type
read_tokens(struct w4_json *json, const char *text, size_t size)
{
    w4_json_init(json, text, size);
    enum w4_json_type type = w4_json_next(json);
    for (size_t n = 0; type != W4_JSON_END && type != W4_JSON_ERROR; n++) {
        FUZZ_CHECK(n < size && json->depth <= W4_JSON_DEPTH_MAX);
        FUZZ_CHECK(json->raw >= text && json->raw_size <= size &&
                   json->raw <= text + (size - json->raw_size));
        if (type == W4_JSON_KEY || type == W4_JSON_STRING) {
            check_string(json);
        }
        type = w4_json_next(json);
        FUZZ_CHECK(type == json->type);
    }
    return type;
}

static void
compare(const struct w4_json *json, const char *text, size_t size)
{
    json_error_t error;
    if (size > 0 && memchr(text, 0, size) != NULL) {
        return; /* jansson overlooks one behind a number */
    }
    json_t *tree = json_loadb(text, size, JSON_DECODE_ANY, &error);
    if (json->type == W4_JSON_ERROR) {
        FUZZ_CHECK(json->why != NULL && json->where <= size);
        FUZZ_CHECK(tree == NULL || strcmp(json->why, "nested too deeply") == 0);
    } else {
        /* jansson keeps numbers in int64_t and double. */
        FUZZ_CHECK(tree != NULL ||
                   json_error_code(&error) == json_error_numeric_overflow);
        FUZZ_CHECK(json->depth == 0);
    }
    json_decref(tree);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct w4_json json;
    struct w4_json skipping;
    char *text = fuzz_copy(data, size);
    enum w4_json_type type = read_tokens(&json, text, size);
    FUZZ_CHECK(w4_json_next(&json) == type);
    w4_json_init(&skipping, text, size);
    if (w4_json_skip(&skipping) != W4_JSON_ERROR) {
        FUZZ_CHECK(w4_json_next(&skipping) == type);
    } else {
        FUZZ_CHECK(type == W4_JSON_ERROR);
    }
    compare(&json, text, size);
    free(text);
    return 0;
}
