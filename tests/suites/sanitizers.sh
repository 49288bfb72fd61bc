# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# Verbs of ./dev, which reads this: tests under sanitizers and valgrind, with MPI
# libraries, and fuzzing.

fuzz_packages="clang"

sanitizers="-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
-fno-omit-frame-pointer"

asan() {
    deps
    say "tests under the address and undefined-behaviour sanitizers"
    configured asan --enable-dev-mode --disable-shared CFLAGS="$sanitizers" \
        CXXFLAGS="$sanitizers" "$@"
    tested asan
}

# compiler_rt: clang's sanitizers, a package of its own.
compiler_rt() {
    version=$(clang -dumpversion)
    deps "libclang-rt-${version%%.*}-dev"
}

valgrind_tests() {
    deps valgrind
    say "unit tests under valgrind"
    configured valgrind --enable-dev-mode --disable-openmp --disable-shared
    (
        cd build/valgrind
        quiet valgrind-make.out make -j"$(nproc)" check TESTS=
        for test in tests/unit/test_* tests/property/test_*; do
            case $test in *.*) continue ;; esac
            [ -x "$test" ] || continue
            # Tests that replace the allocator are skipped.
            run env CK_FORK=no srcdir="$top" valgrind -q --leak-check=full \
                --child-silent-after-fork=yes \
                --error-exitcode=1 "$test" || [ $? = 77 ]
        done
    )
}

thread_sanitizer="-g -O1 -fsanitize=thread -fno-omit-frame-pointer"

# Without OpenMP, whose libraries are not built for it: it would take their
# barriers for none.
tsan() {
    deps
    say "tests of threads under the thread sanitizer"
    configured tsan --enable-dev-mode --disable-shared --disable-openmp \
        --with-hip=no CXX=no CFLAGS="$thread_sanitizer"
    (
        cd build/tsan
        programs="tests/kernel/test_shared_layer tests/kernel/test_forward
            tests/kernel/test_forward_layer tests/unit/test_parallel
            tests/unit/test_route"
        # shellcheck disable=SC2086
        quiet programs.out make -j"$(nproc)" $programs
        for test in $programs; do
            run env CK_FORK=no srcdir="$top" "$test"
        done
    )
}

# ep_programs: those of tests/mpi that test by themselves, in a build folder.
ep_programs="tests/mpi/test_ep tests/mpi/test_ep_errors"

# mpi_with MODULE MPIEXEC: the scripts of tests/mpi with an MPI library.
mpi_with() {
    say "expert parallelism with $1"
    configured "mpi-$1" --enable-dev-mode --with-hip=no CXX=no \
        --with-mpi="$1" MPIEXEC="$2"
    (
        cd "build/mpi-$1"
        quiet check.out make -j"$(nproc)" check TESTS='$(mpi_scripts)'
        grep -E '^(PASS|FAIL|SKIP|ERROR): ' check.out
    )
}

mpi() {
    deps libopenmpi-dev openmpi-bin openssh-client libmpich-dev mpich \
        valgrind
    mpi_with ompi-c mpiexec.openmpi
    mpi_with mpich mpiexec.mpich
    say "expert parallelism under valgrind"
    configured mpi-valgrind --enable-dev-mode --disable-openmp \
        --disable-shared --with-hip=no CXX=no --with-mpi=ompi-c
    export MPIEXEC=mpiexec.openmpi
    (
        cd build/mpi-valgrind
        # shellcheck disable=SC2086
        quiet programs.out make -j"$(nproc)" $ep_programs
        for test in $ep_programs; do
            run "$top/tests/mpi/run.sh" 2 valgrind -q --leak-check=full \
                --num-callers=50 --keep-debuginfo=yes \
                --errors-for-leak-kinds=definite,possible \
                --show-leak-kinds=definite,possible --error-exitcode=1 \
                --suppressions="$top/tests/mpi/valgrind.supp" "$test"
        done
    )
    say "expert parallelism under the thread sanitizer"
    configured mpi-tsan --enable-dev-mode --disable-openmp --disable-shared \
        --with-hip=no CXX=no --with-mpi=ompi-c CFLAGS="$thread_sanitizer"
    (
        cd build/mpi-tsan
        # shellcheck disable=SC2086
        quiet programs.out make -j"$(nproc)" $ep_programs
        for test in $ep_programs; do
            run env TSAN_OPTIONS="suppressions=$top/tests/mpi/tsan.supp" \
                "$top/tests/mpi/run.sh" 3 "$test"
        done
    )
}

# fuzz SECONDS TARGET...: searches. What is found to be new is kept from run to
# run in build/fuzz/corpus, what ends a target lies in build/fuzz/findings.
fuzz() {
    seconds=$1
    shift
    # shellcheck disable=SC2046
    [ $# != 0 ] || set -- $(find tests/fuzz -name 'fuzz_*.c' |
        sed 's/.*fuzz_//; s/\.c$//' | sort)
    # shellcheck disable=SC2086
    deps $fuzz_packages
    compiler_rt
    say "fuzz targets"
    flags="-g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all \
-fsanitize=fuzzer-no-link,address,undefined"
    configured fuzz --disable-shared --disable-openmp --with-hip=no CXX=no \
        CC=clang CFLAGS="$flags"
    cd build/fuzz
    programs=$(printf 'tests/fuzz/fuzz_%s ' "$@")
    quiet seeds.out make -j"$(nproc)" tests/fuzz/write_seeds
    # shellcheck disable=SC2086
    quiet targets.out make -j"$(nproc)" LDFLAGS=-fsanitize=fuzzer $programs
    TMPDIR=$(mktemp -d /dev/shm/w4moe-fuzz-XXXXXX 2> /dev/null || mktemp -d)
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
    mkdir -p findings
    say "fuzzing, $seconds seconds for each target"
    for target in "$@"; do
        corpus=corpus/$target
        mkdir -p "$corpus"
        srcdir=$top tests/fuzz/write_seeds "$target" "$corpus"
        quiet "$target.log" "tests/fuzz/fuzz_$target" "$corpus" \
            "$top/tests/fuzz/corpus/$target" \
            -dict="$top/tests/fuzz/words.dict" \
            -max_total_time="$seconds" -max_len=32768 -timeout=10 \
            -rss_limit_mb=1024 -malloc_limit_mb=256 \
            -artifact_prefix="findings/$target-"
        tail -n 1 "$target.log"
    done
}
