#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# moe-convert on the golden checkpoints: both orders, dry runs, layers, what
# --info and --check say, and every kind of bad input: it ends with the
# documented status, names the culprit and leaves nothing behind.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints

out=$tmp/out
new_out()
{
    rm -rf "$out"
    mkdir "$out"
}

# said TEXT: a line of the report.
said()
{
    grep -q -e "$1" "$tmp/stdout" || {
        cat "$tmp/stdout" >&2
        fail "the report does not say '$1'"
    }
}

good=$tmp/good
mkdir "$good"
for name in $(checkpoints); do
    for order in tile rdna3; do
        new_out
        must "$convert" --dry-run --order=$order "$data/$name"
        said '^written *nothing'
        planned=$(sed -n 's/^bytes  *//p' "$tmp/stdout")
        must "$convert" --dry-run "$data/$name" "$out/x.safetensors"
        said '^free  *[0-9]'
        no_leftovers dry run of "$name"

        file=$good/$name-$order.safetensors
        must "$convert" --order=$order "$data/$name" "$file"
        said "^scheme  *$(scheme_of "$name")\$"
        said "^order  *$order"
        case $(scheme_of "$name") in
        none)
            said '^rounded  *[1-9][0-9]* of .*; relative error 0\.'
            said '^verified  *[1-9][0-9]* experts: nearest$'
            grep -q 'WITHOUT CALIBRATION' "$tmp/stderr" ||
                fail "$name: rounded without a warning"
            ;;
        *)
            said '^exact  *every weight$'
            said '^verified  *[1-9][0-9]* experts: exact$'
            [ ! -s "$tmp/stderr" ] || fail "$name: something on stderr"
            ;;
        esac
        said '^time  *[0-9.]* s, [0-9.]* [kMG]*B/s$'
        written=$(sed -n 's/^bytes  *//p' "$tmp/stdout")
        [ "$planned" = "$written" ] ||
            fail "$name: planned '$planned', written '$written'"

        must "$convert" --info "$file"
        said "order $order"
        said "^scheme  *$(scheme_of "$name")\$"
        must "$convert" --check "$file"
        said '^hashes  *all match'
    done

    # The number of threads makes no difference to the file, nor does going
    # without verification.
    for jobs in 1 2 7; do
        must "$convert" --jobs=$jobs --no-verify "$data/$name" \
            "$tmp/jobs.safetensors"
        said '^verified  *no'
        cmp "$tmp/jobs.safetensors" "$good/$name-tile.safetensors" ||
            fail "$name: --jobs=$jobs makes another file"
        rm "$tmp/jobs.safetensors"
    done
done

# What the tools say about known checkpoints.
must "$convert" --info "$good/ct-sym-g32-bf16-tile.safetensors"
said '^layers  *2: 0-1$'
said '^experts  *8, 2 per token$'
said '^shapes  *hidden 256, intermediate 128$'
said '^groups  *w13 32, w2 32$'
said '^codes  *int4$'
said '^scales  *BF16$'
said '^zero points  *no$'
said '^act-order  *no$'
said '^bias  *no$'
said '^router  *softmax_topk, renormalized'
said '^router data  *weight$'
# 8 experts of 3 * 256 * 128 weights in 4 bits, and 16 for each 32.
said '^bytes  *[0-9]* kB; experts 442 kB a layer, 55.3 kB each$'
said '^bits  *4.500 per weight$'
said '^files  *1, '
must "$convert" --info "$good/ct-asym-g64-fp16-tile.safetensors"
said '^model  *mixtral$'
said '^scales  *F16$'
said '^zero points  *yes$'
# Symmetric weights have no zero points, although order rdna3 stores some.
must "$convert" --info "$good/ct-sym-g32-bf16-rdna3.safetensors"
said '^zero points  *no$'
must "$convert" --info "$good/ct-actorder-g64-bf16-tile.safetensors"
said '^act-order  *yes$'
must "$convert" --info "$good/gptq-v1-g128-fp16-tile.safetensors"
said '^groups  *w13 128, w2 128$'
said '^zero points  *yes$'
said '^act-order  *no$'
must "$convert" --info "$good/gptq-descact-g64-fp16-tile.safetensors"
said '^zero points  *no$'
said '^act-order  *yes$'
must "$convert" --info "$good/awq-g64-fp16-tile.safetensors"
said '^groups  *w13 64, w2 64$'
said '^scales  *F16$'
said '^zero points  *yes$'
must "$convert" --info "$good/ct-channel-bf16-single-tile.safetensors"
said '^groups  *w13 128, w2 96$'
must "$convert" --info "$good/gptoss-mxfp4-tile.safetensors"
said '^model  *gpt_oss$'
said '^scales  *F8_E8M0$'
said '^activation  *swigluoai, limit 7'
said '^router  *topk_softmax'

