#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Every public header compiles alone, and twice in one file, as C11, C17 and
# C++17, without a warning (those that need <dlpack/dlpack.h> or MPI only where
# that is); and programs in C++ that call every function (use_headers.cc, and
# use_mpi.cc for <w4moe/mpi.h>) compile so, link with the libraries, and run.
# HAVE_MPI (yes or no), MPI_CFLAGS and MPI_LIBS tell of MPI.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
CXX=${CXX:-c++}
CXXFLAGS=${CXXFLAGS-}
LDFLAGS=${LDFLAGS-}
HAVE_MPI=${HAVE_MPI:-no}
MPI_CFLAGS=${MPI_CFLAGS-}
MPI_LIBS=${MPI_LIBS-}

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    -Wundef -Wcast-qual -Werror"
cxx_warnings="-Wold-style-cast -Wzero-as-null-pointer-constant"
includes="-I$srcdir/include -I$top_builddir/include"
version=$top_builddir/include/w4moe/version.h
# Warnings about MPI's own headers are none of ours.
mpi_flags=
for flag in $MPI_CFLAGS; do
    case $flag in
    -I?*) mpi_flags="$mpi_flags -isystem ${flag#-I}" ;;
    *) mpi_flags="$mpi_flags $flag" ;;
    esac
done

# CC and CXX may have options of their own, hence no quotes around them.
# shellcheck disable=SC2086
set -- $CC
if ! command -v "$1" > /dev/null 2>&1; then
    echo "no C compiler: $CC"
    exit 77
fi
if [ ! -e "$version" ]; then
    echo "there is no $version; run configure first"
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# compile FILE COMPILER OPTIONS...: says which header in which language.
compile() {
    file=$1
    shift
    # shellcheck disable=SC2086
    if ! "$@" $warnings $includes $extra ${CPPFLAGS:-} -fsyntax-only "$file" \
            2> "$work/errors"; then
        echo "<$header> does not compile alone: $*"
        head -n 12 "$work/errors"
        failed=1
    fi
}

printf '#include <dlpack/dlpack.h>\n' > "$work/dlpack.c"
has_dlpack=no
# shellcheck disable=SC2086
if $CC ${CPPFLAGS:-} -fsyntax-only "$work/dlpack.c" 2> /dev/null; then
    has_dlpack=yes
else
    echo "note: no <dlpack/dlpack.h>; headers that include it are not compiled"
fi

# shellcheck disable=SC2086
set -- $CXX
has_cxx=no
if command -v "$1" > /dev/null 2>&1; then
    has_cxx=yes
else
    echo "note: no C++ compiler ($CXX); headers are not compiled as C++"
fi

n=0
for path in "$srcdir"/include/w4moe.h "$srcdir"/include/w4moe/*.h "$version"
do
    header=${path##*/}
    case $path in
    */w4moe/"$header") header=w4moe/$header ;;
    esac
    if [ "$has_dlpack" = no ] && grep -q '<dlpack/dlpack.h>$' "$path"; then
        continue
    fi
    extra=
    if [ "$header" = w4moe/mpi.h ]; then
        extra=$mpi_flags
        if [ "$HAVE_MPI" != yes ]; then
            echo "note: no MPI; <$header> is not compiled"
            continue
        fi
    fi
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" \
        > "$work/header_test.c"
    cp "$work/header_test.c" "$work/header_test.cc"
    # shellcheck disable=SC2086
    compile "$work/header_test.c" $CC -std=c11
    # shellcheck disable=SC2086
    compile "$work/header_test.c" $CC -std=c17
    if [ "$has_cxx" = yes ]; then
        # shellcheck disable=SC2086
        compile "$work/header_test.cc" $CXX -std=c++17 $cxx_warnings
    fi
    n=$((n + 1))
done
# The programs in C++.
programs=$srcdir/tests/abi
for header in "$srcdir"/include/w4moe/*.h \
        "$srcdir"/include/w4moe/version.h.in; do
    program=$programs/use_headers.cc
    case $header in
    */version.h) continue ;; # generated from version.h.in
    */mpi.h) program=$programs/use_mpi.cc ;;
    esac
    awk -f "$srcdir/tests/abi/declared.awk" "$header" | while read -r name; do
        grep -q "[^a-z0-9_]$name(" "$program" ||
            echo "$program: no call of $name"
    done
done > "$work/missing"
if [ -s "$work/missing" ]; then
    cat "$work/missing"
    failed=1
fi

# attempt COMMAND...: says what has failed.
attempt() {
    if ! "$@" > "$work/out" 2>&1; then
        echo "$program: failed: $*"
        head -n 12 "$work/out"
        return 1
    fi
}

# use_headers PROGRAM FLAGS LIBRARY...: compiles, links and runs a program, with
# the flags that the library was built with, for the sanitizers.
use_headers() {
    program=$programs/$1.cc
    object=$work/$1.o
    extra=$2
    shift 2
    # shellcheck disable=SC2086
    attempt $CXX $CXXFLAGS -std=c++17 $warnings $cxx_warnings $includes \
        $extra -c "$program" -o "$object" || return 1
    # shellcheck disable=SC2086
    attempt "$top_builddir/libtool" --tag=CC --mode=link $CXX $CXXFLAGS \
        $LDFLAGS -o "${object%.o}" "$object" "$@" || return 1
    attempt "${object%.o}"
}

if [ "$has_cxx" = no ]; then
    echo "note: nor are programs in C++ compiled and linked"
elif [ ! -e "$top_builddir/libw4moe.la" ]; then
    echo "note: no libw4moe.la; programs in C++ are not linked"
else
    use_headers use_headers "" "$top_builddir/libw4moe.la" || failed=1
    if [ "$HAVE_MPI" = yes ]; then
        # MPI libraries do not free all of their memory.
        ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS-}
        export ASAN_OPTIONS
        # shellcheck disable=SC2086
        use_headers use_mpi "$mpi_flags" "$top_builddir/libw4moe-mpi.la" \
            "$top_builddir/libw4moe.la" $MPI_LIBS || failed=1
    else
        echo "note: no MPI; use_mpi.cc is not compiled"
    fi
fi

if [ "$n" -lt 3 ]; then
    echo "only $n headers found under $srcdir/include"
    failed=1
fi
exit "$failed"
