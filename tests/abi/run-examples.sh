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
#
# Programs with <w4moe/mpi.h> are linked with libw4moe-mpi, too, and run alone
# and as two ranks, with the same output; without MPI they are left out. It
# comes by HAVE_MPI (yes or no), MPI_CFLAGS, MPI_LIBS and MPIEXEC.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
HAVE_MPI=${HAVE_MPI:-no}
MPI_CFLAGS=${MPI_CFLAGS-}
MPI_LIBS=${MPI_LIBS-}
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

# run_program PAGE [COMMAND...]: runs $tmp/example in a new folder, by COMMAND.
run_program() {
    page=$1
    shift
    rm -rf "$tmp/folder"
    mkdir "$tmp/folder"
    ln -s "$checkpoint" "$tmp/folder/checkpoint"
    ln -s ../model.safetensors "$tmp/folder/model.safetensors"
    code=0
    (cd "$tmp/folder" && "$@" "$tmp/example") > "$tmp/stdout" 2> "$tmp/log" ||
        code=$?
    [ "$code" -eq 0 ] || wrong "$page: its example ends with exit status $code\
${1:+ by $*}:
$(cat "$tmp/stdout" "$tmp/log")"
    [ ! -s "$tmp/output" ] || cmp -s "$tmp/output" "$tmp/stdout" ||
        wrong "$page: its example does not print what it says${1:+ by $*}:
$(diff "$tmp/output" "$tmp/stdout")"
}

# run_mpi_program PAGE: alone, and as two ranks. MPI libraries do not free all
# of their memory.
run_mpi_program() {
    no_leaks=ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS-}
    run_program "$1" env "$no_leaks"
    if [ "$has_mpiexec" = yes ]; then
        run_program "$1" env "$no_leaks" sh "$mpi_run" 2
    fi
}

mpi_run=$(cd "$srcdir/tests/mpi" && pwd)/run.sh
has_mpiexec=no
if [ "$HAVE_MPI" = yes ]; then
    # shellcheck disable=SC2086
    set -- ${MPIEXEC:-mpiexec}
    if command -v "$1" > /dev/null 2>&1; then
        has_mpiexec=yes
    else
        echo "note: no $1; programs for MPI run alone only"
    fi
fi

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
        is_mpi=no
        ! grep -q '<w4moe/mpi.h>' "$tmp/example" || is_mpi=yes
        if [ "$is_mpi" = yes ] && [ "$HAVE_MPI" != yes ]; then
            echo "note: no MPI; not run: $page"
            continue
        fi
        mv "$tmp/example" "$tmp/example.c"
        n_programs=$((n_programs + 1))
        # shellcheck disable=SC2086
        if [ "$is_mpi" = yes ] &&
            make_program "$tmp/example" "$tmp/example.c" $MPI_CFLAGS \
                "$top_builddir/libw4moe-mpi.la" \
                "$top_builddir/libw4moe.la" $MPI_LIBS; then
            run_mpi_program "$page"
        elif [ "$is_mpi" = no ] &&
            make_program "$tmp/example" "$tmp/example.c" \
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
