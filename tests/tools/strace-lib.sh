# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# For tests that kill conversions and let system calls fail, by strace; to be
# read with "." after tool-lib.sh. Not a test by itself.

# Leaks cannot be looked for under ptrace.
ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-}
export ASAN_OPTIONS

code=0
# shellcheck disable=SC2154
strace -o /dev/null -e 'inject=write:signal=KILL' echo >"$tmp/why" 2>&1 ||
    code=$?
[ "$code" -eq 137 ] ||
    skip "no injection by strace: $(tail -n 1 "$tmp/why")"

# Which of them it is depends on the machine.
rename='?rename,?renameat,?renameat2'
unlink='?unlink,?unlinkat'
statfs='?fstatfs,?fstatfs64'
calls=openat,$statfs,pwrite64,fallocate,fsync,linkat,$rename,$unlink

# traced INJECTIONS COMMAND...: runs it with injections of strace, which have
# blanks between them. Sets code to its exit status; its calls are in
# $tmp/calls. "when" of an injection counts a thread's calls.
traced()
{
    options=
    for injection in $1; do
        options="$options -e inject=$injection"
    done
    shift
    code=0
    # shellcheck disable=SC2086
    strace -f -o "$tmp/trace" -e "trace=$calls" $options "$@" \
        >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
    thread=$(sed -n '1s/ .*//p' "$tmp/trace")
    sed -n "s/^$thread *//p" "$tmp/trace" >"$tmp/calls"
}

# count NAME: calls whose names begin so.
count()
{
    grep -c "^$1" "$tmp/calls" || :
}
