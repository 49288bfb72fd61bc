# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors

# W4MOE_MPI: whether libw4moe-mpi is built, and with which MPI library.
#   --with-mpi=auto|yes|no|MODULE   MODULE is its pkg-config module; without
#       one mpi-c (Debian's choice of the system), ompi-c and mpich are tried,
#       then the compiler's wrapper MPICC is asked.
# Sets MPI_CFLAGS and MPI_LIBS, which the user may set, too; MPI_MODULE, or
# MPI_PC_CFLAGS and MPI_PC_LIBS, for w4moe-mpi.pc; MPIEXEC, which starts
# programs; the condition HAVE_MPI; MPI_QUERY_CPPFLAGS for mpi/aware.c; and
# w4moe_mpi for the summary. After W4MOE_HIP.
AC_DEFUN([W4MOE_MPI], [
    AC_ARG_VAR([MPI_CFLAGS], [C compiler flags for MPI])
    AC_ARG_VAR([MPI_LIBS], [linker flags for MPI])
    AC_ARG_VAR([MPICC], [the MPI library's compiler, asked for its flags])
    AC_ARG_VAR([MPIEXEC], [starts MPI programs])
    AC_ARG_WITH([mpi],
        [AS_HELP_STRING([--with-mpi=auto|yes|no|MODULE],
            [build libw4moe-mpi; MODULE is a pkg-config module of an MPI
             library, such as ompi-c or mpich (default: auto)])],
        [], [with_mpi=auto])
    w4moe_mpi=no
    MPI_MODULE=
    MPI_PC_CFLAGS=
    MPI_PC_LIBS=
    AS_CASE([$with_mpi],
        [no], [w4moe_mpi="no (--with-mpi=no)"],
        [auto|yes], [w4moe_mpi_modules="mpi-c ompi-c mpich"],
        [w4moe_mpi_modules=$with_mpi])
    AS_IF([test "x$with_mpi" != xno], [
        AS_IF([test -n "$MPI_CFLAGS$MPI_LIBS"],
            [MPI_PC_CFLAGS=$MPI_CFLAGS; MPI_PC_LIBS=$MPI_LIBS],
            [W4MOE_MPI_ASK])
        W4MOE_MPI_TRY
        AS_CASE([$with_mpi:$w4moe_mpi], [auto:*|*:yes*], [],
            [AC_MSG_ERROR([no MPI library as --with-mpi=$with_mpi wants it])])
    ])
    # What starts another library's programs would start each one alone.
    AS_CASE([$with_mpi], [mpich*], [w4moe_mpiexec=mpiexec.mpich],
        [ompi*], [w4moe_mpiexec=mpiexec.openmpi], [w4moe_mpiexec=])
    AC_CHECK_PROGS([MPIEXEC], [$w4moe_mpiexec mpiexec mpirun], [])
    AS_CASE([$w4moe_mpi], [yes*], [HAVE_MPI=yes; W4MOE_MPI_AWARE],
        [HAVE_MPI=no])
    AC_SUBST([MPI_QUERY_CPPFLAGS])
    AC_SUBST([HAVE_MPI])
    AC_SUBST([MPI_MODULE])
    AC_SUBST([MPI_PC_CFLAGS])
    AC_SUBST([MPI_PC_LIBS])
    AM_CONDITIONAL([HAVE_MPI], [test "x$HAVE_MPI" = xyes])
])

# Finds flags by pkg-config, or by a compiler's wrapper.
AC_DEFUN([W4MOE_MPI_ASK], [
    for w4moe_module in $w4moe_mpi_modules; do
        AC_MSG_CHECKING([for the module $w4moe_module])
        AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $w4moe_module], [
            AC_MSG_RESULT([yes])
            MPI_MODULE=$w4moe_module
            MPI_CFLAGS=`$PKG_CONFIG --cflags $w4moe_module`
            MPI_LIBS=`$PKG_CONFIG --libs $w4moe_module`
            break
        ], [AC_MSG_RESULT([no])])
    done
    AS_IF([test -z "$MPI_MODULE" &&
            { test "x$with_mpi" = xauto || test "x$with_mpi" = xyes; } &&
            test "x$cross_compiling" != xyes], [
        AC_CHECK_PROGS([MPICC], [mpicc], [])
        AS_IF([test -n "$MPICC"], [
            MPI_CFLAGS=`$MPICC -showme:compile 2> /dev/null ||
                $MPICC -compile_info 2> /dev/null | cut -d ' ' -f 2-`
            MPI_LIBS=`$MPICC -showme:link 2> /dev/null ||
                $MPICC -link_info 2> /dev/null | cut -d ' ' -f 2-`
            MPI_PC_CFLAGS=$MPI_CFLAGS
            MPI_PC_LIBS=$MPI_LIBS
        ])
    ])
])

# Whether a program links with them.
AC_DEFUN([W4MOE_MPI_TRY], [
    AC_MSG_CHECKING([for MPI])
    w4moe_saved_cppflags=$CPPFLAGS
    w4moe_saved_libs=$LIBS
    CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
    LIBS="$MPI_LIBS $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
            #if MPI_VERSION < 3
            #error MPI 3 is needed
            #endif]],
            [[MPI_Request r; MPI_Ialltoallv(0, 0, 0, MPI_INT, 0, 0, 0, MPI_INT,
                MPI_COMM_WORLD, &r);]])],
        [w4moe_mpi="yes (${MPI_MODULE:-$MPI_LIBS})"],
        [w4moe_mpi="no (no MPI 3 library)"; MPI_MODULE=])
    CPPFLAGS=$w4moe_saved_cppflags
    LIBS=$w4moe_saved_libs
    AC_MSG_RESULT([$w4moe_mpi])
])

# The function that says whether MPI takes pointers to device memory of GPUs of
# --with-hip-platform, if there is one: Open MPI declares it in <mpi-ext.h>,
# MPICH in <mpi.h>.
AC_DEFUN([W4MOE_MPI_AWARE], [
    MPI_QUERY_CPPFLAGS=
    w4moe_saved_cppflags=$CPPFLAGS
    w4moe_saved_libs=$LIBS
    CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
    LIBS="$MPI_LIBS $LIBS"
    AC_CHECK_HEADER([mpi-ext.h], [MPI_QUERY_CPPFLAGS=-DW4_MPI_HAVE_EXT], [],
        [[#include <mpi.h>]])
    AC_MSG_CHECKING([whether MPI can say that it takes pointers to GPU memory])
    w4moe_mpi_query=no
    AS_CASE([$with_hip_platform],
        [nvidia], [w4moe_mpi_queries=MPIX_Query_cuda_support],
        [w4moe_mpi_queries="MPIX_Query_rocm_support MPIX_Query_hip_support"])
    CPPFLAGS="$CPPFLAGS $MPI_QUERY_CPPFLAGS"
    for w4moe_query in $w4moe_mpi_queries; do
        AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
                #ifdef W4_MPI_HAVE_EXT
                #include <mpi-ext.h>
                #endif
                int (*query)(void) = $w4moe_query;]], [[return query();]])], [
            w4moe_mpi_query=$w4moe_query
            MPI_QUERY_CPPFLAGS="$MPI_QUERY_CPPFLAGS -DW4_MPI_QUERY=$w4moe_query"
            break
        ])
    done
    CPPFLAGS=$w4moe_saved_cppflags
    LIBS=$w4moe_saved_libs
    AC_MSG_RESULT([$w4moe_mpi_query])
])
