#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: deb.sh SUITE FOLDER [STAGE...]
#
# The Debian packages of what is committed, built and tested in clean roots of
# SUITE (bookworm, trixie, sid). Results stay in FOLDER; FOLDER/packages has the
# packages. Stages, all of them by default:
#
#   build        two builds, without a network, that differ in folder, user,
#                umask, time zone and language; the first runs the tests. Their
#                packages must be the same to the byte.
#                (DEB_BUILD_OPTIONS=nocheck is for work on the packages.)
#   lintian      every tag that is not explained by an override is a failure
#   install      what a user does: apt install, the manual, the tools, the
#                program of README.md; an upgrade; purge leaves nothing
#   autopkgtest  debian/tests
#
# Needs root's rights, mmdebstrap, autopkgtest, and git; packages come from the
# mirror that this machine has.
set -eu
suite=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shift 2
[ $# != 0 ] || set -- build lintian install autopkgtest
package_tests=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$package_tests/../.." && pwd)
roots=$folder/roots
export roots package_tests
. "$package_tests/root.sh"

# HIP for gfx11 comes with trixie.
profiles=
[ "$suite" != bookworm ] || profiles=pkg.w4moe.nohip

# logged LOG COMMAND...: the output goes to a file, the end of which is shown if
# the command fails.
logged() {
    log=$folder/$1.log
    shift
    printf '+ %s\n' "$*"
    if ! "$@" > "$log" 2>&1; then
        tail -n 60 "$log"
        echo "failed; all of it is in $log"
        exit 1
    fi
}

# make_source: the source package, in FOLDER/source.
make_source() {
    if [ -n "$(git -C "$source" status --porcelain)" ]; then
        echo "note: what is not committed is left out"
    fi
    rm -rf "$folder/source"
    git clone -q "$source" "$folder/source/clone"
    cd "$folder/source"
    full=$(sed -n '1s/.*(\(.*\)).*/\1/p' clone/debian/changelog)
    version=${full%-*}
    git -C clone archive --prefix="w4moe-$version/" HEAD |
        xz > "w4moe_$version.orig.tar.xz"
    tar -xf "w4moe_$version.orig.tar.xz"
    cp -r clone/debian "w4moe-$version"
    rm -rf clone
    cd "$source"
}

# build_once USER FOLDER UMASK VARIABLE=VALUE... : as that user of the root, in
# that folder.
build_once() {
    user=$1
    place=$2
    mask=$3
    shift 3
    in_root build sh -ec '
        useradd -m "$0"
        mkdir -p "$1"
        cp -r /source/* "$1"
        chown -R "$0" "$1"' "$user" "$place"
    # shellcheck disable=SC2016
    logged "build-$user" offline build env DEB_BUILD_PROFILES="$profiles" "$@" \
        setpriv --reuid="$user" --regid="$user" --init-groups sh -ec '
        cd "$0"
        umask "$1"
        HOME=$0
        export HOME
        cd w4moe-*/
        exec dpkg-buildpackage -us -uc' "$place" "$mask"
}

stage_build() {
    make_source
    fresh build
    cp -r "$folder/source" "$roots/build/source"
    logged build-update in_root build apt-get -q update
    # shellcheck disable=SC2016
    logged build-deps in_root build env DEB_BUILD_PROFILES="$profiles" \
        sh -c 'apt-get -qy --no-install-recommends build-dep /source/w4moe-*/'
    build_once first /build/w4moe 0022 \
        DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-}"
    second=srv/second-place/that-is-longer
    build_once second "/$second" 0002 \
        DEB_BUILD_OPTIONS=nocheck TZ=UTC-14 LC_ALL=C
    rm -rf "$folder/packages"
    mkdir "$folder/packages"
    find "$roots/build/build/w4moe" -maxdepth 1 -type f \
        -exec cp {} "$folder/packages" ';'
    for package in "$folder"/packages/*.deb "$folder"/packages/*.tar.xz; do
        cmp "$package" "$roots/build/$second/${package##*/}"
    done
    echo "two builds: the same $(ls "$folder"/packages/*.deb | wc -l) packages"
    rm -rf "$roots/build"
}

stage_lintian() {
    fresh lintian
    logged lintian-deps apt_install lintian lintian
    mkdir "$roots/lintian/packages"
    cp "$folder"/packages/* "$roots/lintian/packages"
    logged lintian in_root lintian env HOME=/tmp \
        setpriv --reuid=nobody --regid=nogroup --init-groups \
        sh -c 'exec lintian --pedantic --display-info --show-overrides \
            --fail-on=none --tag-display-limit 0 /packages/*.changes'
    cat "$folder/lintian.log"
    # Overrides that only other suites need are no fault.
    accepted=$folder/lintian.accepted
    echo ': unused-override ' > "$accepted"
    if [ -e "$package_tests/overrides.$suite" ]; then
        sed '/^#/d' "$package_tests/overrides.$suite" >> "$accepted"
    fi
    if grep '^[EWIP]: ' "$folder/lintian.log" | grep -vFf "$accepted"; then
        echo "failed: tags that no override explains"
        exit 1
    fi
    rm -rf "$roots/lintian"
}

stage_install() {
    fresh install
    cp -r "$folder/packages" "$folder"/source/w4moe-*/ "$roots/install"
    mv "$roots"/install/w4moe-* "$roots/install/source"
    logged install in_root install /source/tests/package/install.sh \
        /packages /source
    cat "$folder/install.log"
    rm -rf "$roots/install"
}

stage_autopkgtest() {
    fresh autopkgtest
    tests=
    [ -z "$profiles" ] || tests=$(sed -n 's/^Tests: //p; s/.*test-name=//p' \
        "$folder"/source/w4moe-*/debian/tests/control |
        grep -v '^gpu$' | sed 's/^/--test-name=/')
    summary=$folder/autopkgtest.summary
    result=0
    # shellcheck disable=SC2086
    in_mounts autopkgtest autopkgtest -q --apt-upgrade $tests \
        --summary-file "$summary" \
        "$folder"/packages/*.deb "$folder"/packages/*.dsc \
        -- chroot "$roots/autopkgtest" > "$folder/autopkgtest.log" 2>&1 ||
        result=$?
    cat "$summary" 2> /dev/null || :
    # 2: that of a GPU was skipped.
    case $result in
    0 | 2) ;;
    *)
        echo "failed; all of it is in $folder/autopkgtest.log"
        exit 1
        ;;
    esac
    rm -rf "$roots/autopkgtest"
}

# A day old it is made anew, since suites change.
if [ -z "$(find "$roots/root.tar" -mtime -1 2> /dev/null)" ]; then
    mkdir -p "$roots"
    rm -f "$roots/root.tar"
    logged root make_root "$suite" "$roots/root.tar" --variant=buildd
fi
for stage; do
    echo "==> $suite: $stage"
    "stage_$stage"
done
