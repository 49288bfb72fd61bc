/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "contexts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const unsigned context_threads[N_CONTEXTS] = {1, 2, 3, 8};
w4moe_ctx *contexts[N_CONTEXTS];

/* The environment variable that chooses a variant. */
static const char variable[] = "W4MOE_CPU";

/* Text of the last failure of create(). Contexts log to it as long as they
 * live, from any thread: it is written while one is made only. */
static char failure[512];
static int creating;

static void
keep_text(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    (void)level;
    if (creating) {
        snprintf(failure, sizeof(failure), "%s", text);
    }
}

/* w4moe_ctx_create() with a variant of its own, if that is not NULL. */
static w4moe_status
create(w4moe_ctx **ctx_p, const char *variant, unsigned n_threads,
        uint64_t memory_limit)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = n_threads,
            .memory_limit = memory_limit,
            .log = keep_text,
    };
    const char *before = getenv(variable);
    char *kept = before != NULL ? strdup(before) : NULL;
    if (variant != NULL) {
        setenv(variable, variant, 1);
    }
    failure[0] = '\0';
    creating = 1;
    w4moe_status status = w4moe_ctx_create(ctx_p, &options);
    creating = 0;
    if (kept != NULL) {
        setenv(variable, kept, 1);
    } else if (variant != NULL) {
        unsetenv(variable);
    }
    free(kept);
    return status;
}

w4moe_ctx *
context_make(const char *variant, unsigned n_threads, uint64_t memory_limit)
{
    w4moe_ctx *ctx = NULL;
    w4moe_status status = create(&ctx, variant, n_threads, memory_limit);
    if (status == W4MOE_UNSUPPORTED && variant != NULL &&
            strstr(failure, "does not run it") != NULL) {
        return NULL;
    }
    ck_assert_msg(status == W4MOE_OK, "variant %s: %s",
            variant != NULL ? variant : "(any)", failure);
    return ctx;
}

/* A name that is none makes the library list those that it has. */
void
context_list(struct context_variants *variants)
{
    static const char before_list[] = "known: ";
    w4moe_ctx *ctx = NULL;
    ck_assert_int_eq(create(&ctx, "?", 1, 0), W4MOE_UNSUPPORTED);
    const char *found = strstr(failure, before_list);
    ck_assert_msg(found != NULL, "no list of variants: %s", failure);
    char *list = strdup(found + strlen(before_list));
    ck_assert_ptr_nonnull(list);
    char *rest = NULL;
    variants->n = 0;
    for (char *name = strtok_r(list, " ", &rest); name != NULL;
            name = strtok_r(NULL, " ", &rest)) {
        ctx = context_make(name, 1, 0);
        if (ctx == NULL) {
            continue;
        }
        w4moe_ctx_destroy(ctx);
        ck_assert_uint_lt(variants->n, CONTEXT_VARIANTS_MAX);
        snprintf(variants->names[variants->n], sizeof(variants->names[0]), "%s",
                name);
        variants->n++;
    }
    free(list);
    ck_assert_str_eq(variants->names[0], "ref");
}

void
contexts_setup(void)
{
    for (int i = 0; i < N_CONTEXTS; i++) {
        contexts[i] = context_make(NULL, context_threads[i], 0);
    }
}

void
contexts_teardown(void)
{
    for (int i = 0; i < N_CONTEXTS; i++) {
        w4moe_ctx_destroy(contexts[i]);
    }
}
