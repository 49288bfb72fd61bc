/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gguf_case.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

w4moe_convert_options case_options;
struct gguf_build case_build;

void
case_setup(void)
{
    ct_ctx_setup();
    case_options = ct_options(W4MOE_ORDER_TILE);
    case_options.dry_run = 1;
}

void
case_key(const char *arch, const char *name, uint32_t value)
{
    char text[64];
    snprintf(text, sizeof(text), "%s.%s", arch, name);
    gguf_uint32(&case_build, text, value);
}

void
case_begin(const char *arch, const char *without)
{
    static const struct {
        const char *name;
        uint32_t value;
    } keys[] = {
            {"block_count", 2},
            {"embedding_length", H},
            {"expert_count", E},
            {"expert_used_count", 2},
            {"expert_feed_forward_length", I},
    };
    gguf_begin(&case_build);
    gguf_string(&case_build, "general.architecture", arch);
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (without == NULL || strcmp(keys[i].name, without) != 0) {
            case_key(arch, keys[i].name, keys[i].value);
        }
    }
}

void
case_tensor(
        const char *name, enum gguf_type type, size_t n0, size_t n1, size_t n2)
{
    const uint64_t shape[] = {n0, n1, n2};
    gguf_tensor(&case_build, name, type, 3, shape, NULL,
            gguf_type_bytes(type, n0 * n1 * n2));
}

void
case_experts(unsigned layer, enum gguf_type type, const char *without)
{
    static const char *const words[] = {"gate", "up", "down"};
    for (size_t m = 0; m < COUNT(words); m++) {
        char name[64];
        int down = m == 2;
        snprintf(name, sizeof(name), "blk.%u.ffn_%s_exps.weight", layer,
                words[m]);
        if (without == NULL || strcmp(words[m], without) != 0) {
            case_tensor(name, type, down ? I : H, down ? H : I, E);
        }
    }
}

w4moe_status
case_convert(w4moe_convert_report *report)
{
    return w4moe_convert(ct_ctx, report, NULL,
            gguf_write(&case_build, test_path("model.gguf")), &case_options);
}

void
case_refused(w4moe_status status, const char *text)
{
    ct_refused(case_convert(NULL), status, text);
}
