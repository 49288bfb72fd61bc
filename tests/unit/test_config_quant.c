/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json: what each quantisation says, and those that are refused by
 * their names. In the texts of JSON here, ' stands for ". */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_case.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The model around it. */
static const char model[] =
        "{'model_type':'mixtral','hidden_act':'silu','hidden_size':2048,"
        "'num_local_experts':128,'num_experts_per_tok':8,"
        "'intermediate_size':768}";

/* quantization_config of a method, of compressed-tensors, and a group of it
 * with weights. */
#define Q(method, fields) "{'quant_method':'" method "'" fields "}"
#define CT(fields) Q("compressed-tensors", "," fields)
#define GROUP(name, fields) "'" name "':{'weights':{" fields "}}"
#define INT4 "'num_bits':4,'type':'int','strategy':'group','group_size':"
#define FP4 "'num_bits':4,'type':'float','strategy':'group','group_size':32"
#define PACKED(groups)                                                         \
    CT("'format':'pack-quantized','config_groups':{" groups "}")
#define ONE(fields) PACKED(GROUP("group_0", fields))

static const char *
write_quant(const char *quant)
{
    json_t *root = config_parse(model);
    json_object_set_new(root, "quantization_config", config_parse(quant));
    const char *path = config_write(root);
    json_decref(root);
    return path;
}

/* --------------------------------------------------------------------- good */

struct good_case {
    const char *quant;
    const char *scheme;
    enum w4_quant kind;
    /* As a text, with spaces between. */
    const char *groups;
    int symmetric;
    int mxfp4;
    int gptq_v2;
    int desc_act;
    size_t fp8_block;
};

#define CTS "compressed-tensors", W4_QUANT_COMPRESSED_TENSORS
#define GPTQ "gptq", W4_QUANT_GPTQ
#define AWQ "awq", W4_QUANT_AWQ
#define ROUND_GPTQ "auto-round", W4_QUANT_GPTQ
#define ROUND_AWQ "auto-round", W4_QUANT_AWQ
#define MXFP4 "mxfp4", W4_QUANT_MXFP4
#define FP8 "fp8", W4_QUANT_NONE
#define FP8_BLOCK ",'weight_block_size':[128,128]"
#define BITS ",'bits':4,'group_size':128"
#define ROUND Q("auto-round", BITS ",'sym':true,'packing_format':"

