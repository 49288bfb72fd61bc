/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/json_scan.h"

#include <string.h>

#include "io/text.h"

static enum w4_json_type
fail(struct w4_json *json, const char *at, const char *why)
{
    json->type = W4_JSON_ERROR;
    json->why = why;
    json->where = (size_t)(at - json->begin);
    return json->type;
}

/* Makes the bytes from `raw` to json->at the last token. */
static enum w4_json_type
token(struct w4_json *json, enum w4_json_type type, const char *raw)
{
    json->type = type;
    json->raw = raw;
    json->raw_size = (size_t)(json->at - raw);
    return type;
}

static void
skip_space(struct w4_json *json)
{
    while (json->at < json->end &&
            (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' ||
                    *json->at == '\t')) {
        json->at++;
    }
}

/* ---------------------------------------------------------------- strings */

/* The value of the four digits at `text`; above 0xFFFF if they are none. */
static uint32_t
read_hex4(const char *text, size_t left)
{
    uint32_t value = 0;
    if (left < 4) {
        return UINT32_MAX;
    }
    for (int i = 0; i < 4; i++) {
        char c = text[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint32_t)(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = (uint32_t)(c - 'A') + 10;
        } else {
            return UINT32_MAX;
        }
        value = value << 4 | digit;
    }
    return value;
}

