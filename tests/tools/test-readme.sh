#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The programs of README.md: their very text is compiled against an installed
# library, with what pkg-config says and nothing else, and runs a layer. The
# second is for libw4moe-mpi (HAVE_MPI and MPIEXEC tell of MPI).
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
HAVE_MPI=${HAVE_MPI:-no}
data=$srcdir/tests/data/ct-sym-g32-bf16

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Installed under a folder of its own; make's variables of the run that
# started this test must not reach the inner one.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$top_builddir" \
    DESTDIR="$work/root" install-libLTLIBRARIES install-includeHEADERS \
    install-w4moeincludeHEADERS install-nodist_w4moeincludeHEADERS \
    install-pkgconfigDATA > "$work/install.log" 2>&1 || {
    cat "$work/install.log"
    exit 1
}
pc=$(find "$work/root" -name w4moe.pc)
libdir=$(dirname "$(dirname "$pc")")
# With the folder of its own before their paths. PKG_CONFIG_SYSROOT_DIR would
# put it before MPI's, too.
mkdir "$work/pkgconfig"
for file in "${pc%/*}"/w4moe*.pc; do
    sed "s|^\([a-z_]*\)=/|\1=$work/root/|" "$file" \
        > "$work/pkgconfig/${file##*/}"
done
export PKG_CONFIG_PATH="$work/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"

# A static build needs the private libraries, too; sanitizers are in CFLAGS.
static=
[ -n "$(find "$libdir" -name 'libw4moe.so')" ] || static=--static

# make_program PROGRAM NUMBER MODULE: from the text that has this number.
make_program() {
    awk -v number="$2" -f "$srcdir/tests/tools/readme_program.awk" \
        "$srcdir/README.md" > "$1.c"
    lines=$(wc -l < "$1.c")
    if [ "$lines" -lt 20 ]; then
        echo "README.md has no program $2 (found $lines lines of C)"
        exit 1
    fi
    # shellcheck disable=SC2046,SC2086
    $CC ${CFLAGS:-} "$1.c" $($PKG_CONFIG $static --cflags --libs "$3") -o "$1"
}

make_program "$work/program" 1 w4moe
"$top_builddir/tools/moe-convert" --quiet "$data" "$work/layer.safetensors"
export LD_LIBRARY_PATH="$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
"$work/program" "$work/layer.safetensors" > "$work/out"
words=$(wc -w < "$work/out")
kinds=$(tr ' ' '\n' < "$work/out" | sort -u | wc -l)
if [ "$words" != 256 ] || [ "$kinds" -lt 32 ]; then
    echo "expected 256 different numbers, got $words of $kinds kinds:"
    cat "$work/out"
    exit 1
fi

# A wrong file: exit code 1 and a text that names it.
if "$work/program" "$work/none.safetensors" 2> "$work/errors"; then
    echo "a missing file was not an error"
    exit 1
fi
grep -q none.safetensors "$work/errors"

# That of libw4moe-mpi prints the same on each of any number of ranks.
if [ "$HAVE_MPI" != yes ]; then
    [ ! -e "${pc%/*}/w4moe-mpi.pc" ] || {
        echo "w4moe-mpi.pc was installed without libw4moe-mpi"
        exit 1
    }
    echo "note: no MPI; its program is not compiled"
    exit 0
fi
make_program "$work/mpi_program" 2 w4moe-mpi
# MPI libraries do not free all of their memory.
ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS-}
export ASAN_OPTIONS
export OMP_NUM_THREADS=2
"$work/mpi_program" "$work/layer.safetensors" > "$work/out"
kinds=$(tr ' ' '\n' < "$work/out" | sort -u | wc -l)
if [ "$kinds" -lt 3 ]; then
    echo "expected 4 different numbers, got:"
    cat "$work/out"
    exit 1
fi
# shellcheck disable=SC2086
set -- ${MPIEXEC:-mpiexec}
if command -v "$1" > /dev/null 2>&1; then
    sh "$srcdir/tests/mpi/run.sh" 2 "$work/mpi_program" \
        "$work/layer.safetensors" > "$work/out2"
    cat "$work/out" "$work/out" | cmp - "$work/out2"
else
    echo "note: no $1; the program ran alone only"
fi
