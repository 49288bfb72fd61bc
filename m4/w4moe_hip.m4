# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors

# W4MOE_HIP: whether the module hip is built, how, and for what.
#   HAVE_HIP            conditional
#   HIP_COMPILE         command for device code, without the architecture
#   HIP_ARCH_FLAG       what precedes the architecture
#   HIP_DEPEND_FLAGS    for a list of headers beside the output
#   HIP_EXACT_FLAG      without fused multiplications and additions that the
#                       source does not ask for
#   HIP_ARCHS           architectures
#   HIP_CPPFLAGS, HIP_LDFLAGS, HIP_LIBS    of the host side
#   w4moe_hip_backend   for the summary: " hip (...)" or " (hip: no: why)"
AC_DEFUN([W4MOE_HIP], [
    AC_ARG_WITH([hip], [AS_HELP_STRING([--with-hip=auto|yes|no],
        [the GPU backend, a module @<:@auto@:>@])], [], [with_hip=auto])
    AC_ARG_WITH([hip-platform],
        [AS_HELP_STRING([--with-hip-platform=amd|nvidia],
            [what GPUs it is for @<:@amd@:>@])], [], [with_hip_platform=amd])
    AC_ARG_WITH([hip-archs], [AS_HELP_STRING([--with-hip-archs=LIST],
        [GPU architectures, with commas @<:@what the compiler knows@:>@])],
        [], [with_hip_archs=default])
    AC_ARG_VAR([HIPCC_CLANG], [clang for the device code of --with-hip])
    AC_ARG_VAR([NVCC], [nvcc for --with-hip-platform=nvidia])
    HIP_COMPILE=
    HIP_ARCH_FLAG=
    HIP_DEPEND_FLAGS=
    HIP_EXACT_FLAG=
    HIP_ARCHS=
    HIP_CPPFLAGS=
    HIP_LDFLAGS=
    HIP_LIBS=
    # Why it is not built, if it is not; what is to be said if it is.
    w4moe_no_hip=
    w4moe_hip_note=
    AS_CASE([$with_hip], [no], [w4moe_no_hip="--with-hip=no"],
        [yes | auto], [],
        [AC_MSG_ERROR([--with-hip=$with_hip: not auto, yes or no])])
    AS_CASE([$with_hip_platform], [amd | nvidia], [], [AC_MSG_ERROR(
        [--with-hip-platform=$with_hip_platform: not amd or nvidia])])
    AS_IF([test "x$w4moe_no_hip" = x && test "x$enable_shared" != xyes],
        [w4moe_no_hip="modules need shared libraries"])
    AS_IF([test "x$w4moe_no_hip" = x], [
        AS_CASE([$with_hip_platform],
            [amd], [W4MOE_HIP_AMD], [W4MOE_HIP_NVIDIA])])
    AS_IF([test "x$w4moe_no_hip" = x], [W4MOE_HIP_ARCHS])
    AS_IF([test "x$w4moe_no_hip" = x], [W4MOE_HIP_HOST])
    AS_CASE([$with_hip:$w4moe_no_hip],
        [*:], [w4moe_hip_backend=" hip ($with_hip_platform:$HIP_ARCHS)"
               w4moe_hip_backend="$w4moe_hip_backend by $w4moe_hip_compiler"
               w4moe_hip_backend=$w4moe_hip_backend$w4moe_hip_note],
        [yes:*], [AC_MSG_ERROR([--with-hip=yes: $w4moe_no_hip])],
        [w4moe_hip_backend=" (hip: no: $w4moe_no_hip)"])
    AM_CONDITIONAL([HAVE_HIP], [test "x$w4moe_no_hip" = x])
    AC_SUBST([HIP_COMPILE])
    AC_SUBST([HIP_ARCH_FLAG])
    AC_SUBST([HIP_DEPEND_FLAGS])
    AC_SUBST([HIP_EXACT_FLAG])
    AC_SUBST([HIP_ARCHS])
    AC_SUBST([HIP_CPPFLAGS])
    AC_SUBST([HIP_LDFLAGS])
    AC_SUBST([HIP_LIBS])
])

