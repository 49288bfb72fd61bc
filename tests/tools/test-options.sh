#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The command lines of the tools: every option of --help has its place in the
# man page and the other way round; --help and --version go to stdout; a wrong
# command line ends with 2, a line on stderr and nothing on stdout. And that no
# tool is linked with MPI, which --ep finds in another program, or not (HAVE_MPI
# tells whether that is built, pkglibexecdir where it is to be installed).
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"

# The items of the lists of options, ".It Fl -name", and the synopsis.
man_options()
{
    sed -n 's/^\.It Fl -\([a-z0-9-]*\).*/--\1/p' "$1" | sort -u
}

# Lines of --help that begin with an option.
help_options()
{
    sed -n 's/^  *\(--[a-z0-9-]*\).*/\1/p' "$1" | sort -u
}

for tool in "$convert" "$run" "$bench"; do
    name=${tool##*/}
    page=${srcdir:-.}/man/$name.1
    [ -f "$page" ] || fail "no man page $page"

    must "$tool" --help
    [ -s "$tmp/stdout" ] || fail "$name --help prints nothing"
    [ ! -s "$tmp/stderr" ] || fail "$name --help prints on stderr"
    help_options "$tmp/stdout" >"$tmp/help"
    man_options "$page" >"$tmp/man"
    [ "$(wc -l <"$tmp/help")" -ge 10 ] || fail "$name: few options in --help"
    diff "$tmp/help" "$tmp/man" || fail "$name: --help and man page differ"

    # Each of them is known to the tool: with a value where it takes none it
    # says so, without one where it needs one it says that.
    while read -r option; do
        code=0
        "$tool" "$option=?" >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
        [ "$code" -ne 0 ] || fail "$name $option=? is accepted"
        if grep -q "unknown" "$tmp/stderr"; then
            fail "$name does not know $option"
        fi
    done <"$tmp/help"

    must "$tool" --version
    grep -q "^$name " "$tmp/stdout" || fail "$name --version"

    for words in --no-such-option --no-such-option=1 -x --help=1; do
        refuse 2 "${words%%=*}" "$tool" "$words"
        [ ! -s "$tmp/stdout" ] || fail "$name $words prints on stdout"
    done
done
refuse 2 "'--jobs' needs a value" "$convert" --jobs
refuse 2 "'--layer' needs a value" "$run" --layer
refuse 2 "'--tokens' needs a value" "$bench" --tokens

in=$tmp/in
out=$tmp/out
mkdir "$in"
refuse 2 "IN and OUT" "$convert"
refuse 2 "IN and OUT" "$convert" "$in"
refuse 2 "3 arguments" "$convert" "$in" "$out" more
refuse 2 "0 arguments" "$convert" --dry-run
refuse 2 "--order 'row'" "$convert" --order=row "$in" "$out"
for list in '' '1,' ',1' 3-1 1--2 -1 x 1x 4294967296 0-99999999; do
    refuse 2 "--layers '$list'" "$convert" "--layers=$list" "$in" "$out"
done
for number in '' 0 -1 x 4097 1.5 99999999999999999999; do
    refuse 2 "--jobs '$number'" "$convert" "--jobs=$number" "$in" "$out"
done
for size in '' 0 -1 x 1x 1k 1KB 1KiBs 1iB 1.5G 1T 18446744073709551616 \
    18446744073709551615K 17179869184GiB; do
    refuse 2 "--max-shard-size '$size'" \
        "$convert" "--max-shard-size=$size" "$in" "$out"
done
for range in '' 1- -1 - x 1x 3-1 1--2 0,1 0-1-2 2147483648 0-4294967296; do
    refuse 2 "--experts '$range'" "$convert" "--experts=$range" "$in" "$out"
done
for number in '' 0 -8 x 8x 12 1.5 2147483648 99999999999999999999; do
    refuse 2 "--group-size '$number'" \
        "$convert" "--group-size=$number" "$in" "$out"
done
refuse 2 "--map ''" "$convert" --map= "$in" "$out"
refuse 2 "--progress 'often'" "$convert" --progress=often "$in" "$out"
refuse 2 "exclude" "$convert" --info --check "$in"
refuse 2 "--info needs" "$convert" --info
refuse 2 "--check needs" "$convert" --check "$in" "$out"
for option in --force --dry-run --no-verify --verify --order=tile --layers=0 \
    --max-shard-size=1 --experts=0-1 --group-size=32 --sym --asym \
    --requantize --gptq-zero-wrap --map=x --progress=never; do
    refuse 2 "${option%%=*}" "$convert" --info "$option" "$in"
    refuse 2 "${option%%=*}" "$convert" "$option" --check "$in"
done

refuse 2 "--layer is needed" "$run" --input="$in" "$in"
refuse 2 "--input is needed" "$run" --layer=0 "$in"
refuse 2 "FILE" "$run" --layer=0 --input="$in"
refuse 2 "FILE" "$run" --layer=0 --input="$in" "$in" "$in"
refuse 2 "--layer '-1'" "$run" --layer=-1 --input="$in" "$in"
refuse 2 "--layer 'x'" "$run" --layer=x --input="$in" "$in"
refuse 2 "--dtype 'f32'" "$run" --layer=0 --input="$in" --dtype=f32 "$in"
for number in '' 0 -1 nan inf 1x; do
    refuse 2 "--max-ratio '$number'" \
        "$run" --layer=0 --input="$in" "--max-ratio=$number" "$in"
done
refuse 2 "--repeat '0'" "$run" --layer=0 --input="$in" --repeat=0 "$in"
refuse 2 "--threads '0'" "$run" --layer=0 --input="$in" --threads=0 "$in"
refuse 1 "nobackend" \
    "$run" --layer=0 --input="$in" --backend=nobackend "$in"
W4MOE_BACKEND_DIR=$tmp/none
export W4MOE_BACKEND_DIR
for tool in "$run --layer=0 --input=$in $in" "$bench --tokens=1"; do
    # shellcheck disable=SC2086
    refuse 1 "backend hip: not installed ($tmp/none/w4moe-hip.so)" \
        $tool --backend=hip
done

# needs_mpi PROGRAM: whether it is linked with a library of MPI. libtool has the
# real program elsewhere if libraries are shared.
needs_mpi()
{
    real=${1%/*}/.libs/${1##*/}
    [ -x "$real" ] || real=$1
    readelf -d "$real" >"$tmp/dynamic"
    grep -q NEEDED "$tmp/dynamic" || fail "$real needs no libraries at all"
    grep -q 'NEEDED.*mpi' "$tmp/dynamic"
}
for tool in "$convert" "$run" "$bench"; do
    if needs_mpi "$tool"; then
        fail "${tool##*/} is linked with MPI"
    fi
done
for tool in "$run" "$bench"; do
    if [ "${HAVE_MPI:-no}" = yes ]; then
        needs_mpi "$tool-ep" || fail "${tool##*/}-ep is not linked with MPI"
    elif [ -e "$tool-ep" ]; then
        fail "${tool##*/}-ep was built without MPI"
    fi
done

# refuse_ep FOLDER: --ep, where FOLDER has no program for it.
refuse_ep()
{
    for tool in "$run --ep --layer=0 --input=$in $in" "$bench --ep"; do
        name=${tool%% *}
        # shellcheck disable=SC2086
        refuse 1 "--ep: $1/${name##*/}-ep: No such file or directory; it is \
built where configure finds MPI" $tool
    done
}
W4MOE_LIBEXEC_DIR=$tmp/none
export W4MOE_LIBEXEC_DIR
refuse_ep "$tmp/none"
mkdir "$tmp/none"
refuse_ep "$tmp/none"
echo "not a program" >"$tmp/none/moe-run-ep"
refuse 1 "--ep: $tmp/none/moe-run-ep: Permission denied" \
    "$run" --ep --layer=0 --input="$in" "$in"
# Without the variable, or with nothing in it, where make install puts it.
if [ -n "${pkglibexecdir:-}" ] && [ ! -e "$pkglibexecdir/moe-run-ep" ] &&
    [ ! -e "$pkglibexecdir/moe-bench-ep" ]; then
    W4MOE_LIBEXEC_DIR=
    refuse_ep "$pkglibexecdir"
    unset W4MOE_LIBEXEC_DIR
    refuse_ep "$pkglibexecdir"
fi

refuse 2 "--layer needs" "$bench" --layer=0
refuse 2 "--prefault needs" "$bench" --prefault --tokens=1
refuse 2 "one FILE" "$bench" "$in" "$in"
for option in --shape=8,2,128,64,32 --code=int4 --order=tile --scales=f16 \
    --zero-points; do
    refuse 2 "${option%%=*}" "$bench" "$option" "$in"
done
refuse 2 "--code 'int8'" "$bench" --code=int8
refuse 2 "groups of 32" "$bench" --code=mxfp4 --shape=8,2,128,64,64
for option in --scales=bf16 --zero-points; do
    refuse 2 "${option%%=*}" "$bench" "$option" --code=mxfp4
done
refuse 2 "--routing 'two'" "$bench" --routing=two
for shape in '' 8 8,2,128,64 8,2,128,64,32,1 0,2,128,64,32 8,2,128,64,x \
    8,9,128,64,32; do
    refuse 2 "--shape '$shape'" "$bench" "--shape=$shape"
done
for tokens in '' 0 1,0 1,,2 1-4 x; do
    refuse 2 "--tokens '$tokens'" "$bench" "--tokens=$tokens"
done
refuse 2 "--scales 'f32'" "$bench" --scales=f32
refuse 2 "--repeat '0'" "$bench" --repeat=0

# A full device is noticed.
if [ -e /dev/full ]; then
    code=0
    "$convert" --help >/dev/full 2>"$tmp/stderr" || code=$?
    [ "$code" -eq 1 ] || fail "exit $code, not 1, with a full stdout"
fi

# Names that come from outside cannot send escape sequences to a terminal.
code=0
"$convert" "$(printf '%s/\033[2Jx' "$tmp")" "$out" 2>"$tmp/stderr" || code=$?
[ "$code" -eq 1 ] || fail "exit $code, not 1, for a folder that is not there"
if LC_ALL=C grep -q "$(printf '\033')" "$tmp/stderr"; then
    fail "an escape sequence on stderr"
fi
echo "passed"
