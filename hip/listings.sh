#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: listings.sh CLANG FOLDER INCLUDE [ARCH...]
#
# Compiles the kernels for each architecture, by default all, that CLANG knows,
# to FOLDER/ARCH/NAME.s (the assembler's language, for check-isa.py) and NAME.co
# (a code object, for emulate.py). INCLUDE is where configure put
# w4moe/version.h. Run it in the source folder.
set -eu

clang=$1
folder=$2
flags="-x hip -nogpulib -nogpuinc --offload-device-only
    --no-gpu-bundle-output -fuse-cuid=none -std=c++17 -O3 -Wall -Wextra
    -Wno-pass-failed -Werror -Ihip/kernels -Ilib -Iinclude -I$3"

# Its pass that inserts s_delay_alu, a hint, corrupts its memory at times.
[ "$clang" != clang-15 ] || flags="$flags -mllvm -amdgpu-enable-delay-alu=0"
shift 3
[ $# -gt 0 ] || set -- gfx1030 gfx1100 gfx1101 gfx1102 gfx1103 gfx1150 \
    gfx1151 gfx1200 gfx1201

known() {
    # shellcheck disable=SC2086
    echo 'extern "C" __attribute__((global)) void kernel(int *p) { *p = 1; }' |
        "$clang" $flags --offload-arch="$1" -S -o /dev/null - 2> /dev/null
}

# "ARCH NAME" of all that is to be compiled.
list() {
    for arch; do
        known "$arch" || continue
        mkdir -p "$folder/$arch"
        for source in hip/kernels/*.hip; do
            name=${source##*/}
            name=${name%.hip}
            case $arch:$name in
            gfx10*:mma_*) ;;
            *) echo "$arch $name" ;;
            esac
        done
    done
}

rm -rf "$folder"
export clang folder flags
# clang 15 overlaps what v_mad_u64_u32 reads and writes, which gfx11 does not
# allow; its own assembler says so. It gives listings only.
# shellcheck disable=SC2016
list "$@" | xargs -r -P "$(nproc)" -n 2 sh -euc '
    exact=
    [ "$2" != route ] || exact=-ffp-contract=off
    tries=1
    # clang 15 aborts at random, its heap corrupted: it may try again.
    until "$clang" $flags $exact --offload-arch="$1" -S -o "$folder/$1/$2.s" \
        "hip/kernels/$2.hip"; do
        [ "$clang" = clang-15 ] && [ $tries -lt 5 ]
        tries=$((tries + 1))
    done
    [ "$clang" != clang-15 ] || exit 0
    "$clang" -x assembler -target amdgcn-amd-amdhsa -mcpu="$1" \
        -o "$folder/$1/$2.co" "$folder/$1/$2.s"
' sh
if [ ! -d "$folder" ]; then
    echo "$clang knows none of $*" >&2
    exit 1
fi
