/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "config_case.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

char *
config_quoted(const char *text)
{
    char *copy = strdup(text);
    ck_assert_ptr_nonnull(copy);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

json_t *
config_parse(const char *text)
{
    char *copy = config_quoted(text);
    json_t *json = json_loads(copy, JSON_DECODE_ANY, NULL);
    ck_assert_msg(json != NULL, "%s", text);
    free(copy);
    return json;
}

void
config_edit(json_t *root, const char *path, const char *value)
{
    char word[64];
    for (const char *slash = strchr(path, '/'); slash != NULL;
            slash = strchr(path, '/')) {
        memcpy(word, path, (size_t)(slash - path));
        word[slash - path] = '\0';
        root = json_object_get(root, word);
        ck_assert_msg(root != NULL, "no %s", word);
        path = slash + 1;
    }
    if (value == NULL) {
        json_object_del(root, path);
    } else {
        ck_assert_int_eq(
                json_object_set_new(root, path, config_parse(value)), 0);
    }
}

const char *
config_write(const json_t *root)
{
    const char *path = test_path("config.json");
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    return path;
}

struct w4_model_config
config_accepted(const char *path)
{
    struct w4_err err;
    struct w4_model_config config;
    w4_err_init(&err, NULL, NULL);
    memset(&config, 0xEE, sizeof(config));
    ck_assert_msg(w4_model_config_read(&err, &config, path) == W4MOE_OK, "%s",
            w4_err_text(&err));
    w4_err_fini(&err);
    return config;
}

void
config_refused_at(const char *path, w4moe_status status, const char *place,
        const char *text)
{
    struct w4_err err;
    struct w4_model_config config;
    struct w4_model_config before;
    w4_err_init(&err, NULL, NULL);
    memset(&config, 0xEE, sizeof(config));
    memset(&before, 0xEE, sizeof(before));
    w4moe_status got = w4_model_config_read(&err, &config, path);
    const char *said = w4_err_text(&err);
    ck_assert_msg(got == status && strstr(said, text) != NULL,
            "status %d, expected %d (\"%s\"): %s", (int)got, (int)status, text,
            said);
    ck_assert_msg(strncmp(said, place, strlen(place)) == 0, "%s", said);
    ck_assert_mem_eq(&config, &before, sizeof(config));
    w4_err_fini(&err);
}

void
config_refused(const char *path, w4moe_status status, const char *text)
{
    config_refused_at(path, status, path, text);
}
