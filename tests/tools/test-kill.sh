#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Conversions that are killed or run into errors of the system, by strace's
# injection, at many system calls: the output is the old one, or none, or whole,
# and nothing else is left. Last, a disk that is too small.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
need_checkpoints
# shellcheck source=tests/tools/strace-lib.sh
. "${srcdir:-.}/tests/tools/strace-lib.sh"

source=$data/ct-sym-g32-bf16
out=$tmp/out
x=$out/x.safetensors

# convert INJECTION...: a conversion of one thread.
convert()
{
    # shellcheck disable=SC2086
    traced "$*" "$convert" --jobs=1 --quiet $force "$source" "$x"
}

# start: the folder as it is before a conversion: empty, or with the output of
# another one.
start()
{
    rm -rf "$out"
    mkdir "$out"
    [ -z "$force" ] || cp "$tmp/old" "$x"
}

# see WHAT...: the output is what is said (old, absent or new).
see()
{
    state=other
    if [ ! -e "$x" ]; then
        state=absent
    elif cmp -s "$x" "$tmp/new"; then
        state=new
    elif cmp -s "$x" "$tmp/old"; then
        state=old
    fi
    case " $* " in
    *" $state "*) ;;
    *)
        cat "$tmp/stderr" >&2
        fail "the output is $state, not $* ($what)"
        ;;
    esac
}

# alone: no other name is in the folder.
alone()
{
    left=$(find "$out" ! -type d ! -path "$x")
    [ -z "$left" ] || fail "left behind: $left ($what)"
}

# killed_at CALL N STATE...: killed there, and afterwards not disturbed.
killed_at()
{
    what="killed at $1 $2, $unnamed, force '$force'"
    start
    call=$1
    when=$2
    shift 2
    # shellcheck disable=SC2086
    convert $more "$call:signal=KILL:when=$when"
    [ "$code" -eq 137 ] || fail "exit $code ($what)"
    see "$@"
    n_killed=$((n_killed + 1))
    # Between its temporary name and the name of the old one a file has both.
    if [ "$unnamed" = yes ] && [ "$call" != "$rename" ]; then
        alone
    fi
    # What is left does not open, or is whole.
    find "$out" -name '*.partial' >"$tmp/left"
    while read -r left; do
        cmp -s "$left" "$tmp/new" && continue
        refuse_to_open "$left"
    done <"$tmp/left"
    if [ "$state" != new ] || [ -n "$force" ]; then
        # shellcheck disable=SC2086
        convert $more
        [ "$code" -eq 0 ] || fail "exit $code afterwards ($what)"
        see new
    fi
}

refuse_to_open()
{
    code=0
    "$convert" --check "$1" >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
    [ "$code" -eq 1 ] || fail "exit $code for $1 ($what)"
}

# error_at CALL ERROR N TEXT STATE...: an error there is told, with the path.
error_at()
{
    what="$2 at $1 $3, $unnamed, force '$force'"
    start
    call=$1:error=$2:when=$3
    text=$4
    shift 4
    # shellcheck disable=SC2086
    convert $more "$call"
    [ "$code" -eq 1 ] || fail "exit $code ($what)"
    grep -F -q -e "x.safetensors: $text" -e "/out/: $text" "$tmp/stderr" || {
        cat "$tmp/stderr" >&2
        fail "not told: $text ($what)"
    }
    see "$@"
    alone
    n_errors=$((n_errors + 1))
}

# ----------------------------------------------------- what is done normally
must "$convert" --order=rdna3 --quiet "$source" "$tmp/old.safetensors"
mv "$tmp/old.safetensors" "$tmp/old"
force=
what=undisturbed
start
convert
[ "$code" -eq 0 ] || {
    cat "$tmp/stderr" >&2
    fail "exit $code under strace"
}
cp "$x" "$tmp/new"
must "$convert" --check "$x"
n_writes=$(count pwrite64)
n_room=$(count fallocate)
[ "$n_writes" -ge 20 ] || fail "$n_writes writes"
[ "$n_room" -ge 1 ] || fail "nothing is reserved"
grep -q '^fstatfs' "$tmp/calls" || fail "nobody looks how much is free"
# The opening of a file without name, among others.
number=$(grep '^openat(' "$tmp/calls" | grep -n O_TMPFILE | sed 's/:.*//')
if [ "$(count linkat)" -eq 1 ]; then
    unnamed=yes
