#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# On an emulated machine, which run.sh describes in the environment: it has the
# instruction sets W4MOE_HAS, stops at those of W4MOE_LACKS (else the other
# tests there would show nothing), and of the kernel variants that are built
# the library picks the last of W4MOE_RUNS and refuses all that are not named
# there.
set -eu
probe=$top_builddir/tests/emulate/instruction
describe=$top_builddir/tests/emulate/describe
failed=0
# shellcheck disable=SC3045
ulimit -c 0

wrong() {
    echo "FAILED: $*"
    failed=1
}

# shellcheck disable=SC2086
for set in $W4MOE_HAS; do
    "$probe" "$set" || wrong "$set is not there"
done
for set in $W4MOE_LACKS; do
    result=0
    "$probe" "$set" 2> /dev/null || result=$?
    [ "$result" = 132 ] || wrong "$set ends with $result, not by SIGILL"
done

# kernels [VARIANT]: which ones a context uses, or why there is none.
kernels() {
    W4MOE_CPU=${1:-} "$describe" 2>&1 |
        sed -n -e 's/^backend cpu: .* kernels //p' -e '/^CPU kernel variant/p'
}

known=$(kernels '?' | sed -n 's/.*known: //p')
[ -n "$known" ] || wrong "the library did not list its variants: $(kernels '?')"
best=none
for variant in $known; do
    got=$(kernels "$variant")
    case " $W4MOE_RUNS " in
    *" $variant "*)
        best=$variant
        [ "$got" = "$variant" ] || wrong "$variant: $got"
        ;;
    *)
        case $got in
        *"does not run it"*) ;;
        *) wrong "$variant is not refused: $got" ;;
        esac
        ;;
    esac
done
picked=$(kernels)
[ "$picked" = "$best" ] || wrong "of $known: $picked is picked, not $best"
echo "of $known: picked $picked"
exit "$failed"
