/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_types.h"

static const struct w4_gguf_type_info types[] = {
        [W4_GGUF_F32] = {"F32", 1, 4},
        [W4_GGUF_F16] = {"F16", 1, 2},
        [W4_GGUF_Q4_0] = {"Q4_0", 32, 2 + 16},
        [W4_GGUF_Q4_1] = {"Q4_1", 32, 2 + 2 + 16},
        [W4_GGUF_Q5_0] = {"Q5_0", 32, 2 + 4 + 16},
        [W4_GGUF_Q5_1] = {"Q5_1", 32, 2 + 2 + 4 + 16},
        [W4_GGUF_Q8_0] = {"Q8_0", 32, 2 + 32},
        [W4_GGUF_Q8_1] = {"Q8_1", 32, 2 + 2 + 32},
        [W4_GGUF_Q2_K] = {"Q2_K", 256, 2 + 2 + 16 + 64},
        [W4_GGUF_Q3_K] = {"Q3_K", 256, 2 + 12 + 32 + 64},
        [W4_GGUF_Q4_K] = {"Q4_K", 256, 2 + 2 + 12 + 128},
        [W4_GGUF_Q5_K] = {"Q5_K", 256, 2 + 2 + 12 + 32 + 128},
        [W4_GGUF_Q6_K] = {"Q6_K", 256, 2 + 16 + 64 + 128},
        [W4_GGUF_Q8_K] = {"Q8_K", 256, 4 + 32 + 256},
        [W4_GGUF_IQ2_XXS] = {"IQ2_XXS", 256, 2 + 64},
        [W4_GGUF_IQ2_XS] = {"IQ2_XS", 256, 2 + 8 + 64},
        [W4_GGUF_IQ3_XXS] = {"IQ3_XXS", 256, 2 + 32 + 64},
        [W4_GGUF_IQ1_S] = {"IQ1_S", 256, 2 + 16 + 32},
        [W4_GGUF_IQ4_NL] = {"IQ4_NL", 32, 2 + 16},
        [W4_GGUF_IQ3_S] = {"IQ3_S", 256, 2 + 4 + 8 + 32 + 64},
        [W4_GGUF_IQ2_S] = {"IQ2_S", 256, 2 + 8 + 8 + 64},
        [W4_GGUF_IQ4_XS] = {"IQ4_XS", 256, 2 + 2 + 4 + 128},
        [W4_GGUF_I8] = {"I8", 1, 1},
        [W4_GGUF_I16] = {"I16", 1, 2},
        [W4_GGUF_I32] = {"I32", 1, 4},
        [W4_GGUF_I64] = {"I64", 1, 8},
        [W4_GGUF_F64] = {"F64", 1, 8},
        [W4_GGUF_IQ1_M] = {"IQ1_M", 256, 8 + 16 + 32},
        [W4_GGUF_BF16] = {"BF16", 1, 2},
        [W4_GGUF_TQ1_0] = {"TQ1_0", 256, 2 + 4 + 48},
        [W4_GGUF_TQ2_0] = {"TQ2_0", 256, 2 + 64},
        [W4_GGUF_MXFP4] = {"MXFP4", 32, 1 + 16},
        [W4_GGUF_NVFP4] = {"NVFP4", 64, 4 + 32},
        [W4_GGUF_Q1_0] = {"Q1_0", 128, 2 + 16},
        [W4_GGUF_Q2_0] = {"Q2_0", 64, 2 + 16},
};

const struct w4_gguf_type_info *
w4_gguf_type_info(uint32_t type)
{
    if (type >= sizeof(types) / sizeof(types[0]) || types[type].name == NULL) {
        return NULL;
    }
    return &types[type];
}

size_t
w4_gguf_value_size(uint32_t type)
{
    switch (type) {
    case W4_GGUF_VALUE_UINT8:
    case W4_GGUF_VALUE_INT8:
    case W4_GGUF_VALUE_BOOL:
        return 1;
    case W4_GGUF_VALUE_UINT16:
    case W4_GGUF_VALUE_INT16:
        return 2;
    case W4_GGUF_VALUE_UINT32:
    case W4_GGUF_VALUE_INT32:
    case W4_GGUF_VALUE_FLOAT32:
        return 4;
    case W4_GGUF_VALUE_UINT64:
    case W4_GGUF_VALUE_INT64:
    case W4_GGUF_VALUE_FLOAT64:
        return 8;
    default:
        return 0;
    }
}
