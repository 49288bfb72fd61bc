#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Expert parallelism on this machine, with more ranks than it has processors:
# the programs of this folder, and moe-run, which finds its program for that
# in W4MOE_LIBEXEC_DIR.
set -eu

srcdir=$(cd "${srcdir:-.}" && pwd)
run=$srcdir/tests/mpi/run.sh
if [ "${HAVE_MPI:-no}" = no ] || [ ! -x tests/mpi/test_ep ]; then
    echo "built without MPI, or without Check"
    exit 77
fi
if [ -z "${MPIEXEC:-}" ]; then
    echo "no mpiexec"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

data=$srcdir/tests/data/ct-sym-g32-bf16
tools/moe-convert --quiet "$data" "$work/all.safetensors"
tools/moe-run --layer=1 --input="$data/expected.safetensors" \
    --prefix=layers.1. --output="$work/one.safetensors" "$work/all.safetensors"

# Containers of the blocks of N ranks: 8 experts.
parts() {
    r=0
    while [ $r -lt "$1" ]; do
        # The experts e with e * N / 8 = r.
        first=$(((r * 8 + $1 - 1) / $1))
        last=$((((r + 1) * 8 + $1 - 1) / $1 - 1))
        tools/moe-convert --quiet --experts=$first-$last "$data" \
            "$work/part$1.safetensors"
        mv "$work/part$1.safetensors" "$work/part$1.$r"
        r=$((r + 1))
    done
}

for n in 1 2 3 4 7; do
    $run $n tests/mpi/test_ep
    parts $n
    $run $n tests/mpi/test_ep_load "$work/all.safetensors" "$work/part$n"
    $run $n tools/moe-run --ep --threads=1 --layer=1 \
        --input="$data/expected.safetensors" --prefix=layers.1. \
        --expect="$data/expected.safetensors" \
        --output="$work/ranks.safetensors" "$work/all.safetensors"
    cmp "$work/one.safetensors" "$work/ranks.safetensors"
    rm "$work/ranks.safetensors"
done
$run 3 tests/mpi/test_ep_errors
$run 1 tests/mpi/test_ep_errors
# Device memory, where there are the tests of the GPU backend.
for n in 1 2 3; do
    if [ -x tests/mpi/test_ep_device ]; then
        $run $n tests/mpi/test_ep_device
    fi
done

# refused STATUS TEXT COMMAND...: the job ends with that status, and says so.
refused() {
    status=$1
    text=$2
    shift 2
    result=0
    "$@" > "$work/out" 2>&1 || result=$?
    if [ $result != "$status" ] || ! grep -q "$text" "$work/out"; then
        cat "$work/out"
        echo "status $result, not $status with \"$text\": $*"
        exit 1
    fi
}
refused 1 "no layer 9" $run 2 tools/moe-run --ep --layer=9 \
    --input="$data/expected.safetensors" "$work/all.safetensors"
refused 1 "nowhere.safetensors" $run 3 tools/moe-run --ep --layer=1 \
    --input="$work/nowhere.safetensors" "$work/all.safetensors"
refused 2 "each rank" $run 1 tools/moe-run --ep --experts=0-1 --layer=1 \
    --input="$data/expected.safetensors" "$work/all.safetensors"

# moe-run is looked for by PATH, and what it turns into by a relative name.
(
    PATH=tools:$PATH
    W4MOE_LIBEXEC_DIR=tools
    export PATH W4MOE_LIBEXEC_DIR
    $run 2 sh -c 'exec moe-run "$@"' sh --ep --threads=1 --layer=1 \
        --input="$data/expected.safetensors" --prefix=layers.1. \
        --output="$work/ranks.safetensors" "$work/all.safetensors" \
        2> "$work/out"
)
cmp "$work/one.safetensors" "$work/ranks.safetensors"
grep -q '^moe-run: 2 ranks, ' "$work/out"
rm "$work/ranks.safetensors"
refused 1 "^moe-run: --ep: $work/moe-run-ep: No such file" $run 2 \
    env W4MOE_LIBEXEC_DIR="$work" tools/moe-run --ep --layer=1 \
    --input="$data/expected.safetensors" "$work/all.safetensors"

# What it turns into is moe-run also without --ep, and by name.
tools/moe-run-ep --layer=1 --input="$data/expected.safetensors" \
    --prefix=layers.1. --output="$work/alone.safetensors" \
    "$work/all.safetensors"
cmp "$work/one.safetensors" "$work/alone.safetensors"
tools/moe-run-ep --version | grep -q '^moe-run '

# A rank that dies takes the job with it; the time is for a job that does not
# end.
result=0
timeout 120 $run 3 tests/mpi/killed 1 > "$work/out" 2>&1 || result=$?
if [ $result = 0 ] || [ $result = 124 ]; then
    cat "$work/out"
    echo "a killed rank: status $result"
    exit 1
fi
echo "a killed rank ends the job with status $result"
