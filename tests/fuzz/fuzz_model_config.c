/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json as foreign bytes: what is read is within the bounds that the
 * converter counts on. */
#include <math.h>
#include <string.h>

#include "format/model_config.h"
#include "fuzz.h"

static void
check_size(size_t n)
{
    FUZZ_CHECK(n > 0 && n <= INT32_MAX);
}

static void
check_number(float value)
{
    FUZZ_CHECK(isfinite(value) && value >= 0.0f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct w4_model_config config;
    const char *path = fuzz_file(data, size);
    memset(&config, 0xA5, sizeof(config));
    fuzz_memory_begin();
    w4moe_status status = w4_model_config_read(fuzz_err(), &config, path);
    /* An object of three bytes, "{},", has a table of its own in jansson. */
    fuzz_memory_end(size, 128, 65536);
    if (!fuzz_status(status, FUZZ_READER)) {
        return 0;
    }
    check_size(config.n_experts);
    check_size(config.top_k);
    check_size(config.hidden_size);
    check_size(config.intermediate_size);
    FUZZ_CHECK(config.top_k <= config.n_experts);
    FUZZ_CHECK(config.n_group_sizes <= W4_GROUP_SIZES_MAX);
    for (size_t i = 0; i < config.n_group_sizes; i++) {
        FUZZ_CHECK(config.group_sizes[i] % 8 == 0 &&
                   config.group_sizes[i] <= INT32_MAX);
    }
    FUZZ_CHECK(memchr(config.model_type, 0, sizeof(config.model_type)) != NULL);
    FUZZ_CHECK(memchr(config.scheme, 0, sizeof(config.scheme)) != NULL);
    FUZZ_CHECK(config.activation.struct_size == sizeof(config.activation));
    FUZZ_CHECK(w4moe_activation_name(config.activation.kind) != NULL);
    check_number(config.activation.limit);
    check_number(config.activation.alpha);
    check_number(config.activation.beta);
    check_number(config.activation.linear_beta);
    FUZZ_CHECK(config.router.struct_size == sizeof(config.router));
    FUZZ_CHECK(w4moe_router_name(config.router.kind) != NULL);
    check_number(config.router.scale);
    FUZZ_CHECK(config.symmetric == 0 || config.symmetric == 1);
    return 0;
}
