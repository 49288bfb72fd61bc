/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "ct_container.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

w4moe_ctx *ct_ctx;

void
ct_ctx_setup(void)
{
    const w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "cpu", .n_threads = 1};
    ck_assert_int_eq(w4moe_ctx_create(&ct_ctx, &options), W4MOE_OK);
}

void
ct_ctx_teardown(void)
{
    w4moe_ctx_destroy(ct_ctx);
}

void
ct_ok(w4moe_status status)
{
    ck_assert_msg(status == W4MOE_OK, "%s: %s", w4moe_status_string(status),
            w4moe_ctx_error(ct_ctx));
}

void
ct_refused(w4moe_status status, w4moe_status expected, const char *text)
{
    const char *said = w4moe_ctx_error(ct_ctx);
    ck_assert_msg(status == expected && strstr(said, text) != NULL,
            "%s, expected %s (\"%s\"): %s", w4moe_status_string(status),
            w4moe_status_string(expected), text, said);
}

w4moe_convert_options
ct_options(w4moe_order order)
{
    w4moe_convert_options options = {
            .struct_size = sizeof(options), .order = order};
    return options;
}

void
ct_convert(const struct ct_model *model, w4moe_order order, const char *name)
{
    w4moe_convert_options options = ct_options(order);
    options.force = 1;
    const char *folder = test_subfolder(test_path("%s.in", name));
    ct_model_write(model, folder);
    ct_ok(w4moe_convert(ct_ctx, NULL, test_path("%s", name), folder, &options));
}

w4moe_file *
ct_open(const char *path)
{
    w4moe_file *file = NULL;
    ct_ok(w4moe_file_open(ct_ctx, &file, path));
    return file;
}

static int
has_matrix(const w4moe_file *file, const struct ct_model *model, size_t i,
        w4moe_which which)
{
    const struct ct_spec *spec = &model->spec;
    w4moe_matrix m = {.struct_size = sizeof(m)};
    size_t n_out = which == W4MOE_W13 ? 2 * spec->intermediate : spec->hidden;
    size_t n_in = which == W4MOE_W13 ? spec->hidden : spec->intermediate;
    ct_ok(w4moe_file_get_matrix(file, &m, ct_model_layer(model, i), which));
    if (m.n_experts != spec->n_experts || m.n_out != n_out || m.n_in != n_in) {
        return 0;
    }
    size_t n_bytes = n_out * n_in * sizeof(float);
    float *got = malloc(n_bytes);
    ck_assert_ptr_nonnull(got);
    int same = 1;
    for (size_t e = 0; e < spec->n_experts && same; e++) {
        float *expected = ct_model_expected(model, i, e, which);
        ct_ok(w4moe_dequantize(ct_ctx, got, &m, e));
        same = memcmp(got, expected, n_bytes) == 0;
        free(expected);
    }
    free(got);
    return same;
}

int
ct_has_weights(const w4moe_file *file, const struct ct_model *model)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_file_get_info(file, &info));
    int same = info.n_layers == model->spec.n_layers;
    for (size_t i = 0; i < model->spec.n_layers && same; i++) {
        same = info.layers[i] == ct_model_layer(model, i) &&
               has_matrix(file, model, i, W4MOE_W13) &&
               has_matrix(file, model, i, W4MOE_W2);
    }
    return same;
}

/* Three tokens, and two experts each, in bf16. */
static void
forward(const w4moe_layer *layer, const w4moe_file_info *info)
{
    enum { T = 3, TOP_K = 2 };
    w4moe_workspace *ws = NULL;
    size_t n = T * info->hidden_size;
    uint16_t *x = malloc(n * sizeof(*x));
    uint16_t *out = malloc(n * sizeof(*out));
    ck_assert(x != NULL && out != NULL);
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint16_t)(0x3F00 + i % 200);
    }
    int32_t ids[T * TOP_K];
    float weights[T * TOP_K];
    for (size_t s = 0; s < T * TOP_K; s++) {
        ids[s] = (int32_t)(s % info->n_experts);
        weights[s] = 0.5f;
    }
    const w4moe_forward_args args = {.struct_size = sizeof(args),
            .out = out,
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = TOP_K,
            .ids = ids,
            .weights = weights};
    if (w4moe_workspace_create(layer, &ws, T, TOP_K) == W4MOE_OK) {
        ct_ok(w4moe_forward(layer, ws, &args));
    }
    w4moe_workspace_destroy(ws);
    free(out);
    free(x);
}

void
ct_use(const w4moe_file *file)
{
    w4moe_file_info info = {.struct_size = sizeof(info)};
    ct_ok(w4moe_file_get_info(file, &info));
    w4moe_status status = w4moe_file_verify(file);
    ck_assert(status == W4MOE_OK || status == W4MOE_MISMATCH);
    for (size_t i = 0; i < info.n_layers; i++) {
        w4moe_layer *layer = NULL;
        if (w4moe_layer_load(ct_ctx, &layer, file, info.layers[i], 0) ==
                W4MOE_OK) {
            forward(layer, &info);
        }
        w4moe_layer_destroy(layer);
    }
}