static const struct good_case good[] = {
        {ONE(INT4 "128,'symmetric':true"), CTS, "128", 1, 0, 0, 0, 0},
        {ONE(INT4 "32,'symmetric':false"), CTS, "32", 0, 0, 0, 0, 0},
        {ONE(INT4 "-1"), CTS, "0", 1, 0, 0, 0, 0},
        {ONE("'num_bits':4,'strategy':'channel','group_size':null"), CTS, "0",
                1, 0, 0, 0, 0},
        {ONE("'num_bits':4,'group_size':64"), CTS, "64", 1, 0, 0, 0, 0},
        {ONE("'num_bits':4,'group_size':-1"), CTS, "0", 1, 0, 0, 0, 0},
        {ONE(INT4 "64,'actorder':'group'"), CTS, "64", 1, 0, 0, 1, 0},
        {ONE(INT4 "64,'actorder':'dynamic'"), CTS, "64", 1, 0, 0, 1, 0},
        {ONE(INT4 "64,'actorder':true"), CTS, "64", 1, 0, 0, 1, 0},
        {ONE(INT4 "64,'actorder':false"), CTS, "64", 1, 0, 0, 0, 0},
        {ONE(INT4 "64,'actorder':'static'"), CTS, "64", 1, 0, 0, 0, 0},
        /* Several groups: of several lengths, some or all of them with zero
         * points, of other bits. */
        {PACKED(GROUP("a", INT4 "64") "," GROUP("b", INT4 "32") ","
                GROUP("c", INT4 "64,'symmetric':false")),
                CTS, "64 32", 1, 0, 0, 0, 0},
        {PACKED(GROUP("a", INT4 "64,'symmetric':false") ","
                GROUP("b", INT4 "64")),
                CTS, "64", 1, 0, 0, 0, 0},
        {PACKED(GROUP("a", INT4 "64,'symmetric':false") ","
                GROUP("b", INT4 "32,'symmetric':false")),
                CTS, "64 32", 0, 0, 0, 0, 0},
        {PACKED(GROUP("a", "'num_bits':8,'group_size':12") ","
                GROUP("b", INT4 "32")),
                CTS, "32", 1, 0, 0, 0, 0},
        {PACKED("'a':{'weights':null}," GROUP("b", INT4 "32")), CTS, "32", 1, 0,
                0, 0, 0},
        {CT("'format':'mixed-precision','config_groups':{"
                "'a':{'format':'float-quantized','weights':{'num_bits':8,"
                "'type':'float'},'input_activations':{'num_bits':8}},"
                "'b':{'format':'dense','weights':{}},"
                "'c':{'format':'mxfp4-pack-quantized','weights':{" FP4 "}},"
                "'d':{'format':'pack-quantized','weights':{" INT4 "128}}}"),
                CTS, "32 128", 1, 1, 0, 0, 0},
        {CT("'format':'mxfp4-pack-quantized','config_groups':{"
                GROUP("a", FP4 ",'scale_dtype':'torch.uint8'") "}"),
                CTS, "32", 1, 1, 0, 0, 0},
        {CT("'format':'pack-quantized','config_groups':{" GROUP("a", INT4 "32")
                "},'sparsity_config':{'format':'dense'},"
                "'transform_config':{'config_groups':{}}"),
                CTS, "32", 1, 0, 0, 0, 0},
        {Q("gptq", BITS), GPTQ, "128", 1, 0, 0, 0, 0},
        {Q("gptq", ",'bits':4,'group_size':-1,'desc_act':true,'sym':true"),
                GPTQ, "0", 1, 0, 0, 1, 0},
        {Q("gptq", BITS ",'sym':false,'checkpoint_format':'gptq_v2'"), GPTQ,
                "128", 0, 0, 1, 0, 0},
        {Q("gptq", BITS ",'format':'gptq','pack_dtype':'int32',"
                   "'is_marlin_format':false,'dynamic':false"),
                GPTQ, "128", 1, 0, 0, 0, 0},
        {Q("gptq", ",'w_bit':4,'q_group_size':64"), GPTQ, "64", 1, 0, 0, 0, 0},
        {Q("gptq", ",'bits':4,'group_size':null"), GPTQ, "0", 1, 0, 0, 0, 0},
        {Q("gptq", BITS ",'dynamic':{'-:.*attn.*':{},'-:x':false,"
                   "'+:.*down.*':{'group_size':32,'sym':false},"
                   "'.*up.*':{'bits':8,'group_size':7},"
                   "'y':{'desc_act':true}}"),
                GPTQ, "128 32", 1, 0, 0, 1, 0},
        {Q("gptq", ",'bits':8,'group_size':64,'dynamic':{'+:.*experts.*':"
                   "{'bits':4}}"),
                GPTQ, "64", 1, 0, 0, 0, 0},
        {Q("awq", BITS), AWQ, "128", 0, 0, 0, 0, 0},
        {Q("awq", ",'w_bit':4,'q_group_size':64,'version':'GEMM',"
                  "'zero_point':false"),
                AWQ, "64", 1, 0, 0, 0, 0},
        {Q("awq", BITS ",'checkpoint_format':'gemm','sym':true"), AWQ, "128", 1,
                0, 0, 0, 0},
        {ROUND "'auto_round:auto_gptq'"), ROUND_GPTQ, "128", 1, 0, 0, 0, 0},
        {ROUND "'auto_round:gptq','extra_config':{'a':{'bits':16,"
               "'data_type':'float'},'b':{'group_size':32,'sym':false},"
               "'c':{'bits':8,'act_bits':8}}"),
                ROUND_GPTQ, "128 32", 1, 0, 0, 0, 0},
        {ROUND "'auto_round:auto_awq','data_type':'int','act_bits':16"),
                ROUND_AWQ, "128", 1, 0, 0, 0, 0},
        {ROUND "null"), ROUND_GPTQ, "128", 1, 0, 0, 0, 0},
        {Q("mxfp4", ",'modules_to_not_convert':['lm_head']"), MXFP4, "32", 1, 1,
                0, 0, 0},
        {Q("fp8", FP8_BLOCK ",'fmt':'e4m3','activation_scheme':'dynamic'"), FP8,
                "", 1, 0, 0, 0, 128},
        {Q("fp8", FP8_BLOCK ",'expert_dtype':'fp8'"), FP8, "", 1, 0, 0, 0, 128},
        {Q("fp8", FP8_BLOCK ",'expert_dtype':'fp4'"), MXFP4, "32", 1, 1, 0, 0,
                128},
};

