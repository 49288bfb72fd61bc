/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every tensor that w4moe_forward_dlpack() refuses, by its name and values,
 * without a byte written. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dlpack_call.h"
#include "layer_fixture.h"

/* The fixture's call, with everything that a call may have. */
static struct dlpack_call call;
static float logits[5 * 4];
static int32_t map[4];
static int32_t counts[4];

static void
setup(void)
{
    layer_setup();
    w4moe_forward_args args = fixture.args;
    for (int32_t i = 0; i < 4; i++) {
        map[i] = i;
        counts[i] = -1;
    }
    args.router_logits = logits;
    args.logits_dtype = W4MOE_F32;
    args.expert_map = map;
    dlpack_call_make(&call, &args, 80, 4, 0);
}

static w4moe_status
forward(void)
{
    return w4moe_forward_dlpack(fixture.layer, fixture.ws, &call.args);
}

/* The call as it stands now ends so, and writes nothing. */
static void
expect(w4moe_status status, const char *text)
{
    ck_assert_int_eq(forward(), status);
    layer_expect_text(text);
    ck_assert_mem_eq(fixture.out, fixture.out_before, sizeof(fixture.out));
    ck_assert_int_eq(counts[0], -1);
}

/* Gives the call counts, of four, at the test's own place. */
static void
with_counts(void *at)
{
    dlpack_tensor_make(&call.counts, at, 0, W4MOE_I32, 0, 4);
    call.args.expert_counts = &call.counts.tensor;
}

START_TEST(the_call_itself_is_right)
{
    ck_assert_msg(forward() == W4MOE_OK, "%s", w4moe_ctx_error(fixture.ctx));
    forward_judge(&fixture.problem, fixture.out);
}
END_TEST

START_TEST(arguments)
{
    w4moe_dlpack_args right = call.args;
    ck_assert_int_eq(
            w4moe_forward_dlpack(NULL, fixture.ws, &call.args), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_forward_dlpack(fixture.layer, fixture.ws, NULL),
            W4MOE_INVALID);
    layer_expect_text("w4moe_dlpack_args: it is NULL");
    call.args.struct_size--;
    expect(W4MOE_INVALID, "w4moe_dlpack_args: struct_size");
    call.args = right;
    call.args.reserved = 1;
    expect(W4MOE_INVALID, "reserved is not 0");
    call.args = right;
    call.args.x = NULL;
    expect(W4MOE_INVALID, "forward: x is NULL");
    call.args = right;
    call.args.out = NULL;
    expect(W4MOE_INVALID, "forward: out is NULL");
    call.args = right;
    call.args.weights = NULL;
    expect(W4MOE_INVALID, "only ids is given");
    call.args = right;
    call.args.ids = NULL;
    expect(W4MOE_INVALID, "only weights is given");
    call.args.weights = NULL;
    expect(W4MOE_INVALID, "forward: 5 tokens of 0 experts each");
    call.args = right;
    call.args.flags = 1u << 30;
    expect(W4MOE_UNSUPPORTED, "unknown flags 0x40000000");
}
END_TEST

