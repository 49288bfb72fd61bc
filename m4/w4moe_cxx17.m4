# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors

# W4MOE_CXX17: whether $CXX compiles C++17, for tests only. HAVE_CXX17,
# w4moe_cxx17 for the summary, and W4MOE_CXXFLAGS, its flags and warnings.
AC_DEFUN([W4MOE_CXX17], [
    AC_LANG_PUSH([C++])
    AC_MSG_CHECKING([whether $CXX compiles C++17])
    w4moe_saved_cxxflags=$CXXFLAGS
    CXXFLAGS="$CXXFLAGS -std=gnu++17"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[
            #include <memory>
            #include <vector>
            static_assert(__cplusplus >= 201703L);
        ]], [[
            auto numbers = std::make_unique<std::vector<int>>(2);
            return (*numbers)[0];
        ]])],
        [w4moe_cxx17=yes], [w4moe_cxx17=no])
    CXXFLAGS=$w4moe_saved_cxxflags
    # A compiler for another machine than CC's is found where the right one is
    # missing; that machine's programs may run here all the same.
    AS_IF([test "x$build" != "x$host" && test "x$CXX" = xg++],
        [w4moe_cxx17=no])
    AC_MSG_RESULT([$w4moe_cxx17])
    AC_LANG_POP([C++])
    W4MOE_CXXFLAGS="-std=gnu++17 -ffp-contract=off$w4moe_sse_flags"
    W4MOE_CXXFLAGS="$W4MOE_CXXFLAGS -Wall -Wextra"
    AS_IF([test "x$enable_dev_mode" = xyes],
        [W4MOE_CXXFLAGS="$W4MOE_CXXFLAGS -Wpedantic -Wundef -Werror"])
    AC_SUBST([W4MOE_CXXFLAGS])
    AM_CONDITIONAL([HAVE_CXX17], [test "x$w4moe_cxx17" = xyes])
])
