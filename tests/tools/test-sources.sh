#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# What moe-convert takes besides a whole checkpoint: containers, in either
# order, become what the checkpoint itself does; a part of the experts; names
# that a map translates; weights that look wrong, about which it warns.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
mkdir "$tmp/out"
x=$tmp/out/x.safetensors

# said REGEX: a line of the report.
said()
{
    grep -q -e "$1" "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "the report does not say '$1'"
    }
}

# warned TEXT: a warning on stderr.
warned()
{
    grep -F "moe-convert: warning: " "$tmp/stderr" | grep -F -q -e "$1" || {
        cat "$tmp/stderr" >&2
        fail "no warning about '$1'"
    }
}

# header FILE: one line for each tensor.
header()
{
    head -c "$(($(od -An -tu8 -N 8 "$1" | tr -d ' ') + 8))" "$1" |
        tail -c +9 | tr '}' '\n'
}

# data FILE NAME: the bytes of a tensor.
data_of()
{
    start=$(($(od -An -tu8 -N 8 "$1" | tr -d ' ') + 8))
    range=$(header "$1" |
        sed -n "s/.*\"$2\":.*\"data_offsets\":\\[\\([0-9,]*\\)\\].*/\\1/p")
    [ -n "$range" ] || fail "$1 has no tensor $2"
    tail -c +$((start + ${range%,*} + 1)) "$1" |
        head -c $((${range#*,} - ${range%,*}))
}

# tensors_of FILE: the names of its layers' tensors.
tensors_of()
{
    header "$1" | sed -n 's/.*"\(layers\.[^"]*\)":{.*/\1/p' |
        grep -v '^xxh3'
}

# ------------------------------------------------------ containers as sources
for name in $(checkpoints); do
    for order in tile rdna3; do
        must "$convert" --quiet --order=$order "$data/$name" \
            "$tmp/$name-$order.safetensors"
    done
    for from in tile rdna3; do
        for order in tile rdna3; do
            must "$convert" --order=$order "$tmp/$name-$from.safetensors" "$x"
            said '^exact  *every weight$'
            said '^verified  *[1-9][0-9]* experts: exact$'
            cmp "$x" "$tmp/$name-$order.safetensors" ||
                fail "$name: $order from $from is not that of the checkpoint"
            rm "$x"
        done
    done
done

# In files of limited size, and from them.
whole=$tmp/ct-sym-g32-bf16-tile.safetensors
must "$convert" --quiet --max-shard-size=64KiB "$whole" "$tmp/shards"
must "$convert" --info "$tmp/shards"
said '^files  *[2-9], '
must "$convert" --quiet "$tmp/shards" "$x"
cmp "$x" "$whole" || fail "from files of limited size"
rm "$x"

# ------------------------------------------------------- some of the experts
# check_part PART WHOLE FIRST N: PART's tensors are the experts [FIRST, FIRST +
# N) of those of WHOLE, which has `of` experts; routers are those of all.
check_part()
{
    tensors_of "$2" >"$tmp/names"
    [ -s "$tmp/names" ] || fail "no tensors in $2"
    tensors_of "$1" | cmp - "$tmp/names" || fail "$1 has other tensors"
    while read -r tensor; do
        data_of "$2" "$tensor" >"$tmp/whole.data"
        data_of "$1" "$tensor" >"$tmp/part.data"
        case $tensor in
        *.router.*) ;;
        *)
            bytes=$(($(size "$tmp/whole.data") / of))
            tail -c +$((bytes * $3 + 1)) "$tmp/whole.data" |
                head -c $((bytes * $4)) >"$tmp/expected.data"
            mv "$tmp/expected.data" "$tmp/whole.data"
            ;;
        esac
        [ -s "$tmp/part.data" ] || fail "$1: $tensor is empty"
        cmp "$tmp/part.data" "$tmp/whole.data" || fail "$1: $tensor differs"
    done <"$tmp/names"
}

part=$tmp/part.safetensors
for name in $(checkpoints); do
    must "$convert" --info --json "$tmp/$name-tile.safetensors"
    of=$(sed -n 's/.*"experts_total": *\([0-9]*\).*/\1/p' "$tmp/stdout")
    for order in tile rdna3; do
        must "$convert" --force --experts=1-2 --order=$order "$data/$name" \
            "$part"
        said "^experts  *1 to 2 of $of, "
        said '^verified  *[1-9][0-9]* experts: '
        check_part "$part" "$tmp/$name-$order.safetensors" 1 2
        must "$convert" --check "$part"
        must "$convert" --info "$part"
        said "^experts  *1 to 2 of $of, "
        must "$convert" --info --json "$part"
        said '"experts": 2'
        said '"first_expert": 1'
        said "\"experts_total\": $of"

        # A part of the part, and the part in the other order.
        must "$convert" --order=$order --experts=1 "$part" "$x"
        said "^experts  *2 of $of, "
        check_part "$x" "$tmp/$name-$order.safetensors" 2 1
        rm "$x"
        must "$convert" --order=rdna3 "$part" "$x"
        check_part "$x" "$tmp/$name-rdna3.safetensors" 1 2
        rm "$x"
    done
    # All of them, asked for, are no part.
    must "$convert" --experts=0-$((of - 1)) "$data/$name" "$x"
    said "^experts  *$of, "
    cmp "$x" "$tmp/$name-tile.safetensors" || fail "--experts of all"
    rm "$x"
    refuse 1 "$of" "$convert" "--experts=$((of - 1))-$of" "$data/$name" "$x"
    refuse 1 "$of" "$convert" --experts="$of" --dry-run "$data/$name"
    refuse 1 "2 experts" "$convert" --experts=1-2 "$part" "$x"
done

# -------------------------------------------------------------- maps of names
other=$tmp/other
map=$tmp/map
mkdir "$other"
for file in "$data/ct-sym-g32-bf16"/model*; do
    LC_ALL=C sed 's/\.mlp\.experts\./.mlp.cohorts./g
        s/\.gate_proj\./.first_one./g' "$file" >"$other/${file##*/}"
done
cp "$data/ct-sym-g32-bf16/config.json" "$other/"
refuse 1 "is part of an expert" "$convert" "$other" "$x"
block='model.layers.{l}.mlp'
cat >"$map" <<EOT
# Names of a model that calls its experts cohorts.
$block.cohorts.{e}.first_one.{part}
EOT
refuse 1 "line 2: " "$convert" --map="$map" "$other" "$x"
cat >"$map" <<EOT
# Names of a model that calls its experts cohorts.
$block.cohorts.{e}.first_one.{part} $block.experts.{e}.gate_proj.{part}
$block.cohorts.{e}.{part}           $block.experts.{e}.{part}

unknown.{l} - # leads nowhere
EOT
must "$convert" --map="$map" "$other" "$x"
warned "$map: line 5 "
cmp "$x" "$whole" || fail "--map makes another file"
rm "$x"
must "$convert" --quiet --map="$map" "$other" "$x"
[ ! -s "$tmp/stderr" ] || fail "--quiet is not after a warning"
rm "$x"
# A rule that leaves tensors out: there is no router, which nobody needs.
echo "$block.gate.{part} -" >>"$map"
must "$convert" --quiet --map="$map" "$other" "$tmp/norouter.safetensors"
must "$convert" --info "$tmp/norouter.safetensors"
said '^router data  *none$'
# A wrong map is refused, also by a quiet conversion.
refuse 1 "$tmp/nomap" "$convert" --map="$tmp/nomap" "$other" "$x"
refuse 1 "$tmp" "$convert" --quiet --map="$tmp" "$other" "$x"
echo 'a b c' >"$map"
refuse 1 "$map: line 1: " "$convert" --quiet --map="$map" "$other" "$x"

# ------------------------------------------------------ a label that is wrong
# Zero points that are all 8 tell GPTQ's version, whatever the config says.
name=gptq-descact-g64-fp16
copy_checkpoint $name "$tmp/label"
sed 's/"checkpoint_format": *"gptq"/"checkpoint_format": "gptq_v2"/' \
    "$data/$name/config.json" >"$tmp/label/config.json"
must "$convert" "$tmp/label" "$x"
warned "layer 0: the config says GPTQ version 2"
[ "$(grep -c 'warning: ' "$tmp/stderr")" -eq 1 ] ||
    fail "more than one warning of a wrong label"
cmp "$x" "$tmp/$name-tile.safetensors" || fail "a wrong label: other bytes"
rm "$x"

# ------------------------------------------------- weights that look wrong
# The first two scales of one expert: 0, and the infinity of bf16.
copy_checkpoint ct-channel-bf16-single "$tmp/wrong"
wrong=$tmp/wrong/model.safetensors
tensor=model.layers.0.mlp.experts.1.up_proj.weight_scale
start=$(($(od -An -tu8 -N 8 "$wrong" | tr -d ' ') + 8))
at=$(header "$wrong" |
    sed -n "s/.*\"$tensor\":.*\"data_offsets\":\\[\\([0-9]*\\),.*/\\1/p")
[ -n "$at" ] || fail "no tensor $tensor"
printf '\000\000\200\177' |
    dd of="$wrong" bs=1 seek=$((start + at)) conv=notrunc 2>/dev/null
must "$convert" "$tmp/wrong" "$x"
warned "layer 0, expert 1: 1 scales of 0"
warned "NaN or infinite"
said '^warnings  *1 scales NaN or infinite, 1 scales 0$'
must "$convert" --json --force "$tmp/wrong" "$x"
said '"scales_not_finite": 1'
said '"scales_zero": 1'
said '"scales_denormal": 0'
said '"rounding_error": 0.0'
must "$convert" --force --quiet "$tmp/wrong" "$x"
[ ! -s "$tmp/stdout" ] || fail "--quiet is not after warnings"
[ ! -s "$tmp/stderr" ] || fail "--quiet is not after warnings"
echo "passed"
