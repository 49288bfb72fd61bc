/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* GGUF checkpoints of every type and layout, converted: each weight of the
 * container is what the type's definition says, exactly or rounded. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "gguf_model.h"
#include "io/safetensors.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SAME(type)                                                             \
    {                                                                          \
        type, type, type                                                       \
    }

/* How a weight that was written may differ. */
enum check {
    /* Not at all, nor in the sign of 0. */
    BITS,
    /* In the sign of 0. */
    EQUAL,
    /* By half a step of an asymmetric group of 32, 1.5 of a symmetric one. */
    HALF_STEP,
    STEPS
};

/* ------------------------------------------------------------------ weights */

/* What the weights of a row's group may differ by. */
static double
allowed(const double *weights, enum check check)
{
    double min = 0.0;
    double max = 0.0;
    for (size_t i = 0; i < 32; i++) {
        min = fmin(min, weights[i]);
        max = fmax(max, weights[i]);
    }
    /* Scales of 16 bits are a little off. A symmetric group may be cut off 1.5
     * steps early, if its largest number is 8.5. */
    return check == HALF_STEP ? (max - min) / 15 * 0.54
                              : fmax(max, -min) * 1.5 / 8.5 * 1.01;
}

static void
check_row(const struct gguf_model *model, size_t l, size_t expert, int matrix,
        size_t n, const float *got, enum check check)
{
    size_t n_in = gguf_model_columns(&model->spec, matrix);
    double weights[32] = {0};
    double most = 0.0;
    for (size_t i = 0; i < n_in; i++) {
        for (size_t j = 0; i % 32 == 0 && j < 32 && i + j < n_in; j++) {
            weights[j] = gguf_model_weight(model, l, expert, matrix, n, i + j);
        }
        if (check == HALF_STEP || check == STEPS) {
            most = allowed(weights, check);
        }
        double wanted = weights[i % 32];
        float single = (float)wanted;
        int good = check == BITS    ? memcmp(&single, &got[i], 4) == 0
                   : check == EQUAL ? single == got[i]
                                    : fabs((double)got[i] - wanted) <= most;
        /* Each check that is good costs a line to Check, too. */
        if (good) {
            continue;
        }
        ck_abort_msg(
                "types %d %d %d, layout %d: expert %zu, matrix %d, [%zu][%zu] "
                "is %.9g, not %.17g +- %g",
                (int)model->spec.types[0], (int)model->spec.types[1],
                (int)model->spec.types[2], (int)model->spec.layout, expert,
                matrix, n, i, (double)got[i], wanted, most);
    }
}

static w4moe_matrix
get_matrix(const w4moe_file *file, const struct gguf_model *model, size_t l,
        w4moe_which which)
{
    w4moe_matrix m = {.struct_size = sizeof(m)};
    ct_ok(w4moe_file_get_matrix(
            file, &m, (uint32_t)(model->spec.first_layer + l), which));
    return m;
}

static void
check_weights(const w4moe_file *file, const struct gguf_model *model, size_t l,
        enum check check)
{
    const struct gguf_spec *spec = &model->spec;
    size_t n_weights = 2 * spec->inner * spec->hidden;
    float *got = malloc(n_weights * sizeof(*got));
    ck_assert_ptr_nonnull(got);
    for (int which = W4MOE_W13; which <= W4MOE_W2; which++) {
        w4moe_matrix m = get_matrix(file, model, l, (w4moe_which)which);
        ck_assert_uint_eq(m.n_experts, spec->n_experts);
        for (size_t e = 0; e < spec->n_experts; e++) {
            ct_ok(w4moe_dequantize(ct_ctx, got, &m, e));
            for (size_t n = 0; n < m.n_out; n++) {
                int matrix = which == W4MOE_W2 ? GGUF_DOWN
                             : n < spec->inner ? GGUF_GATE
                                               : GGUF_UP;
                check_row(model, l, e, matrix,
                        matrix == GGUF_UP ? n - spec->inner : n,
                        got + n * m.n_in, check);
            }
        }
    }
    free(got);
}

/* An element of an array of fp32 in a file. */
static float
stored(const unsigned char *bytes, size_t i)
{
    return (float)gguf_type_weight(TYPE_F32, bytes, i);
}

static void
check_biases(const w4moe_file *file, const struct gguf_model *model, size_t l)
{
    const struct gguf_spec *spec = &model->spec;
    const struct gguf_layer *layer = &model->layers[l];
    size_t inner = spec->inner;
    w4moe_matrix w13 = get_matrix(file, model, l, W4MOE_W13);
    w4moe_matrix w2 = get_matrix(file, model, l, W4MOE_W2);
    ck_assert_int_eq(w13.bias_dtype, W4MOE_F32);
    ck_assert_int_eq(w2.bias_dtype, W4MOE_F32);
    const float *first = w13.bias;
    const float *second = w2.bias;
    for (size_t e = 0; e < spec->n_experts; e++) {
        for (size_t n = 0; n < inner; n++) {
            ck_assert(first[2 * e * inner + n] ==
                      stored(layer->biases[GGUF_GATE], e * inner + n));
            ck_assert(first[(2 * e + 1) * inner + n] ==
                      stored(layer->biases[GGUF_UP], e * inner + n));
        }
        for (size_t n = 0; n < spec->hidden; n++) {
            ck_assert(second[e * spec->hidden + n] ==
                      stored(layer->biases[GGUF_DOWN], e * spec->hidden + n));
        }
    }
}

