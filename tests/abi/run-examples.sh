#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The programs among the examples of the man pages: each is linked with the
# library that was built and runs in a folder with what the pages speak of,
#
#   checkpoint           a checkpoint folder
#   model.safetensors    the container that moe-convert makes of it
#
# and must end with exit status 0, and with the output that the page says it
# has, if it says so. That every function's page has such a program is for
# check-man.sh. Those that need <dlpack/dlpack.h> are left out where it is not.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
abi=$srcdir/tests/abi
# shellcheck source=tests/tools/tool-lib.sh
. "$srcdir/tests/tools/tool-lib.sh"
need_checkpoints

# make_program PROGRAM SOURCE...: links PROGRAM.
make_program() {
    program=$1
    shift
    # CC and the flags may be several words each.
    # shellcheck disable=SC2086
    "$top_builddir/libtool" --silent --tag=CC --mode=link \
        $CC -std=c11 -Wall -Wextra -Werror ${CFLAGS:-} ${LDFLAGS:-} \
        -I"$srcdir/include" -I"$top_builddir/include" ${CPPFLAGS:-} \
        -no-install \
        -o "$program" "$@" > "$tmp/log" 2>&1
}

echo 'int main(void) { return 0; }' > "$tmp/empty.c"
make_program "$tmp/empty" "$tmp/empty.c" ||
    skip "no C compiler that makes programs ($CC)"
"$tmp/empty" 2> /dev/null || skip "programs of $CC do not run here"

printf '#include <dlpack/dlpack.h>\n' > "$tmp/dlpack.c"
has_dlpack=no
# shellcheck disable=SC2086
if $CC ${CPPFLAGS:-} -fsyntax-only "$tmp/dlpack.c" 2> /dev/null; then
    has_dlpack=yes
fi

name=ct-sym-g32-bf16
must "$convert" --quiet "$data/$name" "$tmp/model.safetensors"
checkpoint=$(cd "$data/$name" && pwd)

failed=0
wrong() {
    printf '%s\n' "$*"
    failed=1
}

# run_program PAGE: runs $tmp/example in a new folder.
run_program() {
    rm -rf "$tmp/folder"
    mkdir "$tmp/folder"
    ln -s "$checkpoint" "$tmp/folder/checkpoint"
    ln -s ../model.safetensors "$tmp/folder/model.safetensors"
    code=0
    (cd "$tmp/folder" && "$tmp/example") > "$tmp/stdout" 2> "$tmp/log" ||
        code=$?
    [ "$code" -eq 0 ] || wrong "$1: its example ends with exit status $code:
$(cat "$tmp/stdout" "$tmp/log")"
    [ ! -s "$tmp/output" ] || cmp -s "$tmp/output" "$tmp/stdout" ||
        wrong "$1: its example does not print what it says:
$(diff "$tmp/output" "$tmp/stdout")"
}

n_programs=0
for page in "$srcdir"/man/*.[357]; do
    n=0
    while
        n=$((n + 1))
        for part in example output; do
            awk -v part=$part -v number=$n -f "$abi/page_code.awk" "$page" \
                > "$tmp/$part"
        done
        [ -s "$tmp/example" ]
    do
        grep -q '^main(' "$tmp/example" || continue
        if [ "$has_dlpack" = no ] &&
                grep -q '<w4moe/dlpack.h>' "$tmp/example"; then
            echo "note: no <dlpack/dlpack.h>; not run: $page"
            continue
        fi
        mv "$tmp/example" "$tmp/example.c"
        n_programs=$((n_programs + 1))
        if make_program "$tmp/example" "$tmp/example.c" \
            "$top_builddir/libw4moe.la"; then
            run_program "$page"
        else
            wrong "$page: its example cannot be linked:
$(cat "$tmp/log")"
        fi
    done
done
echo "$n_programs programs"
[ "$n_programs" -gt 0 ] || fail "no programs in $srcdir/man"
exit "$failed"
