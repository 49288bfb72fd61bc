# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# Verbs of ./dev, which reads this: tests on machines that are not here.

emulate_packages="qemu-user
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    gcc-i686-linux-gnu libc6-dev-i386-cross
    gcc-s390x-linux-gnu libc6-dev-s390x-cross"

# emulators: what the following needs; libraries of other machines come to
# build/libraries, since they are not to be installed here.
emulators() {
    if [ "$(dpkg --print-architecture)" != amd64 ]; then
        echo "only Debian on x86-64 (amd64) has all that emulation needs"
        return 1
    fi
    # shellcheck disable=SC2086
    deps $emulate_packages
    mkdir -p build
    quiet build/libraries.log \
        tests/emulate/libraries.sh build/libraries arm64 i386 s390x
    [ -e build/gcc/config.status ] || configured gcc --enable-dev-mode
    (cd build/gcc && quiet tests.out make -j"$(nproc)" check TESTS=)
}

# emulated MACHINE FOLDER: the tests of a build on an emulated machine; check
# says "short" in $emulated_tests.
emulated_tests=
emulated() {
    printf '+ emulate %s  (build/%s)\n' "$1" "$2"
    rm -rf "build/emulated/$1"
    # shellcheck disable=SC2086
    tests/emulate/run.sh "$1" "build/$2" build/gcc "build/emulated/$1" \
        $emulated_tests
    show_failed "build/emulated/$1" || true
}

emulate_x86_64() {
    say "older x86-64 processors, emulated"
    emulators
    for machine in x86-64-v1 x86-64-avx x86-64-avx2-no-fma x86-64-v3; do
        emulated $machine gcc
    done
}

# emulate_other MACHINE ARCHITECTURE [TOOLS]: one that gets a build of its own;
# ARCHITECTURE is Debian's name of it, TOOLS the compiler's if it is another.
emulate_other() {
    say "$1, emulated"
    emulators
    libraries=$top/build/libraries/$2
    configured "$1" --host="${3:-$1}-linux-gnu" --enable-dev-mode \
        --disable-shared \
        CFLAGS=-O2 \
        CPPFLAGS="-isystem $libraries/usr/include" \
        LDFLAGS="-L$libraries/usr/lib/$1-linux-gnu" \
        PKG_CONFIG_LIBDIR="$libraries/usr/lib/$1-linux-gnu/pkgconfig"
    (cd "build/$1" && quiet tests.out make -j"$(nproc)" check TESTS=)
    emulated "$1" "$1"
}

emulate_i386() {
    emulate_other i386 i386 i686
    emulated i386-v3 i386
}

emulate() {
    step x86-64 emulate_x86_64
    step aarch64 emulate_other aarch64 arm64
    step i386 emulate_i386
    step s390x emulate_other s390x s390x
}
