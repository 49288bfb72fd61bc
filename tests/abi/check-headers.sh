#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Every public header compiles alone, and twice in one file, as C11, C17 and
# C++17, without a warning.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
CXX=${CXX:-c++}

warnings="-Wall -Wextra -Wpedantic -Wconversion -Werror"
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
    if ! "$@" $warnings -fsyntax-only -I"$srcdir/include" \
            -I"$top_builddir/include" "$file" 2> "$work/errors"; then
        echo "<$header> does not compile alone: $*"
        head -n 12 "$work/errors"
        failed=1
    fi
}

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
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" \
        > "$work/header_test.c"
    cp "$work/header_test.c" "$work/header_test.cc"
    # shellcheck disable=SC2086
    compile "$work/header_test.c" $CC -std=c11
    # shellcheck disable=SC2086
    compile "$work/header_test.c" $CC -std=c17
    if [ "$has_cxx" = yes ]; then
        # shellcheck disable=SC2086
        compile "$work/header_test.cc" $CXX -std=c++17
    fi
    n=$((n + 1))
done
if [ "$n" -lt 3 ]; then
    echo "only $n headers found under $srcdir/include"
    failed=1
fi
exit "$failed"