# A folder as output, made on the way; one safetensors file as input; layers.
must "$convert" "$data/ct-sym-g32-bf16" "$tmp/folder"
cmp "$tmp/folder/model.safetensors" \
    "$good/ct-sym-g32-bf16-tile.safetensors" || fail "folder output differs"
must "$convert" --check "$tmp/folder"
must "$convert" "$data/ct-channel-bf16-single/model.safetensors" \
    "$tmp/single.safetensors"
cmp "$tmp/single.safetensors" \
    "$good/ct-channel-bf16-single-tile.safetensors" ||
    fail "single file input differs"
must "$convert" --layers=1 --json "$data/ct-sym-g32-bf16" \
    "$tmp/layer1.safetensors"
said '"layers": 1'
said '"experts_verified": 8'
must "$convert" --info "$tmp/layer1.safetensors"
said '^layers  *1: 1$'
must "$convert" --info --json "$tmp/layer1.safetensors"
said '"experts": 8'
said '"hidden_size": 256'
said '"experts_total": 8'
said '"code": "int4"'
said '"scale_dtype": "BF16"'
said '"offset_dtype": null'
said '"bits_per_weight": 4.5'
said '"files": 1'
must "$convert" --check --json "$tmp/layer1.safetensors"
said '"hashes_match": true'

# How the source's tensors are accounted for; the space where it would go.
must "$convert" --dry-run --layers=1 "$data/ct-sym-g32-bf16" "$tmp/none/x"
said '^tensors  *73 used, 73 unselected, 5 other$'
said '^free  *unknown: '
must "$convert" --dry-run --json "$data/ct-sym-g32-bf16" "$tmp/folder/"
said '"bytes_free": [1-9]'
said '"weights": 48'
said '"weights_rounded": 0'
said '"rounding_error": null'
said '"warnings": null'
must "$convert" --dry-run --json "$data/ct-sym-g32-bf16"
said '"bytes_free": null'

# A checkpoint is no container: the way to look at it is another.
refuse 1 "--dry-run" "$convert" --info "$data/ct-sym-g32-bf16"
grep -q "not a w4moe container" "$tmp/stderr" || fail "no reason in --info"
printf 'GGUF%060d' 0 >"$tmp/x.gguf"
refuse 1 "--dry-run" "$convert" --info "$tmp/x.gguf"
printf 'GGU%060d' 0 >"$tmp/x.gguf"
refuse 1 "$tmp/x.gguf" "$convert" --info "$tmp/x.gguf"
! grep -q -e --dry-run "$tmp/stderr" || fail "a hint for no checkpoint"

# Quiet is quiet; a bar is drawn only where it is asked for.
must "$convert" --quiet --force "$data/ct-sym-g32-bf16" "$tmp/folder"
[ ! -s "$tmp/stdout" ] || fail "--quiet is not"
[ ! -s "$tmp/stderr" ] || fail "--quiet is not"
must "$convert" --check --quiet "$tmp/folder"
[ ! -s "$tmp/stdout" ] || fail "--check --quiet is not"
must "$convert" --progress=always --force "$data/ct-sym-g32-bf16" \
    "$tmp/folder"
must "$convert" --progress=never --force "$data/ct-sym-g32-bf16" \
    "$tmp/folder"
[ ! -s "$tmp/stderr" ] || fail "--progress=never shows something"

