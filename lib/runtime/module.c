/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "runtime/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/known_answer.h"

/* The module that is being opened. */
struct attempt {
    w4moe_ctx *ctx;
    const char *name;
    char *path;
};

static w4moe_status refuse(const struct attempt *attempt, w4moe_status status,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

static w4moe_status
refuse(const struct attempt *attempt, w4moe_status status, const char *format,
        ...)
{
    char why[W4_ERR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return w4_fail(w4_ctx_err(attempt->ctx), status,
            "backend %s: not used: %s: %s", attempt->name, attempt->path, why);
}

/* Sets the path, absolute. */
static w4moe_status
find(struct attempt *attempt, const char *file)
{
    struct w4_err *err = w4_ctx_err(attempt->ctx);
    const char *folder = secure_getenv("W4MOE_BACKEND_DIR");
    if (folder != NULL && folder[0] != '\0' && folder[0] != '/') {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend %s: not used: W4MOE_BACKEND_DIR is \"%s\", not an "
                "absolute path",
                attempt->name, folder);
    }
    if (folder == NULL || folder[0] == '\0') {
        folder = W4_BACKEND_FOLDER;
    }
    if (asprintf(&attempt->path, "%s/%s", folder, file) < 0) {
        attempt->path = NULL;
        return w4_fail(err, W4MOE_NOMEM, "no memory for the path of %s", file);
    }
    if (access(attempt->path, F_OK) != 0 &&
            (errno == ENOENT || errno == ENOTDIR)) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "backend %s: not installed (%s)",
                attempt->name, attempt->path);
    }
    return W4MOE_OK;
}

/* What dlerror() says, without the path if it begins with that. */
static const char *
loader_text(const struct attempt *attempt)
{
    const char *text = dlerror();
    size_t n = strlen(attempt->path);
    if (text != NULL && strncmp(text, attempt->path, n) == 0 &&
            strncmp(text + n, ": ", 2) == 0) {
        return text + n + 2;
    }
    return text != NULL ? text : "the loader does not say why";
}

/* The text of what the module met; nothing else has failed in this context. */
static const char *
module_text(const struct attempt *attempt, w4moe_status status)
{
    const char *text = w4_err_text(w4_ctx_err(attempt->ctx));
    return text[0] != '\0' ? text : w4moe_status_string(status);
}

/* The name of a function that is missing, NULL if none is. */
static const char *
missing_function(const struct w4_backend_ops *ops)
{
    const struct {
        const char *name;
        int there;
    } all[] = {
            {"open", ops->open != NULL},
            {"close", ops->close != NULL},
            {"describe", ops->describe != NULL},
            {"layer_open", ops->layer_open != NULL},
            {"layer_close", ops->layer_close != NULL},
            {"workspace_size", ops->workspace_size != NULL},
            {"workspace_open", ops->workspace_open != NULL},
            {"workspace_close", ops->workspace_close != NULL},
            {"forward", ops->forward != NULL},
            {"gemm_workspace", ops->gemm_workspace != NULL},
            {"gemm", ops->gemm != NULL},
            {"activate", ops->activate != NULL},
            {"choose", ops->choose != NULL},
            {"combine", ops->combine != NULL},
            {"memory_alloc", ops->memory_alloc != NULL},
            {"memory_free", ops->memory_free != NULL},
            {"memory_copy", ops->memory_copy != NULL},
    };
    _Static_assert(sizeof(*ops) == (1 + sizeof(all) / sizeof(all[0])) *
                                           sizeof(void (*)(void)),
            "every function of struct w4_backend_ops is in the list");
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i].there) {
            return all[i].name;
        }
    }
    return NULL;
}

/* Checks what the module says of itself; nothing but its number is looked at
 * before that is right. */
