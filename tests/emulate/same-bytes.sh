#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# On an emulated machine the tools write the same bytes as those built for this
# machine, in W4MOE_NATIVE: containers in both orders, and results of the
# reference kernels.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
W4MOE_CPU=ref
export W4MOE_CPU

# write_all TOOLS NAME ORDER SIDE: a container and the results of its layers,
# in files that begin with SIDE.
write_all()
{
    must "$1/moe-convert" --quiet --force --order="$3" "$data/$2" \
        "$4.safetensors"
    for layer in $(layers_of "$2"); do
        must "$1/moe-run" --layer="$layer" --prefix="layers.$layer." \
            --input="$data/$2/expected.safetensors" \
            --output="$4-$layer.safetensors" "$4.safetensors"
    done
}

for name in $(checkpoints); do
    for order in tile rdna3; do
        write_all "$W4MOE_NATIVE/tools" "$name" $order "$tmp/here"
        write_all "$bin" "$name" $order "$tmp/there"
        for file in "$tmp"/here*; do
            cmp "$file" "$tmp/there${file#"$tmp/here"}" ||
                fail "not the same for $name, order $order"
        done
        rm "$tmp"/here* "$tmp"/there*
    done
done
echo "passed"
