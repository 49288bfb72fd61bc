#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Routing from end to end: models' own routers, from router logits and from
# hidden states alone, against the float64 expectation; parts of the experts,
# cut at conversion or when a layer is loaded; counts.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
mkdir "$tmp/out"

# without FILE WORD...: a copy of a safetensors file in which the tensors with
# these words in their names have other names, as $tmp/dump.safetensors.
without()
{
    cp "$1" "$tmp/dump.safetensors"
    shift
    for word in "$@"; do
        # The same length, so that everything stays where it is.
        LC_ALL=C sed "s/$word/X${word#?}/g" "$tmp/dump.safetensors" \
            >"$tmp/renamed"
        mv "$tmp/renamed" "$tmp/dump.safetensors"
    done
}

# routed SCHEME [OPTION]...: a checkpoint whose expectation is what its own
# router chooses, in float64: from logits and from hidden states, which give
# both ids and weights.
routed()
{
    what=$*
    rm -rf "$tmp/in"
    must "$python" "$data/generate.py" --routed --experts=8 --tokens=40 \
        "$@" "$tmp/in"
    must "$convert" --quiet --force "$tmp/in" "$tmp/routed.safetensors"
    dump=$tmp/in/expected.safetensors
    set -- --layer=0 --prefix=layers.0. --input="$tmp/dump.safetensors" \
        --expect="$dump"
    without "$dump" topk_ids topk_weights
    must "$run" "$@" "$tmp/routed.safetensors"
    without "$dump" topk_ids topk_weights router_logits
    must "$run" "$@" --threads=3 --repeat=2 "$tmp/routed.safetensors"
    # Without some of the experts it is another result.
    refuse 3 ratio "$run" "$@" --experts=0-3 "$tmp/routed.safetensors"
}

python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import numpy' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -n "$python" ]; then
    for family in qwen3_moe mixtral deepseek_v3 kimi_k2_5 qwen3_next \
        minimax_m2 glm4_moe lfm2 granite; do
        for dtype in bf16 fp16; do
            routed ct-sym --names=$family --dtype=$dtype --top-k=3
        done
    done
    routed ct-sym --names=llama4
    routed gptoss --top-k=4
    routed deepseek-v4 --top-k=3
    # Its layers that choose by the token's id: their router is not known.
    sed 's/"num_hash_layers": *0/"num_hash_layers": 1/' "$tmp/in/config.json" \
        >"$tmp/config" && mv "$tmp/config" "$tmp/in/config.json"
    must "$convert" --quiet --force "$tmp/in" "$tmp/routed.safetensors"
    refuse 1 "neither layers.0.topk_ids" "$run" --layer=0 --prefix=layers.0. \
        --input="$tmp/dump.safetensors" "$tmp/routed.safetensors"
    must "$convert" --info "$tmp/routed.safetensors"
    grep -q '^router .*sqrt_softplus.*, from layer 1 on' "$tmp/stdout" ||
        fail "--info does not say which layers have no router"
else
    echo "no python3 with numpy: routers of model families are not tested"
fi

# ------------------------------------------------------------------- parts
# A part that was cut out at conversion is the same as one that is loaded; of
# the results of all parts each token's sum is that of the whole.
name=ct-sym-g32-bf16
dump=$data/$name/expected.safetensors
whole=$tmp/$name.safetensors
must "$convert" --quiet "$data/$name" "$whole"
must "$convert" --quiet --experts=3-6 "$data/$name" "$tmp/part.safetensors"
without "$dump" topk_ids topk_weights router_logits
set -- --layer=1 --prefix=layers.1. --input="$tmp/dump.safetensors"
must "$run" "$@" --output="$tmp/cut.safetensors" "$tmp/part.safetensors"
grep -q 'experts 3 to 6 of 8; those of others add nothing' "$tmp/stderr" ||
    fail "a part is not called one: $(cat "$tmp/stderr")"
must "$run" "$@" --experts=3-6 --output="$tmp/loaded.safetensors" "$whole"
cmp "$tmp/cut.safetensors" "$tmp/loaded.safetensors" ||
    fail "a part gives another result than the same experts of the whole"
must "$run" "$@" --experts=4 --output="$tmp/loaded.safetensors" "$whole"
must "$run" "$@" --experts=4 --output="$tmp/cut.safetensors" \
    "$tmp/part.safetensors"
cmp "$tmp/cut.safetensors" "$tmp/loaded.safetensors" ||
    fail "a part of a part gives another result"
refuse 1 "layer_load: 2 experts from 2 on, of a container with 4 from 3 on" \
    "$run" "$@" --experts=2-3 --output="$tmp/out/x" "$tmp/part.safetensors"
refuse 1 "layer_load: 2 experts from 7 on, of a container with 8 from 0 on" \
    "$run" "$@" --experts=7-8 --output="$tmp/out/x" "$whole"
refuse 2 "--experts" "$run" "$@" --experts=3-2 "$whole"

# A dump with ids of the whole model fits a part, too, and its comparison is
# with the layer of this part.
must "$run" --layer=1 --prefix=layers.1. --input="$dump" --expect="$dump" \
    --max-ratio=1e9 "$tmp/part.safetensors"

# ------------------------------------------------------------------- counts
must "$run" "$@" --counts "$whole"
awk '/^expert [0-7]: / { n += $3 } END { exit n != 10 }' "$tmp/stderr" ||
    fail "the counts are not those of 5 tokens: $(cat "$tmp/stderr")"
grep -q 'of 8 experts chosen; the most often' "$tmp/stderr" ||
    fail "no summary of counts: $(cat "$tmp/stderr")"

# Without a router in the container hidden states are not enough.
cp "$whole" "$tmp/none.safetensors"
LC_ALL=C sed 's/"router":"softmax_topk"/"router":"none","x":"1"/' \
    "$whole" >"$tmp/none.safetensors"
[ "$(wc -c <"$whole")" = "$(wc -c <"$tmp/none.safetensors")" ] ||
    fail "the test's edit changed the length"
refuse 1 "neither layers.1.topk_ids and layers.1.topk_weights nor" "$run" \
    "$@" "$tmp/none.safetensors"
echo passed
