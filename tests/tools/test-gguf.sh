#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# GGUF files from tests/data/generate.py, of every type and layout, converted
# and computed: those of 4 bits as near to float64 as the activations' type
# allows, the others near enough. Needs Python and numpy.
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
container=$tmp/container.safetensors
dump=$tmp/model.expected.safetensors

# make_model SCHEME [OPTION]...: $tmp/model.gguf, or its parts.
make_model()
{
    scheme=$1
    shift
    rm -f "$tmp"/model*
    must "$python" "$data/generate.py" "$scheme" "$tmp/model.gguf" "$@"
}

# said REGEX: a line of the report.
said()
{
    grep -q -e "$1" "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "the report does not say '$1'"
    }
}

# computes LAYER LIMIT WHAT: the error of a layer is at most LIMIT times that
# of the two roundings.
computes()
{
    must "$run" --layer="$1" --prefix="layers.$1." --input="$dump" \
        --expect="$dump" --max-ratio="$2" "$container"
    awk -v limit="$2" 'NR == 1 && $5 == "ratio" && $6 <= limit { ok = 1 }
         END { exit !(ok && NR == 1) }' "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "not the line of a good result: $3"
    }
}

for layout in fused gate-up split; do
    for type in Q4_0 Q4_1 Q4_K MXFP4; do
        scheme=gguf-$(echo "$type" | tr '[:upper:]' '[:lower:]')
        make_model "$scheme" --gguf-layout="$layout"
        for order in tile rdna3; do
            must "$convert" --force --order=$order "$tmp/model.gguf" \
                "$container"
            said "^scheme  *gguf $type\$"
            said "experts: exact"
            computes 0 1.10 "$scheme $layout $order"
        done
    done
    # Rounding to 4 bits costs 0.15, about 60 times the two roundings.
    for type in Q5_0 Q5_1 Q5_K Q6_K Q8_0 IQ4_NL F16 BF16 F32; do
        scheme=gguf-$(echo "$type" | tr '[:upper:]' '[:lower:]')
        make_model "$scheme" --gguf-layout="$layout"
        refuse 1 "type $type, " "$convert" "$tmp/model.gguf" \
            "$tmp/out/x.safetensors"
        grep -q -e "--requantize" "$tmp/stderr" || fail "no way out is told"
        must "$convert" --force --requantize "$tmp/model.gguf" "$container"
        said "^scheme  *gguf $type\$"
        computes 0 80 "$scheme $layout"
    done
    make_model gguf-q4_k_m-like --gguf-layout="$layout"
    must "$convert" --force --requantize "$tmp/model.gguf" "$container"
    said '^scheme  *gguf Q4_K+Q6_K$'
    computes 0 80 "q4_k_m-like $layout"
done

# Biases, and another activation; shared experts, dense layers, groups of
# experts; several files, also by their folder.
make_model gguf-mxfp4 --names=gpt-oss --layers=2
must "$convert" --force "$tmp/model.gguf" "$container"
said '^model  *gpt-oss$'
computes 1 1.10 gpt-oss
for layout in fused split; do
    make_model gguf-q4_k --names=deepseek_v3 --gguf-layout=$layout \
        --first-layer=1 --layers=2 --split=3
    must "$convert" --force "$tmp/model-00001-of-00003.gguf" "$container"
    said '^model  *deepseek2$'
    computes 1 1.10 "deepseek2 $layout"
    computes 2 1.10 "deepseek2 $layout"
    mv "$container" "$tmp/first.safetensors"
    must "$convert" --force "$tmp" "$container"
    cmp "$container" "$tmp/first.safetensors" || fail "a folder is another"
    refuse 1 "open the first" "$convert" "$tmp/model-00002-of-00003.gguf" \
        "$tmp/out/x.safetensors"
done

make_model refuse-gguf-q2_k
refuse 1 "weights of type Q2_K are not converted" "$convert" --requantize \
    "$tmp/model.gguf" "$tmp/out/x.safetensors"
make_model gguf-q4_0
echo 'a b' >"$tmp/rules"
refuse 1 "is for safetensors files" "$convert" --map="$tmp/rules" \
    "$tmp/model.gguf" "$tmp/out/x.safetensors"