# An existing output stays as it was unless --force is given.
new_out
echo precious >"$tmp/old.safetensors"
refuse 1 "$tmp/old.safetensors" \
    "$convert" "$data/ct-sym-g32-bf16" "$tmp/old.safetensors"
[ "$(cat "$tmp/old.safetensors")" = precious ] || fail "output overwritten"
refuse 1 "nowhere" \
    "$convert" --force "$tmp/nowhere" "$tmp/old.safetensors"
[ "$(cat "$tmp/old.safetensors")" = precious ] || fail "output overwritten"
must "$convert" --force "$data/ct-sym-g32-bf16" "$tmp/old.safetensors"
cmp "$tmp/old.safetensors" "$good/ct-sym-g32-bf16-tile.safetensors" ||
    fail "--force makes another file"

# ------------------------------------------------------------- bad sources
x=$out/x.safetensors
bad=$tmp/bad
mkdir "$bad"
shard=model-00001-of-00002.safetensors

refuse 1 "$tmp/nowhere" "$convert" "$tmp/nowhere" "$x"
refuse 1 "$bad" "$convert" "$bad" "$x"
refuse 1 "7" "$convert" --layers=7 "$data/ct-sym-g32-bf16" "$x"
refuse 1 "2" "$convert" --layers=0-2 "$data/ct-sym-g32-bf16" "$x"

for cut in 0 7 8 100 100000 "$(($(size "$data/ct-sym-g32-bf16/$shard") - 1))"
do
    copy_checkpoint ct-sym-g32-bf16 "$bad"
    head -c "$cut" "$data/ct-sym-g32-bf16/$shard" >"$bad/$shard"
    refuse 1 "$shard" "$convert" "$bad" "$x"
    refuse 1 "$shard" "$convert" --dry-run "$bad" "$x"
done

copy_checkpoint ct-sym-g32-bf16 "$bad"
printf '{{{{' | dd of="$bad/$shard" bs=1 seek=40 conv=notrunc 2>/dev/null
refuse 1 "$shard" "$convert" "$bad" "$x"

copy_checkpoint ct-sym-g32-bf16 "$bad"
printf '\377\377\377\377\377\377\377\177' |
    dd of="$bad/$shard" bs=1 conv=notrunc 2>/dev/null
refuse 1 "$shard" "$convert" "$bad" "$x"

copy_checkpoint ct-sym-g32-bf16 "$bad"
rm "$bad/$shard"
refuse 1 "$shard" "$convert" "$bad" "$x"

# A tensor that the index names but no shard has; and one that is nowhere.
lost=mlp.experts.1.up_proj.weight_scale
other=mlp.another.1.up_proj.weight_scale
copy_checkpoint ct-sym-g32-bf16 "$bad"
LC_ALL=C sed "s/layers.0.$lost/layers.0.$other/" "$bad/$shard" >"$tmp/shard"
mv "$tmp/shard" "$bad/$shard"
refuse 1 "1.up_proj.weight_scale" "$convert" "$bad" "$x"
copy_checkpoint ct-channel-bf16-single "$bad"
LC_ALL=C sed "s/layers.0.$lost/layers.0.$other/" \
    "$bad/model.safetensors" >"$tmp/shard"
mv "$tmp/shard" "$bad/model.safetensors"
refuse 1 "weight_scale" "$convert" "$bad" "$x"
refuse 1 "weight_scale" "$convert" --dry-run "$bad"

copy_checkpoint ct-sym-g32-bf16 "$bad"
rm "$bad/config.json"
refuse 1 config.json "$convert" "$bad" "$x"
for content in '' '{' '[]' '{"model_type": "qwen3_moe"}'; do
    printf '%s' "$content" >"$bad/config.json"
    refuse 1 config.json "$convert" "$bad" "$x"
done
for field in num_experts num_experts_per_tok hidden_size; do
    sed "/\"$field\":/d" "$data/ct-sym-g32-bf16/config.json" \
        >"$bad/config.json"
    refuse 1 "$field" "$convert" "$bad" "$x"
