#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: install.sh PACKAGES SOURCE
#
# What a user does with the Debian packages in the folder PACKAGES, in a root
# that may be spoilt: as root there. SOURCE has README.md and tests/data.
set -eu
packages=$1
source=$2
work=$(mktemp -d)
chmod 755 "$work"

fail() {
    echo "FAILED: $*"
    exit 1
}

apt() {
    apt-get -qy --no-install-recommends "$@" > "$work/apt.log" 2>&1 || {
        cat "$work/apt.log"
        fail "apt-get $*"
    }
}

# as_user COMMAND...: not as root.
as_user() {
    setpriv --reuid=nobody --regid=nogroup --init-groups "$@"
}

# state: every file of the system, but for what apt, dpkg and indexes change.
state() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp \
        -o -path "$packages" -o -path "$source" -o -path /var/log \
        -o -path /var/cache -o -path /var/lib/apt -o -path /etc/ld.so.cache \
        -o -path '/var/lib/dpkg/[!i]*' \) -prune \
        -o \( -type d -printf '%m %u %p\n' \) \
        -o -printf '%y %m %u %s %p %l\n' | LC_ALL=C sort
    dpkg-query --show --showformat='${Package} ${Version} ${Status}\n'
}

# names: of the packages.
names() {
    for file in "$packages"/*.deb; do
        dpkg-deb --field "$file" Package
    done | grep -v -e '-dbgsym$'
}

# files FOLDER: the packages there without their debugging symbols.
files() {
    find "$1" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*'
}

# old_packages: the same in a version before.
old_packages() {
    mkdir "$work/old"
    for file in $(files "$packages"); do
        dpkg-deb -R "$file" "$work/package"
        version=$(dpkg-deb --field "$file" Version)
        sed -i -e "/^Version:/s/.*/Version: $version~~/" \
            -e "s/(= $version)/(= $version~~)/g" "$work/package/DEBIAN/control"
        dpkg-deb -b "$work/package" "$work/old" > "$work/old.log"
        rm -rf "$work/package"
    done
}

# installed VERSION: all of ours are there, in that version.
installed() {
    for name in $(names); do
        have=$(dpkg-query --show --showformat='${Version} ${db:Status-Status}' \
            "$name")
        [ "$have" = "$1 installed" ] || fail "$name: $have, not $1"
    done
    dpkg --verify $(names)
    [ -z "$(dpkg --audit)" ] || fail "dpkg --audit: $(dpkg --audit)"
}

# use: the main things once.
use() {
    for page in "7 w4moe" "3 w4moe_forward" "3 w4moe_workspace_size" \
        "3 w4moe_mpi_forward" "1 moe-convert" "5 w4moe-format"; do
        # shellcheck disable=SC2086
        as_user man -P cat $page > "$work/page" 2> "$work/errors" ||
            fail "man $page: $(cat "$work/errors")"
        [ "$(wc -l < "$work/page")" -gt 20 ] || fail "man $page is empty"
    done
    apropos -e w4moe_forward

    as_user moe-convert --help | head -n 3
    as_user moe-convert --quiet "$source/tests/data/ct-sym-g32-bf16" \
        /tmp/layer.safetensors
    as_user moe-run --layer=1 --prefix=layers.1. \
        --input="$source/tests/data/ct-sym-g32-bf16/expected.safetensors" \
        --expect="$source/tests/data/ct-sym-g32-bf16/expected.safetensors" \
        --verbose /tmp/layer.safetensors
    as_user moe-bench --shape 32,8,1024,512,128 --tokens 1,16 --repeat 3

    awk -v number=1 -f "$source/tests/tools/readme_program.awk" \
        "$source/README.md" > "$work/program.c"
    # shellcheck disable=SC2046
    gcc "$work/program.c" $(pkg-config --cflags --libs w4moe) \
        -o "$work/program"
    as_user "$work/program" /tmp/layer.safetensors > "$work/out"
    [ "$(wc -w < "$work/out")" = 256 ] || fail "the program of README.md"
    echo "README.md's program: $(head -n 1 "$work/out")"
    rm /tmp/layer.safetensors
}

apt update
apt install gcc libc6-dev man-db pkgconf
# Packages of others, which may leave traces of theirs.
# shellcheck disable=SC2046
apt-get --no-install-recommends --simulate install $(files "$packages") |
    awk '/^Inst / { print $2 }' | LC_ALL=C sort > "$work/all"
names | LC_ALL=C sort | comm -23 "$work/all" - > "$work/others"
# shellcheck disable=SC2046
apt install $(cat "$work/others")
state > "$work/before"

# shellcheck disable=SC2046
apt install $(files "$packages")
version=$(dpkg-deb --field "$(files "$packages" | head -n 1)" Version)
installed "$version"
use
# Removal without purge leaves nothing either: there are no settings.
# shellcheck disable=SC2046
apt remove $(names)
state > "$work/after"
diff "$work/before" "$work/after" || fail "removal left something"

old_packages
# shellcheck disable=SC2046
apt install $(files "$work/old")
installed "$version~~"
# shellcheck disable=SC2046
apt install $(files "$packages")
installed "$version"
# shellcheck disable=SC2046
apt purge $(names)
state > "$work/after"
diff "$work/before" "$work/after" || fail "purge left something"
echo "installed, used, removed, upgraded, purged: $(names | tr '\n' ' ')"
