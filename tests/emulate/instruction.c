/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Executes one instruction of the set that is named, whatever the processor
 * can do: shows that an emulated machine lacks what it should lack. Ends with
 * 0, by SIGILL, or with 2 for a name that is not known. For dispatch.sh. */
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#define KNOWN "sse3 ssse3 sse4.1 avx fma f16c avx2 avx512f"

static int
execute(const char *set)
{
    if (strcmp(set, "sse3") == 0) {
        __asm__ volatile("haddps %%xmm0, %%xmm0" ::: "xmm0");
    } else if (strcmp(set, "ssse3") == 0) {
        __asm__ volatile("pshufb %%xmm0, %%xmm0" ::: "xmm0");
    } else if (strcmp(set, "sse4.1") == 0) {
        __asm__ volatile("pmulld %%xmm0, %%xmm0" ::: "xmm0");
    } else if (strcmp(set, "avx") == 0) {
        __asm__ volatile("vaddps %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
    } else if (strcmp(set, "fma") == 0) {
        __asm__ volatile("vfmadd231ps %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
    } else if (strcmp(set, "f16c") == 0) {
        __asm__ volatile("vcvtph2ps %%xmm0, %%ymm0" ::: "xmm0");
    } else if (strcmp(set, "avx2") == 0) {
        __asm__ volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
    } else if (strcmp(set, "avx512f") == 0) {
        __asm__ volatile("vaddps %%zmm0, %%zmm0, %%zmm0" ::: "xmm0");
    } else {
        return 0;
    }
    return 1;
}

#elif defined(__aarch64__)
#define KNOWN "neon dotprod sve"

/* Opcodes, since the assembler knows only what the compiler may use:
 * sdot v0.4s, v0.16b, v0.16b and add z0.s, z0.s, z0.s. */
static int
execute(const char *set)
{
    if (strcmp(set, "neon") == 0) {
        __asm__ volatile("fmla v0.4s, v0.4s, v0.4s" ::: "v0");
    } else if (strcmp(set, "dotprod") == 0) {
        __asm__ volatile(".inst 0x4e809400" ::: "v0");
    } else if (strcmp(set, "sve") == 0) {
        __asm__ volatile(".inst 0x04a00000" ::: "v0");
    } else {
        return 0;
    }
    return 1;
}

#else
#define KNOWN "none on this architecture"

static int
execute(const char *set)
{
    (void)set;
    return 0;
}
#endif

int
main(int argc, char **argv)
{
    if (argc != 2 || !execute(argv[1])) {
        fprintf(stderr, "which instruction set? known: %s\n", KNOWN);
        return 2;
    }
    return 0;
}
