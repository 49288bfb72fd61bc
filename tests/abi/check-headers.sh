#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Every public header compiles alone, and twice in one file, as C11, C17 and
# C++17, without a warning (those that need <dlpack/dlpack.h> only where it is);
# and a program in C++ that calls every function (use_headers.cc) compiles so,
# links with the library, and runs.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
CXX=${CXX:-c++}
CXXFLAGS=${CXXFLAGS-}
LDFLAGS=${LDFLAGS-}

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    -Wundef -Wcast-qual -Werror"
cxx_warnings="-Wold-style-cast -Wzero-as-null-pointer-constant"
includes="-I$srcdir/include -I$top_builddir/include"
version=$top_builddir/include/w4moe/version.h

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
    if ! "$@" $warnings $includes ${CPPFLAGS:-} -fsyntax-only "$file" \
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
# The program in C++.
program=$srcdir/tests/abi/use_headers.cc
for header in "$srcdir"/include/w4moe/*.h \
        "$srcdir"/include/w4moe/version.h.in; do
    case $header in
    */version.h) ;; # generated from version.h.in
    *) awk -f "$srcdir/tests/abi/declared.awk" "$header" ;;
    esac
done | while read -r name; do
    grep -q "[^a-z0-9_]$name(" "$program" || echo "$program: no call of $name"
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

# use_headers: compiles, links and runs the program, with the flags that the
# library was built with, for the sanitizers.
use_headers() {
    # shellcheck disable=SC2086
    attempt $CXX $CXXFLAGS -std=c++17 $warnings $cxx_warnings $includes \
        -c "$program" -o "$work/use_headers.o" || return 1
    # shellcheck disable=SC2086
    attempt "$top_builddir/libtool" --tag=CC --mode=link $CXX $CXXFLAGS \
        $LDFLAGS -o "$work/use_headers" "$work/use_headers.o" \
        "$top_builddir/libw4moe.la" || return 1
    attempt "$work/use_headers"
}

if [ "$has_cxx" = no ]; then
    echo "note: nor is use_headers.cc compiled and linked"
elif [ ! -e "$top_builddir/libw4moe.la" ]; then
    echo "note: no libw4moe.la; use_headers.cc is not linked"
else
    use_headers || failed=1
fi

if [ "$n" -lt 3 ]; then
    echo "only $n headers found under $srcdir/include"
    failed=1
fi
exit "$failed"
