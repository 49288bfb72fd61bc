# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors

# W4MOE_TRY_CFLAG(FLAG, VARIABLE): appends FLAG if the compiler takes it
# without a word.
AC_DEFUN([W4MOE_TRY_CFLAG], [
    AC_MSG_CHECKING([whether $CC takes $1])
    w4moe_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
        [AC_MSG_RESULT([yes]); $2="$$2 $1"],
        [AC_MSG_RESULT([no])])
    CFLAGS=$w4moe_saved_cflags
])

# W4MOE_FLAGS: the project's own compiler flags, each probed. CFLAGS belongs to
# the user and is never changed.
#   W4MOE_CFLAGS         what the code needs
#   W4MOE_KERNEL_CFLAGS  in addition, for kernels: let the compiler vectorise
#   W4MOE_WARN_CFLAGS    warnings
AC_DEFUN([W4MOE_FLAGS], [
    W4MOE_CFLAGS=
    W4MOE_KERNEL_CFLAGS=
    W4MOE_WARN_CFLAGS=
    W4MOE_TRY_CFLAG([-std=gnu11], [W4MOE_CFLAGS])
    W4MOE_TRY_CFLAG([-fvisibility=hidden], [W4MOE_CFLAGS])
    # Results must not depend on where a compiler finds a multiply-add.
    W4MOE_TRY_CFLAG([-ffp-contract=off], [W4MOE_CFLAGS])
    # Nor on registers that are wider than the type: 32-bit x86 may have to
    # compute in x87's, lib/base/half.h refuses them. For C++, too.
    w4moe_sse_flags=
    AC_CHECK_DECL([__i386__], [
        W4MOE_TRY_CFLAG([-msse2 -mfpmath=sse], [w4moe_sse_flags])
        # What other versions of gcc do with _Atomic is no news.
        W4MOE_TRY_CFLAG([-Wno-psabi], [W4MOE_WARN_CFLAGS])
    ], [], [[]])
    W4MOE_CFLAGS="$W4MOE_CFLAGS$w4moe_sse_flags"
    W4MOE_TRY_CFLAG([-fno-math-errno], [W4MOE_KERNEL_CFLAGS])
    W4MOE_TRY_CFLAG([-fno-trapping-math], [W4MOE_KERNEL_CFLAGS])
    W4MOE_TRY_CFLAG([-ftree-vectorize], [W4MOE_KERNEL_CFLAGS])
    W4MOE_TRY_CFLAG([-fvect-cost-model=dynamic], [W4MOE_KERNEL_CFLAGS])
    W4MOE_TRY_CFLAG([-Wall], [W4MOE_WARN_CFLAGS])
    W4MOE_TRY_CFLAG([-Wextra], [W4MOE_WARN_CFLAGS])
    AS_IF([test "x$enable_dev_mode" = xyes], [
        m4_foreach_w([w4moe_flag], [-Wpedantic -Wshadow -Wconversion
            -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
            -Wold-style-definition -Wundef -Wvla -Wwrite-strings
            -Wcast-align -Wcast-qual -Wpointer-arith
            -Wformat=2 -Werror],
            [W4MOE_TRY_CFLAG(w4moe_flag, [W4MOE_WARN_CFLAGS])])
    ])
    AC_SUBST([W4MOE_CFLAGS])
    AC_SUBST([W4MOE_KERNEL_CFLAGS])
    AC_SUBST([W4MOE_WARN_CFLAGS])
])

# W4MOE_LIBM: the library with expf(), in LIBM.
AC_DEFUN([W4MOE_LIBM], [
    w4moe_saved_libs=$LIBS
    AC_SEARCH_LIBS([erff], [m], [], [AC_MSG_ERROR([no erff()])])
    LIBM=
    AS_IF([test "x$ac_cv_search_erff" != "xnone required"],
        [LIBM=$ac_cv_search_erff])
    LIBS=$w4moe_saved_libs
    AC_SUBST([LIBM])
])

# W4MOE_LIBDL: the library with dlopen(), in DL_LIBS; newer systems have it in
# libc.
AC_DEFUN([W4MOE_LIBDL], [
    w4moe_saved_libs=$LIBS
    AC_SEARCH_LIBS([dlopen], [dl], [], [AC_MSG_ERROR([no dlopen()])])
    DL_LIBS=
    AS_IF([test "x$ac_cv_search_dlopen" != "xnone required"],
        [DL_LIBS=$ac_cv_search_dlopen])
    LIBS=$w4moe_saved_libs
    AC_SUBST([DL_LIBS])
])
