#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# moe-convert --max-shard-size: containers in several files compute the same as
# in one, take its place and give theirs to it, and never that of anything else.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints

# computed CONTAINER NAME LAYER OUTPUT: what a layer makes of its dump.
computed()
{
    must "$run" --layer="$3" --prefix="layers.$3." \
        --input="$data/$2/expected.safetensors" --output="$4" "$1"
}

one=$tmp/one.safetensors
n_sharded=0
for name in $(checkpoints); do
    for order in tile rdna3; do
        shards=$tmp/$name-$order
        must "$convert" --quiet --force --order=$order "$data/$name" "$one"
        must "$convert" --dry-run --order=$order --max-shard-size=64KiB \
            "$data/$name"
        planned=$(sed -n 's/^bytes  *//p' "$tmp/stdout")
        must "$convert" --order=$order --max-shard-size=64KiB "$data/$name" \
            "$shards"
        written=$(sed -n 's/^bytes  *//p' "$tmp/stdout")
        [ "$planned" = "$written" ] ||
            fail "$name: planned '$planned', written '$written'"
        must "$convert" --check "$shards"
        must "$convert" --info "$shards"
        for layer in $(layers_of "$name"); do
            computed "$one" "$name" "$layer" "$tmp/1.safetensors"
            computed "$shards" "$name" "$layer" "$tmp/2.safetensors"
            cmp "$tmp/1.safetensors" "$tmp/2.safetensors" ||
                fail "$name $order: layer $layer computes something else"
        done
        [ ! -e "$shards/model-00002-of-00002.safetensors" ] ||
            n_sharded=$((n_sharded + 1))
        [ ! -e "$shards/model-00003-of-00008.safetensors" ] ||
            n_sharded=$((n_sharded + 1))
    done
done
[ "$n_sharded" -ge 2 ] || fail "hardly anything was split"

# listed FOLDER: its names and sizes.
listed()
{
    (cd "$1" && wc -c -- *)
}

# Ways to say the same size.
source=$data/ct-sym-g32-bf16
for sizes in "65536 64KiB" "100000 100K" "1000000 1M" "1048576 1MiB" \
    "1000000000 1G" "1073741824 1GiB"; do
    must "$convert" --quiet --max-shard-size="${sizes% *}" "$source" "$tmp/a"
    must "$convert" --quiet --max-shard-size="${sizes#* }" "$source" "$tmp/b"
    listed "$tmp/a" >"$tmp/a.list"
    listed "$tmp/b" >"$tmp/b.list"
    cmp "$tmp/a.list" "$tmp/b.list" || fail "not the same: $sizes"
    rm -r "$tmp/a" "$tmp/b"
done

# A container gives way to another one only by force, and then altogether.
folder=$tmp/folder
must "$convert" --quiet "$source" "$folder"
for size in 300K 64KiB 300K 1G ''; do
    for force in '' --force; do
        [ -n "$force" ] || {
            refuse 1 "exists" "$convert" ${size:+--max-shard-size=$size} \
                "$source" "$folder"
            continue
        }
        must "$convert" --quiet --force ${size:+--max-shard-size=$size} \
            "$source" "$folder"
        must "$convert" --quiet ${size:+--max-shard-size=$size} "$source" \
            "$tmp/fresh"
        diff -r "$folder" "$tmp/fresh" || fail "other files after '$size'"
        rm -r "$tmp/fresh"
    done
done

# Nothing else gives way, and nothing is made where it cannot be.
copy_checkpoint ct-sym-g32-bf16 "$tmp/copy"
for size in '' 300K; do
    refuse 1 "not a container's" "$convert" --force \
        ${size:+--max-shard-size=$size} "$source" "$tmp/copy"
done
for file in "$tmp/copy"/*; do
    cmp "$file" "$source/${file##*/}" || fail "$file has changed"
done
mkdir "$tmp/out"
refuse 1 "need a folder" "$convert" --max-shard-size=1M "$source" \
    "$tmp/out/x.safetensors"
refuse 1 "need a folder" "$convert" --dry-run --max-shard-size=1M "$source" \
    "$tmp/out/x.safetensors"
refuse 1 "$tmp/out/a/b" "$convert" --max-shard-size=1M "$source" "$tmp/out/a/b"
echo "passed"
