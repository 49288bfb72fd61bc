# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors

# W4MOE_ISA: which instruction sets the compiler can be asked for, and how.
#   W4MOE_<ISA>_CFLAGS   flags of that variant's convenience library
#   W4MOE_ISA_CPPFLAGS   W4_HAVE_<ISA>=1 for each, for the dispatch
# What the processor runs is found out at run time.
AC_DEFUN([W4MOE_ISA], [
    W4MOE_ISA_CPPFLAGS=
    w4moe_isas=
    W4MOE_AVX2_CFLAGS="-mavx2 -mfma -mf16c"
    W4MOE_TRY_ISA([AVX2], [avx2], [[#include <immintrin.h>]],
        [[__m256 x = _mm256_cvtph_ps(_mm_setzero_si128());
          x = _mm256_permutevar8x32_ps(x, _mm256_setzero_si256());
          return (int)_mm256_cvtss_f32(_mm256_fmadd_ps(x, x, x));]])
    W4MOE_AVX512_CFLAGS="-mavx512f"
    W4MOE_TRY_ISA([AVX512], [avx512], [[#include <immintrin.h>]],
        [[__m512 x = _mm512_setzero_ps();
          return (int)_mm512_reduce_add_ps(_mm512_fmadd_ps(x, x, x));]])
    W4MOE_AVX512BF16_CFLAGS="-mavx512f -mavx512bw -mavx512bf16"
    W4MOE_TRY_ISA([AVX512BF16], [avx512bf16], [[#include <immintrin.h>]],
        [[__m512i x = _mm512_permutexvar_epi16(
              _mm512_setzero_si512(), _mm512_setzero_si512());
          return (int)_mm512_reduce_add_ps(_mm512_dpbf16_ps(
              _mm512_setzero_ps(), (__m512bh)x, (__m512bh)x));]])
    W4MOE_NEON_CFLAGS=
    W4MOE_TRY_ISA([NEON], [neon], [[#include <arm_neon.h>]],
        [[#ifndef __aarch64__
          #error "only AArch64 has fused multiply-adds in every processor"
          #endif
          return (int)vaddvq_f32(vdupq_n_f32(0.0f));]])
    AC_SUBST([W4MOE_ISA_CPPFLAGS])
])

# W4MOE_TRY_ISA(NAME, VARIANT, INCLUDES, BODY)
AC_DEFUN([W4MOE_TRY_ISA], [
    AC_MSG_CHECKING([whether $CC can build kernels for $2])
    w4moe_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS $W4MOE_$1_CFLAGS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])], [w4moe_isa=yes],
        [w4moe_isa=no])
    CFLAGS=$w4moe_saved_cflags
    AC_MSG_RESULT([$w4moe_isa])
    AS_IF([test "x$w4moe_isa" = xyes],
        [W4MOE_ISA_CPPFLAGS="$W4MOE_ISA_CPPFLAGS -DW4_HAVE_$1=1"
         w4moe_isas="$w4moe_isas $2"],
        [W4MOE_ISA_CPPFLAGS="$W4MOE_ISA_CPPFLAGS -DW4_HAVE_$1=0"])
    AM_CONDITIONAL([HAVE_$1], [test "x$w4moe_isa" = xyes])
    AC_SUBST([W4MOE_$1_CFLAGS])
])
