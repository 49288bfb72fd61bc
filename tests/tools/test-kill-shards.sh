#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Conversions to and from containers of several files, killed by strace at the
# system calls that make, name and remove files: what opens afterwards is the
# older container, or the new one, or where they have the same names, nothing.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
# shellcheck source=tests/tools/strace-lib.sh
. "${srcdir:-.}/tests/tools/strace-lib.sh"

source=$data/ct-sym-g32-bf16
out=$tmp/out

# make FOLDER OPTION...: a container to compare with.
make()
{
    folder=$1
    shift
    must "$convert" --quiet "$@" "$source" "$folder"
}
mkdir "$tmp/none"
make "$tmp/single" --order=rdna3
make "$tmp/same" --order=rdna3 --max-shard-size=300K
make "$tmp/other" --order=rdna3 --max-shard-size=100K
make "$tmp/shards" --max-shard-size=300K
make "$tmp/one"
[ "$(find "$tmp/same" -name '*-of-00004.*' | wc -l)" -eq 4 ] ||
    fail "$tmp/same has not 4 files"

# holds FOLDER: all files of that container are in $out.
holds()
{
    for file in "$1"/*; do
        cmp -s "$file" "$out/${file##*/}" || return 1
    done
}

# state: sets state to what opens: none, old, new or another.
state()
{
    opens=0
    "$convert" --check --quiet "$out" >"$tmp/stdout" 2>&1 || opens=$?
    state=another
    if [ "$opens" -eq 1 ]; then
        state=none
    elif [ "$opens" -eq 0 ] && holds "$new"; then
        state=new
    elif [ "$opens" -eq 0 ] && holds "$old"; then
        state=old
    fi
}

start()
{
    rm -rf "$out"
    cp -R "$old" "$out"
}

convert()
{
    # shellcheck disable=SC2086
    traced "$1" "$convert" --jobs=1 --quiet --force --no-verify $size \
        "$source" "$out"
}

# killed_at CALL N: and afterwards what opens is one of $allowed.
killed_at()
{
    what="$old to $new, killed at $1 $2"
    start
    convert "$1:signal=KILL:when=$2"
    [ "$code" -eq 137 ] || fail "exit $code ($what)"
    state
    case " $allowed " in
    *" $state "*) ;;
    *) fail "what opens is $state, not one of $allowed ($what)" ;;
    esac
    if [ "$unnamed" = yes ] && [ "$1" != "$rename" ]; then
        left=$(find "$out" -name '*.partial')
        [ -z "$left" ] || fail "left behind: $left ($what)"
    fi
    convert ''
    [ "$code" -eq 0 ] || {
        cat "$tmp/stderr" >&2
        fail "exit $code afterwards ($what)"
    }
    state
    [ "$state" = new ] || fail "$state after another conversion ($what)"
    n_killed=$((n_killed + 1))
}

# error_at CALL ERROR N: nothing has changed then.
error_at()
{
    what="$old to $new, $2 at $1 $3"
    start
    convert "$1:error=$2:when=$3"
    [ "$code" -eq 1 ] || fail "exit $code ($what)"
    grep -F -q "$out" "$tmp/stderr" || fail "no path is told ($what)"
    diff -r "$old" "$out" >&2 || fail "something has changed ($what)"
    n_errors=$((n_errors + 1))
}

# every NAME CALL: killed at each of these calls, of which the last conversion
# had $tmp/counted.
every()
{
    last=$(grep -c "^$1" "$tmp/counted" || :)
    when=1
    while [ "$when" -le "$last" ]; do
        killed_at "$2" "$when"
        when=$((when + 1))
    done
}

n_killed=0
n_errors=0
# From, to, the option for that, and what may open.
while read -r old new size allowed; do
    old=$tmp/$old
    new=$tmp/$new
    [ "$size" != - ] || size=
    what="$old to $new"
    start
    convert ''
    [ "$code" -eq 0 ] || fail "exit $code ($what)"
    state
    [ "$state" = new ] || fail "what opens is $state ($what)"
    diff -r "$new" "$out" >&2 || fail "other files are there ($what)"
    cp "$tmp/calls" "$tmp/counted"
    unnamed=no
    [ "$(count linkat)" -eq 0 ] || unnamed=yes
    n_writes=$(count pwrite64)
    n_files=$(find "$new" -type f | wc -l)

    for when in 1 $((n_writes / 2)) "$n_writes"; do
        killed_at pwrite64 "$when"
        error_at pwrite64 ENOSPC "$when"
    done
    every linkat linkat
    every rename "$rename"
    every unlink "$unlink"
    every fsync fsync
    error_at fallocate ENOSPC 1
    error_at fsync EIO 1
    # Those that come before names are given; and the last file's name, if no
    # older one has given way for it.
    error_at fsync EIO "$n_files"
    if [ "$unnamed" = yes ] && [ "$old" != "$tmp/same" ]; then
        error_at linkat EIO "$n_files"
    fi
done <<'END'
none shards --max-shard-size=300K none new
single shards --max-shard-size=300K old new
other shards --max-shard-size=300K old new
same shards --max-shard-size=300K old none new
shards one - old new
END
echo "passed: $n_killed times killed, $n_errors errors"