START_TEST(shapes)
{
    static const struct {
        struct dlpack_tensor *tensor;
        int at;
        int64_t size;
        const char *text;
    } wrong[] = {
            {&call.x, 1, 72, "forward: x: the shape is [5][72], not [any][80]"},
            {&call.x, 0, -1, "forward: x: a dimension of -1"},
            {&call.x, 1, INT64_MIN, "x: a dimension of -9223372036854775808"},
            {&call.x, 0, 4, "forward: out: the shape is [5][80], not [4][80]"},
            {&call.x, 0, 6, "forward: out: the shape is [5][80], not [6][80]"},
            {&call.x, 0, INT64_MAX, "9223372036854775807"},
            {&call.out, 1, 88, "out: the shape is [5][88], not [5][80]"},
            {&call.ids, 0, 4, "ids: the shape is [4][2], not [5][any]"},
            {&call.weights, 0, 4, "weights: the shape is [4][2], not [5][2]"},
            {&call.weights, 1, 1, "weights: the shape is [5][1], not [5][2]"},
            {&call.logits, 1, 3, "logits: the shape is [5][3], not [5][4]"},
            {&call.logits, 0, 9, "logits: the shape is [9][4], not [5][4]"},
            {&call.map, 0, 5, "logits: the shape is [5][4], not [5][5]"},
            {&call.map, 0, 0, "expert_map: it is empty"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t *size = &wrong[i].tensor->shape[wrong[i].at];
        int64_t right = *size;
        *size = wrong[i].size;
        expect(W4MOE_INVALID, wrong[i].text);
        *size = right;
    }
    call.args.top_k = 3;
    expect(W4MOE_INVALID, "ids: the shape is [5][2], not [5][3]");
    call.args.top_k = SIZE_MAX;
    expect(W4MOE_INVALID, "ids: the shape is [5][2], not [5][");
    call.args.top_k = 2;
    ck_assert_int_eq(forward(), W4MOE_OK);
}
END_TEST

START_TEST(shapes_of_one_dimension)
{
    call.args.expert_map = NULL;
    with_counts(counts);
    call.counts.shape[0] = 3;
    expect(W4MOE_INVALID, "forward: expert_counts: the shape is [3], not [4]");
    call.counts.tensor.ndim = 2;
    expect(W4MOE_INVALID, "expert_counts: 2 dimensions, not 1");
    call.args.expert_counts = NULL;
    call.logits.shape[1] = 5;
    expect(W4MOE_INVALID, "router_logits: the shape is [5][5], not [5][4]");
    call.logits.tensor.ndim = 1;
    expect(W4MOE_INVALID, "router_logits: 1 dimensions, not 2");
    call.x.tensor.ndim = 3;
    expect(W4MOE_INVALID, "x: 3 dimensions, not 2");
    call.x.tensor.ndim = 0;
    expect(W4MOE_INVALID, "x: 0 dimensions, not 2");
    call.x.tensor.ndim = -1;
    expect(W4MOE_INVALID, "x: -1 dimensions, not 2");
}
END_TEST

START_TEST(types)
{
    static const struct {
        struct dlpack_tensor *tensor;
        DLDataType type;
        const char *text;
    } wrong[] = {
            {&call.x, {kDLFloat, 32, 1},
                    "x: elements are float32, not bfloat16 or float16"},
            {&call.x, {kDLFloat, 16, 2}, "x: elements are float16 x 2, not"},
            {&call.x, {kDLBfloat, 16, 0}, "x: elements are bfloat16 x 0, not"},
            {&call.x, {kDLInt, 16, 1}, "x: elements are int16, not"},
            {&call.x, {kDLUInt, 16, 1}, "x: elements are uint16, not"},
            {&call.out, {kDLFloat, 64, 1}, "out: elements are float64, not"},
            {&call.ids, {kDLInt, 64, 1},
                    "ids: elements are int64, not int32 (of PyTorch's topk() "
                    "pass ids.to(torch.int32))"},
            {&call.ids, {kDLUInt, 32, 1}, "ids: elements are uint32, not int"},
            {&call.weights, {kDLBfloat, 16, 1},
                    "weights: elements are bfloat16, not float32"},
            {&call.logits, {kDLComplex, 64, 1},
                    "router_logits: elements are complex64, not float32, "
                    "float16 or bfloat16"},
            {&call.logits, {6, 8, 1}, "router_logits: elements are bool8"},
            {&call.logits, {200, 8, 1}, "elements are type code 200, bits 8"},
            {&call.map, {kDLInt, 64, 1}, "expert_map: elements are int64, not"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        DLDataType right = wrong[i].tensor->tensor.dtype;
        wrong[i].tensor->tensor.dtype = wrong[i].type;
        expect(W4MOE_UNSUPPORTED, wrong[i].text);
        wrong[i].tensor->tensor.dtype = right;
    }
    call.out.tensor.dtype.code = kDLFloat;
    expect(W4MOE_INVALID, "out: elements are F16, those of x are BF16");
}
END_TEST

START_TEST(strides)
{
    static const struct {
        struct dlpack_tensor *tensor;
        int at;
        int64_t stride;
        const char *text;
    } wrong[] = {
            {&call.x, 1, 2, "x: elements of a row are 2 apart, not 1"},
            {&call.x, 1, -1, "x: elements of a row are -1 apart, not 1"},
            {&call.x, 1, 0, "x: elements of a row are 0 apart, not 1"},
            {&call.x, 0, 79, "x: rows of 80 elements are 79 apart, which is"},
            {&call.x, 0, 0, "x: rows of 80 elements are 0 apart, which is"},
            {&call.x, 0, -80, "x: rows of 80 elements are -80 apart"},
            {&call.x, 0, INT64_MAX,
                    "x: 5 rows that are 9223372036854775807 el"},
            {&call.out, 0, 40, "out: rows of 80 elements are 40 apart"},
            {&call.ids, 0, 3,
                    "ids: rows of 2 elements are 3 apart, not packed"},
            {&call.ids, 1, 5, "ids: elements of a row are 5 apart, not 1"},
            {&call.weights, 0, 4, "weights: rows of 2 elements are 4 apart"},
            {&call.logits, 0, 8, "router_logits: rows of 4 elements are 8"},
            {&call.map, 0, 2, "expert_map: elements of a row are 2 apart"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t *stride = &wrong[i].tensor->strides[wrong[i].at];
        int64_t right = *stride;
        *stride = wrong[i].stride;
        expect(W4MOE_INVALID, wrong[i].text);
        *stride = right;
    }
}
END_TEST

START_TEST(places)
{
    call.x.tensor.byte_offset = 1;
    expect(W4MOE_INVALID,
            "x: data with byte_offset 1 are not aligned to 2 bytes");
    call.x.tensor.byte_offset = 0;
    call.ids.tensor.byte_offset = 2;
    expect(W4MOE_INVALID,
            "ids: data with byte_offset 2 are not aligned to 4 bytes");
    call.ids.tensor.byte_offset = 0;
    void *right = call.weights.tensor.data;
    call.weights.tensor.data = NULL;
    expect(W4MOE_INVALID, "weights: data is NULL");
    call.weights.tensor.data = right;
}
END_TEST

START_TEST(overlaps)
{
    static int32_t room[512];
    call.x.tensor.data = fixture.out;
    call.args.flags = W4MOE_ACCUMULATE;
    expect(W4MOE_INVALID, "out is x, which it cannot be with W4MOE_ACCUMULATE");
    call.args.flags = 0;
    call.x.tensor.data = fixture.out + 2;
    call.out.shape[0] = call.x.shape[0] = 4;
    call.args.ids = call.args.weights = NULL;
    call.args.top_k = 2;
    call.logits.shape[0] = 4;
    expect(W4MOE_INVALID, "forward: out overlaps x");
    /* Rows beside each other, but for one element, on either side. */
    call.x.strides[0] = call.out.strides[0] = 160;
    call.out.tensor.data = room;
    call.x.tensor.data = (uint16_t *)room + 79;
    expect(W4MOE_INVALID, "forward: out overlaps x");
    call.x.tensor.data = (uint16_t *)room + 81;
    expect(W4MOE_INVALID, "forward: out overlaps x");
    /* The same place with other strides. */
    call.x.tensor.data = room;
    call.x.strides[0] = 168;
    expect(W4MOE_INVALID, "forward: out overlaps x");
}
END_TEST

START_TEST(overlaps_with_other_tensors)
{
    void *right = call.ids.tensor.data;
    call.ids.tensor.data = fixture.out + 398;
    expect(W4MOE_INVALID, "forward: out overlaps ids");
    call.ids.tensor.data = right;
    with_counts(fixture.out);
    expect(W4MOE_INVALID, "forward: expert_counts overlaps out");
    with_counts(fixture.problem.x_rows);
    expect(W4MOE_INVALID, "forward: expert_counts overlaps x");
    with_counts(map);
    expect(W4MOE_INVALID, "forward: expert_counts overlaps expert_map");
}
END_TEST

static void
expect_device(int type, const char *text)
{
    DLDevice right = call.weights.tensor.device;
    call.weights.tensor.device.device_type = (DLDeviceType)type;
    call.weights.tensor.device.device_id = 3;
    expect(W4MOE_INVALID, text);
    call.weights.tensor.device = right;
}

START_TEST(devices_of_the_cpu)
{
    static const int pinned[] = {kDLCUDAHost, kDLROCMHost};
    expect_device(kDLCUDA, "weights: it is on CUDA:3; backend cpu takes "
                           "tensors on CPU, on CUDAHost and ROCMHost with");
    expect_device(kDLROCM, "weights: it is on ROCM:3");
    expect_device(kDLCUDAHost, "weights: it is on CUDAHost:3");
    expect_device(kDLROCMHost, "weights: it is on ROCMHost:3");
    expect_device(kDLMetal, "weights: it is on device type 8:3");
    call.args.flags = W4MOE_HOST_IO;
    expect_device(kDLCUDA, "tensors on CPU, CUDAHost and ROCMHost with");
    for (int i = 0; i < 2; i++) {
        call.weights.tensor.device.device_type = (DLDeviceType)pinned[i];
        ck_assert_int_eq(forward(), W4MOE_OK);
    }
}
END_TEST

/* The context's backend is the CPU's, but what is said of it is not. */
START_TEST(devices_of_a_gpu)
{
    static const struct {
        unsigned flags;
        int x, type, id;
        const char *text;
    } cases[] = {
            {0, kDLROCM, kDLROCM, 1, NULL},
            {0, kDLCUDA, kDLCUDA, 1, NULL},
            {0, kDLROCM, kDLROCM, 0, "ids: it is on ROCM:0, the layer on devi"},
            {0, kDLROCM, kDLROCM, -1, "ids: it is on ROCM:-1, the layer on de"},
            {0, kDLROCM, kDLCUDA, 1, "ids: it is on CUDA:1, x on ROCM:1"},
            {0, kDLCUDA, kDLROCM, 1, "ids: it is on ROCM:1, x on CUDA:1"},
            {0, kDLROCM, kDLCPU, 0,
                    "ids: it is on CPU:0; backend hip takes tensors on ROCM or "
                    "CUDA, on CPU with W4MOE_HOST_IO"},
            {0, kDLROCM, kDLROCMHost, 1, "ids: it is on ROCMHost:1; backend h"},
            {W4MOE_HOST_IO, kDLCPU, kDLCPU, 0, NULL},
            {W4MOE_HOST_IO, kDLCPU, kDLROCMHost, 1, NULL},
            {W4MOE_HOST_IO, kDLCPU, kDLROCM, 1,
                    "ids: it is on ROCM:1; backend hip takes tensors on CPU, "
                    "CUDAHost and ROCMHost with W4MOE_HOST_IO"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct w4moe_dlpack_call gpu = {.flags = cases[i].flags};
        gpu.info.ctx = fixture.ctx;
        gpu.info.backend = "hip";
        gpu.info.device = 1;
        gpu.device.device_type = (DLDeviceType)cases[i].x;
        gpu.device.device_id = 1;
        DLDevice device = {(DLDeviceType)cases[i].type, cases[i].id};
        w4moe_status status = w4moe_dlpack_check_device(&gpu, "ids", device);
        if (cases[i].text == NULL) {
            ck_assert_int_eq(status, W4MOE_OK);
        } else {
            ck_assert_int_eq(status, W4MOE_INVALID);
            layer_expect_text(cases[i].text);
        }
    }
}
END_TEST

/* As frameworks make empty tensors: without data, with any strides. */
START_TEST(no_tokens)
{
    struct dlpack_tensor *tensors[] = {
            &call.x, &call.out, &call.ids, &call.weights, &call.logits};
    for (size_t i = 0; i < 5; i++) {
        tensors[i]->shape[0] = 0;
        tensors[i]->strides[0] = 1;
        tensors[i]->strides[1] = 0;
        tensors[i]->tensor.data = NULL;
    }
    ck_assert_msg(forward() == W4MOE_OK, "%s", w4moe_ctx_error(fixture.ctx));
    ck_assert_mem_eq(fixture.out, fixture.out_before, sizeof(fixture.out));
    call.x.shape[1] = 79;
    expect(W4MOE_INVALID, "x: the shape is [0][79], not [any][80]");
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("dlpack_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, layer_teardown);
    tcase_add_test(tc, the_call_itself_is_right);
    tcase_add_test(tc, arguments);
    tcase_add_test(tc, shapes);
    tcase_add_test(tc, shapes_of_one_dimension);
    tcase_add_test(tc, types);
    tcase_add_test(tc, strides);
    tcase_add_test(tc, places);
    tcase_add_test(tc, overlaps);
    tcase_add_test(tc, overlaps_with_other_tensors);
    tcase_add_test(tc, devices_of_the_cpu);
    tcase_add_test(tc, devices_of_a_gpu);
    tcase_add_test(tc, no_tokens);
    Suite *suite = suite_create("dlpack_refusals");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