static void
check_good(const struct w4_model_config *c, const struct good_case *g)
{
    char groups[128] = "";
    for (size_t i = 0; i < c->n_group_sizes; i++) {
        size_t n = strlen(groups);
        snprintf(groups + n, sizeof(groups) - n, i == 0 ? "%zu" : " %zu",
                c->group_sizes[i]);
    }
    ck_assert_msg(c->quant == g->kind, "%s: %d", g->quant, (int)c->quant);
    ck_assert_str_eq(c->scheme, g->scheme);
    ck_assert_msg(
            strcmp(groups, g->groups) == 0, "%s: groups %s", g->quant, groups);
    ck_assert_msg(c->symmetric == g->symmetric, "%s", g->quant);
    ck_assert_msg(c->mxfp4 == g->mxfp4, "%s", g->quant);
    ck_assert_msg(c->gptq_v2 == g->gptq_v2, "%s", g->quant);
    ck_assert_msg(c->desc_act == g->desc_act, "%s", g->quant);
    ck_assert_uint_eq(c->fp8_block[0], g->fp8_block);
    ck_assert_uint_eq(c->fp8_block[1], g->fp8_block);
    ck_assert_uint_eq(c->hidden_size, 2048);
}

START_TEST(schemes)
{
    struct w4_model_config c = config_accepted(write_quant(good[_i].quant));
    check_good(&c, &good[_i]);
}
END_TEST

START_TEST(plain)
{
    static const struct good_case none = {
            "none", "none", W4_QUANT_NONE, "", 1, 0, 0, 0, 0};
    json_t *root = config_parse(model);
    struct w4_model_config c = config_accepted(config_write(root));
    check_good(&c, &none);
    config_edit(root, "quantization_config", "null");
    c = config_accepted(config_write(root));
    check_good(&c, &none);
    json_decref(root);
}
END_TEST

/* Where the quantisation may stand, and under which name; and an experts' type
 * that the model has. */
START_TEST(places)
{
    json_t *text = config_parse(model);
    json_t *root = json_pack("{s:O}", "text_config", text);
    json_object_set_new(
            text, "quantization_config", config_parse(good[0].quant));
    struct w4_model_config c = config_accepted(config_write(root));
    check_good(&c, &good[0]);
    json_object_set_new(
            root, "quantization_config", config_parse(Q("mxfp4", "")));
    ck_assert_str_eq(config_accepted(config_write(root)).scheme, "mxfp4");
    json_decref(text);
    json_decref(root);
    root = config_parse(model);
    json_object_set_new(
            root, "compression_config", config_parse(good[0].quant));
    c = config_accepted(config_write(root));
    check_good(&c, &good[0]);
    json_decref(root);
    root = config_parse(model);
    json_object_set_new(
            root, "quantization_config", config_parse(Q("fp8", FP8_BLOCK)));
    config_edit(root, "expert_dtype", "'fp4'");
    c = config_accepted(config_write(root));
    check_good(&c, &good[COUNT(good) - 1]);
    json_decref(root);
}
END_TEST

/* The release of GPT-OSS with OpenAI's own names. */
START_TEST(gpt_oss_original)
{
    json_t *root = config_parse(
            "{'num_hidden_layers':36,'num_experts':128,'experts_per_token':4,"
            "'hidden_size':2880,'intermediate_size':2880,'swiglu_limit':7.0}");
    struct w4_model_config c = config_accepted(config_write(root));
    ck_assert_str_eq(c.model_type, "gpt_oss");
    ck_assert_str_eq(c.scheme, "mxfp4");
    ck_assert(c.quant == W4_QUANT_MXFP4 && c.mxfp4 && c.n_group_sizes == 1);
    ck_assert(c.n_experts == 128 && c.top_k == 4 && c.hidden_size == 2880);
    ck_assert_int_eq(c.activation.kind, W4MOE_ACT_SWIGLUOAI);
    ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_TOPK_SOFTMAX);
    /* With a type it is a release in 16 bits. */
    config_edit(root, "model_type", "'gpt_oss'");
    c = config_accepted(config_write(root));
    ck_assert_int_eq(c.quant, W4_QUANT_NONE);
    ck_assert_int_eq(c.fused, W4_FUSED_COLUMNS_INTERLEAVED);
    ck_assert_str_eq(c.scheme, "none");
    json_decref(root);
}
END_TEST

/* ---------------------------------------------------------------------- bad */

#define NO W4MOE_UNSUPPORTED
#define BAD W4MOE_FORMAT

