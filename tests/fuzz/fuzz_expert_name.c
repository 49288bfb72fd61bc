/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names of tensors: what is found in one stands in it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/expert_name.h"
#include "fuzz.h"

/* Whether "WORD.NUMBER." stands somewhere in a text before `end`. */
static int
stands_in(const char *text, const char *end, const char *word, uint32_t number)
{
    char expected[32];
    snprintf(expected, sizeof(expected), "%s.%" PRIu32 ".", word, number);
    const char *at = strstr(text, expected);
    return at != NULL && at + strlen(expected) <= end;
}

static void
check_expert(const char *name, const struct w4_name *parsed)
{
    static const char *const words[W4_N_PROJECTIONS][2] = {
            {"gate_proj", "w1"}, {"up_proj", "w3"}, {"down_proj", "w2"}};
    const char *const *own = words[parsed->projection];
    int found = 0;
    FUZZ_CHECK(stands_in(name, parsed->tensor, "experts", parsed->expert));
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(own[i]);
        found |= (size_t)(parsed->tensor - name) > n + 1 &&
                 strncmp(parsed->tensor - n - 1, own[i], n) == 0;
    }
    FUZZ_CHECK(found);
}

static void
check_name(const char *name)
{
    struct w4_name parsed = w4_name_parse(name);
    const char *end = name + strlen(name);
    if (parsed.kind == W4_NAME_OTHER) {
        return;
    }
    FUZZ_CHECK(parsed.prefix == name);
    FUZZ_CHECK(parsed.prefix_length < (size_t)(end - name));
    FUZZ_CHECK(
            parsed.prefix_length == 0 || name[parsed.prefix_length - 1] == '.');
    const char *layer = name + parsed.prefix_length;
    /* The second is GPT-OSS's own. */
    const char *word = strncmp(layer, "layers.", 7) == 0 ? "layers" : "block";
    FUZZ_CHECK(strncmp(layer, word, strlen(word)) == 0);
    FUZZ_CHECK(stands_in(layer, end, word, parsed.layer));
    FUZZ_CHECK(parsed.layer < 1000000000 && parsed.expert < 1000000000);
    FUZZ_CHECK(parsed.tensor > layer && parsed.tensor <= end);
    FUZZ_CHECK(parsed.tensor[-1] == '.');
    if (parsed.kind == W4_NAME_EXPERT) {
        FUZZ_CHECK((unsigned)parsed.projection < W4_N_PROJECTIONS);
        FUZZ_CHECK(w4_projection_name(parsed.projection) != NULL);
        check_expert(name, &parsed);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Of its own size, so that a read behind it is seen. */
    char *name = malloc(size + 1);
    FUZZ_CHECK(name != NULL);
    if (size > 0) {
        memcpy(name, data, size);
    }
    name[size] = '\0';
    check_name(name);
    free(name);
    return 0;
}
