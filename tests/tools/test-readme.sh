#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The program of README.md: its very text is compiled against an installed
# library, with what pkg-config says and nothing else, and runs a layer.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
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
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$work/root"

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$srcdir/README.md" \
    > "$work/program.c"
lines=$(wc -l < "$work/program.c")
if [ "$lines" -lt 20 ]; then
    echo "README.md has no program (found $lines lines of C)"
    exit 1
fi

# A static build needs the private libraries, too; sanitizers are in CFLAGS.
static=
[ -n "$(find "$libdir" -name 'libw4moe.so')" ] || static=--static
# shellcheck disable=SC2046,SC2086
$CC ${CFLAGS:-} "$work/program.c" \
    $($PKG_CONFIG $static --cflags --libs w4moe) -o "$work/program"

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
