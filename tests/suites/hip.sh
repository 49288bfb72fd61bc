# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# A verb of ./dev, which reads this: what compilers make of the GPU kernels.

. tests/package/root.sh

# compiled_here: listings of the kernels in build/hip, by the newest clang.
compiled_here() {
    for clang in clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 \
        clang-15; do
        command -v $clang > /dev/null || continue
        run hip/listings.sh $clang build/hip/$clang build/hip/include
        listed=$clang=build/hip/$clang
        return 0
    done
    echo "no clang from 15 to 21 with its lld; in Debian 12: clang-15, lld-15"
    return 1
}

# compiled_in SUITE N: the same by clang N of another Debian suite, in a root of
# its own.
compiled_in() {
    case $listed in
    clang-$2=*) return 0 ;;
    esac
    root=$top/build/roots/$1
    if [ ! -e "$root/usr/bin/clang-$2" ]; then
        rm -rf "$root"
        mkdir -p build/roots
        quiet "build/roots/$1.log" make_root "$1" "$root" --variant=apt \
            --include="clang-$2,lld-$2"
    fi
    rm -rf "$root/w4moe"
    mkdir -p "$root/w4moe/lib"
    cp -r hip include build/hip/include "$root/w4moe"
    cp -r lib/format lib/kernel "$root/w4moe/lib"
    run chroot "$root" sh -c \
        "cd /w4moe && hip/listings.sh clang-$2 out include"
    rm -rf "build/hip/clang-$2"
    cp -r "$root/w4moe/out" "build/hip/clang-$2"
    listed="$listed clang-$2=build/hip/clang-$2"
}

hip() {
    deps python3
    say "GPU kernels"
    [ -e build/release/config.status ] || configured release
    mkdir -p build/hip/include
    cp -r build/release/include/w4moe build/hip/include
    compiled_here
    if [ "$(id -u)" = 0 ] && command -v mmdebstrap > /dev/null; then
        compiled_in trixie 17
        compiled_in sid 21
    else
        echo "not as root, or no mmdebstrap: no compilers of other suites"
    fi
    say "what they made"
    # shellcheck disable=SC2086
    run hip/check-isa.py --table bench/ISA.md $listed
}
