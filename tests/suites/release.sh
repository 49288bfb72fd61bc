# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# Verbs of ./dev, which reads this: what a release needs.

# abi MODE: compare or update; see the script.
abi() {
    say "ABI: $1"
    [ -e build/gcc/config.status ] || configured gcc --enable-dev-mode $one_gpu
    (cd build/gcc && quiet make.out make -j"$(nproc)")
    result=0
    tests/abi/abi.sh "$1" build/gcc || result=$?
    [ "$result" = 77 ] || return "$result"
}

# distcheck OPTIONS [TESTS=...]: with these options of configure, and with all
# tests or those; and whether the archive has the files that git has.
distcheck() {
    options=$1
    shift
    say "distcheck $options"
    [ -e build/gcc/config.status ] || configured gcc --enable-dev-mode $one_gpu
    rm -f build/gcc/w4moe-*.tar.xz
    (cd build/gcc && quiet distcheck.out make -j"$(nproc)" distcheck \
        DISTCHECK_CONFIGURE_FLAGS="$options $no_gpu_tests" "$@")
    result=0
    run tests/dist/same-files.sh build/gcc/w4moe-*.tar.xz . || result=$?
    [ "$result" = 77 ] || return "$result"
}

# dist: distcheck in every way in which the libraries can be built here.
dist() {
    # shellcheck disable=SC2086
    deps $check_packages
    configured gcc --enable-dev-mode $one_gpu
    ways="--with-hip=no"
    if grep -q '^HIP_LIBS = ..*' build/gcc/Makefile; then
        ways="$ways --with-hip=yes"
    else
        grep '(hip: no' build/gcc/configure.out
    fi
    for way in $ways; do
        [ "$way" = --with-hip=no ] || way="$way $one_gpu"
        distcheck "$way --with-mpi=no"
        if grep -q '^HAVE_MPI = yes' build/gcc/Makefile; then
            distcheck "$way --with-mpi=yes"
        else
            grep '^  MPI ' build/gcc/configure.out
        fi
    done
}

# Those that read all kinds of files of the source, which an archive may lack;
# the others have run in build/gcc.
file_tests='$(filter tests/abi/%,$(script_tests)) $(fuzz_targets)'
for name in property/test_golden tools/test-convert.sh tools/test-examples.sh \
    tools/test-install-man.sh tools/test-readme.sh tools/test-routing.sh; do
    file_tests="$file_tests tests/$name"
done

deb() {
    suite=${1:-}
    case $suite in
    bookworm | trixie | sid) shift ;;
    *)
        echo "usage: ./dev deb bookworm|trixie|sid [STAGE...]" >&2
        return 2
        ;;
    esac
    deps git mmdebstrap autopkgtest iproute2
    run tests/package/deb.sh "$suite" "build/deb/$suite" "$@"
}
