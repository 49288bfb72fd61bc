#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# moe-bench: that it runs on made-up weights of several kinds and on a
# container, and that its numbers fit together. How fast anything is, is not
# looked at.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
mkdir "$tmp/out"

# check_table ROWS: the table has that many rows of positive numbers, ms and
# tokens/s belong together.
check_table()
{
    awk -v rows="$1" '
        table && NF {
            n++
            for (i = 1; i <= 7; i++) {
                # rates and shares may be below what is printed
                if (!($i > 0 || (i >= 4 && $i == 0))) {
                    print "not positive: " $0
                    bad = 1
                }
            }
            product = $2 * $3 / 1000
            if (product < 0.9 * $1 || product > 1.1 * $1) {
                print "ms and tokens/s disagree: " $0
                bad = 1
            }
        }
        /^  *tokens  *ms / { table = 1 }
        /^read limit  *[0-9.]* GB/ { limits++ }
        /^dot limit  *[0-9.]* GFLOP/ { limits++ }
        /<- shares are of this/ { best++ }
        END { exit bad || n != rows || limits < 2 || best != 1 }
    ' "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "not a table of $1 rows"
    }
}

must "$bench" --shape=8,2,256,128,64 --tokens=1,3,17 --repeat=2
check_table 3
grep -q '^shape  *E 8, k 2, H 256, I 128, groups 64 and 64, silu$' \
    "$tmp/stdout" || fail "no line of the shape"

must "$bench" --shape=4,4,64,48,4096 --tokens=1 --order=rdna3 --scales=f16 \
    --zero-points --dtype=f16 --threads=1
check_table 1
grep -q 'groups 64 and 48' "$tmp/stdout" || fail "groups are not cut"
grep -q 'order rdna3, scales F16, zero points yes' "$tmp/stdout" ||
    fail "no line of the weights"

must "$bench" --shape=4,2,64,48,32 --code=mxfp4 --tokens=1,5 --repeat=2
check_table 2
grep -q '^code  *mxfp4$' "$tmp/stdout" || fail "no line of the code"
grep -q 'order tile, scales F8_E8M0, zero points no' "$tmp/stdout" ||
    fail "no line of the MXFP4 weights"
must "$bench" --code=mxfp4 --order=rdna3 --tokens=1 --repeat=1
check_table 1
grep -q 'groups 32 and 32' "$tmp/stdout" || fail "not the groups of MXFP4"

