# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# For the tests of the tools, to be read with ".": where the tools and the
# checkpoints are, a temporary folder, and checks. Not a test by itself.
#
# Environment: top_builddir (default .), srcdir (default .).

bin=${top_builddir:-.}/tools
data=${srcdir:-.}/tests/data
convert=$bin/moe-convert
run=$bin/moe-run
bench=$bin/moe-bench

skip()
{
    echo "skipped: $*"
    exit 77
}

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

for tool in "$convert" "$run" "$bench"; do
    [ -x "$tool" ] || skip "$tool is not built"
done

# Tests measure no time; two threads are enough everywhere.
OMP_NUM_THREADS=2
export OMP_NUM_THREADS
TERM=dumb
export TERM

tmp=$(mktemp -d) || skip "no temporary folder"
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# need_checkpoints: skips the test if there is no checkpoint folder.
need_checkpoints()
{
    [ -f "$data/ct-sym-g32-bf16/expected.safetensors" ] ||
        skip "no checkpoints in $data"
}

# must COMMAND...: it succeeds. Its output is in $tmp/stdout and $tmp/stderr.
must()
{
    code=0
    "$@" >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$tmp/stderr" >&2
        fail "exit $code from: $*"
    fi
}

# refuse CODE TEXT COMMAND...: it ends with CODE, says TEXT (a part of a line)
# on stderr after the tool's name, and leaves no file in $tmp/out.
refuse()
{
    want=$1
    text=$2
    shift 2
    code=0
    "$@" >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
    [ "$code" -eq "$want" ] || {
        cat "$tmp/stderr" >&2
        fail "exit $code, not $want, from: $*"
    }
    grep -q "^${1##*/}: " "$tmp/stderr" || {
        cat "$tmp/stderr" >&2
        fail "no line of ${1##*/} on stderr from: $*"
    }
    grep -F -q -e "$text" "$tmp/stderr" || {
        cat "$tmp/stderr" >&2
        fail "stderr does not say '$text' from: $*"
    }
    no_leftovers "$@"
}

# no_leftovers COMMAND...: nothing but folders in $tmp/out, and no temporary
# file anywhere.
no_leftovers()
{
    left=$(find "$tmp/out" ! -type d 2>/dev/null || :)
    [ -z "$left" ] || fail "left behind: $left by: $*"
    left=$(find "$tmp" -name '*.partial*')
    [ -z "$left" ] || fail "left behind: $left by: $*"
}

# The checkpoint folders, by name.
checkpoints()
{
    for folder in "$data"/*/; do
        folder=${folder%/}
        [ ! -f "$folder/config.json" ] || echo "${folder##*/}"
    done
}

# scheme_of NAME: what a report on a checkpoint calls its scheme.
scheme_of()
{
    case $1 in
    ct-*) echo compressed-tensors ;;
    gptoss-*) echo mxfp4 ;;
    plain-*) echo none ;;
    *) echo "${1%%-*}" ;;
    esac
}

# layers_of NAME: the numbers of a checkpoint's layers.
layers_of()
{
    n=$(sed -n 's/.*"num_hidden_layers": *\([0-9]*\).*/\1/p' \
        "$data/$1/config.json")
    i=0
    while [ "$i" -lt "$n" ]; do
        echo "$i"
        i=$((i + 1))
    done
}

# copy_checkpoint NAME FOLDER: a copy that can be changed.
copy_checkpoint()
{
    rm -rf "$2"
    mkdir "$2"
    cp "$data/$1"/*.json "$data/$1"/*.safetensors "$2/"
    chmod -R u+w "$2"
}

# octets NUMBER COUNT: a number as COUNT bytes, little endian.
octets()
{
    value=$1
    i=0
    while [ "$i" -lt "$2" ]; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o $((value % 256)))"
        value=$((value / 256))
        i=$((i + 1))
    done
}

# safetensors FILE HEADER: a file with that header and the data of stdin.
safetensors()
{
    {
        octets ${#2} 8
        printf '%s' "$2"
        cat
    } >"$1"
}

# zeros N: N bytes of 0.
zeros()
{
    head -c "$1" /dev/zero
}

# flip FILE OFFSET: inverts the bits of one byte.
flip()
{
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    octets $((255 - byte)) 1 |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# size FILE: its bytes.
size()
{
    wc -c <"$1" | tr -d ' '
}