# W4MOE_HIP_TRY(COMMAND, ARCH): whether the command compiles a kernel for ARCH,
# and gives an ELF file.
AC_DEFUN([W4MOE_HIP_TRY], [
    {
        cat > conftest.hip <<\_W4MOE_EOF
extern "C" __attribute__((global)) void
kernel(float *p)
{
    p@<:@0@:>@ = __builtin_fmaf(p@<:@1@:>@, p@<:@2@:>@, p@<:@3@:>@);
}
_W4MOE_EOF
        rm -f conftest.co
        _AS_ECHO_LOG([$1$2 -o conftest.co conftest.hip])
        $1$2 -o conftest.co conftest.hip >&AS_MESSAGE_LOG_FD 2>&1 &&
            head -c 4 conftest.co 2> /dev/null | grep ELF > /dev/null
    }
])

# The compiler for AMD: any clang that can, the one of hipcc first. No part of
# ROCm is needed for it.
AC_DEFUN([W4MOE_HIP_AMD], [
    HIP_ARCH_FLAG=--offload-arch=
    # The driver's -MMD is lost on the way to the device's compiler in clang 21.
    HIP_DEPEND_FLAGS='-Xclang -dependency-file -Xclang $(@:.co=.d)'
    HIP_DEPEND_FLAGS="$HIP_DEPEND_FLAGS -Xclang -MT -Xclang \$[]@"
    HIP_EXACT_FLAG=-ffp-contract=off
    w4moe_hip_defaults="gfx1100 gfx1101 gfx1102 gfx1103 gfx1150 gfx1151"
    w4moe_hip_defaults="$w4moe_hip_defaults gfx1200 gfx1201 gfx1030"
    w4moe_hip_probe=gfx1100
    w4moe_hip_flags="-x hip -nogpulib -nogpuinc --offload-device-only"
    w4moe_hip_flags="$w4moe_hip_flags --no-gpu-bundle-output -fuse-cuid=none"
    w4moe_hip_flags="$w4moe_hip_flags -std=c++17 -O3 -Wall -Wextra"
    # A loop that is not unrolled is no fault.
    w4moe_hip_flags="$w4moe_hip_flags -Wno-pass-failed -c"
    AS_IF([test "x$HIPCC_CLANG" != x], [w4moe_clangs=$HIPCC_CLANG], [
        w4moe_clangs="clang-21 clang-20 clang-19 clang-18 clang-17 clang-16"
        w4moe_clangs="$w4moe_clangs clang-15 clang"
        w4moe_folder=`hipconfig -l 2> /dev/null` &&
            w4moe_clangs="$w4moe_folder/clang $w4moe_clangs"
    ])
    AC_MSG_CHECKING([for a clang that compiles for $w4moe_hip_probe])
    w4moe_hip_compiler=
    w4moe_old_clang=
    for w4moe_clang in $w4moe_clangs; do
        AS_IF([W4MOE_HIP_TRY(
                [$w4moe_clang $w4moe_hip_flags $HIP_ARCH_FLAG],
                [$w4moe_hip_probe])],
            [AS_IF([$w4moe_clang --version |
                    grep 'clang version 1@<:@0-6@:>@\.' > /dev/null],
                [w4moe_old_clang=$w4moe_clang],
                [w4moe_hip_compiler=$w4moe_clang; break])])
    done
    # To see whether the sources compile, it will do; see hip/listings.sh.
    AS_IF([test "x$w4moe_hip_compiler" = x && test "x$with_hip" = xyes],
        [w4moe_hip_compiler=$w4moe_old_clang
         w4moe_hip_flags="$w4moe_hip_flags -Xclang -mllvm -Xclang"
         w4moe_hip_flags="$w4moe_hip_flags -amdgpu-enable-delay-alu=0"
         w4moe_hip_note=", whose code for gfx11 is wrong: clang 17 is needed"])
    AS_IF([test "x$w4moe_hip_compiler" != x],
        [HIP_COMPILE="$w4moe_hip_compiler $w4moe_hip_flags"
         AC_MSG_RESULT([$w4moe_hip_compiler])],
        [test "x$w4moe_old_clang" != x],
        [AC_MSG_RESULT([no])
         w4moe_no_hip="the code of $w4moe_old_clang for gfx11 is wrong"],
        [AC_MSG_RESULT([no])
         w4moe_no_hip="no clang for $w4moe_hip_probe"])
    HIP_CPPFLAGS="-D__HIP_PLATFORM_AMD__"
    w4moe_hip_libs=-lamdhip64
    w4moe_hip_needs="the HIP runtime (hip/hip_runtime_api.h, $w4moe_hip_libs)"
])

