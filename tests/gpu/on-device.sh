#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: on-device.sh [--sanitizer TOOL] [BUILD [PROGRAM...]]
#
# Runs the tests of `make check-gpu-programs` on the GPU of this machine, from a
# build folder that may have come from another one: all of BUILD's tests, or
# those named (bytes, forward, gemm, layer, route, rows). With --sanitizer under
# NVIDIA's compute-sanitizer: memcheck, racecheck, initcheck or synccheck;
# COMPUTE_SANITIZER says where it is. Shared libraries that this machine lacks
# may be in BUILD/libraries. Installed, without BUILD, it runs the tests beside
# it, of what is installed.
#
# Prints a line for each program, the output of those that fail, and the sum.
# A program without a device is skipped; the exit status is then 77, if nothing
# else was tested.
set -eu

usage() {
    echo "usage: on-device.sh [--sanitizer TOOL] [BUILD [PROGRAM...]]" >&2
    exit 2
}

tool=
if [ "${1:-}" = --sanitizer ]; then
    [ $# -ge 2 ] || usage
    tool=$2
    shift 2
fi
if [ $# = 0 ]; then
    programs=$(cd "$(dirname "$0")" && pwd)
    [ -x "$programs/device_rows" ] || usage
else
    build=$(cd "$1" && pwd)
    shift
    programs=$build/tests/gpu/.libs
    export W4MOE_BACKEND_DIR="$build/hip/.libs"
    ours=$build/.libs:$build/libraries
    export LD_LIBRARY_PATH="$ours${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
[ $# -gt 0 ] || set -- bytes forward gemm layer route rows

# Contexts of a GPU do not survive fork().
export CK_FORK=no
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Kernels that an architecture lacks are asked for, and not found: that is no
# error.
run() {
    if [ -n "$tool" ]; then
        "${COMPUTE_SANITIZER:-compute-sanitizer}" --tool "$tool" \
            --error-exitcode 99 --report-api-errors no "$@"
    else
        "$@"
    fi
}

# Without a driver its library is missing, too, which the loader says.
has_no_driver() {
    [ ! -e /dev/nvidiactl ] && [ ! -e /dev/kfd ] &&
        grep -qE 'loading shared libraries: lib(cuda|amdhip64)\.' "$1"
}

passed=0
failed=0
skipped=0
for name; do
    program=$programs/device_$name
    start=$(date +%s)
    status=0
    run "$program" > "$log" 2>&1 || status=$?
    took=$(($(date +%s) - start)) result=FAIL
    if [ $status = 0 ]; then
        result=PASS
        passed=$((passed + 1))
    elif [ $status = 77 ] || has_no_driver "$log"; then
        result=SKIP
        skipped=$((skipped + 1))
    else
        failed=$((failed + 1))
    fi
    echo "$result: $name${tool:+ ($tool)}, $took s: $(tail -n 1 "$log")"
    [ $result != FAIL ] || cat "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] || exit 1
[ $passed != 0 ] || exit 77
