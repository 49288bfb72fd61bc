#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: run.sh MACHINE BUILD NATIVE RESULTS [short]
#
# Runs tests on a machine that is not here, by emulation of its processor.
#
# MACHINE  see below
# BUILD    a folder where w4moe and its tests are built for that machine
# NATIVE   such a folder for this machine: what the same files are that
#          both must write
# RESULTS  a folder to be made, for the results in Automake's form
# short    without what takes long and has the least that is new there
#
# RESULTS looks like a build folder: it has the tools and the test programs by
# their names, each a script that starts the real one on the emulated machine.
# So the tests that are scripts run here unchanged, and what they start runs
# there.
set -eu
machine=$1
build=$(cd "$2" && pwd)
W4MOE_NATIVE=$(cd "$3" && pwd)
mkdir -p "$4"
results=$(cd "$4" && pwd)
short=${5:-}
cd "$(dirname "$0")/../.."
srcdir=$PWD

# programs FOLDER...: test programs of the build, by their names.
programs() {
    for folder in "$@"; do
        for program in "$build/tests/$folder"/*; do
            case ${program##*/} in
            # Minutes there, and nothing new; those with all variants only
            # where vectors are that nothing else here runs.
            *.* | test_container_damage) ;;
            test_variants | test_batch_invariant) ;;
            *)
                # Not the folders of modules.
                if [ -f "$program" ] && [ -x "$program" ]; then
                    echo "${program#"$build"/}"
                fi ;;
            esac
        done
    done
}

# except NAMES: of programs on stdin those that are not test_NAME, with NAMES
# separated by |.
except() {
    grep -vE "/test_($1)\$"
}

# What emulates the processor; of instruction sets of its architecture those
# that it has and lacks, as far as kernels ask; kernel variants that it runs,
# the one that is to be picked last; and the tests.
dispatch=tests/emulate/dispatch.sh
files="tests/emulate/same-bytes.sh tests/tools/test-run.sh"
s390x_long='shared_layer|parallel|noalloc|nomem.*|layer_list|half|route'
s390x_long="$s390x_long|quantize|forward|forward_(layer|sums|bytes)|gemm"
i386_long="$s390x_long|act|activate|combine|scores|gguf_convert|gguf_damage"
i386_long="$i386_long|pack_(ct|qweight)|st_damage|st_shards"
# Not the libraries that this machine's loader knows by itself.
cross=/usr/i686-linux-gnu
i386_libraries="-L $cross -E LD_LIBRARY_PATH=$cross/lib"
haswell=Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm
case $machine in
x86-64-v1)
    emulator="qemu-x86_64 -cpu qemu64,-sse3"
    W4MOE_HAS=
    W4MOE_LACKS="sse3 ssse3 sse4.1 avx fma f16c avx2 avx512f"
    W4MOE_RUNS=ref
    tests="$(programs kernel) $dispatch $files
        tests/emulate/bench.sh"
    ;;
x86-64-avx) # which is not AVX2
    emulator="qemu-x86_64 -cpu SandyBridge,-x2apic,-tsc-deadline"
    W4MOE_HAS=avx
    W4MOE_LACKS="fma f16c avx2 avx512f"
    W4MOE_RUNS=ref
    tests=$dispatch
    ;;
x86-64-avx2-no-fma)
    emulator="qemu-x86_64 -cpu $haswell,-fma"
    W4MOE_HAS=avx2
    W4MOE_LACKS="fma avx512f"
    W4MOE_RUNS=ref
    tests=$dispatch
    ;;
x86-64-v3)
    emulator="qemu-x86_64 -cpu $haswell"
    W4MOE_HAS="avx2 fma f16c"
    W4MOE_LACKS=avx512f
    W4MOE_RUNS="ref avx2"
    # The emulator's vectors are slow: a few of the kernels' tests.
    tests="tests/kernel/test_activate tests/kernel/test_gemm_numbers
        tests/kernel/test_layer $dispatch $files"
    ;;
