/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json as a tree. Without memory the parser, jansson, says that a text
 * is wrong, or leaves out characters of a long word and says nothing; such a
 * failure must not be taken for a model of another kind. */
#include <stdlib.h>
#include <string.h>

#include "format/config_reader.h"
#include "io/json_scan.h"
#include "io/small_file.h"

/* Characters are left out when the parser's room for a word has to grow. So the
 * text is parsed as the second element of an array whose first is a word as
 * long as the whole text: after that there is room for every word in it. An odd
 * length keeps the quote at its end from being what is left out, without which
 * the parser would read on: room grows by powers of two. */
static const char before_word[] = "[\"";
static const char before_text[] = "\",";
static const char after_text[] = "]";

enum {
    N_AROUND =
            sizeof(before_word) + sizeof(before_text) + sizeof(after_text) - 3
};

static size_t
word_length(size_t n)
{
    return n | 1;
}

/* Such an array, on the lines of the text; *n_p bytes, to be freed. */
static char *
make_array(size_t *n_p, const char *text, size_t n)
{
    size_t n_word = word_length(n);
    *n_p = n_word + n + N_AROUND;
    char *array = malloc(*n_p + 1);
    if (array != NULL) {
        char *at = stpcpy(array, before_word);
        memset(at, 'x', n_word);
        at = stpcpy(at + n_word, before_text);
        memcpy(at, text, n);
        stpcpy(at + n, after_text);
    }
    return array;
}

/* Whether a text that the parser took for wrong is in order. */
static int
is_in_order(const char *text, size_t n, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    if (code == json_error_duplicate_key ||
            code == json_error_numeric_overflow) {
        return 0;
    }
    struct w4_json json;
    w4_json_init(&json, text, n);
    enum w4_json_type type;
    do {
        type = w4_json_next(&json);
    } while (type != W4_JSON_END && type != W4_JSON_ERROR);
    return type == W4_JSON_END;
}

static w4moe_status
fail_memory(struct w4_err *err, const char *path)
{
    return w4_fail(err, W4MOE_NOMEM, "%s: no memory to parse it", path);
}

/* Parses a text of n bytes. Out: *json_p, the array. */
static w4moe_status
parse(struct w4_err *err, json_t **json_p, const char *text, size_t n,
        const char *path)
{
    json_error_t error = {0};
    size_t n_array;
    char *array = make_array(&n_array, text, n);
    if (array == NULL) {
        return fail_memory(err, path);
    }
    json_t *json = json_loadb(array, n_array, JSON_REJECT_DUPLICATES, &error);
    free(array);
    if (json == NULL && !is_in_order(text, n, &error)) {
        return w4_fail(err, W4MOE_FORMAT, "%s: line %d: %s", path, error.line,
                error.text);
    }
    if (json == NULL ||
            json_string_length(json_array_get(json, 0)) != word_length(n)) {
        json_decref(json);
        return fail_memory(err, path);
    }
    *json_p = json;
    return W4MOE_OK;
}

w4moe_status
w4_config_load(struct w4_err *err, json_t **root, const char *path)
{
    char *text = NULL;
    json_t *json = NULL;
    size_t n = 0;
    w4moe_status status =
            w4_small_file_read(err, &text, &n, path, W4_CONFIG_MAX);
    if (status == W4MOE_OK) {
        status = parse(err, &json, text, n, path);
    }
    free(text);
    if (status != W4MOE_OK) {
        return status;
    }
    json_t *object = json_array_get(json, 1);
    if (json_array_size(json) == 2 && json_is_object(object)) {
        *root = json_incref(object);
    } else {
        status = w4_fail(err, W4MOE_FORMAT, "%s: line 1: no JSON object", path);
    }
    json_decref(json);
    return status;
}
