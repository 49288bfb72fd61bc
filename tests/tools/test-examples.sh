#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The programs of examples/ with the library that was built, and the binding
# that they use against the headers. What Python lacks a module for is left out.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
examples=$srcdir/examples

skip() {
    echo "skipped: $*"
    exit 77
}

library=$top_builddir/.libs/libw4moe.so
[ -e "$library" ] || skip "no $library (only a static library was built?)"
case " ${CFLAGS:-}" in
*-fsanitize*) skip "Python does not load a library with a sanitizer" ;;
esac
W4MOE_LIBRARY=$(cd "$top_builddir" && pwd)/.libs/libw4moe.so
PYTHONPATH=$examples
PYTHONDONTWRITEBYTECODE=1
OMP_NUM_THREADS=2
export W4MOE_LIBRARY PYTHONPATH PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# python_with MODULE: prints a Python that has it; fails if there is none.
python_with() {
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c "import $1" 2> /dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

python=$(python_with ctypes) || skip "no python3"
"$python" "$srcdir/tests/tools/binding.py" layout > "$work/layout.c"
# shellcheck disable=SC2086
$CC ${CPPFLAGS:-} -std=c11 -fsyntax-only -I"$srcdir/include" \
    -I"$top_builddir/include" "$work/layout.c"
checks=$(grep -c _Static_assert "$work/layout.c")
if [ "$checks" -lt 200 ]; then
    echo "only $checks checks of the binding's layout"
    exit 1
fi

ran=0
# example MODULE PROGRAM [ARGUMENT]: runs it if there is a Python with MODULE.
example() {
    if ! python=$(python_with "$1"); then
        echo "note: no python3 with $1; not run: ${2##*/}"
        return 0
    fi
    shift
    echo "${1##*/}:"
    "$python" "$@"
    ran=$((ran + 1))
}
example numpy "$srcdir/tests/tools/binding.py" refusals
example numpy "$examples/numpy_forward.py"
example torch "$examples/replace_torch_moe.py"
[ "$ran" -gt 0 ] || skip "no python3 with numpy or torch"