done
# Without this one there is intermediate_size, which is another number here.
sed '/"moe_intermediate_size":/d' "$data/ct-sym-g32-bf16/config.json" \
    >"$bad/config.json"
refuse 1 "weight_shape" "$convert" "$bad" "$x"
sed 's/"compressed-tensors"/"exl9"/' "$data/ct-sym-g32-bf16/config.json" \
    >"$bad/config.json"
refuse 1 exl9 "$convert" "$bad" "$x"
sed 's/"pack-quantized"/"marlin-24"/' "$data/ct-sym-g32-bf16/config.json" \
    >"$bad/config.json"
refuse 1 marlin-24 "$convert" "$bad" "$x"
sed 's/"num_bits": 4/"num_bits": 8/' "$data/ct-sym-g32-bf16/config.json" \
    >"$bad/config.json"
refuse 1 8 "$convert" "$bad" "$x"
sed 's/"group_size": 32/"group_size": 48/' \
    "$data/ct-sym-g32-bf16/config.json" >"$bad/config.json"
refuse 1 weight_scale "$convert" "$bad" "$x"

# ------------------------------------------------------------- bad outputs
echo text >"$tmp/plain"
refuse 1 "$tmp/plain" \
    "$convert" "$data/ct-sym-g32-bf16" "$tmp/plain/x.safetensors"
refuse 1 "$out/a" "$convert" "$data/ct-sym-g32-bf16" "$out/a/b/x.safetensors"
if [ "$(id -u)" -ne 0 ]; then
    chmod a-w "$out"
    refuse 1 "$out" "$convert" "$data/ct-sym-g32-bf16" "$x"
    chmod u+w "$out"
fi

# ---------------------------------------------------------- bad containers
whole=$good/ct-sym-g32-bf16-tile.safetensors
file=$tmp/damaged.safetensors
start=$(($(od -An -tu8 -N 8 "$whole" | tr -d ' ') + 8))
refuse 1 "$tmp/nowhere" "$convert" --check "$tmp/nowhere"
refuse 1 "$shard" "$convert" --info "$data/ct-sym-g32-bf16/$shard"
for cut in 0 7 8 "$((start - 1))" "$start" "$(($(size "$whole") - 1))"; do
    head -c "$cut" "$whole" >"$file"
    refuse 1 "$file" "$convert" --check "$file"
    refuse 1 "$file" "$convert" --info "$file"
done
cp "$whole" "$file"
flip "$file" 40
refuse 1 "$file" "$convert" --info "$file"
for offset in "$start" "$((start + 12345))"; do
    cp "$whole" "$file"
    flip "$file" "$offset"
    must "$convert" --info "$file"
    refuse 3 "layers.0." "$convert" --check "$file"
    refuse 3 "layers.0." "$convert" --check --quiet --json "$file"
done

# ------------------------------------------------------------ interruption
# Wherever it hits, either the whole output is there or nothing is.
for pause in 0 0.002 0.004 0.006 0.008 0.01 0.015 0.02 0.03 0.05; do
    new_out
    "$convert" "$data/ct-sym-g32-bf16" "$x" >"$tmp/stdout" 2>"$tmp/stderr" &
    pid=$!
    sleep "$pause" 2>/dev/null || :
    kill -TERM "$pid" 2>/dev/null || :
    code=0
    wait "$pid" || code=$?
    case $code in
    0)
        cmp "$x" "$whole" || fail "exit 0 and another output"
        rm "$x"
        ;;
    1)
        grep -q interrupted "$tmp/stderr" || fail "exit 1, not interrupted"
        ;;
    143) # before the tool looks out for signals
        ;;
    *)
        fail "exit $code after SIGTERM"
        ;;
    esac
    no_leftovers SIGTERM after "$pause" s
done

