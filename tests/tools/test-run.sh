#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# moe-run on the golden checkpoints: the result is as near to the float64
# expectation as the two roundings allow, and it has the same bytes in both
# orders, for any number of threads, run after run. Bad input and wrong
# results are refused with the documented status and leave no output.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
mkdir "$tmp/out"

# good_line: stdout is one line, its ratio about 1. A ratio well below 1 would
# mean that the yardstick is too long.
good_line()
{
    awk 'NR == 1 && NF == 6 && $1 == "rel_l2" && $3 == "ideal" &&
         $5 == "ratio" && $2 > 0 && $4 > 0 && $6 >= 0.9 && $6 <= 1.1 { ok = 1 }
         END { exit !(ok && NR == 1) }' "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "not the line of a good result: $*"
    }
}

for name in $(checkpoints); do
    # Rounded weights are for further down.
    [ "$(scheme_of "$name")" != none ] || continue
    dump=$data/$name/expected.safetensors
    for order in tile rdna3; do
        must "$convert" --quiet --order=$order "$data/$name" \
            "$tmp/$name-$order.safetensors"
    done
    for layer in $(layers_of "$name"); do
        for order in tile rdna3; do
            for threads in 1 2 7; do
                must "$run" --layer="$layer" --prefix="layers.$layer." \
                    --input="$dump" --expect="$dump" --threads=$threads \
                    --repeat=3 --output="$tmp/$order-$threads.safetensors" \
                    "$tmp/$name-$order.safetensors"
                good_line "$name $layer $order $threads"
                grep -q '3 runs' "$tmp/stderr" || fail "--repeat says nothing"
                cmp "$tmp/$order-$threads.safetensors" \
                    "$tmp/tile-1.safetensors" ||
                    fail "$name $layer: $order with $threads threads differs"
            done
        done
    done
done

# Weights of bf16, which conversion rounds to 4 bits: against what they give
# unrounded, the error is that of rounding, the same in both orders.
name=plain-bf16
dump=$data/$name/expected.safetensors
for order in tile rdna3; do
    must "$convert" --order=$order "$data/$name" "$tmp/$name.safetensors"
    must "$run" --layer=0 --prefix=layers.0. --input="$dump" --expect="$dump" \
        --max-ratio=1e9 --output="$tmp/$order-1.safetensors" \
        "$tmp/$name.safetensors"
    awk '!($1 == "rel_l2" && $2 > 0.05 && $2 < 0.2) { exit 1 }' \
        "$tmp/stdout" || fail "$name: $(cat "$tmp/stdout")"
    rm "$tmp/$name.safetensors"
done
cmp "$tmp/tile-1.safetensors" "$tmp/rdna3-1.safetensors" ||
    fail "$name: rdna3 differs from tile"

file=$tmp/ct-sym-g32-bf16-tile.safetensors
dump=$data/ct-sym-g32-bf16/expected.safetensors
x=$tmp/out/x.safetensors

# The container as a folder; and in the other type of activations.
must "$convert" --quiet "$data/ct-sym-g32-bf16" "$tmp/folder"
must "$run" --layer=1 --prefix=layers.1. --input="$dump" --expect="$dump" \
    "$tmp/folder"
good_line folder
must "$run" --layer=1 --prefix=layers.1. --input="$dump" --expect="$dump" \
    --dtype=f16 "$file"
good_line f16

# Where the weights are makes no difference.
must "$run" --layer=1 --prefix=layers.1. --input="$dump" \
    --output="$tmp/mapped.safetensors" "$file"
for option in --huge-pages --prefault; do
    must "$run" --layer=1 --prefix=layers.1. --input="$dump" $option \
        --output="$tmp/placed.safetensors" "$file"
    cmp "$tmp/mapped.safetensors" "$tmp/placed.safetensors" ||
        fail "$option gives another result"
done

# What runs is said if asked for, on stderr.
must "$run" --layer=1 --prefix=layers.1. --input="$dump" --backend=cpu "$file"
[ ! -s "$tmp/stderr" ] || fail "stderr without --verbose"
must "$run" --layer=1 --prefix=layers.1. --input="$dump" --backend=cpu \
    --verbose "$file"
grep -q "^backend cpu: in use, .* kernels" "$tmp/stderr" ||
    fail "--verbose does not say what runs"
