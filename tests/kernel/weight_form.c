/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "weight_form.h"

static const struct {
    const char *name;
    w4moe_code code;
    w4moe_dtype scales;
    int zeros;
    w4moe_dtype offsets;
    size_t n_perms;
    w4moe_dtype bias;
} forms[N_WEIGHT_FORMS] = {
        [FORM_BF16] = {"bf16", W4MOE_CODE_INT4, W4MOE_BF16, 0, 0, 0, 0},
        [FORM_ZEROS_F16_PERM] = {"zeros-f16-perm", W4MOE_CODE_INT4, W4MOE_F16,
                1, 0, 1, 0},
        [FORM_ZEROS_F32_BIAS] = {"zeros-f32-bias", W4MOE_CODE_INT4, W4MOE_F32,
                1, 0, 0, W4MOE_F16},
        [FORM_OFFSETS_PERM2] = {"offsets-perm2", W4MOE_CODE_INT4, W4MOE_BF16, 0,
                W4MOE_F16, 2, 0},
        [FORM_OFFSETS_F32_BIAS] = {"offsets-f32-bias", W4MOE_CODE_INT4,
                W4MOE_F16, 0, W4MOE_F32, 1, W4MOE_F32},
        [FORM_MXFP4_PERM2] = {"mxfp4-perm2", W4MOE_CODE_E2M1, W4MOE_F8_E8M0, 0,
                0, 2, 0},
        [FORM_E2M1_BIAS_PERM] = {"e2m1-bias-perm", W4MOE_CODE_E2M1, W4MOE_BF16,
                0, 0, 1, W4MOE_BF16},
        [FORM_F16_PERM] = {"f16-perm", W4MOE_CODE_INT4, W4MOE_F16, 0, 0, 1, 0},
        [FORM_OFFSETS_BF16_BIAS] = {"offsets-bf16-bias", W4MOE_CODE_INT4,
                W4MOE_F32, 0, W4MOE_BF16, 0, W4MOE_F32},
        [FORM_ZEROS_PERM2] = {"zeros-perm2", W4MOE_CODE_INT4, W4MOE_BF16, 1, 0,
                2, 0},
        [FORM_MXFP4_BIAS] = {"mxfp4-bias", W4MOE_CODE_E2M1, W4MOE_F8_E8M0, 0, 0,
                0, W4MOE_BF16},
        [FORM_ZEROS] = {"zeros", W4MOE_CODE_INT4, W4MOE_BF16, 1, 0, 0, 0},
};

const char *
weight_form_name(enum weight_form form)
{
    return forms[form].name;
}

void
weight_form_set(struct oracle_spec *spec, enum weight_form form)
{
    size_t n_perms = forms[form].n_perms;
    spec->code = forms[form].code;
    spec->scale_dtype = forms[form].scales;
    spec->zeros = forms[form].zeros;
    spec->offset_dtype = forms[form].offsets;
    spec->n_perms = n_perms == 2 && !spec->gated ? 1 : n_perms;
    spec->bias_dtype = forms[form].bias;
}