# And it is heard: of a larger conversion, stopped when its file is open, with
# a name or without, nothing is left. All its weights are 0, so that the source
# takes no space: first the shapes of the tensors, then a hole.
n_experts=32
mkdir "$tmp/large" "$tmp/large/folder"
awk -v E=$n_experts 'BEGIN {
    end = 48 * E
    printf "{"
    for (e = 0; e < E; e++) {
        for (p = 0; p < 3; p++) {
            name = "model.layers.0.mlp.experts." e "."
            name = name (p == 0 ? "gate" : p == 1 ? "up" : "down") "_proj."
            rows = p < 2 ? 768 : 2048
            columns = p < 2 ? 2048 : 768
            at = 48 * e + 16 * p
            if (e + p > 0) {
                printf ","
            }
            printf "\"%sweight_shape\":{\"dtype\":\"I64\",\"shape\":[2],", name
            printf "\"data_offsets\":[%d,%d]},", at, at + 16
            printf "\"%sweight_packed\":{\"dtype\":\"I32\",", name
            printf "\"shape\":[%d,%d],", rows, columns / 8
            printf "\"data_offsets\":[%d,%d]},", end, end + rows * columns / 2
            end += rows * columns / 2
            printf "\"%sweight_scale\":{\"dtype\":\"BF16\",", name
            printf "\"shape\":[%d,%d],", rows, columns / 128
            printf "\"data_offsets\":[%d,%d]}", end, end + rows * columns / 64
            end += rows * columns / 64
        }
    }
    printf "}"
}' >"$tmp/large/header"
source=$tmp/large/folder/model.safetensors
e=0
while [ $e -lt $n_experts ]; do
    for number in 768 2048 768 2048 2048 768; do
        octets $number 8
    done
    e=$((e + 1))
done >"$tmp/large/shapes"
safetensors "$source" "$(cat "$tmp/large/header")" <"$tmp/large/shapes"
# Behind them, 33 bytes for each 64 weights of the three matrices.
hole=$((n_experts * 3 * 33 * (768 * 2048 / 64)))
dd if=/dev/null of="$source" bs=1 seek=$(($(size "$source") + hole)) \
    2>/dev/null
sed 's/"hidden_size": .*/"hidden_size": 2048,/
    s/"moe_intermediate_size": .*/"moe_intermediate_size": 768,/
    s/"num_experts": .*/"num_experts": 32,/' \
    "$data/ct-sym-g128-fp16/config.json" >"$tmp/large/folder/config.json"
must "$convert" --dry-run "$tmp/large/folder"

# convert_and_signal SIGNAL OPTION...: sends it when the file of a conversion of
# $tmp/large is open, with a name or without. Sets code to its exit status.
convert_and_signal()
{
    new_out
    signal=$1
    shift
    "$convert" "$@" "$tmp/large/folder" "$x" >"$tmp/stdout" 2>"$tmp/stderr" &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        ls -l "/proc/$pid/fd" >"$tmp/files" 2>/dev/null || :
        ! grep -q -F "$out/" "$tmp/files" || break
        [ -z "$(ls -A "$out")" ] || break
    done
    kill "-$signal" "$pid" 2>/dev/null || :
    code=0
    wait "$pid" || code=$?
}

tries=0
code=0
while [ "$code" -eq 0 ]; do
    tries=$((tries + 1))
    [ "$tries" -le 10 ] || fail "SIGTERM is not heard in $tries conversions"
    convert_and_signal TERM
done
[ "$code" -eq 1 ] || fail "exit $code after SIGTERM"
grep -q interrupted "$tmp/stderr" || fail "exit 1, not interrupted"
no_leftovers SIGTERM

# SIGUSR1 asks for a line, and gets it even from a quiet conversion.
tries=0
: >"$tmp/stderr"
while [ ! -s "$tmp/stderr" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 10 ] || fail "SIGUSR1 is not heard in $tries conversions"
    convert_and_signal USR1 --quiet
    [ "$code" -eq 0 ] || fail "exit $code after SIGUSR1"
    [ ! -s "$tmp/stdout" ] || fail "--quiet is not after SIGUSR1"
done
[ "$(wc -l <"$tmp/stderr")" -eq 1 ] || fail "more than a line for SIGUSR1"
grep -E -q '^moe-convert: +[0-9]+ %  .* of .* layer 0$' "$tmp/stderr" || {
    cat "$tmp/stderr" >&2
    fail "no line of progress after SIGUSR1"
}
echo "passed"
