/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names of status values and number types; the version. */
#include <w4moe/base.h>
#include <w4moe/version.h>

const char *
w4moe_version(void)
{
    return W4MOE_VERSION;
}

unsigned
w4moe_version_number(void)
{
    return W4MOE_VERSION_NUMBER;
}

const char *
w4moe_status_string(w4moe_status status)
{
    switch (status) {
    case W4MOE_OK:
        return "success";
    case W4MOE_INVALID:
        return "invalid argument";
    case W4MOE_UNSUPPORTED:
        return "not supported";
    case W4MOE_FORMAT:
        return "wrong file content";
    case W4MOE_IO:
        return "input/output error";
    case W4MOE_NOMEM:
        return "out of memory";
    case W4MOE_DEVICE:
        return "device error";
    case W4MOE_MISMATCH:
        return "data mismatch";
    case W4MOE_CANCELLED:
        return "cancelled";
    }
    return "unknown status";
}

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
        [W4MOE_DTYPE_NONE] = {"NONE", 0},
        [W4MOE_F32] = {"F32", 4},
        [W4MOE_F16] = {"F16", 2},
        [W4MOE_BF16] = {"BF16", 2},
        [W4MOE_F64] = {"F64", 8},
        [W4MOE_I8] = {"I8", 1},
        [W4MOE_U8] = {"U8", 1},
        [W4MOE_I16] = {"I16", 2},
        [W4MOE_U16] = {"U16", 2},
        [W4MOE_I32] = {"I32", 4},
        [W4MOE_U32] = {"U32", 4},
        [W4MOE_I64] = {"I64", 8},
        [W4MOE_U64] = {"U64", 8},
        [W4MOE_BOOL] = {"BOOL", 1},
        [W4MOE_F8_E8M0] = {"F8_E8M0", 1},
        [W4MOE_F8_E4M3] = {"F8_E4M3", 1},
        [W4MOE_F8_E5M2] = {"F8_E5M2", 1},
};

static size_t
dtype_index(w4moe_dtype dtype)
{
    size_t i = (size_t)dtype;
    return i < sizeof(dtypes) / sizeof(dtypes[0]) ? i : 0;
}

size_t
w4moe_dtype_size(w4moe_dtype dtype)
{
    return dtypes[dtype_index(dtype)].size;
}

const char *
w4moe_dtype_name(w4moe_dtype dtype)
{
    return dtypes[dtype_index(dtype)].name;
}
