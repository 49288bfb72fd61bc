#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: same-files.sh TARBALL CHECKOUT
#
# A release tarball holds what git has, as the working tree has it, but for what
# .gitattributes keeps out of releases, and what `autoreconf -fi` makes of that,
# byte by byte and with the same permission to run; nothing else, and nothing
# less. Files that git does not know yet are neither wanted nor allowed. Exit
# status 77: CHECKOUT is no git checkout.
set -eu

if [ $# != 2 ]; then
    sed -n 's/^# \(usage\)/\1/p' "$0" >&2
    exit 2
fi
tarball=$1
checkout=$2
LC_ALL=C
export LC_ALL

if ! command -v git > /dev/null 2>&1 || [ ! -e "$checkout/.git" ]; then
    echo "note: $checkout is no git checkout; its files are not compared"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tarball" "$work/git" "$work/objects"
xz -dc "$tarball" | tar -C "$work/tarball" -x -f -
# "name-version/"
found=$(cd "$work/tarball" && echo *)
mv "$work/tarball/$found" "$work/found"

# As if all changes of files that git knows were committed; the repository
# stays as it is.
(
    cd "$checkout"
    objects=$(git rev-parse --path-format=absolute --git-path objects)
    cp "$(git rev-parse --git-path index)" "$work/index"
    GIT_INDEX_FILE=$work/index
    GIT_OBJECT_DIRECTORY=$work/objects
    GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects
    export GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
    git add -u
    git archive "$(git write-tree)"
) > "$work/git.tar"
tar -C "$work/git" -x -f "$work/git.tar"
if ! (cd "$work/git" && autoreconf -fi) > "$work/log" 2>&1; then
    cat "$work/log"
    echo "autoreconf -fi fails in what git has"
    exit 1
fi
rm -rf "$work/git/autom4te.cache" "$work/git/configure~"

failed=0
(cd "$work" && diff -rq git found) > "$work/diff" || failed=1
sed 's/^Only in git/missing in the tarball, in/
    s/^Only in found/only in the tarball, in/' "$work/diff"
for tree in git found; do
    (cd "$work/$tree" && find . -type f -perm -u+x | sort) > "$work/$tree.run"
done
comm -3 "$work/git.run" "$work/found.run" > "$work/diff"
if [ -s "$work/diff" ]; then
    failed=1
    sed 's/^\t/permission to run only in the tarball: /
        s/^\./permission to run only in git: &/' "$work/diff"
fi
[ "$failed" = 0 ] ||
    echo "$tarball is not what git has and autoreconf makes (EXTRA_DIST?)"
exit "$failed"
