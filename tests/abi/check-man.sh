#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The man pages against the public headers: every function has a page, or a
# stub of one line that leads to one, which names it in NAME and in SYNOPSIS;
# every field of a struct is in some page; every function's page has the same
# sections, among them a program, which run-examples.sh runs; LIBRARY is that of
# the header; the prototypes and the examples compile, where the headers that
# they need are (HAVE_MPI and MPI_CFLAGS tell of MPI); the pages are what
# man/Makefile.inc installs; mandoc has nothing to say. What the text says is
# for people to check.
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
CC=${CC:-cc}
HAVE_MPI=${HAVE_MPI:-no}
MPI_CFLAGS=${MPI_CFLAGS-}
LC_ALL=C
export LC_ALL

man=$srcdir/man
abi=$srcdir/tests/abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    printf '%s\n' "$*"
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
    *)
        awk -f "$abi/declared.awk" "$header"
        awk -v storage="static inline" -f "$abi/declared.awk" "$header" ;;
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

# Fields of public structs, those with a typedef, are named in some page: the
# last word before the semicolon of a line that is indented by one level.
cat "$srcdir"/include/w4moe/*.h | sed -n '/^typedef struct/,/^}/p' |
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

# Sections of the pages of functions; errors where there is a status.
for page in "$man"/*.3; do
    ! grep -q '^\.so ' "$page" || continue
    for line in '.Sh NAME' '.Sh LIBRARY' '.Sh SYNOPSIS' '.Sh DESCRIPTION' \
        '.Ss Threads' '.Sh RETURN VALUES' '.Sh EXAMPLES' '.Sh SEE ALSO'; do
        grep -qx "$line" "$page" || wrong "$page: there is no $line"
    done
    ! grep -qx '[.]Ft w4moe_status' "$page" ||
        grep -qx '[.]Sh ERRORS' "$page" || wrong "$page: there is no .Sh ERRORS"
    library=w4moe
    ! section_has "$page" SYNOPSIS '^[.]In w4moe/mpi.h' || library=w4moe-mpi
    section_has "$page" LIBRARY "^[.]Pq Fl l$library\$" ||
        wrong "$page: LIBRARY has no .Pq Fl l$library"
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

# mandoc has nothing to say, not even about style, but for references to pages
# that are not installed here: those between the pages were looked at above, and
# those of the system are not its business. Pages fit into 78 columns. Stubs are
# not for mandoc: their paths are those of installed pages.
if command -v mandoc > /dev/null 2>&1; then
    backspace=$(printf '\b')
    for page in "$man"/*.[0-9]; do
        ! grep -q '^\.so ' "$page" || continue
        mandoc -T lint -W base "$page" > "$work/said" 2>&1 || :
        grep -v -e ': STYLE: referenced manual not found: ' \
            -e '^mandoc: outdated mandoc\.db ' "$work/said" > "$work/style" || :
        [ ! -s "$work/style" ] || wrong "$(cat "$work/style")"
        # Without the overstriking that makes letters bold.
        mandoc -T ascii -O width=78 "$page" | sed "s/.$backspace//g" |
            grep -n '.\{79\}' > "$work/wide" &&
            wrong "$page: more than 78 columns:
$(head -n 3 "$work/wide")"
    done
else
    echo "note: no mandoc; the pages were not read by it"
fi

# example PAGE NUMBER: writes an example to $work/example.c; fails if there are
# not so many.
example() {
    awk -v part=example -v number="$2" -f "$abi/page_code.awk" "$1" \
        > "$work/example.c"
    [ -s "$work/example.c" ]
}

# A program of 10 to 40 lines for every function's page, at least.
for page in "$man"/*.3; do
    ! grep -q '^\.so ' "$page" || continue
    n=1
    n_programs=0
    while example "$page" $n; do
        n=$((n + 1))
        grep -q '^main(' "$work/example.c" || continue
        n_programs=$((n_programs + 1))
        lines=$(wc -l < "$work/example.c")
        { [ "$lines" -ge 10 ] && [ "$lines" -le 40 ]; } ||
            wrong "$page: a program of $lines lines, not 10 to 40"
    done
    [ $n_programs -gt 0 ] || wrong "$page: no example is a program"
done

# compile WHAT FILE: as C, with the public headers, and with MPI's flags only
# what includes <w4moe/mpi.h>.
compile() {
    mpi_flags=
    ! grep -q '<w4moe/mpi.h>' "$2" || mpi_flags=$MPI_CFLAGS
    # CC may have options of its own.
    # shellcheck disable=SC2086
    $CC -std=c11 -Wall -Wextra -Werror -fsyntax-only \
        -I"$srcdir/include" -I"$top_builddir/include" ${CPPFLAGS:-} \
        $mpi_flags "$2" 2> "$work/errors" || wrong "$1:
$(head -n 12 "$work/errors")"
}

# can_include HEADER: whether it is here.
can_include() {
    printf '#include <%s>\n' "$1" > "$work/include.c"
    # shellcheck disable=SC2086
    $CC ${CPPFLAGS:-} -fsyntax-only "$work/include.c" 2> /dev/null
}

# Prototypes agree with the headers, and examples compile.
# shellcheck disable=SC2086
set -- $CC
if command -v "$1" > /dev/null 2>&1; then
    has_dlpack=yes
    can_include dlpack/dlpack.h || has_dlpack=no
    for page in "$man"/*.[357]; do
        if [ "$has_dlpack" = no ] &&
                section_has "$page" SYNOPSIS '^[.]In w4moe/dlpack.h'; then
            echo "note: no <dlpack/dlpack.h>; the code of $page was not compiled"
            continue
        fi
        if [ "$HAVE_MPI" != yes ] &&
                section_has "$page" SYNOPSIS '^[.]In w4moe/mpi.h'; then
            echo "note: no MPI; the code of $page was not compiled"
            continue
        fi
        awk -v part=synopsis -f "$abi/page_code.awk" "$page" \
            > "$work/synopsis.c"
        compile "$page: SYNOPSIS is not what the headers say" \
            "$work/synopsis.c"
        n=1
        while example "$page" $n; do
            compile "$page: example $n does not compile" "$work/example.c"
            n=$((n + 1))
        done
        [ $n -gt 1 ] || grep -q '^\.so ' "$page" ||
            wrong "$page: there is no example in C"
    done
else
    echo "note: no C compiler ($CC); examples were not compiled"
fi
exit "$failed"