static size_t
encode_utf8(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Reads an escape, `left` bytes of text from its backslash on. Returns how
 * many bytes it takes, 0 if it is wrong. Out: out, *n_out bytes of UTF-8. */
static size_t
read_escape(const char *text, size_t left, char out[4], size_t *n_out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (left < 2 || text[1] == '\0') {
        return 0;
    }
    const char *name = strchr(names, text[1]);
    if (name != NULL) {
        out[0] = values[name - names];
        *n_out = 1;
        return 2;
    }
    uint32_t c = text[1] == 'u' ? read_hex4(text + 2, left - 2) : UINT32_MAX;
    if (c == 0 || c > 0xFFFF || (c >= 0xDC00 && c <= 0xDFFF)) {
        return 0;
    }
    if (c < 0xD800 || c > 0xDBFF) {
        *n_out = encode_utf8(out, c);
        return 6;
    }
    if (left < 12 || text[6] != '\\' || text[7] != 'u') {
        return 0;
    }
    uint32_t low = read_hex4(text + 8, left - 8);
    if (low < 0xDC00 || low > 0xDFFF) {
        return 0;
    }
    *n_out = encode_utf8(out, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
    return 12;
}

/* json->at is behind the opening quote. */
static enum w4_json_type
read_string(struct w4_json *json, enum w4_json_type type)
{
    const char *raw = json->at;
    const char *at = raw;
    size_t length = 0;
    for (;;) {
        size_t left = (size_t)(json->end - at);
        if (left == 0) {
            return fail(json, at, "a string does not end");
        }
        if (*at == '"') {
            break;
        }
        if ((unsigned char)*at < 0x20) {
            return fail(json, at, "a control character in a string");
        }
        size_t size;
        if (*at == '\\') {
            char utf8[4];
            size_t n;
            size = read_escape(at, left, utf8, &n);
            if (size == 0) {
                return fail(json, at, "a wrong escape, or one of NUL");
            }
            length += n;
        } else {
            size = w4_utf8_size((const unsigned char *)at, left);
            if (size == 0) {
                return fail(json, at, "bytes that are not UTF-8");
            }
            length += size;
        }
        at += size;
    }
    json->at = at;
    token(json, type, raw);
    json->at = at + 1;
    json->length = length;
    return type;
}

void
w4_json_copy(const struct w4_json *json, char *out)
{
    const char *at = json->raw;
    const char *end = at + json->raw_size;
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        char utf8[4];
        size_t n = 0;
        at += read_escape(at, (size_t)(end - at), utf8, &n);
        memcpy(out, utf8, n);
        out += n;
    }
    *out = '\0';
}

int
w4_json_is(const struct w4_json *json, const char *text)
{
    if (json->length != strlen(text)) {
        return 0;
    }
    const char *at = json->raw;
    const char *end = at + json->raw_size;
    while (at < end) {
        char utf8[4] = {*at};
        size_t n = 1;
        at += *at != '\\' ? 1 : read_escape(at, (size_t)(end - at), utf8, &n);
        if (memcmp(utf8, text, n) != 0) {
            return 0;
        }
        text += n;
    }
    return 1;
}

/* ----------------------------------------------------- numbers, constants */

static const char *
skip_digits(const struct w4_json *json, const char *at)
{
    while (at < json->end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* The value of digits. Returns 0 if it is above 2^64 - 1. */
static int
read_digits(uint64_t *out, const char *at, const char *end)
{
    uint64_t value = 0;
    for (; at < end; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            return 0;
        }
    }
    *out = value;
    return 1;
}

static enum w4_json_type
read_number(struct w4_json *json)
{
    static const char wrong[] = "a wrong number";
    const char *raw = json->at;
    const char *digits = *raw == '-' ? raw + 1 : raw;
    const char *at = skip_digits(json, digits);
    const char *integer_end = at;
    if (at == digits || (*digits == '0' && at - digits > 1)) {
        return fail(json, raw, wrong);
    }
    if (at < json->end && *at == '.') {
        const char *fraction = at + 1;
        at = skip_digits(json, fraction);
        if (at == fraction) {
            return fail(json, raw, wrong);
        }
    }
    if (at < json->end && (*at == 'e' || *at == 'E')) {
        const char *exponent = at + 1;
        if (exponent < json->end && (*exponent == '+' || *exponent == '-')) {
            exponent++;
        }
        at = skip_digits(json, exponent);
        if (at == exponent) {
            return fail(json, raw, wrong);
        }
    }
    json->at = at;
    uint64_t value;
    if (digits == raw && at == integer_end && read_digits(&value, raw, at)) {
        json->integer = value;
        return token(json, W4_JSON_INTEGER, raw);
    }
    return token(json, W4_JSON_NUMBER, raw);
}

static enum w4_json_type
read_constant(struct w4_json *json)
{
    static const struct {
        const char *text;
        enum w4_json_type type;
    } constants[] = {
            {"true", W4_JSON_TRUE},
            {"false", W4_JSON_FALSE},
            {"null", W4_JSON_NULL},
    };
    const char *raw = json->at;
    size_t left = (size_t)(json->end - raw);
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        size_t size = strlen(constants[i].text);
        if (left >= size && memcmp(raw, constants[i].text, size) == 0) {
            json->at += size;
            return token(json, constants[i].type, raw);
        }
    }
    return fail(json, raw, "a value is missing here");
}

/* ---------------------------------------------------------------- grammar */

static int
in_object(const struct w4_json *json)
{
    return json->depth > 0 && (json->is_object >> (json->depth - 1) & 1u) != 0;
}

static void
value_is_over(struct w4_json *json)
{
    json->want =
            json->depth > 0 ? W4_JSON_WANT_COMMA_OR_END : W4_JSON_WANT_NOTHING;
}

static enum w4_json_type
open_container(struct w4_json *json, int is_object)
{
    if (json->depth == W4_JSON_DEPTH_MAX) {
        return fail(json, json->at, "nested too deeply");
    }
    unsigned bit = 1u << json->depth;
    json->is_object =
            is_object ? json->is_object | bit : json->is_object & ~bit;
    json->depth++;
    json->want =
            is_object ? W4_JSON_WANT_KEY_OR_END : W4_JSON_WANT_VALUE_OR_END;
    json->at++;
    return token(
            json, is_object ? W4_JSON_OBJECT : W4_JSON_ARRAY, json->at - 1);
}

static enum w4_json_type
close_container(struct w4_json *json)
{
    enum w4_json_type type =
            in_object(json) ? W4_JSON_OBJECT_END : W4_JSON_ARRAY_END;
    json->depth--;
    json->at++;
    value_is_over(json);
    return token(json, type, json->at - 1);
}

static enum w4_json_type
read_key(struct w4_json *json)
{
    if (json->at == json->end || *json->at != '"') {
        return fail(json, json->at, "a key is missing here");
    }
    json->at++;
    if (read_string(json, W4_JSON_KEY) == W4_JSON_ERROR) {
        return W4_JSON_ERROR;
    }
    skip_space(json);
    if (json->at == json->end || *json->at != ':') {
        return fail(json, json->at, "a colon is missing here");
    }
    json->at++;
    json->want = W4_JSON_WANT_VALUE;
    return W4_JSON_KEY;
}

static enum w4_json_type
read_value(struct w4_json *json)
{
    char c = json->at < json->end ? *json->at : '\0';
    if (c == '{' || c == '[') {
        return open_container(json, c == '{');
    }
    value_is_over(json);
    if (c == '"') {
        json->at++;
        return read_string(json, W4_JSON_STRING);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return read_number(json);
    }
    return read_constant(json);
}

void
w4_json_init(struct w4_json *json, const char *text, size_t size)
{
    memset(json, 0, sizeof(*json));
    json->begin = text;
    json->at = text;
    json->end = text + size;
    json->want = W4_JSON_WANT_VALUE;
    json->type = W4_JSON_END;
}

enum w4_json_type
w4_json_next(struct w4_json *json)
{
    if (json->type == W4_JSON_ERROR) {
        return json->type;
    }
    skip_space(json);
    if (json->want == W4_JSON_WANT_NOTHING) {
        if (json->at != json->end) {
            return fail(json, json->at, "more text after the end");
        }
        return token(json, W4_JSON_END, json->at);
    }
    int may_end = json->want == W4_JSON_WANT_VALUE_OR_END ||
                  json->want == W4_JSON_WANT_KEY_OR_END ||
                  json->want == W4_JSON_WANT_COMMA_OR_END;
    char c = json->at < json->end ? *json->at : '\0';
    if (may_end && c == (in_object(json) ? '}' : ']')) {
        return close_container(json);
    }
    if (json->want == W4_JSON_WANT_COMMA_OR_END) {
        if (c != ',') {
            return fail(json, json->at, "a comma or an end is missing here");
        }
        json->at++;
        skip_space(json);
        json->want = in_object(json) ? W4_JSON_WANT_KEY : W4_JSON_WANT_VALUE;
    }
    int is_key = json->want == W4_JSON_WANT_KEY ||
                 json->want == W4_JSON_WANT_KEY_OR_END;
    return is_key ? read_key(json) : read_value(json);
}

enum w4_json_type
w4_json_skip(struct w4_json *json)
{
    unsigned depth = json->depth;
    enum w4_json_type type;
    do {
        type = w4_json_next(json);
    } while (type != W4_JSON_ERROR && json->depth > depth);
    return type;
}