grep -qx "backend hip: not asked for" "$tmp/stderr" ||
    fail "--verbose does not say what does not run"

# A result that must not pass: another layer's, or another place of the
# routing weights.
refuse 3 "ratio" "$run" --layer=1 --prefix=layers.0. --input="$dump" \
    --expect="$dump" --output="$x" "$file"
refuse 3 "ratio" "$run" --layer=0 --prefix=layers.0. --input="$dump" \
    --expect="$dump" --output="$x" --weight-on-input "$file"
refuse 3 "ratio" "$run" --layer=0 --prefix=layers.0. --input="$dump" \
    --expect="$dump" --output="$x" --max-ratio=0.5 "$file"
must "$run" --layer=1 --prefix=layers.0. --input="$dump" --expect="$dump" \
    --max-ratio=1e9 "$file"

# --------------------------------------------------------- made-up tensors
# x is [2][256], ids and weights are [2][2].
# repeat N BYTES: prints BYTES, in the notation of printf, N times.
repeat()
{
    n=$1
    while [ "$n" -gt 0 ]; do
        # shellcheck disable=SC2059
        printf "$2"
        n=$((n - 1))
    done
}

# tensors FILE X_TYPE X_SHAPE X_BYTES IDS_TYPE IDS_SHAPE IDS_BYTES: the data
# comes from stdin, x, ids, weights.
tensors()
{
    a=$4
    b=$(($4 + $7))
    c=$((b + 16))
    safetensors "$1" "{\
\"x\":{\"dtype\":\"$2\",\"shape\":$3,\"data_offsets\":[0,$a]},\
\"topk_ids\":{\"dtype\":\"$5\",\"shape\":$6,\"data_offsets\":[$a,$b]},\
\"topk_weights\":{\"dtype\":\"F32\",\"shape\":[2,2],\
\"data_offsets\":[$b,$c]}}"
}

half='\000\000\000\077'
ids='\001\000\000\000\003\000\000\000\007\000\000\000\000\000\000\000'
in=$tmp/in.safetensors

# The same numbers in other types give the same bytes.
{ repeat 512 '\200\077'; repeat 1 "$ids"; repeat 4 "$half"; } |
    tensors "$in" BF16 '[2,256]' 1024 I32 '[2,2]' 16
must "$run" --layer=0 --input="$in" --output="$tmp/1.safetensors" "$file"
for id in 1 3 7 0; do
    octets $id 8
done >"$tmp/ids64"
{ repeat 512 '\000\000\200\077'; cat "$tmp/ids64"; repeat 4 "$half"; } |
    tensors "$in" F32 '[2,256]' 2048 I64 '[2,2]' 32
must "$run" --layer=0 --input="$in" --dtype=bf16 \
    --output="$tmp/2.safetensors" "$file"
cmp "$tmp/1.safetensors" "$tmp/2.safetensors" || fail "F32 and I64 differ"
{ repeat 512 '\000\000\000\000\000\000\360\077'; repeat 1 "$ids"
    repeat 4 "$half"; } | tensors "$in" F64 '[2,256]' 4096 I32 '[2,2]' 16
must "$run" --layer=0 --input="$in" --dtype=bf16 \
    --output="$tmp/2.safetensors" "$file"
cmp "$tmp/1.safetensors" "$tmp/2.safetensors" || fail "F64 differs"
refuse 1 "--dtype" "$run" --layer=0 --input="$in" --output="$x" "$file"

# Router logits take over where there are no ids and weights. These choose the
# experts 1 and 3, and 0 and 7, with 0.5 each: 100 there, 0 elsewhere. One run
# after the other on the same numbers prints the same line.
{ repeat 512 '\200\077'; octets 1 4; octets 3 4; octets 0 4; octets 7 4
    repeat 4 "$half"; } | tensors "$in" BF16 '[2,256]' 1024 I32 '[2,2]' 16
must "$run" --layer=0 --input="$in" --output="$tmp/1.safetensors" "$file"
must "$run" --layer=0 --input="$in" --expect="$tmp/1.safetensors" "$file"
cp "$tmp/stdout" "$tmp/line"
grep -q '^rel_l2 0 ideal 0.00[0-9]* ratio 0$' "$tmp/line" ||
    fail "a result differs from itself"

