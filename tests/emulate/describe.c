/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Prints what a context says about itself, among it the kernels that are in
 * use; or why there is none. For dispatch.sh. */
#include <stdio.h>
#include <w4moe.h>

static void
print_error(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int
main(void)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .log = print_error,
    };
    w4moe_ctx *ctx = NULL;
    if (w4moe_ctx_create(&ctx, &options) != W4MOE_OK) {
        return 1;
    }
    fputs(w4moe_ctx_describe(ctx), stdout);
    w4moe_ctx_destroy(ctx);
    return 0;
}
