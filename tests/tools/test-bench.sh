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