# Experts that a row of the JSON text has read the weights of.
row_experts()
{
    awk '
        { gsub(/[",]/, "") }
        $1 == "bytes_per_expert:" { expert = $2 }
        $1 == "weight_bytes:" { print $2 / expert }
    ' "$tmp/stdout"
}
for routing in one uniform; do
    must "$bench" --shape=8,2,256,128,64 --tokens=256 --repeat=2 \
        "--routing=$routing" --json
    grep -q "\"routing\": \"$routing\"" "$tmp/stdout" ||
        fail "no routing in the JSON text"
    [ "$routing" = one ] && want=2 || want=8
    [ "$(row_experts)" = "$want" ] ||
        fail "--routing=$routing: $(row_experts) experts, not $want"
done
must "$bench" --shape=8,1,256,128,64 --tokens=64 --repeat=2 --routing=one
check_table 1
grep -q '^routing  *one$' "$tmp/stdout" || fail "no line of the routing"

must "$bench" --shape=8,2,256,128,64 --tokens=1,4 --json
grep -q '"huge_pages": false' "$tmp/stdout" || fail "huge pages unasked"
for word in '"experts": 8' '"tokens": 4' '"share_of_read"' '"share_of_dot"' \
    '"dot_instruction"' '"read_gb_per_second"' '"code": "int4"'; do
    grep -q "$word" "$tmp/stdout" || fail "no $word in the JSON text"
done

must "$bench" --shape=8,2,256,128,64 --zero-points --tokens=1,4 --huge-pages
check_table 2
grep -q '^weights .* per expert, huge pages$' "$tmp/stdout" ||
    fail "no word of huge pages"
must "$bench" --shape=8,2,256,128,64 --tokens=1 --huge-pages --json
grep -q '"huge_pages": true' "$tmp/stdout" || fail "no huge pages in JSON"

# check_model RANKS...: the tables have a row for each of these; each has
# positive numbers, ms is what its parts are together, tokens/s and efficiency
# belong to it, and one rank alone waits for nobody.
check_model()
{
    awk -v ranks="$*" '
        function far(a, b, slack)
        {
            return a < b - slack || a > b + slack
        }
        function wrong(text)
        {
            print text ": " $0
            bad = 1
        }
        BEGIN { n = split(ranks, want, " ") }
        /^predicted for / { tokens = $3; inside = 0; tables++ }
        inside && $1 ~ /^[0-9]+$/ {
            rows++
            if ($1 != want[++row]) { wrong("not " want[row]) }
            if ($2 != $1 * tokens || $3 <= 0 || $4 <= 0 || $5 < 0 ||
                    $6 < 0 || ($1 == 1 && $6 != 0)) {
                wrong("not times")
            }
            if (far($4 + $5 + $6, $3, 0.0003)) { wrong("not the sum") }
            if (far($7 * $3 / 1000, $2, 0.02 * $2 + 1e-7 * $7)) {
                wrong("not the rate")
            }
            if ($1 == 1) { alone = $7 }
            if (alone > 0 && far($8 * alone * $1, $7,
                    0.001 * alone * $1 + 0.001 * $7)) {
                wrong("not the efficiency")
            }
        }
        /^ *ranks  *tokens / { inside = 1; row = 0; alone = 0 }
        /^tokens\/s$/ { inside = 0; plot = 1 }
        END { exit bad || rows != n * tables || !tables || !plot }
    ' "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "not a prediction for $* ranks"
    }
}

small="--shape=8,2,64,32,32 --repeat=1"
link="--latency=2 --bandwidth=10"
# Two options each.
# shellcheck disable=SC2086
{
    must "$bench" $small --ep-model $link --tokens=1,40
    check_model 1 2 4 8 16 32 64 128 256 512 1024
    grep -q '^link  *latency 2.00 us, gap 2.00 us, 10.00 GB/s$' \
        "$tmp/stdout" || fail "no line of the link"
    must "$bench" $small --ep-model $link --gap=0.5 --tokens=33 --ep-exact \
        --ep-chunk=10 --ep-ranks=3,1-2 "--plot=$tmp/plot.svg"
    check_model 1 2 3
    grep -q '^chunks  *of 10 tokens; slots come back$' "$tmp/stdout" ||
        fail "no line of the chunks"
    grep -q '^</svg>$' "$tmp/plot.svg" || fail "no picture"
    [ "$(grep -c '<polyline' "$tmp/plot.svg")" = 1 ] || fail "not one curve"
    must "$bench" $small --ep-model $link --tokens=4,8 --ep-ranks=16 --json
    for word in '"tokens_per_rank": 8' '"ranks": 16' '"tokens": 128' \
        '"compute_ms"' '"copy_ms"' '"exposed_ms"' '"efficiency"' \
        '"extrapolated": false' '"latency_us": 2.0' '"chunk_tokens": null'; do
        grep -q "$word" "$tmp/stdout" || fail "no $word in the JSON text"
    done
    # More slots than are measured.
    must "$bench" $small --ep-model $link --tokens=3000 --ep-ranks=1
    grep -q ' ~$' "$tmp/stdout" || fail "no mark of what was extrapolated"
    refuse 1 "$tmp/no/plot" "$bench" $small --ep-model $link --tokens=1 \
        --ep-ranks=1 "--plot=$tmp/no/plot"
    refuse 2 "needs --latency" "$bench" --ep-model --bandwidth=1
    refuse 2 "needs --bandwidth" "$bench" --ep-model --latency=1
    refuse 2 "--routing=uniform" "$bench" --ep-model $link --routing=one
    refuse 2 "--ep-ranks '0-2'" "$bench" --ep-model $link --ep-ranks=0-2
}
for option in --ep-ranks=2 --latency=1 --gap=1 --bandwidth=1 --plot=x; do
    refuse 2 "${option%%=*} needs --ep-model" "$bench" "$option"
    refuse 2 "${option%%=*} needs --ep-model" "$bench" --ep "$option"
done
for option in --ep-chunk=1 --ep-exact; do
    refuse 2 "${option%%=*} needs --ep or --ep-model" "$bench" "$option"
done
for option in --ep-ranks=2 --plot=x; do
    refuse 2 "${option%%=*} is not for --ep" "$bench" --ep --ep-model "$option"
done
refuse 2 "--ep-chunk '65537'" "$bench" --ep --ep-chunk=65537
refuse 2 "--latency '0'" "$bench" --ep-model --latency=0

refuse 1 13 "$bench" --shape=8,2,13,128,64 --tokens=1
refuse 1 12 "$bench" --shape=8,2,128,64,12 --tokens=1
refuse 1 4000000000 "$bench" --shape=4000000000,1,128,64,32 --tokens=1
refuse 1 "weights take" "$bench" --shape=100000,1,65536,65536,128 --tokens=1
refuse 1 "no memory" "$bench" --shape=8,2,128,64,32 --tokens=4294967295
refuse 1 "$tmp/nowhere" "$bench" "$tmp/nowhere"

need_checkpoints
must "$convert" --quiet "$data/ct-sym-g32-bf16" "$tmp/file.safetensors"
must "$bench" --tokens=2 "$tmp/file.safetensors"
check_table 1
grep -q '^layer  *0 of ' "$tmp/stdout" || fail "not the first layer"
must "$bench" --tokens=2 --layer=1 --dtype=f16 "$tmp/file.safetensors"
check_table 1
must "$bench" --tokens=2 --huge-pages --prefault "$tmp/file.safetensors"
check_table 1
grep -q '^weights .* per expert, huge pages$' "$tmp/stdout" ||
    fail "no word of huge pages of a file"
must "$bench" --tokens=2 --prefault "$tmp/file.safetensors"
check_table 1
refuse 1 9 "$bench" --tokens=2 --layer=9 "$tmp/file.safetensors"
echo "passed"