static w4moe_status
check(const struct attempt *attempt, const struct w4_backend_module *module)
{
    if (module == NULL) {
        return refuse(
                attempt, W4MOE_UNSUPPORTED, "it does not describe itself");
    }
    if (module->abi != W4_BACKEND_ABI) {
        return refuse(attempt, W4MOE_UNSUPPORTED,
                "made for interface %" PRIu32 ", this library has %d",
                module->abi, W4_BACKEND_ABI);
    }
    const struct w4_backend_ops *ops = module->ops;
    if (module->name == NULL || ops == NULL || ops->name == NULL) {
        return refuse(attempt, W4MOE_UNSUPPORTED, "it does not say its %s",
                ops == NULL ? "functions" : "name");
    }
    if (strcmp(module->name, attempt->name) != 0 ||
            strcmp(ops->name, attempt->name) != 0) {
        return refuse(attempt, W4MOE_UNSUPPORTED,
                "it is the backend \"%.32s\" (\"%.32s\")", module->name,
                ops->name);
    }
    const char *missing = missing_function(ops);
    return missing != NULL ? refuse(attempt, W4MOE_UNSUPPORTED,
                                     "it has no function %s", missing)
                           : W4MOE_OK;
}

/* Asks the module for its description. */
static w4moe_status
ask(const struct attempt *attempt, const struct w4_backend_ops **ops_p)
{
    void *symbol =
            dlsym(attempt->ctx->backend->module, W4_BACKEND_MODULE_SYMBOL);
    if (symbol == NULL) {
        return refuse(attempt, W4MOE_UNSUPPORTED, "%s", loader_text(attempt));
    }
    w4_backend_module_fn *describe_module;
    /* ISO C has no conversion from object to function pointers. */
    memcpy(&describe_module, &symbol, sizeof(describe_module));
    const struct w4_backend_module *module = describe_module();
    w4moe_status status = check(attempt, module);
    if (status == W4MOE_OK) {
        *ops_p = module->ops;
    }
    return status;
}

/* The known-answer test. What it takes is given back, and does not count
 * towards the limit of memory. */
static w4moe_status
test(const struct attempt *attempt)
{
    w4moe_ctx *ctx = attempt->ctx;
    uint64_t limit = ctx->state->mem.limit;
    ctx->state->mem.limit = 0;
    w4moe_status status = w4_known_answer(ctx);
    ctx->state->mem.limit = limit;
    if (status == W4MOE_OK) {
        return status;
    }
    int machine = status == W4MOE_DEVICE || status == W4MOE_NOMEM;
    return refuse(attempt, machine ? status : W4MOE_UNSUPPORTED,
            "known-answer test: %s", module_text(attempt, status));
}

/* Opens and tests what has been loaded. */
static w4moe_status
start(const struct attempt *attempt, const w4moe_ctx_options *options)
{
    struct w4_backend *backend = attempt->ctx->backend;
    const struct w4_backend_ops *ops = NULL;
    w4moe_status status = ask(attempt, &ops);
    if (status != W4MOE_OK) {
        return status;
    }
    status = ops->open(attempt->ctx, &backend->state, options);
    if (status != W4MOE_OK) {
        return refuse(attempt, status, "%s", module_text(attempt, status));
    }
    backend->ops = ops;
    return test(attempt);
}

w4moe_status
w4_module_open(w4moe_ctx *ctx, const char *name, const char *file,
        const w4moe_ctx_options *options)
{
    struct attempt attempt = {.ctx = ctx, .name = name};
    w4moe_status status = find(&attempt, file);
    if (status == W4MOE_OK) {
        ctx->backend->module = dlopen(attempt.path, RTLD_NOW | RTLD_LOCAL);
        status = ctx->backend->module != NULL
                         ? start(&attempt, options)
                         : refuse(&attempt, W4MOE_UNSUPPORTED, "%s",
                                   loader_text(&attempt));
    }
    if (status != W4MOE_OK) {
        w4_backend_close(ctx);
    }
    free(attempt.path);
    return status;
}

void
w4_backend_close(w4moe_ctx *ctx)
{
    struct w4_backend *backend = ctx->backend;
    if (backend->ops != NULL) {
        backend->ops->close(backend->state);
    }
    if (backend->module != NULL) {
        dlclose(backend->module);
    }
    *backend = (struct w4_backend){0};
}
