/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * MXFP4: E2M1 codes, two to a byte, the even column in the low half; one E8M0
 * scale for 32 columns. Of one weight that is [N][K/2] and [N][ceil(K / 32)]:
 *
 *   compressed-tensors, mxfp4-pack-quantized   weight_packed, weight_scale
 *   DeepSeek-V4                                weight, scale
 *
 * Tensors that hold all experts (GPT-OSS) are in st_fused.c.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "format/parts.h"
#include "io/text.h"

/* The scale that is none. */
enum { E8M0_NAN = 255 };

/* Four bytes are a word as w4_rows wants it. */
static w4moe_status
mxfp4_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    size_t n_groups = w4_weight_groups(weight);
    const unsigned char *codes = weight->codes;
    const unsigned char *scales = weight->scales;
    unsigned char *own = out->scales;
    for (size_t r = 0; r < n; r++) {
        size_t row = w4_weight_row(weight, rows[r]);
        const unsigned char *from = scales + row * n_groups;
        const unsigned char *nan = memchr(from, E8M0_NAN, n_groups);
        if (nan != NULL) {
            const char *name = weight->name != NULL ? weight->name : "scales";
            return w4_fail(err, W4MOE_FORMAT,
                    "tensor \"%s\": the scale of row %zu, group %zu is NaN "
                    "(byte %d)",
                    w4_show_string(name).text, row, (size_t)(nan - from),
                    E8M0_NAN);
        }
        out->codes[r] = codes + row * (weight->n_in / 2);
        memcpy(own + r * n_groups, from, n_groups);
    }
    return W4MOE_OK;
}

static const unsigned char *
mxfp4_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    const unsigned char *codes = weight->codes;
    size_t row_bytes = weight->n_in / 2;
    (void)room;
    return codes + row_bytes * w4_weight_row(weight, n);
}

/* (-1)^s * 2^(e - 1) * (1 + m / 2), or m / 2 if e is 0, of the bits s e e m,
 * times 2^(byte - 127). */
static void
mxfp4_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    static const float magnitudes[8] = {
            0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    const unsigned char *bytes = weight->scales;
    int byte =
            bytes[w4_weight_row(weight, n) * w4_weight_groups(weight) + group];
    float scale = byte == E8M0_NAN ? NAN : ldexpf(1.0f, byte - 127);
    for (int i = 0; i < 8; i++) {
        values[i] = scale * magnitudes[i];
        values[8 + i] = scale * -magnitudes[i];
    }
}

const struct w4_scheme w4_scheme_mxfp4 = {
        .name = "MXFP4",
        .code = W4MOE_CODE_E2M1,
        .rows = mxfp4_rows,
        .read_words = mxfp4_read_words,
        .read_values = mxfp4_read_values,
};

void
w4_mxfp4_set(struct w4_weight *weight, const void *codes, const void *scales)
{
    weight->scheme = &w4_scheme_mxfp4;
    weight->group_size =
            weight->n_in < W4_MXFP4_GROUP ? weight->n_in : W4_MXFP4_GROUP;
    weight->codes = codes;
    weight->scales = scales;
    weight->scale_dtype = W4MOE_F8_E8M0;
}

/* -------------------------------------------------------------- checkpoints */

int
w4_tensor_is_e8m0(const struct w4_tensor *tensor)
{
    return tensor->dtype == W4MOE_F8_E8M0 || tensor->dtype == W4MOE_U8;
}

static int
is_f4(const struct w4_tensor *tensor)
{
    return strcmp(tensor->dtype_name, "F4") == 0;
}

int
w4_tensor_is_mxfp4(const struct w4_tensor *tensor)
{
    return tensor->dtype == W4MOE_U8 || tensor->dtype == W4MOE_I8 ||
           is_f4(tensor);
}

static w4moe_status
check_tensors(struct w4_err *err, const struct w4_weight *weight,
        const struct w4_tensor *codes, const struct w4_tensor *scales)
{
    if (scales->dtype == W4MOE_F8_E4M3) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\" is F8_E4M3: scales of scheme NVFP4, which is "
                "not converted",
                w4_show_string(scales->name).text);
    }
    /* Of the type F4 a shape counts codes, not bytes. */
    w4moe_status status = w4_tensor_check(err, codes,
            w4_tensor_is_mxfp4(codes) ? W4MOE_DTYPE_NONE : W4MOE_U8,
            weight->n_out, is_f4(codes) ? weight->n_in : weight->n_in / 2);
    return status != W4MOE_OK
                   ? status
                   : w4_tensor_check(err, scales,
                             w4_tensor_is_e8m0(scales) ? W4MOE_DTYPE_NONE
                                                       : W4MOE_F8_E8M0,
                             weight->n_out,
                             w4_ceil_div(weight->n_in, W4_MXFP4_GROUP));
}

w4moe_status
w4_mxfp4_resolve(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config)
{
    const struct w4_tensor *const *tensors = parts->tensors;
    int packed = tensors[W4_PART_PACKED] != NULL;
    enum w4_part codes = packed ? W4_PART_PACKED : W4_PART_WEIGHT;
    enum w4_part scales = packed || tensors[W4_PART_WEIGHT_SCALE] != NULL
                                  ? W4_PART_WEIGHT_SCALE
                                  : W4_PART_SCALE;
    (void)config;
    w4moe_status status = w4_parts_only(err, parts,
            1u << codes | 1u << scales | 1u << W4_PART_BIAS,
            w4_scheme_mxfp4.name);
    if (status == W4MOE_OK) {
        status = w4_parts_need(err, parts, codes, scales);
    }
    if (status == W4MOE_OK) {
        status = check_tensors(err, weight, tensors[codes], tensors[scales]);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    w4_mxfp4_set(weight, tensors[codes]->data, tensors[scales]->data);
    weight->name = tensors[scales]->name;
    return w4_bias_take(err, weight, tensors[W4_PART_BIAS]);
}
