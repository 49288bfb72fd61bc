/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Configs for tests, from texts of JSON in which ' stands for ". Whatever goes
 * wrong here fails the test.
 */
#ifndef W4_TESTS_CONFIG_CASE_H
#define W4_TESTS_CONFIG_CASE_H

#include <jansson.h>

#include "format/model_config.h"

/** A copy with " for '; free it. */
extern char *config_quoted(const char *text);

/** Parses any value; release it with json_decref(). */
extern json_t *config_parse(const char *text);

/** Sets the value at a path such as "a/b"; value NULL removes it, and what is
 * not there may be removed. */
extern void config_edit(json_t *root, const char *path, const char *value);

/** Writes a config.json into the test's folder. Returns: its path. */
extern const char *config_write(const json_t *root);

/** Must be read. */
extern struct w4_model_config config_accepted(const char *path);

/** Must be refused with this status, a text that begins with place and
 * contains `text`, and nothing written. */
extern void config_refused_at(const char *path, w4moe_status status,
        const char *place, const char *text);

/** The same, with a text that begins with the path. */
extern void config_refused(
        const char *path, w4moe_status status, const char *text);

#endif
