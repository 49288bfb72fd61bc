#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Three lists of names must be one: the functions that the public headers
# declare, the names in lib/w4moe.map, and those that the shared library
# exports, all of them at the one version node. Types and macros are not
# looked at.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
NM=${NM:-nm}
LC_ALL=C
export LC_ALL

node=W4MOE_0
map=$srcdir/lib/w4moe.map
library=$top_builddir/.libs/libw4moe.so

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# compare NAME_A FILE_A NAME_B FILE_B: says what is in one list only.
compare() {
    comm -23 "$2" "$4" | sed "s|^|in $1, not in $3: |" > "$work/diff"
    comm -13 "$2" "$4" | sed "s|^|in $3, not in $1: |" >> "$work/diff"
    if [ -s "$work/diff" ]; then
        cat "$work/diff"
        failed=1
    fi
}

# must_be_unique NAME FILE: says which lines of a sorted file come twice.
must_be_unique() {
    uniq -d "$2" | sed "s|^|twice in $1: |" > "$work/diff"
    if [ -s "$work/diff" ]; then
        cat "$work/diff"
        failed=1
    fi
}

for header in "$srcdir"/include/w4moe/*.h "$srcdir"/include/w4moe.h \
        "$srcdir"/include/w4moe/version.h.in; do
    case $header in
    */version.h) ;; # generated from version.h.in
    *) awk -f "$srcdir/tests/abi/declared.awk" "$header" ;;
    esac
done | sort > "$work/declared"
must_be_unique "the headers" "$work/declared"

# Of the map "node {", "name;" lines, "local:" and "*;" "};".
sed -e 's|/\*.*\*/||' "$map" | awk '
    /^[ \t]*\/\*/ { in_comment = 1 }
    in_comment { if (/\*\//) { in_comment = 0 } next }
    /\{/ { nodes = nodes $1 " "; next }
    /global:/ { global = 1; next }
    /local:/ { global = 0; next }
    global && /;/ { sub(/;.*/, ""); gsub(/[ \t]/, ""); print }
    END { print nodes > nodes_file }' nodes_file="$work/nodes" \
    > "$work/map.unsorted"
sort "$work/map.unsorted" > "$work/map"
must_be_unique "$map" "$work/map"
if [ "$(cat "$work/nodes")" != "$node " ]; then
    echo "$map: the nodes are $(cat "$work/nodes"), only $node is expected"
    failed=1
fi

if [ ! -s "$work/declared" ]; then
    echo "no declarations found under $srcdir/include"
    exit 1
fi
compare "the headers" "$work/declared" "$map" "$work/map"

if [ ! -e "$library" ]; then
    echo "note: no $library (only a static library was built?);" \
        "exported names are not compared"
    exit "$failed"
fi
if ! command -v "$NM" > /dev/null 2>&1; then
    echo "$NM is missing; exported names are not compared"
    [ "$failed" -ne 0 ] || exit 77
    exit 1
fi

# "address type name@@node"; the node's own symbol is of type A.
"$NM" -D --defined-only --with-symbol-versions "$library" > "$work/nm"
awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' "$work/nm" |
    sort > "$work/exported"
compare "the headers" "$work/declared" "$library" "$work/exported"
awk -v node="@@$node" '$2 != "A" && substr($3, index($3 "@", "@")) != node {
        print "not at node " substr(node, 3) ": " $3
    }' "$work/nm" > "$work/diff"
if [ -s "$work/diff" ]; then
    cat "$work/diff"
    failed=1
fi
exit "$failed"
