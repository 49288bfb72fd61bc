#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Compares moe-bench with ggml on the same machine: both run in turn, several
# rounds, with the same number of threads. Prints Markdown tables of the
# medians over the rounds. Let nothing else run meanwhile: see busy.sh.
set -eu

help()
{
    cat <<'END'
Usage: compare.sh [SHAPE]...
Compares moe-bench with the peer that bench/peer_ggml.c is. SHAPE is one of
qwen3-30b-a3b, mixtral-8x7b, qwen3.6-35b-a3b; all of them by default.

Environment:
  MOE_BENCH  command of moe-bench (default moe-bench); may have options
  PEER       command of the peer (default peer_ggml); may have options
  ROUNDS     rounds (default 3)
  SHAPES     shapes, if there are no arguments
  TOKENS     tokens per call (default 1,16,64,512)
  THREADS    threads of both (default: the number of processors)
END
}

die()
{
    echo "compare.sh: $*" >&2
    exit 1
}

MOE_BENCH=${MOE_BENCH:-moe-bench}
PEER=${PEER:-peer_ggml}
ROUNDS=${ROUNDS:-3}
SHAPES=${SHAPES:-qwen3-30b-a3b mixtral-8x7b qwen3.6-35b-a3b}
TOKENS=${TOKENS:-1,16,64,512}
THREADS=${THREADS:-$(getconf _NPROCESSORS_ONLN)}

# set_shape NAME: sets title, size (E,k,H,I) and group.
set_shape()
{
    case $1 in
    qwen3-30b-a3b) title=Qwen3-30B-A3B size=128,8,2048,768 group=128 ;;
    mixtral-8x7b) title="Mixtral 8x7B" size=8,2,4096,14336 group=128 ;;
    qwen3.6-35b-a3b) title=Qwen3.6-35B-A3B size=256,8,2048,512 group=32 ;;
    *) die "no shape '$1'; see --help" ;;
    esac
}

# run_ours SERIES CODE GROUP: appends lines "shape series tokens ms read dot".
run_ours()
{
    # shellcheck disable=SC2086
    $MOE_BENCH --shape="$size,$3" --code="$2" --tokens="$TOKENS" \
        --threads="$THREADS" >"$tmp/out" || die "failed: $MOE_BENCH"
    awk -v shape="$shape" -v series="$1" '
        table && NF >= 7 { print shape, series, $1, $2, $5, $7 }
        /^ *tokens  *ms / { table = 1 }
        /^read limit / { print "limit read - " $3 }
        /^dot limit .*shares are of this/ { print "limit dot - " $3 }
    ' "$tmp/out" >>"$tmp/figures"
    [ -s "$tmp/ours" ] || sed '/^layer /,$d' "$tmp/out" >"$tmp/ours"
}

# run_peer SERIES TYPE: appends lines "shape series tokens ms".
run_peer()
{
    # shellcheck disable=SC2086
    $PEER --shape="$size" --type="$2" --tokens="$TOKENS" --seconds=0.5 \
        --threads="$THREADS" >"$tmp/out" 2>"$tmp/err" || {
        cat "$tmp/err" >&2
        die "failed: $PEER"
    }
    awk -v shape="$shape" -v series="$1" '{ print shape, series, $1, $2 }' \
        "$tmp/out" >>"$tmp/figures"
    grep '^peer_ggml: ' "$tmp/err" >>"$tmp/peer" || :
}

measure()
{
    round=0
    while [ "$round" -lt "$ROUNDS" ]; do
        round=$((round + 1))
        for shape in $SHAPES; do
            set_shape "$shape"
            echo "compare.sh: round $round of $ROUNDS, $title" >&2
            run_ours int4 int4 "$group"
            run_peer q4_0 q4_0
            run_ours mxfp4 mxfp4 32
            run_peer peer-mxfp4 mxfp4
        done
    done
}

# One line for each kind of figure: "shape series tokens" and the medians of
# the columns that follow them.
medians()
{
    awk '
        function median(list,    n, i, j, value, v) {
            n = split(list, v, " ")
            for (i = 2; i <= n; i++) {
                value = v[i] + 0
                for (j = i - 1; j > 0 && v[j] + 0 > value; j--)
                    v[j + 1] = v[j]
                v[j + 1] = value
            }
            if (n % 2)
                return v[(n + 1) / 2] + 0
            return (v[n / 2] + v[n / 2 + 1]) / 2
        }
        {
            key = $1 " " $2 " " $3
            ms[key] = ms[key] " " $4
            if (NF > 4) {
                read[key] = read[key] " " $5
                dot[key] = dot[key] " " $6
            }
        }
        END {
            for (key in ms) {
                line = key " " median(ms[key])
                if (key in read)
                    line = line " " median(read[key]) " " median(dot[key])
                print line
            }
        }
    ' "$tmp/figures"
}

# print_table: of the shape in $shape, out of $tmp/medians.
print_table()
{
    set_shape "$shape"
    printf '\n### %s: E,k,H,I %s; int4 groups of %s\n\n' \
        "$title" "$size" "$group"
    echo "| T | int4 ms | ggml Q4_0 ms | ratio | mxfp4 ms | ggml MXFP4 ms" \
        "| ratio | int4: of reading | int4: of multiply-adds" \
        "| mxfp4: of reading | mxfp4: of multiply-adds |"
    echo "|---|---|---|---|---|---|---|---|---|---|---|"
    awk -v shape="$shape" -v tokens="$TOKENS" '
        $1 == shape {
            ms[$2, $3] = $4
            read[$2, $3] = $5
            dot[$2, $3] = $6
        }
        function pair(ours, peer, t) {
            return sprintf("%.2f | %.2f | %.2f", ms[ours, t], ms[peer, t],
                ms[peer, t] / ms[ours, t])
        }
        END {
            n = split(tokens, list, ",")
            for (i = 1; i <= n; i++) {
                t = list[i] + 0
                printf "| %d | %s | %s | %.2f | %.2f | %.2f | %.2f |\n", t,
                    pair("int4", "q4_0", t), pair("mxfp4", "peer-mxfp4", t),
                    read["int4", t], dot["int4", t], read["mxfp4", t],
                    dot["mxfp4", t]
            }
        }
    ' "$tmp/medians"
}

if [ "${1:-}" = --help ]; then
    help
    exit 0
fi
[ $# -eq 0 ] || SHAPES=$*
for shape in $SHAPES; do
    set_shape "$shape"
done
case $ROUNDS in
'' | *[!0-9]* | 0) die "ROUNDS '$ROUNDS': a number above 0 is needed" ;;
esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
: >"$tmp/peer"

measure
medians >"$tmp/medians"
echo "Medians over $ROUNDS rounds, $THREADS threads, one layer; ratio is" \
    "ggml's time by that of w4moe."
awk '
    $1 == "limit" { limit[$2] = $4 }
    END {
        printf "Limits of the machine: reading %.1f GB/s, ", limit["read"]
        printf "multiply-adds %.0f GFLOP/s.\n", limit["dot"]
    }
' "$tmp/medians"
sed 's/^/    /' "$tmp/ours"
sort -u "$tmp/peer" | sed 's/^peer_ggml: /    /'
for shape in $SHAPES; do
    print_table
done
