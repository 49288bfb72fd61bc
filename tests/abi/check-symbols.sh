#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# For each library four lists of names must be one: the functions that its
# public headers declare, the names in its map, those that the shared library
# exports, all of them at the one version node, and those of the symbols file of
# its Debian package, where the folder debian is. Types and macros are not
# looked at. <w4moe/mpi.h> is libw4moe-mpi's, which is built only with MPI; all
# other headers are libw4moe's.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
NM=${NM:-nm}
HAVE_MPI=${HAVE_MPI:-no}
LC_ALL=C
export LC_ALL

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

# declared HEADER...: the functions that they declare.
declared() {
    for header in "$@"; do
        case $header in
        */version.h) ;; # generated from version.h.in
        *) awk -f "$srcdir/tests/abi/declared.awk" "$header" ;;
        esac
    done | sort
}

# check_map MAP NODE: its names go to $work/map.
check_map() {
    # Of the map "node {", "name;" lines, "local:" and "*;" "};".
    sed -e 's|/\*.*\*/||' "$1" | awk '
        /^[ \t]*\/\*/ { in_comment = 1 }
        in_comment { if (/\*\//) { in_comment = 0 } next }
        /\{/ { nodes = nodes $1 " "; next }
        /global:/ { global = 1; next }
        /local:/ { global = 0; next }
        global && /;/ { sub(/;.*/, ""); gsub(/[ \t]/, ""); print }
        END { print nodes > nodes_file }' nodes_file="$work/nodes" \
        > "$work/map.unsorted"
    sort "$work/map.unsorted" > "$work/map"
    must_be_unique "$1" "$work/map"
    if [ "$(cat "$work/nodes")" != "$2 " ]; then
        echo "$1: the nodes are $(cat "$work/nodes"), only $2 is expected"
        failed=1
    fi
}

# check_debian LIBRARY NODE: its symbols file for dpkg-gensymbols(1), which has
# names as "NAME@NODE VERSION", sorted, and the node itself among them.
check_debian() {
    if [ ! -d "$srcdir/debian" ]; then
        echo "note: no folder debian; $1 is not compared with its package's" \
            "symbols"
        return
    fi
    for file in "$srcdir/debian/$1"[0-9]*.symbols; do
        package=${file##*/}
        package=${package%.symbols}
        [ -e "$file" ] || {
            echo "there is no $file"
            failed=1
            return
        }
        awk -v head="$1.so.${package#"$1"} $package #MINVER#" -v node="$2" '
            NR == 1 && $0 != head { print "1: " $0 ", not " head > wrong }
            NR == 1 || /^[*] / { next }
            $0 !~ "^ [A-Za-z0-9_]+@" node " [0-9][^ ]*$" {
                print FNR ": not a name at node " node ": " $0 > wrong
                next
            }
            { sub(/@.*/, "", $1); print $1 }' \
            wrong="$work/wrong" "$file" > "$work/debian.listed"
        if [ -s "$work/wrong" ]; then
            sed "s|^|$file:|" "$work/wrong"
            failed=1
        fi
        rm -f "$work/wrong"
        sort "$work/debian.listed" > "$work/debian"
        if ! cmp -s "$work/debian.listed" "$work/debian"; then
            echo "$file: the names are not sorted"
            failed=1
        fi
        must_be_unique "$file" "$work/debian"
        echo "$2" | sort - "$work/declared" > "$work/wanted"
        compare "the headers (and the node)" "$work/wanted" \
            "$file" "$work/debian"
    done
}

# check_library NAME MAP NODE HEADER...
check_library() {
    name=$1
    library=$top_builddir/.libs/$1.so
    map=$srcdir/$2
    node=$3
    shift 3
    declared "$@" > "$work/declared"
    if [ ! -s "$work/declared" ]; then
        echo "no declarations found in: $*"
        exit 1
    fi
    must_be_unique "the headers" "$work/declared"
    check_map "$map" "$node"
    compare "the headers" "$work/declared" "$map" "$work/map"
    check_debian "$name" "$node"
    if [ ! -e "$library" ]; then
        echo "note: no $library (not built, or static only);" \
            "exported names are not compared"
        return
    fi
    if [ "$has_nm" = no ]; then
        return
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
}

has_nm=yes
command -v "$NM" > /dev/null 2>&1 || has_nm=no
set -- "$srcdir/include/w4moe.h" "$srcdir/include/w4moe/version.h.in"
for header in "$srcdir"/include/w4moe/*.h; do
    case $header in
    */mpi.h) ;;
    *) set -- "$@" "$header" ;;
    esac
done
check_library libw4moe lib/w4moe.map W4MOE_0 "$@"
check_library libw4moe-mpi mpi/w4moe-mpi.map W4MOE_MPI_0 \
    "$srcdir/include/w4moe/mpi.h"
if [ "$HAVE_MPI" = yes ] && [ -e "$top_builddir/.libs/libw4moe.so" ] &&
        [ ! -e "$top_builddir/.libs/libw4moe-mpi.so" ]; then
    echo "there is a libw4moe.so, but no libw4moe-mpi.so"
    failed=1
fi

if [ "$has_nm" = no ] && [ "$failed" -eq 0 ]; then
    echo "$NM is missing; exported names are not compared"
    exit 77
fi
exit "$failed"
