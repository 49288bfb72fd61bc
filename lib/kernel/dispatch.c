/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The one list of kernel variants. */
#include "kernel/kernel.h"

#include <stdio.h>
#include <string.h>

/* Whether this processor, and the system under it, runs a variant. */
typedef int runs_fn(void);

static int
runs_always(void)
{
    return 1;
}

#if W4_HAVE_AVX2
static int
runs_avx2(void)
{
    __builtin_cpu_init();
    /* Not every compiler knows "f16c" here; no processor has AVX2 without. */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

#if W4_HAVE_AVX512
static int
runs_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") != 0;
}
#endif

#if W4_HAVE_AVX512BF16
static int
runs_avx512bf16(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512bw");
}

/* Intel's cores take as long for a dot product of pairs as for four fp32
 * multiply-adds (measured: bench/LOG.md), AMD's as long as for one. */
static int
prefers_avx512bf16(void)
{
    return runs_avx512bf16() && __builtin_cpu_is("amd");
}
#endif

/* Best last. */
static const struct {
    struct w4_kernels kernels;
    runs_fn *runs;
    /* Whether it is taken if none is named. */
    runs_fn *preferred;
} variants[] = {
        {{"ref", w4_tile_gemm_ref, w4_act_ref, w4_dot_rows_ref}, runs_always,
                runs_always},
#if W4_HAVE_NEON
        {{"neon", w4_tile_gemm_neon, w4_act_neon, w4_dot_rows_neon},
                runs_always, runs_always},
#endif
#if W4_HAVE_AVX2
        {{"avx2", w4_tile_gemm_avx2, w4_act_avx2, w4_dot_rows_avx2}, runs_avx2,
                runs_avx2},
#endif
#if W4_HAVE_AVX512
        {{"avx512", w4_tile_gemm_avx512, w4_act_avx512, w4_dot_rows_avx512},
                runs_avx512, runs_avx512},
#endif
#if W4_HAVE_AVX512BF16
        {{"avx512bf16", w4_tile_gemm_avx512bf16, w4_act_avx512,
                 w4_dot_rows_avx512},
                runs_avx512bf16, prefers_avx512bf16},
#endif
};

enum { N_VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* The names that are known here, with a space before each. */
static void
list_names(char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < N_VARIANTS && n < size; i++) {
        n += (size_t)snprintf(
                text + n, size - n, " %s", variants[i].kernels.name);
    }
}

w4moe_status
w4_kernels_pick(struct w4_err *err, const struct w4_kernels **kernels_p,
        const char *name)
{
    int any = name == NULL || name[0] == '\0';
    for (int i = N_VARIANTS - 1; i >= 0; i--) {
        int named = !any && strcmp(name, variants[i].kernels.name) == 0;
        if (named && !variants[i].runs()) {
            return w4_fail(err, W4MOE_UNSUPPORTED,
                    "CPU kernel variant \"%s\": this processor does not run "
                    "it",
                    variants[i].kernels.name);
        }
        if (named || (any && variants[i].preferred())) {
            *kernels_p = &variants[i].kernels;
            return W4MOE_OK;
        }
    }
    char known[128];
    list_names(known, sizeof(known));
    return w4_fail(err, W4MOE_UNSUPPORTED,
            "CPU kernel variant \"%.32s\" is not known; known:%s", name, known);
}