/* The router's tensors are in the container as they were. */
static void
check_router(const char *path, const struct gguf_model *model, size_t l)
{
    const struct gguf_spec *spec = &model->spec;
    struct w4_st_set *set = NULL;
    char name[64];
    ct_ok(w4_st_open(NULL, &set, path));
    size_t number = spec->first_layer + l;
    snprintf(name, sizeof(name), "layers.%zu.router.weight", number);
    const struct w4_tensor *weight = w4_st_find(set, name);
    ck_assert_ptr_nonnull(weight);
    ck_assert_int_eq(weight->dtype, W4MOE_F32);
    ck_assert_uint_eq(weight->n_dims, 2);
    ck_assert_uint_eq(weight->shape[0], spec->n_experts);
    ck_assert_uint_eq(weight->shape[1], spec->hidden);
    ck_assert_mem_eq(
            weight->data, model->layers[l].router, (size_t)weight->n_bytes);
    snprintf(name, sizeof(name), "layers.%zu.router.bias", number);
    const struct w4_tensor *bias = w4_st_find(set, name);
    ck_assert_int_eq(bias != NULL, spec->has_bias);
    if (bias != NULL) {
        ck_assert_uint_eq(bias->n_dims, 1);
        ck_assert_uint_eq(bias->n_bytes, 4 * spec->n_experts);
        ck_assert_mem_eq(bias->data, model->layers[l].router_bias,
                (size_t)bias->n_bytes);
    }
    w4_st_close(set);
}

/* Converts a checkpoint and checks all that the container has. */
static void
check_converted(const struct gguf_model *model, const char *path,
        const w4moe_convert_options *options, const char *scheme,
        enum check check)
{
    const struct gguf_spec *spec = &model->spec;
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_file_info info = {.struct_size = sizeof(info)};
    const char *out = test_path("out.safetensors");
    ct_ok(w4moe_convert(ct_ctx, &report, out, path, options));
    ck_assert_uint_eq(report.n_weights_rounded,
            check == BITS || check == EQUAL ? 0 : report.n_weights);
    ck_assert_uint_eq(
            report.n_experts_verified, spec->n_layers * spec->n_experts);
    w4moe_file *file = ct_open(out);
    ct_ok(w4moe_file_get_info(file, &info));
    ck_assert_uint_eq(info.n_layers, spec->n_layers);
    ck_assert_str_eq(info.source_scheme, scheme);
    ck_assert_str_eq(info.model_type, spec->arch);
    for (size_t l = 0; l < spec->n_layers; l++) {
        check_weights(file, model, l, check);
        check_router(out, model, l);
        if (spec->has_bias) {
            check_biases(file, model, l);
        }
    }
    w4moe_file_close(file);
}

static void
check_spec(const struct gguf_spec *spec, const w4moe_convert_options *options,
        const char *scheme, enum check check)
{
    struct gguf_model model;
    gguf_model_make(&model, spec);
    char *path = gguf_model_write(&model, "model");
    check_converted(&model, path, options, scheme, check);
    free(path);
    gguf_model_free(&model);
}

/* -------------------------------------------------------------------- tests */

/* A type, sizes that it can have, and its name. */
static const struct type_case {
    enum gguf_type type;
    size_t hidden;
    size_t inner;
    const char *scheme;
} exact_types[] =
        {
                {TYPE_Q4_0, 160, 96, "gguf Q4_0"},
                {TYPE_Q4_1, 96, 32, "gguf Q4_1"},
                {TYPE_Q4_K, 256, 512, "gguf Q4_K"},
                {TYPE_MXFP4, 64, 160, "gguf MXFP4"},
},
  wide_types[] = {
          {TYPE_Q5_0, 96, 64, "gguf Q5_0"},
          {TYPE_Q5_1, 96, 64, "gguf Q5_1"},
          {TYPE_Q8_0, 64, 96, "gguf Q8_0"},
          {TYPE_IQ4_NL, 64, 96, "gguf IQ4_NL"},
          {TYPE_Q5_K, 256, 256, "gguf Q5_K"},
          {TYPE_Q6_K, 256, 256, "gguf Q6_K"},
          {TYPE_F32, 40, 24, "gguf F32"},
          {TYPE_F16, 40, 24, "gguf F16"},
          {TYPE_BF16, 40, 24, "gguf BF16"},
};

static struct gguf_spec
spec_of(const struct type_case *row)
{
    return (struct gguf_spec){
            .arch = "qwen3moe",
            .types = SAME(row->type),
            .n_layers = 1,
            .n_experts = 3,
            .hidden = row->hidden,
            .inner = row->inner,
    };
}

static w4moe_convert_options
options_of(void)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.force = 1;
    return options;
}

