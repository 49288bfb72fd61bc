#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# moe-bench --ep with more ranks than this machine has processors: that its
# numbers fit together, and that a failure ends all ranks. How fast anything is,
# is not looked at.
set -eu

srcdir=$(cd "${srcdir:-.}" && pwd)
run=$srcdir/tests/mpi/run.sh
if [ "${HAVE_MPI:-no}" = no ]; then
    echo "built without MPI"
    exit 77
fi
if [ -z "${MPIEXEC:-}" ]; then
    echo "no mpiexec"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    cat "$work/out" "$work/err"
    echo "FAILED: $*"
    exit 1
}

# bench RANKS OPTION...: runs it; the output is in $work/out.
bench() {
    n=$1
    shift
    "$run" "$n" tools/moe-bench --ep --threads=1 --repeat=2 "$@" \
        > "$work/out" 2> "$work/err" || fail "status $? from $n ranks: $*"
}

# check_rows MODEL: three rows of numbers; with MODEL 1 a line of the prediction
# follows each.
check_rows() {
    awk -v model="$1" '
        table && $1 ~ /^[0-9]+$/ {
            n++
            if (NF != 12 || $2 <= 0 || $3 <= 0 || $4 < 0 || $5 < 0 ||
                    $6 < 0 || $7 < 0 || $8 < 0 || $9 < 1 || $11 < 0.99) {
                print "not a row: " $0
                bad = 1
            }
        }
        table && $1 == "model" {
            models++
            if ($2 <= 0 || $(NF - 1) != "ratio" || $NF < 0) {
                print "not a prediction: " $0
                bad = 1
            }
        }
        $1 == "tokens" && $NF == "hidden" { table++ }
        END { exit bad || table != 1 || n != 3 || models != model * n }
    ' "$work/out" || fail "not a table"
}

shape=--shape=6,2,64,32,32
for n in 1 2 3; do
    bench "$n" $shape --tokens=1,5,40 --ep-chunk=8
    check_rows 0
    grep -q "^ranks  *$n, of 1 threads; chunks of 8 tokens; sums come back\$" \
        "$work/out" || fail "no line of the ranks"
    bench "$n" $shape --tokens=1,5,40 --ep-exact --ep-model
    check_rows 1
    grep -q '^link  *latency ' "$work/out" || fail "no line of the link"
done

# One rank has no others to send to. Of three with two experts one has none.
bench 1 $shape --tokens=4 --json
grep -q '"bytes_dispatched": 0.0' "$work/out" || fail "bytes of one rank"
grep -q '"hidden": null' "$work/out" || fail "hidden of one rank"
bench 3 --shape=2,1,64,32,32 --tokens=4 --routing=one --json
grep -q '"imbalance": 3.0' "$work/out" || fail "not all tokens on one rank"
bench 3 --shape=2,1,64,32,32 --tokens=4,5,6 --ep-model
check_rows 1
for n in 2 3; do
    bench "$n" $shape --tokens=9 --ep-chunk=4 --ep-exact --json --ep-model \
        --latency=3 --bandwidth=2
    for word in '"ranks": '$n '"threads_per_rank": 1' '"chunk_tokens": 4' \
        '"exact": true' '"experts": 6' '"tokens": 9' '"ms": ' \
        '"tokens_per_second": ' '"prepare_ms": ' '"dispatch_ms": ' \
        '"compute_ms": ' '"combine_ms": ' '"add_ms": ' '"chunks": 3' \
        '"bytes_dispatched": ' '"bytes_combined": ' '"imbalance": ' \
        '"one_chunk_wait_ms": ' '"hidden": ' '"predicted": ' '"ratio": ' \
        '"latency_us": 3.0' '"gb_per_second": 2.0'; do
        grep -q "$word" "$work/out" || fail "no $word in the JSON text"
    done
    [ "$(grep -c '"version"' "$work/out")" = 1 ] || fail "not one text"
done

# From a container: each rank loads its own experts.
data=$srcdir/tests/data/ct-sym-g32-bf16
tools/moe-convert --quiet "$data" "$work/file.safetensors"
bench 3 --tokens=1,2,3 --layer=1 "$work/file.safetensors"
check_rows 0
grep -q '^layer  *1 of ' "$work/out" || fail "not layer 1"

# refused TEXT COMMAND...: the job ends with status 1, and says so.
refused() {
    text=$1
    shift
    result=0
    "$@" > "$work/out" 2> "$work/err" || result=$?
    if [ $result != 1 ] || ! grep -q "^moe-bench: .*$text" "$work/err"; then
        fail "status $result, not 1 with \"$text\": $*"
    fi
}
refused "nowhere" "$run" 3 tools/moe-bench --ep "$work/nowhere"
refused "no layer 9" "$run" 2 tools/moe-bench --ep --layer=9 \
    "$work/file.safetensors"
refused "12" "$run" 2 tools/moe-bench --ep --shape=8,2,128,64,12
refused "no memory" "$run" 2 tools/moe-bench --ep $shape --tokens=4294967295

# One rank meets it; the others hear of it and print nothing of their own.
cat > "$work/one" << EOF
#!/bin/sh
rank=\${OMPI_COMM_WORLD_RANK:-\${PMI_RANK:-}}
file=$work/file.safetensors
[ "\$rank" != 1 ] || file=$work/nowhere
exec tools/moe-bench --ep --tokens=1 "\$file"
EOF
chmod +x "$work/one"
refused "nowhere" "$run" 3 "$work/one"
[ "$(grep -c '^moe-bench: ' "$work/err")" = 1 ] || fail "not one line"
echo "passed"
