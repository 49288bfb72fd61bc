/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Where fuzzing begins: what the tests read anyway, each in the form that a
 * target takes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conversion.h"
#include "ct_container.h"
#include "fuzz.h"
#include "gguf_model.h"
#include "io/gguf.h"
#include "seed_models.h"
#include "st_helpers.h"
#include "test_folder.h"

/* Where the seeds of one target go. */
struct taker {
    fuzz_seed_fn *take;
    void *user;
};

static void
give(const struct taker *to, const char *name, const void *data, size_t size)
{
    to->take(to->user, name, data, size);
}

static void
give_file(const struct taker *to, const char *name, const char *path)
{
    size_t size;
    unsigned char *data = test_file_read(path, &size);
    give(to, name, data, size);
    free(data);
}

/* A file of each checkpoint in tests/data. */
static void
give_data(const struct taker *to, const char *file)
{
    static const char *const folders[] = {"ct-actorder-g64-bf16",
            "ct-asym-g64-fp16", "ct-channel-bf16-single", "ct-sym-g128-fp16",
            "ct-sym-g32-bf16"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "tests/data/%s/%s", folders[i], file);
        if (test_file_exists(test_source_path(path))) {
            give_file(to, folders[i], test_source_path(path));
        }
    }
}

/* The tests' own checkpoints, as folders, one file in each; instead of the
 * largest one that has a whole tile. */
static void
each_model(const struct taker *to,
        void (*use)(const struct taker *to, const struct ct_model *model))
{
    static const struct ct_spec tile = {
            "a tile", CT_MIXTRAL, 1, 0, 2, 128, 64, 64, W4MOE_F32, 0, 0, 0, 1};
    for (int i = 0; i < CT_N_SPECS; i++) {
        struct ct_spec spec = i < CT_N_SPECS - 1 ? ct_specs[i] : tile;
        struct ct_model model;
        spec.n_files = 1;
        ct_model_make(&model, &spec);
        ct_model_write(&model, test_subfolder(test_path("model")));
        use(to, &model);
        ct_model_free(&model);
    }
}

/* ----------------------------------------------------------------- targets */

static void
give_weights(const struct taker *to, const struct ct_model *model)
{
    give_file(to, model->spec.label, test_path("model/model.safetensors"));
}

static void
st_header(const struct taker *to)
{
    /* As the tests of lib/io have it: ' stands for ". */
    unsigned char file[8 + 512 + ST_SMALL_DATA] = {0};
    size_t n = strlen(st_small);
    ck_assert_uint_le(n, 512);
    file[0] = (unsigned char)n;
    file[1] = (unsigned char)(n >> 8);
    for (size_t i = 0; i < n; i++) {
        char c = st_small[i];
        file[8 + i] = (unsigned char)(c == '\'' ? '"' : c);
    }
    give(to, "small", file, 8 + n + ST_SMALL_DATA);
    each_model(to, give_weights);
}

static void
st_index(const struct taker *to)
{
    give_data(to, "model.safetensors.index.json");
}

static void
model_config(const struct taker *to)
{
    give_data(to, "config.json");
}

static void
json_scan(const struct taker *to)
{
    static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null,{}],"
                               "\"\\u00e9\\ud83d\\ude00\\n\":\"\\\\\"} ";
    give(to, "values", text, sizeof(text) - 1);
    model_config(to);
    st_index(to);
}

static void
expert_name(const struct taker *to)
{
    static const char *const names[] = {
            "model.layers.0.mlp.experts.7.gate_proj.weight_packed",
            "layers.11.block_sparse_moe.experts.0.w2.weight_scale",
            "model.layers.3.mlp.gate.e_score_correction_bias",
            "language_model.model.layers.1.feed_forward.router.weight",
            "mtp.layers.0.mlp.experts.1.up_proj.weight_packed",
            "model.layers.1.mlp.shared_experts.gate_proj.weight",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        give(to, names[i], names[i], strlen(names[i]));
    }
}

/* What no checkpoint has yet that is converted: biases, and codes E2M1. */
static void
give_rest(const struct taker *to, const struct ct_model *model)
{
    const struct ct_spec *spec = &model->spec;
    static const unsigned char zeros[4096];
    struct mini mini;
    mini_read(&mini, test_path("seed.safetensors"));
    for (int i = 0; i < 2; i++) {
        static const char *const names[] = {
                "layers.0.w13.bias", "layers.0.w2.bias"};
        const uint64_t shape[2] = {spec->n_experts,
                i == 0 ? 2 * spec->intermediate : spec->hidden};
        size_t n_bytes = 4 * (size_t)(shape[0] * shape[1]);
        ck_assert_uint_le(n_bytes, sizeof(zeros));
        mini_add(&mini, names[i], "F32", 2, shape, zeros, n_bytes);
        char key[64];
        snprintf(key, sizeof(key), "xxh3.%s", names[i]);
        mini_set(&mini, key, "0");
    }
    mini_set(&mini, "code", "e2m1");
    const char *path = test_path("rest.safetensors");
    mini_write(&mini, path, 64);
    give_file(to, "E2M1 and biases", path);
    mini_free(&mini);
}