START_TEST(exact)
{
    const struct type_case *row = &exact_types[_i];
    for (int layout = GGUF_FUSED; layout <= GGUF_SINGLE; layout++) {
        for (int order = W4MOE_ORDER_TILE; order <= W4MOE_ORDER_RDNA3;
                order++) {
            w4moe_convert_options options = options_of();
            struct gguf_spec spec = spec_of(row);
            spec.layout = (enum gguf_layout)layout;
            spec.has_bias = layout != order;
            options.order = (w4moe_order)order;
            check_spec(&spec, &options, row->scheme, BITS);
        }
    }
}
END_TEST

START_TEST(rounded)
{
    const struct type_case *row = &wide_types[_i];
    for (int layout = GGUF_FUSED; layout <= GGUF_SINGLE; layout++) {
        w4moe_convert_options options = options_of();
        struct gguf_spec spec = spec_of(row);
        spec.layout = (enum gguf_layout)layout;
        options.requantize = 1;
        check_spec(&spec, &options, row->scheme, STEPS);
        options.asymmetric = 1;
        check_spec(&spec, &options, row->scheme, HALF_STEP);
    }
}
END_TEST

/* Types of one model, as quantisers mix them: -8 * d becomes an offset. */
START_TEST(mixed)
{
    static const struct {
        enum gguf_type types[GGUF_MATRICES];
        const char *scheme;
    } rows[] = {
            {{TYPE_Q4_0, TYPE_Q4_1, TYPE_Q4_K}, "gguf Q4_0+Q4_1+Q4_K"},
            {{TYPE_Q4_0, TYPE_Q4_0, TYPE_Q4_1}, "gguf Q4_0+Q4_1"},
            {{TYPE_Q4_K, TYPE_Q4_0, TYPE_Q4_K}, "gguf Q4_K+Q4_0"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        w4moe_convert_options options = options_of();
        struct gguf_spec spec = spec_of(&exact_types[2]);
        memcpy(spec.types, rows[i].types, sizeof(spec.types));
        check_spec(&spec, &options, rows[i].scheme, EQUAL);
    }
}
END_TEST

/* Gate and up as they are, down rounded. */
START_TEST(mixed_rounded)
{
    static const struct gguf_spec spec = {
            .arch = "qwen3moe",
            .types = {TYPE_Q4_K, TYPE_Q4_K, TYPE_Q6_K},
            .n_layers = 1,
            .n_experts = 2,
            .hidden = 256,
            .inner = 256,
    };
    w4moe_convert_options options = options_of();
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    struct gguf_model model;
    gguf_model_make(&model, &spec);
    char *path = gguf_model_write(&model, "model");
    const char *out = test_path("out.safetensors");
    options.requantize = 1;
    ct_ok(w4moe_convert(ct_ctx, &report, out, path, &options));
    ck_assert_str_eq(report.source_scheme, "gguf Q4_K+Q6_K");
    ck_assert_uint_eq(report.n_weights, 6);
    ck_assert_uint_eq(report.n_weights_rounded, 2);
    ck_assert(report.rounding_error > 0.0 && report.rounding_error < 0.2);
    w4moe_file *file = ct_open(out);
    w4moe_matrix m = get_matrix(file, &model, 0, W4MOE_W13);
    float *got = malloc(m.n_out * m.n_in * sizeof(*got));
    ck_assert_ptr_nonnull(got);
    ct_ok(w4moe_dequantize(ct_ctx, got, &m, 1));
    for (size_t n = 0; n < spec.inner; n++) {
        check_row(&model, 0, 1, GGUF_GATE, n, got + n * m.n_in, BITS);
    }
    free(got);
    w4moe_file_close(file);
    free(path);
    gguf_model_free(&model);
}
END_TEST

/* Layers 2 to 4 in three files, opened by the first and by their folder. */
START_TEST(split)
{
    struct gguf_spec spec = spec_of(&exact_types[3]);
    w4moe_convert_options options = options_of();
    struct gguf_model model;
    spec.arch = "gpt-oss";
    spec.n_layers = 3;
    spec.first_layer = 2;
    spec.has_bias = 1;
    spec.n_files = 3;
    gguf_model_make(&model, &spec);
    test_subfolder(test_path("folder"));
    char *path = gguf_model_write(&model, "folder/model");
    check_converted(&model, path, &options, "gguf MXFP4", BITS);
    char *folder = strdup(test_path("folder"));
    check_converted(&model, folder, &options, "gguf MXFP4", BITS);
    ck_assert_int_eq(remove(test_path("folder/model-00002-of-00003.gguf")), 0);
    ct_refused(w4moe_convert(ct_ctx, NULL, test_path("out.safetensors"), folder,
                       &options),
            W4MOE_FORMAT, "part 2 of 3 is missing");
    free(folder);
    free(path);
    gguf_model_free(&model);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gguf_convert");
    TCase *tc = tcase_create("gguf_convert");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(tc, exact, 0, COUNT(exact_types));
    tcase_add_loop_test(tc, rounded, 0, COUNT(wide_types));
    tcase_add_test(tc, mixed);
    tcase_add_test(tc, mixed_rounded);
    tcase_add_test(tc, split);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
