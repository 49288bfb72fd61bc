#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The kernel tests once more with every variant of the CPU kernels that this
# processor runs; by themselves they run the best one. test_variants and
# test_batch_invariant take them all by themselves.
set -eu

top_builddir=${top_builddir:-.}
srcdir=${srcdir:-.}
run=$top_builddir/tools/moe-run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# attempt VARIANT: the text with which a context of that variant fails, if any.
attempt() {
    W4MOE_CPU=$1 "$run" --backend cpu --layer 0 --input "$work/none" \
        "$work/none" 2>&1 || true
}

# A name that is none makes the library list those that it has.
known=$(attempt '?' | sed -n 's/.*known: //p')
if [ -z "$known" ]; then
    echo "the library did not list its variants: $(attempt '?')"
    exit 1
fi
failed=0
for variant in $known; do
    case $(attempt "$variant") in
    *"does not run it"*)
        echo "$variant: not run, this processor has it not"
        continue
        ;;
    esac
    for test in "$top_builddir"/tests/kernel/test_*; do
        [ -x "$test" ] || continue
        case ${test##*/} in
        *.* | test_variants | test_batch_invariant) continue ;;
        esac
        result=0
        W4MOE_CPU=$variant "$test" > "$work/out" 2>&1 || result=$?
        if [ "$result" != 0 ] && [ "$result" != 77 ]; then
            echo "$variant: ${test##*/} failed"
            cat "$work/out"
            failed=1
        fi
    done
    echo "$variant: tested"
done
exit "$failed"