static void
give_containers(const struct taker *to, const struct ct_model *model)
{
    static const w4moe_order orders[] = {W4MOE_ORDER_TILE, W4MOE_ORDER_RDNA3};
    for (int i = 0; i < 2; i++) {
        ct_convert(model, orders[i], "seed.safetensors");
        give_file(to, model->spec.label, test_path("seed.safetensors"));
        if (i == 0 && !model->spec.zero_points && model->spec.n_layers == 1) {
            give_rest(to, model);
        }
    }
}

static void
container(const struct taker *to)
{
    ct_ctx_setup();
    each_model(to, give_containers);
    ct_ctx_teardown();
}

/* Files of the folder "model" as one input. */
static void
give_files(const struct taker *to, const char *name, const char *const *files,
        size_t n)
{
    struct fuzz_part parts[FUZZ_PARTS_MAX];
    unsigned char *bytes[FUZZ_PARTS_MAX];
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        bytes[i] =
                test_file_read(test_path("model/%s", files[i]), &parts[i].size);
        parts[i].data = bytes[i];
        size += 4 + parts[i].size;
    }
    unsigned char *input = malloc(size);
    ck_assert_ptr_nonnull(input);
    give(to, name, input, fuzz_join(input, size, parts, n));
    free(input);
    for (size_t i = 0; i < n; i++) {
        free(bytes[i]);
    }
}

/* Options, config.json and model.safetensors of the folder. */
static void
give_options(const struct taker *to, const char *name, const char *options,
        size_t n_options)
{
    static const char *const files[] = {
            "options", "config.json", "model.safetensors"};
    test_file_write(test_path("model/options"), options, n_options);
    give_files(to, name, files, 3);
}

static void
give_checkpoint(const struct taker *to, const struct ct_model *model)
{
    give_options(to, model->spec.label, "", 0);
}

/* A container in place of the checkpoint that it is made of. */
static void
give_container_source(const struct taker *to, const struct ct_model *model)
{
    size_t size;
    ct_convert(model, W4MOE_ORDER_TILE, "seed.safetensors");
    unsigned char *data = test_file_read(test_path("seed.safetensors"), &size);
    test_file_write(test_path("model/model.safetensors"), data, size);
    free(data);
    give_options(to, "container", "\1", 1);
}

/* The other schemes. Each must be one that is converted. */
static void
give_schemes(const struct taker *to)
{
    /* Zero points and a group length; the second expert, with a map. */
    static const char asymmetric[] = {2, 0, 1};
    static const char second[] = "\xd\x11\0{part} {part} # as it is\n";
    for (size_t i = 0; i < seed_model_count(); i++) {
        struct mini mini;
        const char *config;
        w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
        const char *label = seed_model_make(i, &mini, &config);
        mini_write(&mini, test_path("model/model.safetensors"), 64);
        mini_free(&mini);
        test_file_write(test_path("model/config.json"), config, strlen(config));
        options.dry_run = 1;
        ct_ok(w4moe_convert(ct_ctx, NULL, NULL, test_path("model"), &options));
        give_options(to, label, i % 2 == 0 ? asymmetric : second,
                i % 2 == 0 ? sizeof(asymmetric) : sizeof(second) - 1);
    }
}

static void
checkpoint(const struct taker *to)
{
    ct_ctx_setup();
    each_model(to, give_checkpoint);
    each_model(to, give_container_source);
    give_schemes(to);
    ct_ctx_teardown();
}

static void
gguf(const struct taker *to)
{
    /* In ggml's order, whole blocks of the type. */
    static const uint64_t shape[4] = {256, 2, 3, 1};
    static const uint64_t numbers[3] = {1, 2, 65535};
    static const char *const texts[2] = {"a", ""};
    struct gguf_build build;
    size_t size;
    gguf_begin(&build);
    gguf_string(&build, "general.architecture", "qwen3moe");
    gguf_uint32(&build, "general.alignment", 32);
    gguf_float32(&build, "qwen3moe.rope.freq_base", 1e6f);
    gguf_float64(&build, "a.double", 0.5);
    gguf_bool(&build, "a.bool", 1);
    gguf_array(&build, "an.array", W4_GGUF_VALUE_UINT16, 2, numbers, 3);
    gguf_strings(&build, "tokenizer.ggml.tokens", texts, 2);
    gguf_tensor(&build, "blk.0.ffn_gate_exps.weight", W4_GGUF_Q4_K, 3, shape,
            NULL, 6 * 144);
    gguf_tensor(&build, "blk.0.ffn_gate_inp.weight", W4_GGUF_F32, 2, shape,
            NULL, 2048);
    gguf_tensor(
            &build, "output_norm.weight", W4_GGUF_BF16, 1, shape, NULL, 512);
    unsigned char *file = gguf_finish(&build, &size);
    give(to, "all kinds of values", file, size);
    free(file);
    gguf_begin(&build);
    gguf_split(&build, 0, 2, 1);
    file = gguf_finish(&build, &size);
    give(to, "first part", file, size);
    free(file);
}

