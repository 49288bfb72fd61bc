#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Every safetensors scheme and family of models that moe-convert reads, from
# checkpoints that are made here: converted in both orders, their layers give
# what float64 gives. What must be refused is, by its name. Needs Python and
# numpy.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"

python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import numpy' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || skip "no python3 with numpy"

mkdir "$tmp/out"
in=$tmp/in
dump=$in/expected.safetensors
# Options of moe-convert.
options=
# Whether to compare with the other order of words, too.
both_orders=1
# A layer of which nothing is expected: one that predicts further tokens, where
# its name is that of any layer.
further=

# said REGEX: a line of the report.
said()
{
    grep -q -e "$1" "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "the report does not say '$1': $what"
    }
}

# warned TEXT: the only warning. Without TEXT: there is none.
warned()
{
    if [ $# -eq 0 ]; then
        [ ! -s "$tmp/stderr" ]
    else
        [ "$(wc -l <"$tmp/stderr")" -eq 1 ] &&
            grep -F "moe-convert: warning: " "$tmp/stderr" |
            grep -F -q -e "$1"
    fi || {
        cat "$tmp/stderr" >&2
        fail "not the warnings of: $what"
    }
}

# checkpoint SCHEME [OPTION]...: makes one in $in, by options of generate.py.
checkpoint()
{
    what=$*${options:+, converted with $options}
    rm -rf "$in"
    scheme=$1
    shift
    must "$python" "$data/generate.py" "$scheme" "$in" "$@"
}

# converted ORDER WARNING...: makes $tmp/ORDER.safetensors.
converted()
{
    file=$tmp/$1.safetensors
    # shellcheck disable=SC2086
    must "$convert" --force --order="$1" $options "$in" "$file"
    shift
    warned "$@"
    said '^verified  *[1-9][0-9]* experts: '
}

# find_layers: sets the numbers of the layers that an expectation is there for,
# which with a further one must be all of $file, and the option that they need.
find_layers()
{
    head -c "$(($(od -An -tu8 -N 8 "$dump" | tr -d ' ') + 8))" "$dump" |
        tail -c +9 >"$tmp/header"
    numbers=$(tr '"' '\n' <"$tmp/header" |
        sed -n 's/^layers\.\([0-9]*\)\.out$/\1/p')
    [ -n "$numbers" ] || fail "nothing is expected of $what"
    must "$convert" --info --json "$file"
    has=$(sed -n '/"layers": \[/,/\]/s/[^0-9]*\([0-9]\{1,\}\).*/\1/p' \
        "$tmp/stdout")
    [ "$has" = "$numbers${further:+
$further}" ] || fail "layers $has, not $numbers, in $what"
    input=
    ! grep -q '"weight_on_input":"true"' "$tmp/header" ||
        input=--weight-on-input
}

# run_layers OPTION...: runs them. Outputs are in $tmp/layer-L.safetensors, the
# lines of the comparison in $tmp/lines.
run_layers()
{
    rm -f "$tmp"/layer-*.safetensors
    for layer in $numbers; do
        # shellcheck disable=SC2086
        must "$run" --layer="$layer" --prefix="layers.$layer." $input \
            --input="$dump" --expect="$dump" \
            --output="$tmp/layer-$layer.safetensors" "$@" "$file"
        cat "$tmp/stdout"
    done >"$tmp/lines"
}

# same_in_rdna3 WARNING...: a container in the other order makes the same bytes
# of output.
same_in_rdna3()
{
    [ -n "$both_orders" ] || return 0
    mkdir "$tmp/first"
    mv "$tmp"/layer-*.safetensors "$tmp/first/"
    converted rdna3 "$@"
    run_layers --max-ratio=1e9
    for output in "$tmp/first"/*; do
        cmp "$output" "$tmp/${output##*/}" || fail "rdna3 differs: $what"
    done
    rm -r "$tmp/first"
}

# exact_with WARNING SCHEME [OPTION]...: the result is as near to the
# expectation as rounding of activations allows. WARNING may be empty.
exact_with()
{
    warning=$1
    shift
    checkpoint "$@"
    converted tile ${warning:+"$warning"}
    said '^exact  *every weight$'
    must "$convert" --check "$file"
    find_layers
    run_layers
    echo "exact   $what"
    cat "$tmp/lines"
    same_in_rdna3 ${warning:+"$warning"}
}

exact()
{
    exact_with '' "$@"
}

