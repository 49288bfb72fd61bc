#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: abi.sh compare BUILD
#        abi.sh update BUILD
#
# The binary interface (ABI) of the libraries in a build folder, as libabigail
# sees it, against what is recorded in the folder baseline, for x86-64:
#
#     LIBRARY.abi        exported functions, and the types that they lead to
#     LIBRARY.constants  the values of all enumerators in the public headers,
#                        also of flags, which no function's type leads to
#
# compare fails at any difference, additions too: the ABI changes where a record
# changes that people look at. update writes the records; with the same ABI from
# another folder or another MPI library the same files come out. The build must
# have debug information. Exit status 77: there is nothing to compare with here.
set -eu

usage() {
    sed -n 's/^# \(usage\)/\1/p; s/^#  \( *abi.sh\)/ \1/p' "$0" >&2
    exit 2
}

[ $# = 2 ] || usage
mode=$1
case $mode in compare | update) ;; *) usage ;; esac
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$(cd "$2" && pwd)
baseline=$here/baseline
LC_ALL=C
export LC_ALL

skip() {
    echo "note: the ABI is not looked at: $*"
    exit 77
}

for tool in abidw abidiff; do
    command -v $tool > /dev/null 2>&1 ||
        skip "no $tool (libabigail; Debian's abigail-tools)"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# made_with NAME: a variable of the build.
made_with() {
    sed -n "s/^$1 = //p" "$build/Makefile"
}

# record_types LIBRARY FILE: what abidw says of it, without what depends on the
# folder and on the MPI library.
record_types() {
    abidw --headers-dir "$source/include" --headers-dir "$build/include" \
        --drop-private-types --exported-interfaces-only --no-parameter-names \
        --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
        --type-id-style hash --out-file "$work/abidw" \
        "$build/.libs/$1.so"
    awk -f "$here/portable_abi.awk" "$work/abidw" "$work/abidw" > "$2"
    symbols=$(grep -c '<elf-symbol ' "$2" || true)
    functions=$(grep -c " elf-symbol-id='" "$2" || true)
    if [ "$symbols" = 0 ] || [ "$symbols" != "$functions" ]; then
        echo "$build/.libs/$1.so: $symbols symbols, but the types of" \
            "$functions functions; has it debug information (CFLAGS=-g)?"
        exit 1
    fi
}

# record_constants HEADER PREFIX FILE: "NAME VALUE" of its enumerators that
# begin so.
record_constants() {
    echo "#include <$1>" > "$work/header.c"
    # shellcheck disable=SC2046
    set -- "$2" "$3" $(made_with CC) -I"$source/include" -I"$build/include" \
        $(made_with CPPFLAGS) $(made_with MPI_CFLAGS)
    prefix=$1
    file=$2
    shift 2
    "$@" -E -P "$work/header.c" | tr '\n' ' ' |
        grep -o 'enum[ A-Za-z0-9_]*{[^}]*}' |
        grep -o "${prefix}[A-Za-z0-9_]*" | sort -u > "$work/names"
    {
        cat "$work/header.c"
        echo '#include <stdio.h>'
        echo 'int main(void) {'
        sed 's|.*|printf("& %lld\\n", (long long)&);|' "$work/names"
        echo '}'
    } > "$work/constants.c"
    "$@" -o "$work/constants" "$work/constants.c"
    "$work/constants" > "$file"
}

# record LIBRARY HEADER PREFIX
record() {
    if [ ! -e "$build/.libs/$1.so" ]; then
        echo "note: no $1.so in $build; it is left out"
        return
    fi
    record_types "$1" "$work/$1.abi"
    grep -q " architecture='elf-amd-x86_64'" "$work/$1.abi" ||
        skip "$1.so is not for x86-64"
    record_constants "$2" "$3" "$work/$1.constants"
    recorded="$recorded $1"
}

recorded=
record libw4moe w4moe.h W4MOE_
record libw4moe-mpi w4moe/mpi.h W4MOE_MPI_
[ -n "$recorded" ] || skip "no shared library in $build"

if [ "$mode" = update ]; then
    mkdir -p "$baseline"
    for library in $recorded; do
        cp "$work/$library.abi" "$work/$library.constants" "$baseline"
    done
    exit 0
fi

failed=0
for library in $recorded; do
    abidiff --harmless --redundant --no-show-locs \
        "$baseline/$library.abi" "$work/$library.abi" > "$work/report" 2>&1 ||
        {
            printf '%s: the types or functions have changed\n' "$library"
            cat "$work/report"
            failed=1
        }
    diff -U 0 "$baseline/$library.constants" "$work/$library.constants" \
        > "$work/report" || {
        printf '%s: constants have changed\n' "$library"
        sed '1,2d; /^@@/d' "$work/report"
        failed=1
    }
done
[ "$failed" = 0 ] || cat <<'EOF'

The ABI is not the one that is recorded in tests/abi/baseline. If it is not to
change: mend the headers or the maps. If it is:
  * ./dev abi records the new one; look at what git diff then shows
  * NEWS, "ABI", says what it means for programs
  * configure.ac: W4MOE_LT_VERSION, W4MOE_MPI_LT_VERSION; what its comment says
EOF
exit "$failed"