# logits_file FILE TYPE BYTES HUNDRED ZERO: x and such logits.
logits_file()
{
    end=$((1024 + 16 * $3))
    {
        repeat 512 '\200\077'
        for choice in 0 1 0 1 0 0 0 0 1 0 0 0 0 0 0 1; do
            if [ "$choice" = 1 ]; then
                repeat 1 "$4"
            else
                repeat 1 "$5"
            fi
        done
    } | safetensors "$1" "{\
\"x\":{\"dtype\":\"BF16\",\"shape\":[2,256],\"data_offsets\":[0,1024]},\
\"router_logits\":{\"dtype\":\"$2\",\"shape\":[2,8],\
\"data_offsets\":[1024,$end]}}"
}

logits=$tmp/logits.safetensors
for type in F64 F32 F16 BF16; do
    case $type in
    F64)
        logits_file "$logits" $type 8 '\0\0\0\0\0\0\131\100' '\0\0\0\0\0\0\0\0'
        ;;
    F32) logits_file "$logits" $type 4 '\0\0\310\102' '\0\0\0\0' ;;
    F16) logits_file "$logits" $type 2 '\100\126' '\0\0' ;;
    BF16) logits_file "$logits" $type 2 '\310\102' '\0\0' ;;
    esac
    must "$run" --layer=0 --input="$logits" --output="$tmp/2.safetensors" \
        "$file"
    cmp "$tmp/1.safetensors" "$tmp/2.safetensors" ||
        fail "$type logits give another result than ids and weights"
    must "$run" --layer=0 --input="$logits" --expect="$tmp/1.safetensors" \
        "$file"
    cmp "$tmp/stdout" "$tmp/line" || fail "$type logits print another line"
done
logits_file "$logits" F32 4 '\0\0\300\177' '\0\0\0\0'
refuse 1 NaN "$run" --layer=0 --input="$logits" --output="$x" "$file"
LC_ALL=C sed 's/\[2,8\]/[8,2]/' "$logits" >"$in"
refuse 1 "router_logits has the shape [8][2]" \
    "$run" --layer=0 --input="$in" --output="$x" "$file"

# Too large for f16: 2^16.
{ repeat 511 '\000\000\200\077'; repeat 1 '\000\000\200\107'; repeat 1 "$ids"
    repeat 4 "$half"; } | tensors "$in" F32 '[2,256]' 2048 I32 '[2,2]' 16
refuse 1 "x[1][255] is 65536" \
    "$run" --layer=0 --input="$in" --dtype=f16 --output="$x" "$file"

# Shapes and types.
for shape in '[512]' '[4,128]' '[2,2,128]' '[1,512]'; do
    { repeat 512 '\200\077'; repeat 1 "$ids"; repeat 4 "$half"; } |
        tensors "$in" BF16 "$shape" 1024 I32 '[2,2]' 16
    refuse 1 "x has the shape" \
        "$run" --layer=0 --input="$in" --output="$x" "$file"
done
for shape in '[4]' '[4,1]' '[1,4]'; do
    { repeat 512 '\200\077'; repeat 1 "$ids"; repeat 4 "$half"; } |
        tensors "$in" BF16 '[2,256]' 1024 I32 "$shape" 16
    refuse 1 "topk_" "$run" --layer=0 --input="$in" --output="$x" "$file"
done
{ repeat 1 "$ids"; repeat 4 "$half"; } |
    tensors "$in" BF16 '[0,256]' 0 I32 '[2,2]' 16
refuse 1 "x has the shape [0][256]" \
    "$run" --layer=0 --input="$in" --output="$x" "$file"
{ repeat 512 '\001\000'; repeat 1 "$ids"; repeat 4 "$half"; } |
    tensors "$in" I16 '[2,256]' 1024 I32 '[2,2]' 16
refuse 1 "x has the type I16" \
    "$run" --layer=0 --input="$in" --output="$x" "$file"
{ repeat 512 '\200\077'; repeat 1 "$ids"; repeat 4 "$half"; } |
    tensors "$in" BF16 '[2,256]' 1024 F32 '[2,2]' 16
refuse 1 "topk_ids has the type F32" \
    "$run" --layer=0 --input="$in" --output="$x" "$file"

