#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The man pages against the public headers: every function has a page, or a
# stub of one line that leads to one, which names it in NAME and in SYNOPSIS;
# every field of a struct is in some page; the prototypes and the examples
# compile; the pages are what man/Makefile.inc installs; mandoc has nothing to
# say. What the text says is for people to check.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
LC_ALL=C
export LC_ALL

man=$srcdir/man
abi=$srcdir/tests/abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    echo "$*"
    failed=1
}

# section_has PAGE SECTION REGEX: whether a line of that section matches.
section_has() {
    awk -v section=".Sh $2" -v regex="$3" '
        /^\.Sh / { inside = $0 == section }
        inside && $0 ~ regex { found = 1 }
        END { exit !found }' "$1"
}

# target_of PAGE: the page itself, or the one that a stub leads to.
target_of() {
    target=$(sed -n 's|^\.so man3/||p' "$1")
    echo "$man/${target:-${1##*/}}"
}

# Functions have pages.
for header in "$srcdir"/include/w4moe/*.h "$srcdir"/include/w4moe/version.h.in
do
    case $header in
    */version.h) ;; # generated from version.h.in
    *) awk -f "$abi/declared.awk" "$header" ;;
    esac
done | sort -u > "$work/functions"
[ -s "$work/functions" ] || wrong "no declarations under $srcdir/include"
while read -r name; do
    if [ ! -e "$man/$name.3" ]; then
        wrong "$name: there is no man/$name.3"
        continue
    fi
    page=$(target_of "$man/$name.3")
    if [ ! -e "$page" ]; then
        wrong "man/$name.3: it leads to $page, which is not there"
        continue
    fi
    section_has "$page" NAME "^[.]Nm $name( ,)?\$" ||
        wrong "$page: NAME has no .Nm $name"
    section_has "$page" SYNOPSIS "^[.]F[no] $name( |\$)" ||
        wrong "$page: SYNOPSIS has no .Fn or .Fo $name"
done < "$work/functions"

# Fields of public structs are named in some page: the last word before the
# semicolon of a line that is indented by one level.
cat "$srcdir"/include/w4moe/*.h |
    sed -n 's/^    [a-z][a-z_0-9 ]*[ *]\([a-z_0-9]*\)\(\[[0-9]*\]\)*;$/\1/p' |
    sort -u > "$work/fields"
while read -r field; do
    grep -qw -- "$field" "$man"/*.3 || wrong "no page has the field $field"
done < "$work/fields"

# Pages of section 3 are of functions; stubs have one line and lead to a real
# page.
for page in "$man"/*.3; do
    name=${page##*/}
    name=${name%.3}
    grep -qx "$name" "$work/functions" ||
        wrong "$page: no header declares $name"
    if grep -q '^\.so ' "$page"; then
        [ "$(wc -l < "$page")" -eq 1 ] || wrong "$page: more than one line"
        target=$(target_of "$page")
        if [ -e "$target" ] && grep -q '^\.so ' "$target"; then
            wrong "$page: it leads to a stub"
        fi
    fi
done

# Names in NAME and prototypes in SYNOPSIS are of declared functions.
for page in "$man"/*.3; do
    awk '/^\.Sh / { section = $2 }
        section == "NAME" && /^\.Nm / { print $2 }
        section == "SYNOPSIS" && /^\.F[no] / { print $2 }' "$page" |
        sort -u | comm -23 - "$work/functions" > "$work/extra"
    while read -r name; do
        wrong "$page: no header declares $name"
    done < "$work/extra"
done

# What is installed is what is there.
sed -n 's|^[ \t]*\(man/[^ ]*\.[0-9]\).*|\1|p' "$man/Makefile.inc" |
    sort > "$work/listed"
(cd "$srcdir" && ls man/*.[0-9]) | sort > "$work/pages"
uniq -d "$work/listed" | sed 's|$|: twice in man/Makefile.inc|' > "$work/diff"
comm -23 "$work/listed" "$work/pages" |
    sed 's|$|: in man/Makefile.inc, but not there|' >> "$work/diff"
comm -13 "$work/listed" "$work/pages" |
    sed 's|$|: not in man/Makefile.inc|' >> "$work/diff"
[ ! -s "$work/diff" ] || wrong "$(cat "$work/diff")"

# References between the pages lead somewhere.
awk '/^\.Xr (w4moe|moe-)/ { print FILENAME, "man/" $2 "." $3 }' "$man"/*.[0-9] |
    sort -u > "$work/references"
while read -r page target; do
    [ -e "$srcdir/$target" ] ||
        wrong "$page: .Xr to $target, which is not there"
done < "$work/references"

# mandoc reads the pages without a warning. Stubs are not for mandoc: their
# paths are those of installed pages.
if command -v mandoc > /dev/null 2>&1; then
    for page in "$man"/*.[0-9]; do
        grep -q '^\.so ' "$page" ||
            mandoc -T lint -W warning "$page" || failed=1
    done
else
    echo "note: no mandoc; the pages were not read by it"
fi

# compile WHAT FILE: as C, with the public headers.
compile() {
    # CC may have options of its own.
    # shellcheck disable=SC2086
    $CC -std=c11 -Wall -Wextra -Werror -fsyntax-only \
        -I"$srcdir/include" -I"$top_builddir/include" "$2" \
        2> "$work/errors" || wrong "$1:
$(head -n 12 "$work/errors")"
}

# Prototypes agree with the headers, and examples compile.
# shellcheck disable=SC2086
set -- $CC
if command -v "$1" > /dev/null 2>&1; then
    for page in "$man"/*.[357]; do
        {
            echo '#include <w4moe.h>'
            awk -v part=synopsis -f "$abi/page_code.awk" "$page"
        } > "$work/synopsis.c"
        compile "$page: SYNOPSIS is not what the headers say" \
            "$work/synopsis.c"
        awk -v part=examples -f "$abi/page_code.awk" "$page" \
            > "$work/example.c"
        if [ -s "$work/example.c" ]; then
            compile "$page: the example does not compile" "$work/example.c"
        elif ! grep -q '^\.so ' "$page"; then
            wrong "$page: there is no example in C"
        fi
    done
else
    echo "note: no C compiler ($CC); examples were not compiled"
fi
exit "$failed"