# rounded SCHEME [OPTION]...: weights of more bits, against whose own values the
# error is that of 4 bits.
rounded()
{
    checkpoint "$@"
    converted tile 'WITHOUT CALIBRATION'
    said '^rounded  *[1-9]'
    must "$convert" --check "$file"
    find_layers
    run_layers --max-ratio=1e9
    echo "rounded $what"
    cat "$tmp/lines"
    awk '!($1 == "rel_l2" && $2 >= 0.02 && $2 <= 0.25) { exit 1 }' \
        "$tmp/lines" || fail "not the error of rounding: $what"
    same_in_rdna3 'WITHOUT CALIBRATION'
}

# with "OPTION..." COMMAND...: with options of moe-convert.
with()
{
    options=$1
    shift
    "$@"
    options=
}

# refused TEXT SCHEME [OPTION]...: whatever is to be done with it.
refused()
{
    text=$1
    shift
    checkpoint "$@"
    refuse 1 "$text" "$convert" "$in" "$tmp/out/x.safetensors"
    refuse 1 "$text" "$convert" "$in" "$tmp/out/folder"
    refuse 1 "$text" "$convert" --dry-run "$in"
    echo "refused $what: $(sed 's/^[^ ]* //' "$tmp/stderr")"
}

# --------------------------------------------------------- 4 bits: every scheme
exact ct-sym
exact ct-sym --dtype fp16 --intermediate 72
exact ct-sym --group-size 16 --hidden 136 --tokens 33 --top-k 4
exact ct-asym --dtype fp16 --intermediate 72
exact ct-asym --group-size 64 --hidden 136 --intermediate 200
exact ct-channel --dtype fp16 --hidden 136
exact ct-actorder
exact ct-actorder --dtype fp16 --intermediate 72
exact ct-mxfp4
exact gptq-v1-sym
exact gptq-v1-asym --dtype bf16 --intermediate 72
exact gptq-v2-sym
exact gptq-v2-asym --group-size 64 --hidden 136
exact gptq-descact --dtype bf16 --intermediate 72
exact autoround-gptq
exact autoround-awq
exact awq --dtype bf16 --group-size 64 --hidden 136 --intermediate 72
exact gptoss --layers 2 --shards 3
exact gptoss-original
exact deepseek-v4 --mtp --layers 2 --first-layer 1 --shards 3
exact mixed-groups
exact mixed-zeros --dtype fp16 --intermediate 72

# What GPTQ's labels and zero points leave open.
exact_with 'layer 1: the config says GPTQ version 1, but zero points are' \
    gptq-mislabelled --first-layer 1
for scheme in gptq-v1-asym gptq-descact; do
    refused gptq-zero-wrap $scheme --zero-wrap
    with --gptq-zero-wrap exact "$scheme" --zero-wrap
done

# ----------------------------------------------------------- families of models
both_orders=
for family in qwen3_moe mixtral minimax_m2 llama4 lfm2 granite; do
    exact ct-sym --names $family --layers 2 --first-layer 1 --shards 3
done
exact ct-asym --names qwen3_next --mtp --first-layer 2 --shards 2
further=3
for family in deepseek_v3 kimi_k2_5 glm4_moe; do
    exact ct-asym --names $family --mtp --first-layer 2 --shards 2
done
further=
both_orders=1

# ---------------------------------------------------------------------- rounded
rounded bf16
rounded bf16 --names mixtral --layers 2 --shards 3
with --asym rounded bf16 --intermediate 72
with '--group-size=128 --sym' rounded bf16 --hidden 256
with '--group-size=8 --asym' rounded fp16
rounded fp32
with '--group-size=64 --asym' rounded fp32 --intermediate 72
rounded fp8-block --hidden 136 --intermediate 72
with '--asym --group-size=128' rounded fp8-block --hidden 264 --dtype fp16
rounded qwen3_5-bf16 --mtp
with --asym rounded qwen3_5-bf16 --layers 2 --shards 2
rounded qwen3_vl-bf16 --intermediate 72
with '--asym --group-size=16' rounded llama4-bf16 --top-k 2
rounded granite-bf16
rounded gptoss-bf16
with --asym rounded gptoss-bf16 --intermediate 72
rounded mixed-unquantized
with --asym rounded mixed-unquantized --dtype fp16

# ---------------------------------------------------------------------- refused
refused nvfp4 refuse-nvfp4
refused marlin refuse-marlin
refused gemv refuse-gemv
refused '3 bits' refuse-3bit
refused '8 bits' refuse-8bit
refused '8 bits' refuse-gptq-8bit
echo "passed"
