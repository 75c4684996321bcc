#!/bin/sh
# Installs the servers that tests start, where they are missing. Does nothing, quickly, where they are there.
#
# What cannot be installed is named on standard error, and the exit code is still 0: the tests that need it say
# so themselves. Debian and its relatives only; elsewhere install the servers by hand and put them on PATH.
set -u
cd "$(dirname "$0")/../.."
SERVERS=$PWD/.venv/servers   # tests/servers/programs.py looks here too

missing() {
    echo "tests/servers/install.sh: $1 is missing: $2" >&2
}

# As root, or as a user who may become root without a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

apt_install() { # package
    as_root timeout 300 env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$1" >/dev/null
}

# A server from the distribution. The lists are fetched only where the package is not found without.
from_distribution() { # program package
    command -v "$1" >/dev/null && return
    if ! command -v apt-get >/dev/null; then
        missing "$1" "install it and put it on PATH"
    elif ! as_root true; then
        missing "$1" "this user may not install it; run: apt-get install $2"
    else
        echo "installing $2" >&2
        apt_install "$2" 2>/dev/null || { as_root timeout 300 apt-get update -qq && apt_install "$2"; } ||
            missing "$1" "apt-get install $2 failed"
    fi
}

# The address of the Debian mirror that this machine uses already; where its lists are empty, they are
# fetched into a folder of our own, which takes no rights.
debian_mirror() { # folder
    find_mirror || {
        mkdir -p "$1/lists/partial"
        timeout 300 apt-get -qq -o Dir::State::lists="$1/lists" update >&2
        find_mirror -o Dir::State::lists="$1/lists"
    }
}

find_mirror() { # options of apt-get
    apt-get "$@" indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1 | grep .
}

# Consul is in Debian up to release 11 (bullseye), and is there still. The package is checked against the keys of
# Debian and unpacked, not installed: nothing of the machine's own package lists changes.
fetch_consul() { # folder
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keys" ] || { echo "no $keys" >&2; return 1; }
    mirror=$(debian_mirror "$1") || { echo "no Debian mirror among the sources of apt" >&2; return 1; }
    echo "deb [signed-by=$keys] $mirror bullseye main" >"$1/sources.list"
    mkdir -p "$1/state/partial" "$1/cache/archives/partial"
    set -- "$1" -qq -o Dir::Etc::sourcelist="$1/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$1/state" -o Dir::Cache="$1/cache" -o APT::Sandbox::User="$(id -un)"
    folder=$1
    shift
    timeout 300 apt-get "$@" update &&
        (cd "$folder" && timeout 300 apt-get "$@" download consul) &&
        dpkg-deb -x "$folder"/consul_*.deb "$folder/consul"
}

consul_from_bullseye() {
    command -v consul >/dev/null && return
    [ -x "$SERVERS/consul/usr/bin/consul" ] && return
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        missing consul "install it and put it on PATH"
        return
    fi
    echo "fetching consul" >&2
    mkdir -p "$SERVERS"
    work=$(mktemp -d "$SERVERS/fetch.XXXXXX")
    # Moved in one step: another run at the same time finds all of it or nothing.
    fetch_consul "$work" && mv -T "$work/consul" "$SERVERS/consul"
    [ -x "$SERVERS/consul/usr/bin/consul" ] || missing consul "it could not be fetched from Debian's bullseye"
    rm -rf "$work"
}

# Not a server alone: the package aspyx-service, whose wire the dispatch channels speak, with Python packages of
# its own. Made anew when the lock has changed; moved in one step, as above.
aspyx_from_lock() {
    lock=$PWD/tests/interop/aspyx.lock
    uv=$PWD/.venv/bin/uv
    cmp -s "$lock" "$SERVERS/aspyx/lock" 2>/dev/null && return
    if [ ! -x "$uv" ]; then
        missing aspyx-service "there is no .venv/bin/uv; run make"
        return
    fi
    echo "installing aspyx-service" >&2
    mkdir -p "$SERVERS"
    work=$(mktemp -d "$SERVERS/fetch.XXXXXX")
    "$uv" venv --quiet --relocatable --python "$PWD/.venv/bin/python" "$work/aspyx" &&
        timeout 300 "$uv" pip sync --quiet --python "$work/aspyx/bin/python" --require-hashes "$lock" &&
        cp "$lock" "$work/aspyx/lock" && rm -rf "$SERVERS/aspyx" && mv -T "$work/aspyx" "$SERVERS/aspyx"
    cmp -s "$lock" "$SERVERS/aspyx/lock" || missing aspyx-service "its packages could not be installed"
    rm -rf "$work"
}

from_distribution redis-server redis-server
consul_from_bullseye
aspyx_from_lock