aarch64)
    emulator="qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu"
    W4MOE_HAS=neon
    W4MOE_LACKS="dotprod sve"
    W4MOE_RUNS="ref neon"
    # Those of files and conversion have no part that only this machine has.
    tests="tests/kernel/test_variants"
    if [ -n "$short" ]; then
        # Its vectors: some of all cases, in kernels and in whole layers.
        W4MOE_TEST_EVERY=5
        export W4MOE_TEST_EVERY
        tests="$tests $(programs kernel | except 'noalloc|shared_layer')"
    else
        tests="$tests tests/kernel/test_batch_invariant $(programs kernel)
            tests/unit/test_half tests/unit/test_parallel
            tests/unit/test_route tests/unit/test_scores"
    fi
    tests="$tests $dispatch $files tests/emulate/bench.sh"
    ;;
i386) # 32 bits
    emulator="qemu-i386 -cpu qemu32 $i386_libraries"
    W4MOE_HAS=
    W4MOE_LACKS="ssse3 sse4.1 avx fma f16c avx2 avx512f"
    W4MOE_RUNS=ref
    tests=$(programs kernel unit property)
    if [ -n "$short" ]; then
        # Sizes are not the same there; numbers are, as the files show.
        tests=$(programs kernel unit property | except "$i386_long")
    fi
    tests="$tests $dispatch $files"
    ;;
i386-v3)
    emulator="qemu-i386 -cpu $haswell,-lm,-syscall $i386_libraries"
    W4MOE_HAS="avx2 fma f16c"
    W4MOE_LACKS=avx512f
    W4MOE_RUNS="ref avx2"
    tests="tests/kernel/test_gemm_numbers tests/kernel/test_layer $dispatch"
    ;;
s390x) # big-endian
    emulator="qemu-s390x -L /usr/s390x-linux-gnu"
    W4MOE_HAS=
    W4MOE_LACKS=
    W4MOE_RUNS=ref
    tests=$(programs kernel unit property)
    if [ -n "$short" ]; then
        # Those of threads, of allocations and of numbers have no bytes to turn
        # round; whole layers do what is in files.
        tests=$(programs kernel unit property | except "$s390x_long")
    fi
    tests="$tests $dispatch $files tests/tools/test-convert.sh"
    ;;
*)
    echo "no such machine: $machine" >&2
    exit 2
    ;;
esac

# stand_in FILE COMMAND: a script in RESULTS that does a command instead.
stand_in() {
    mkdir -p "$results/${1%/*}"
    printf '#!/bin/sh\n%s "$@"\n' "$2" > "$results/$1"
    chmod +x "$results/$1"
}

for program in tools/moe-convert tools/moe-run tools/moe-bench \
    tests/kernel/test_variants tests/kernel/test_batch_invariant \
    $(programs emulate kernel unit property); do
    # libtool has the real program elsewhere if the library is shared.
    real=$build/${program%/*}/.libs/${program##*/}
    [ -x "$real" ] || real=$build/$program
    stand_in "$program" "LD_LIBRARY_PATH='$build/.libs' exec $emulator '$real'"
done
for test in $tests; do
    case $test in
    *.sh) stand_in "$test" "exec sh '$srcdir/$test'" ;;
    esac
done

# Two threads are enough everywhere, and none may wait by spinning: with an
# emulator's speed that takes the processor from the one that is waited for.
OMP_NUM_THREADS=2
OMP_WAIT_POLICY=passive
top_builddir=$results
export OMP_NUM_THREADS OMP_WAIT_POLICY top_builddir srcdir \
    W4MOE_NATIVE W4MOE_HAS W4MOE_LACKS W4MOE_RUNS
cd "$results"
# shellcheck disable=SC2086
printf '%s\n' $tests | xargs -P "$(nproc)" -I '{}' \
    sh "$srcdir/build-aux/test-driver" --test-name "$machine: {}" \
    --log-file '{}.log' --trs-file '{}.trs' --color-tests no \
    --enable-hard-errors yes --expect-failure no -- './{}'