# The compiler for NVIDIA; the toolkit is where it is.
AC_DEFUN([W4MOE_HIP_NVIDIA], [
    HIP_ARCH_FLAG=-arch=
    HIP_DEPEND_FLAGS='-MMD -MF $(@:.co=.d) -MT $[]@'
    HIP_EXACT_FLAG=-fmad=false
    w4moe_hip_defaults="sm_80 sm_90"
    AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])
    w4moe_hip_compiler=$NVCC
    AS_IF([test "x$NVCC" = x], [w4moe_no_hip="no nvcc"])
    HIP_COMPILE="$NVCC -x cu -cubin -std=c++17 -O3"
    HIP_CPPFLAGS=-DW4_HIP_PLATFORM_NVIDIA
    w4moe_cuda=`dirname "$NVCC"`/..
    AS_IF([test -e "$w4moe_cuda/include/cuda.h"],
        [HIP_CPPFLAGS="$HIP_CPPFLAGS -isystem $w4moe_cuda/include"])
    # Without a driver there is only the stub to link with.
    AS_IF([test -e "$w4moe_cuda/lib64/stubs/libcuda.so"],
        [HIP_LDFLAGS="-L$w4moe_cuda/lib64/stubs"])
    w4moe_hip_libs=-lcuda
    w4moe_hip_needs="the CUDA driver's interface (cuda.h, $w4moe_hip_libs)"
])

# The architectures: by default those that the compiler knows.
AC_DEFUN([W4MOE_HIP_ARCHS], [
    AS_IF([test "x$with_hip_archs" = xdefault],
        [w4moe_hip_wanted=$w4moe_hip_defaults],
        [w4moe_hip_wanted=`echo "$with_hip_archs" | tr , ' '`])
    for w4moe_arch in $w4moe_hip_wanted; do
        AC_MSG_CHECKING([whether $w4moe_hip_compiler knows $w4moe_arch])
        AS_IF([W4MOE_HIP_TRY([$HIP_COMPILE $HIP_ARCH_FLAG], [$w4moe_arch])],
            [AC_MSG_RESULT([yes])
             HIP_ARCHS="$HIP_ARCHS $w4moe_arch"],
            [AC_MSG_RESULT([no])
             AS_IF([test "x$with_hip_archs" != xdefault], [AC_MSG_ERROR(
                [--with-hip-archs: $w4moe_hip_compiler has no $w4moe_arch])])])
    done
    rm -f conftest.hip conftest.co
    AS_IF([test "x$HIP_ARCHS" = x],
        [w4moe_no_hip="$w4moe_hip_compiler knows none of $w4moe_hip_wanted"])
])

# What the host side needs; sets HIP_LIBS.
AC_DEFUN([W4MOE_HIP_HOST], [
    AC_MSG_CHECKING([for $w4moe_hip_needs])
    w4moe_saved_cppflags=$CPPFLAGS
    w4moe_saved_ldflags=$LDFLAGS
    w4moe_saved_libs=$LIBS
    CPPFLAGS="$CPPFLAGS $HIP_CPPFLAGS"
    LDFLAGS="$LDFLAGS $HIP_LDFLAGS"
    LIBS="$w4moe_hip_libs $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[
            #ifdef W4_HIP_PLATFORM_NVIDIA
            #include <cuda.h>
            #define hipGetDeviceCount cuDeviceGetCount
            #else
            #include <hip/hip_runtime_api.h>
            #endif
        ]], [[int n; return (int)hipGetDeviceCount(&n);]])],
        [AC_MSG_RESULT([yes]); HIP_LIBS=$w4moe_hip_libs],
        [AC_MSG_RESULT([no]); w4moe_no_hip="$w4moe_hip_needs is missing"])
    CPPFLAGS=$w4moe_saved_cppflags
    LDFLAGS=$w4moe_saved_ldflags
    LIBS=$w4moe_saved_libs
])