/* Every type that is converted and each layout, as options and a file. */
static void
gguf_checkpoint(const struct taker *to)
{
    static const char *const files[] = {"options", "model.gguf"};
    static const struct gguf_spec specs[] = {
            {"qwen3moe", GGUF_FUSED, {TYPE_Q4_0, TYPE_Q4_0, TYPE_Q4_1}, 1, 0, 2,
                    64, 32, 0, 1},
            {"deepseek2", GGUF_GATE_UP, {TYPE_Q5_0, TYPE_Q5_0, TYPE_Q8_0}, 1, 1,
                    2, 64, 32, 0, 1},
            {"llama", GGUF_SINGLE, {TYPE_Q5_1, TYPE_IQ4_NL, TYPE_BF16}, 1, 0, 2,
                    32, 32, 0, 1},
            {"gpt-oss", GGUF_FUSED, {TYPE_MXFP4, TYPE_MXFP4, TYPE_MXFP4}, 1, 0,
                    2, 64, 32, 1, 1},
            {"qwen2moe", GGUF_FUSED, {TYPE_Q4_K, TYPE_Q5_K, TYPE_F16}, 1, 0, 2,
                    256, 8, 0, 1},
            {"olmoe", GGUF_SINGLE, {TYPE_Q6_K, TYPE_Q4_K, TYPE_F32}, 1, 0, 2,
                    256, 8, 0, 1},
    };
    static const char options[] = {FUZZ_REQUANTIZE, 0, 0};
    ct_ctx_setup();
    test_subfolder(test_path("model"));
    test_file_write(test_path("model/options"), options, sizeof(options));
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct gguf_model model;
        gguf_model_make(&model, &specs[i]);
        char *path = gguf_model_write(&model, "model/model");
        w4moe_convert_options converted = ct_options(W4MOE_ORDER_TILE);
        converted.dry_run = converted.requantize = 1;
        ct_ok(w4moe_convert(ct_ctx, NULL, NULL, path, &converted));
        give_files(to, specs[i].arch, files, 2);
        free(path);
        gguf_model_free(&model);
    }
    ct_ctx_teardown();
}

static void
name_map(const struct taker *to)
{
    static const char text[] =
            "model.layers.3.mlp.experts.17.linear_fc1.weight\n"
            "# comment\n\n"
            "model.layers.{l}.mlp.experts.{e}.linear_fc1.{part} "
            "layers.{l}.experts.{e}.gate_proj.{part}\r\n"
            "vision.{part} -\n";
    give(to, "three lines", text, sizeof(text) - 1);
}

static void
st_folder(const struct taker *to)
{
    static const char *const files[] = {
            "model.safetensors.index.json", "1", "2"};
    struct mini minis[2] = {{0}};
    const uint64_t shape[2] = {2, 3};
    static const char index[] = "{\"weight_map\":{\"a\":\"1\",\"b\":\"2\","
                                "\"c\":\"2\"}}";
    mini_add(&minis[0], "a", "F32", 2, shape, index, 24);
    mini_add(&minis[1], "b", "U8", 2, shape, index, 6);
    mini_add(&minis[1], "c", "BF16", 0, NULL, index, 2);
    mini_set(&minis[0], "format", "pt");
    test_subfolder(test_path("model"));
    for (size_t i = 0; i < 2; i++) {
        mini_write(&minis[i], test_path("model/%s", files[i + 1]), 1);
        mini_free(&minis[i]);
    }
    test_file_write(test_path("model/%s", files[0]), index, sizeof(index) - 1);
    give_files(to, "two shards", files, 3);
}

void
fuzz_seeds(const char *target, fuzz_seed_fn *take, void *user)
{
    static const struct {
        const char *target;
        void (*make)(const struct taker *to);
    } makers[] = {
            {"checkpoint", checkpoint},
            {"container", container},
            {"expert_name", expert_name},
            {"gguf", gguf},
            {"gguf_checkpoint", gguf_checkpoint},
            {"json_scan", json_scan},
            {"model_config", model_config},
            {"name_map", name_map},
            {"st_folder", st_folder},
            {"st_header", st_header},
            {"st_index", st_index},
    };
    const struct taker to = {take, user};
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        if (strcmp(makers[i].target, target) == 0) {
            makers[i].make(&to);
        }
    }
}