else
    unnamed=no
fi
echo "files without a name: $unnamed; $n_writes writes, $n_room allocations"
n_killed=0
n_errors=0

# --------------------------------------------------------- killed, and errors
# all_points: kills and errors everywhere, with or without an old output.
all_points()
{
    before=absent
    [ -z "$force" ] || before=old
    last=1
    [ -z "$force" ] || [ "$unnamed" = no ] || last=2
    when=1
    while [ "$when" -le "$n_room" ]; do
        killed_at fallocate "$when" $before
        error_at fallocate ENOSPC "$when" "no room for" $before
        when=$((when + 1))
    done
    for when in 1 2 3 7 $((n_writes / 4)) $((n_writes / 2)) \
        $((n_writes * 3 / 4)) $((n_writes - 1)) "$n_writes"; do
        killed_at pwrite64 "$when" $before
    done
    for when in 1 $((n_writes / 2)) "$n_writes"; do
        error_at pwrite64 ENOSPC "$when" "writing" $before
        error_at pwrite64 EIO "$when" "writing" $before
    done
    killed_at fsync 1 $before
    error_at fsync EIO 1 "cannot be synced" $before
    error_at fsync ENOSPC 1 "cannot be synced" $before
    if [ "$unnamed" = yes ]; then
        killed_at linkat 1 $before new
        killed_at linkat $last $before new
        error_at linkat EIO 1 "cannot get its name" $before
        error_at linkat ENOSPC $last "cannot get its name" $before
    fi
    if [ "$unnamed" = no ] || [ -n "$force" ]; then
        killed_at "$rename" 1 $before
        error_at "$rename" EIO 1 "cannot get its name" $before
    fi
    # That of the folder: the output is there.
    killed_at fsync 2 new
    error_at fsync EIO 2 "the folder cannot be synced" new
}

more=
all_points
force=--force
all_points
if [ "$unnamed" = yes ]; then
    # The same where there are no files without a name.
    unnamed=no
    for error in EOPNOTSUPP EISDIR; do
        more=openat:error=$error:when=$number
        force=
        all_points
    done
    force=--force
    all_points
    unnamed=yes
fi

# ------------------------------------------------- file systems that do less
force=
for more in fallocate:error=EOPNOTSUPP "$statfs:error=ENOSYS"; do
    what="with $more"
    start
    convert "$more"
    [ "$code" -eq 0 ] || fail "exit $code ($what)"
    see new
    alone
done

# ------------------------------------------------------ a disk that is small
# In a mount namespace of its own, as root of the system or of a namespace.
disk=$tmp/disk
mkdir "$disk"
own="unshare -m"
[ "$(id -u)" -eq 0 ] || own="unshare -r -m"
# shellcheck disable=SC2016
on_disk='mount -t tmpfs -o size=256k none "$0" || exit 88
code=0
"$@" || code=$?
ls -A "$0" >"$0.left"
exit "$code"'
if $own sh -c "$on_disk" "$disk" true >"$tmp/stdout" 2>"$tmp/stderr"; then
    for target in "$disk/x.safetensors" "$disk/folder"; do
        what="a small disk, $target"
        code=0
        $own sh -c "$on_disk" "$disk" "$convert" "$source" "$target" \
            >"$tmp/stdout" 2>"$tmp/stderr" || code=$?
        [ "$code" -eq 1 ] || fail "exit $code ($what)"
        grep -E -q 'needs [0-9.]+ kB, [0-9.]+ kB are free$' "$tmp/stderr" || {
            cat "$tmp/stderr" >&2
            fail "the disk's room is not told ($what)"
        }
        [ ! -s "$disk.left" ] || fail "left: $(cat "$disk.left") ($what)"
    done
    echo "a small disk is told"
else
    echo "no small disk: $(tail -n 1 "$tmp/stderr")"
fi
echo "passed: $n_killed times killed, $n_errors errors"
