/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "content.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "sink.h"

/* ------------------------------------------------------------------ reading */

static int
is_pad(const char *name)
{
    return strncmp(name, "pad.", 4) == 0;
}

/* Bits of an element, of any type that has whole bytes in `tensor`; 0 if it has
 * no element that would tell. */
static uint64_t
element_bits(const struct w4_tensor *tensor)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        n *= tensor->shape[i];
    }
    return n == 0 ? 8 * w4moe_dtype_size(tensor->dtype)
                  : tensor->n_bytes * 8 / n;
}

int
fuzz_content_read(struct fuzz_content *c, const struct w4_st_set *set)
{
    const char *key;
    for (size_t i = 0; i < w4_st_count(set); i++) {
        const struct w4_tensor *tensor = w4_st_at(set, i);
        struct fuzz_item *item = &c->items[c->n_items];
        if (is_pad(tensor->name)) {
            continue;
        }
        if (c->n_items == FUZZ_TENSORS_MAX ||
                strlen(tensor->name) >= FUZZ_TEXT) {
            return 0;
        }
        strcpy(item->name, tensor->name);
        item->dtype = tensor->dtype_name;
        item->bits = element_bits(tensor);
        item->n_dims = tensor->n_dims;
        memcpy(item->shape, tensor->shape, sizeof(item->shape));
        item->data = tensor->data;
        item->n_data = item->n_bytes = tensor->n_bytes;
        c->n_items++;
    }
    for (size_t i = 0; (key = w4_st_metadata_key(set, i)) != NULL; i++) {
        const char *value = w4_st_metadata(set, key);
        if (i == FUZZ_KEYS_MAX || strlen(key) >= FUZZ_TEXT ||
                strlen(value) >= FUZZ_TEXT) {
            return 0;
        }
        strcpy(c->texts[i].key, key);
        strcpy(c->texts[i].value, value);
        c->n_texts++;
    }
    return c->n_items > 0;
}

/* ------------------------------------------------------------------ writing */

static void
put_text(struct sink *sink, const char *text)
{
    sink_put(sink, text, strlen(text));
}

static void
put_string(struct sink *sink, const char *text)
{
    put_text(sink, "\"");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char escape[8];
        snprintf(escape, sizeof(escape), "\\u%04x", byte);
        int is_plain =
                byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
        sink_put(sink, is_plain ? text : escape, is_plain ? 1 : 6);
    }
    put_text(sink, "\"");
}

static void
put_entry(struct sink *sink, const struct fuzz_item *item, uint64_t begin)
{
    char text[96];
    put_string(sink, item->name);
    snprintf(text, sizeof(text), ":{\"dtype\":\"%s\",\"shape\":[", item->dtype);
    put_text(sink, text);
    for (uint32_t i = 0; i < item->n_dims; i++) {
        snprintf(text, sizeof(text), "%s%" PRIu64, i == 0 ? "" : ",",
                item->shape[i]);
        put_text(sink, text);
    }
    snprintf(text, sizeof(text),
            "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]},", begin,
            begin + item->n_bytes);
    put_text(sink, text);
}

static struct fuzz_item
pad_of(size_t i, uint64_t n_bytes)
{
    static const uint8_t zeros[64];
    struct fuzz_item pad = {.dtype = "U8", .n_dims = 1, .data = zeros};
    snprintf(pad.name, sizeof(pad.name), "pad.%zu", i);
    pad.shape[0] = pad.n_bytes = (64 - n_bytes % 64) % 64;
    return pad;
}

static void
put_header(struct sink *sink, const struct fuzz_content *c)
{
    uint64_t begin = 0;
    sink_put(sink, "\0\0\0\0\0\0\0", 8);
    put_text(sink, "{");
    for (size_t i = 0; i < c->n_items; i++) {
        struct fuzz_item pad = pad_of(i, c->items[i].n_bytes);
        put_entry(sink, &c->items[i], begin);
        begin += c->items[i].n_bytes;
        if (pad.n_bytes != 0) {
            put_entry(sink, &pad, begin);
            begin += pad.n_bytes;
        }
    }
    put_text(sink, "\"__metadata__\":{");
    for (size_t i = 0; i < c->n_texts; i++) {
        put_text(sink, i == 0 ? "" : ",");
        put_string(sink, c->texts[i].key);
        put_text(sink, ":");
        put_string(sink, c->texts[i].value);
    }
    put_text(sink, "}}");
    while (sink->size < sink->room && sink->size % 64 != 0) {
        put_text(sink, " ");
    }
}

/* Of an empty tensor that became longer the data are 1. */
static void
put_data(struct sink *sink, const struct fuzz_item *item)
{
    static const uint8_t one = 1;
    uint64_t n_data = item->n_data != 0 ? item->n_data : 1;
    const uint8_t *data = item->n_data != 0 ? item->data : &one;
    for (uint64_t at = 0; at < item->n_bytes && sink->size < sink->room;
            at += n_data) {
        uint64_t left = item->n_bytes - at;
        sink_put(sink, data, (size_t)(left < n_data ? left : n_data));
    }
}

size_t
fuzz_content_write(const struct fuzz_content *c, uint8_t *out, size_t room)
{
    struct sink sink = {out, room, 0};
    put_header(&sink, c);
    size_t n_header = sink.size;
    for (size_t i = 0; i < c->n_items; i++) {
        struct fuzz_item pad = pad_of(i, c->items[i].n_bytes);
        put_data(&sink, &c->items[i]);
        sink_put(&sink, pad.data, (size_t)pad.n_bytes);
    }
    if (sink.size >= room) {
        return 0;
    }
    w4_store_le64(out, n_header - 8);
    return sink.size;
}