# Ids out of range, as I32 and as I64.
for id in 8 2147483647 4294967295; do
    { repeat 512 '\200\077'; octets 1 4; octets 2 4; octets $id 4; octets 0 4
        repeat 4 "$half"; } | tensors "$in" BF16 '[2,256]' 1024 I32 '[2,2]' 16
    [ "$id" != 4294967295 ] || id=-1
    refuse 1 "$id" "$run" --layer=0 --input="$in" --output="$x" "$file"
done
{ repeat 512 '\200\077'; octets 1 8; octets 2 8; octets 4294967296 8; octets 0 8
    repeat 4 "$half"; } | tensors "$in" BF16 '[2,256]' 1024 I64 '[2,2]' 32
refuse 1 "topk_ids[1][0] is 4294967296" \
    "$run" --layer=0 --input="$in" --output="$x" "$file"

# Missing tensors.
LC_ALL=C sed 's/topk_weights/topk_weightz/g' "$dump" >"$in"
refuse 1 "topk_weights" \
    "$run" --layer=0 --prefix=layers.0. --input="$in" --output="$x" "$file"
refuse 1 "no tensor x" \
    "$run" --layer=0 --input="$dump" --output="$x" "$file"
refuse 1 "no tensor layers.5.x" \
    "$run" --layer=0 --prefix=layers.5. --input="$dump" --output="$x" "$file"
refuse 1 "no tensor layers.0.out" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --expect="$tmp/1.safetensors" --output="$x" "$file"

# An expected tensor that nothing can be compared with.
header='{"layers.0.out":{"dtype":"F32","shape":[5,256],'
header=$header'"data_offsets":[0,5120]}}'
zeros 5120 | safetensors "$in" "$header"
refuse 1 "0 throughout" "$run" --layer=0 --prefix=layers.0. --input="$dump" \
    --expect="$in" --output="$x" "$file"
{ printf '\000\000\300\177'; zeros 5116; } | safetensors "$in" "$header"
refuse 3 "1 NaN and 0 Inf" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --expect="$in" --output="$x" "$file"
{ zeros 5116; printf '\000\000\200\377'; } | safetensors "$in" "$header"
refuse 3 "0 NaN and 1 Inf of 1280 values, the first at [4][255]" \
    "$run" --layer=0 --prefix=layers.0. --input="$dump" --expect="$in" \
    --output="$x" --max-ratio=1e300 "$file"

# Files and layers.
for layer in 2 7 4294967295; do
    refuse 1 "$layer" "$run" --layer=$layer --prefix=layers.0. \
        --input="$dump" --output="$x" "$file"
done
refuse 1 "$tmp/nowhere" "$run" --layer=0 --input="$tmp/nowhere" \
    --output="$x" "$file"
refuse 1 "$tmp/nowhere" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --output="$x" "$tmp/nowhere"
refuse 1 "$tmp/nowhere" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --expect="$tmp/nowhere" --output="$x" "$file"
refuse 1 "expected.safetensors" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --output="$x" "$dump"
head -c 1000 "$dump" >"$in"
refuse 1 "$in" "$run" --layer=0 --prefix=layers.0. --input="$in" \
    --output="$x" "$file"
head -c 10000 "$file" >"$tmp/cut.safetensors"
refuse 1 "$tmp/cut.safetensors" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --output="$x" "$tmp/cut.safetensors"
refuse 1 "$tmp/out/none" "$run" --layer=0 --prefix=layers.0. \
    --input="$dump" --output="$tmp/out/none/x.safetensors" "$file"

# No output in the place of an input.
cp "$dump" "$in"
cp "$file" "$tmp/copy.safetensors"
for target in "$in" "$tmp/copy.safetensors" "$tmp/folder/model.safetensors"; do
    cp "$target" "$tmp/before"
    if [ "$target" = "$in" ]; then
        other=$tmp/folder
    else
        other=$tmp/copy.safetensors
    fi
    [ "$target" != "$tmp/folder/model.safetensors" ] || other=$tmp/folder
    refuse 1 "would replace" "$run" --layer=0 --prefix=layers.0. \
        --input="$in" --output="$target" "$other"
    cmp "$target" "$tmp/before" || fail "$target is overwritten"
done
echo "passed"
