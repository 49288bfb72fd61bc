#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Shows what competing processes do to a forward call: times it alone, next to
# one busy loop for each processor, and alone again.
set -eu

help()
{
    cat <<'END'
Usage: busy.sh
Prints milliseconds of a call of one layer alone, with busy loops, and alone
again, and how much longer it takes with them than alone.

Environment:
  MOE_BENCH  command of moe-bench (default moe-bench); may have options
  PEER       command of the peer of bench/peer_ggml.c (default: none)
  LOOPS      busy loops (default: the number of processors)
  LIMIT      seconds after which a loop ends by itself (default 120)
  TOKENS     tokens of a call (default 1)
  THREADS    threads of each program (default: the number of processors)
END
}

die()
{
    echo "busy.sh: $*" >&2
    exit 1
}

if [ "${1:-}" = --help ]; then
    help
    exit 0
fi
[ $# -eq 0 ] || die "takes no arguments; see --help"
MOE_BENCH=${MOE_BENCH:-moe-bench}
PEER=${PEER:-}
processors=$(getconf _NPROCESSORS_ONLN)
LOOPS=${LOOPS:-$processors}
LIMIT=${LIMIT:-120}
TOKENS=${TOKENS:-1}
THREADS=${THREADS:-$processors}
loops=

stop_loops()
{
    for loop in $loops; do
        kill "$loop" 2>/dev/null || :
        wait "$loop" 2>/dev/null || :
    done
    loops=
}

start_loops()
{
    n=0
    while [ "$n" -lt "$LOOPS" ]; do
        n=$((n + 1))
        timeout "$LIMIT" sh -c 'while :; do :; done' &
        loops="$loops $!"
    done
}

# A figure taken after a loop has ended is not what it says.
check_loops()
{
    for loop in $loops; do
        kill -0 "$loop" 2>/dev/null ||
            die "a loop has ended before the measurement: raise LIMIT"
    done
}

tmp=$(mktemp -d)
trap 'stop_loops; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# time_call NAME: sets ms to the median of NAME's calls.
time_call()
{
    # shellcheck disable=SC2086
    case $1 in
    w4moe) $MOE_BENCH --tokens="$TOKENS" --threads="$THREADS" ;;
    *) $PEER --tokens="$TOKENS" --threads="$THREADS" ;;
    esac >"$tmp/out" 2>"$tmp/err" || {
        cat "$tmp/err" >&2
        die "$1 failed"
    }
    # The last line has tokens and ms in its first columns in both.
    ms=$(awk 'NF { value = $2 } END { print value }' "$tmp/out")
}

measure()
{
    time_call "$1"
    before=$ms
    start_loops
    time_call "$1"
    check_loops
    stop_loops
    busy=$ms
    time_call "$1"
    awk -v name="$1" -v before="$before" -v busy="$busy" -v after="$ms" '
        BEGIN {
            printf "%-8s %10.3f %10.3f %10.3f %8.1f\n", name, before, busy,
                after, 2 * busy / (before + after)
        }'
}

echo "milliseconds at $TOKENS tokens, $THREADS threads, $LOOPS busy loops"
printf '%-8s %10s %10s %10s %8s\n' program alone busy alone ratio
measure w4moe
[ -z "$PEER" ] || measure ggml