static const struct {
    const char *quant;
    w4moe_status status;
    const char *text;
} bad[] = {
        /* Methods by their names. */
        {Q("bitsandbytes", ""), NO, "\"bitsandbytes\""},
        {Q("exl3", ""), NO, "\"exl3\""},
        {Q("exl2", ""), NO, "\"exl2\""},
        {Q("hqq", ""), NO, "\"hqq\""},
        {Q("eetq", ""), NO, "\"eetq\""},
        {Q("torchao", ""), NO, "\"torchao\""},
        {Q("fbgemm_fp8", ""), NO, "\"fbgemm_fp8\""},
        {Q("quark", ""), NO, "\"quark\""},
        {Q("marlin", ""), NO, "\"marlin\""},
        {Q("Compressed-Tensors", ""), NO, "\"Compressed-Tensors\""},
        {Q("modelopt", ",'quant_algo':'NVFP4'"), NO, "\"modelopt\" NVFP4"},
        {"{}", NO, "quant_method \"\""},
        {"{'quant_method':4}", BAD, "quant_method"},
        {"[]", BAD, "quantization_config"},
        {"'gptq'", BAD, "quantization_config"},
        /* compressed-tensors */
        {CT("'format':'nvfp4-pack-quantized','config_groups':{"
                GROUP("a", "'num_bits':4,'type':'float','group_size':16,"
                           "'strategy':'tensor_group'") "}"),
                NO, "nvfp4-pack-quantized"},
        {CT("'format':'marlin-24','config_groups':{" GROUP("a", INT4 "32") "}"),
                NO, "marlin-24"},
        {CT("'format':'float-quantized','config_groups':{"
                GROUP("a", "'num_bits':8,'type':'float','strategy':'block'")
                "}"),
                NO, "float-quantized"},
        {CT("'format':'int-quantized','config_groups':{"
                GROUP("a", INT4 "32") "}"),
                NO, "int-quantized"},
        {CT("'config_groups':{" GROUP("a", INT4 "32") "}"), NO, "format \"\""},
        {CT("'format':'mxfp4-pack-quantized','config_groups':{"
                GROUP("a", "'num_bits':4,'type':'float','strategy':'group',"
                           "'group_size':64") "}"),
                NO, "group size 64"},
        {CT("'format':'mxfp4-pack-quantized','config_groups':{"
                GROUP("a", FP4 ",'symmetric':false") "}"),
                NO, "asymmetric"},
        {ONE("'num_bits':8,'strategy':'channel'"), NO, "8 bits"},
        {ONE("'num_bits':3,'strategy':'channel'"), NO, "3 bits"},
        {ONE("'strategy':'channel'"), NO, "8 bits"},
        {ONE("'num_bits':4,'type':'float'"), NO, "type \"float\""},
        {ONE("'num_bits':4,'strategy':'tensor'"), NO, "\"tensor\""},
        {ONE("'num_bits':4,'strategy':'block'"), NO, "\"block\""},
        {ONE("'num_bits':4"), NO, "strategy \"\""},
        {ONE("'num_bits':4,'strategy':'group'"), BAD, "group_size"},
        {ONE(INT4 "0"), NO, "group size 0"},
        {ONE(INT4 "12"), NO, "group size 12"},
        {ONE(INT4 "-8"), NO, "group size -8"},
        {ONE(INT4 "2147483648"), BAD, "group_size"},
        {ONE(INT4 "'128'"), BAD, "group_size"},
        {ONE(INT4 "128.0"), BAD, "group_size"},
        {ONE("'num_bits':'4'"), BAD, "num_bits"},
        {ONE("'num_bits':4,'type':1"), BAD, "type"},
        {ONE(INT4 "32,'symmetric':1"), BAD, "symmetric"},
        {ONE(INT4 "32,'actorder':1"), BAD, "actorder"},
        {PACKED("'a':{'weights':[]}"), BAD, "weights"},
        {PACKED("'a':{'weights':null}"), BAD, "config_groups"},
        {PACKED("'a':null"), BAD, "\"a\""},
        {PACKED("'a':{'weights':{" INT4 "32},'input_activations':{'num_bits':8"
                "}}"),
                NO, "activations"},
        {PACKED(""), BAD, "config_groups"},
        {CT("'format':'pack-quantized','config_groups':[]"), BAD,
                "config_groups"},
        {CT("'format':'pack-quantized'"), BAD, "config_groups"},
        {CT("'sparsity_config':{'format':'sparse-24-bitmask'}"), NO,
                "sparse-24-bitmask"},
        {CT("'transform_config':{'config_groups':{'R1':{}}}"), NO,
                "transform_config"},
        {PACKED(GROUP("a", INT4 "8") "," GROUP("b", INT4 "16") ","
                GROUP("c", INT4 "24") "," GROUP("d", INT4 "32") ","
                GROUP("e", INT4 "40") "," GROUP("f", INT4 "48") ","
                GROUP("g", INT4 "56") "," GROUP("h", INT4 "64") ","
                GROUP("i", INT4 "72")),
                NO, "more than 8 group sizes"},
        /* GPTQ */
        {Q("gptq", ",'bits':8,'group_size':128"), NO, "8 bits"},
        {Q("gptq", ",'bits':3,'group_size':32"), NO, "3 bits"},
        {Q("gptq", ",'bits':4"), BAD, "group_size"},
        {Q("gptq", ""), BAD, "bits"},
        {Q("gptq", ",'bits':'4'"), BAD, "bits"},
        {Q("gptq", ",'bits':0"), BAD, "bits"},
        {Q("gptq", ",'bits':4,'group_size':20"), NO, "group size 20"},
        {Q("gptq", ",'bits':4,'group_size':[1,2]"), BAD, "group_size"},
        {Q("gptq", BITS ",'sym':1"), BAD, "sym"},
        {Q("gptq", BITS ",'desc_act':'no'"), BAD, "desc_act"},
        {Q("gptq", BITS ",'checkpoint_format':'marlin'"), NO, "\"marlin\""},
        {Q("gptq", BITS ",'checkpoint_format':'gptq_p'"), NO, "\"gptq_p\""},
        {Q("gptq", BITS ",'format':'qqq'"), NO, "\"qqq\""},
        {Q("gptq", BITS ",'is_marlin_format':true"), NO, "\"marlin\""},
        {Q("gptq", BITS ",'pack_dtype':'int64'"), NO, "\"int64\""},
        {Q("gptq", BITS ",'dynamic':[]"), BAD, "dynamic"},
        {Q("gptq", BITS ",'dynamic':{'+:a':7}"), BAD, "\"+:a\""},
        {Q("gptq", BITS ",'dynamic':{'+:a':{'group_size':9}}"), NO,
                "group size 9"},
        /* AWQ */
        {Q("awq", BITS ",'version':'gemv'"), NO, "\"gemv\""},
        {Q("awq", BITS ",'version':'gemv_fast'"), NO, "\"gemv_fast\""},
        {Q("awq", BITS ",'version':'marlin'"), NO, "\"marlin\""},
        {Q("awq", BITS ",'version':'exllama'"), NO, "\"exllama\""},
        {Q("awq", BITS ",'version':'ipex'"), NO, "\"ipex\""},
        {Q("awq", ",'w_bit':8,'q_group_size':64"), NO, "8 bits"},
        {Q("awq", BITS ",'zero_point':0"), BAD, "zero_point"},
        {Q("awq", BITS ",'pack_dtype':'int8'"), NO, "\"int8\""},
        /* AutoRound */
        {ROUND "'auto_round:llm_compressor'"), NO, "llm_compressor"},
        {ROUND "7"), BAD, "packing_format"},
        {ROUND "null,'data_type':'mx_fp'"), NO, "\"mx_fp\""},
        {ROUND "null,'act_bits':8"), NO, "activations of 8 bits"},
        {ROUND "null,'extra_config':7"), BAD, "extra_config"},
        {Q("auto-round", ",'bits':2,'group_size':64"), NO, "2 bits"},
        /* FP8 */
        {Q("fp8", ""), NO, "weight_block_size"},
        {Q("fp8", ",'weight_block_size':[128]"), BAD, "weight_block_size"},
        {Q("fp8", ",'weight_block_size':[128,0]"), BAD, "weight_block_size"},
        {Q("fp8", ",'weight_block_size':[128,128,128]"), BAD,
                "weight_block_size"},
        {Q("fp8", ",'weight_block_size':128"), BAD, "weight_block_size"},
        {Q("fp8", FP8_BLOCK ",'fmt':'e5m2'"), NO, "\"e5m2\""},
        {Q("fp8", FP8_BLOCK ",'expert_dtype':'nvfp4'"), NO, "\"nvfp4\""},
};

START_TEST(refusals)
{
    config_refused(write_quant(bad[_i].quant), bad[_i].status, bad[_i].text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("config_quant");
    TCase *tc = tcase_create("config_quant");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_loop_test(tc, schemes, 0, (int)COUNT(good));
    tcase_add_test(tc, plain);
    tcase_add_test(tc, places);
    tcase_add_test(tc, gpt_oss_original);
    tcase_add_loop_test(tc, refusals, 0, (int)COUNT(bad));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
