#!/bin/sh
# Makes .venv with exactly what a lock says: without an argument requirements.lock, for those who deploy; or the one
# that is named, requirements-dev.lock, which holds all of the former and what tests need. The Makefile runs it before
# everything else; when nothing is to do it costs a few milliseconds. It writes to standard error only:
# `eval "$(make -s env)"` reads standard output.
#
#   LETTA_PYTHON=PATH             this Python instead of the first one found that is new enough
#   LETTA_NO_SYSTEM_PACKAGES=1    never install Debian packages, say what is missing instead
set -eu

cd "$(dirname "$0")/.."
root=$PWD
venv=.venv
lock=${1:-requirements.lock}
# Once made for tests it stays so: otherwise `make up` and `make test` would undo each other after each change of locks.
if [ -e "$venv/.requirements-dev.lock" ]; then lock=requirements-dev.lock; fi
installed=$venv/.$lock            # copy of the lock that .venv was made from, written last
making=$venv/.making              # there while .venv is being made: half-made when nobody is at it
made_for=$venv/.made-for          # programs in a .venv name its folder, so a moved one is of no use
child=

say() { echo "$*" >&2; }

fail() {
    say "error: $1"
    shift
    for line in "$@"; do say "  do:    $line"; done
    exit 1
}

stop() {
    trap - INT TERM HUP
    if [ -n "$child" ]; then
        kill -s TERM -- "-$child" 2>/dev/null || kill -s TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    exit 130
}
trap stop INT TERM HUP

# Runs a program with its output shown, and a line every ten seconds for those that are silent.
visibly() {
    what=$1
    shift
    say "    $what"
    "$@" >&2 </dev/null &
    child=$!
    seconds=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2 2>/dev/null || sleep 1
        seconds=$((seconds + 1))
        if [ $((seconds % 50)) -eq 0 ]; then say "    … $what, $((seconds / 5)) s"; fi
    done
    pid=$child
    child=
    wait "$pid"
}

# Runs a Python with arguments so that what it starts in turn ends with it (see `stop`).
in_own_group() {
    exec "$1" -c 'import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}

suits() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Sets `python` to the first one that is new enough and can make a .venv; `half` to one that only lacks the latter.
find_python() {
    python='' half=''
    for candidate in ${LETTA_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if suits "$candidate"; then
            if can_make_venv "$candidate"; then
                python=$candidate
                return 0
            fi
            half=${half:-$candidate}
        fi
    done
    return 1
}

install_python() {
    packages="python3 python3-venv"
    by_hand="as root: apt-get update && apt-get install $packages"
    if [ -n "$half" ]; then
        what="$half has no module ensurepip, which Debian keeps in a package of its own"
    else
        what="no Python 3.11 or newer was found"
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "$what" "install Python 3.11 or newer, with venv" "or name one: LETTA_PYTHON=/path/of/python make up"
    fi
    case ${LETTA_NO_SYSTEM_PACKAGES:-} in
        '' | 0 | no | false) ;;
        *) fail "$what, and LETTA_NO_SYSTEM_PACKAGES is set" "$by_hand" ;;
    esac
    if [ "$(id -u)" -ne 0 ]; then fail "$what, and this is not run as root" "$by_hand"; fi
    say "    installing Debian packages $packages: $what"
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    visibly "apt-get update" apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 update ||
        fail "the lists of packages cannot be fetched" "$by_hand"
    # shellcheck disable=SC2086 # two words on purpose
    visibly "apt-get install $packages" \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --yes --no-install-recommends $packages ||
        fail "the packages cannot be installed" "$by_hand"
    find_python || fail "$what, and Debian's package did not help" "install Python 3.11 or newer by hand"
}

is_current() {
    [ ! -e "$making" ] && cmp -s "$lock" "$installed" && [ "$(cat "$made_for" 2>/dev/null)" = "$root" ] &&
        [ -x $venv/bin/python ]
}

is_usable() {
    [ ! -e "$making" ] && [ -x $venv/bin/python ] && suits $venv/bin/python &&
        { [ ! -e "$made_for" ] || [ "$(cat "$made_for")" = "$root" ]; } &&
        $venv/bin/python -m pip --version >/dev/null 2>&1
}

# uv reads neither pip's variables nor its files; what they say about this network holds for it, too.
tell_uv() {
    index=$($venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
    index=${PIP_INDEX_URL:-$index}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
}

if is_current; then exit 0; fi

say "==> Python environment in $root/$venv"
if ! is_usable; then
    if [ -e "$venv" ]; then say "    making it anew: it is half-made, moved, or its Python is gone"; fi
    find_python || install_python
    say "    with $(command -v "$python"), $("$python" --version)"
    rm -rf $venv
    mkdir $venv
    : >"$making"
    visibly "making it" in_own_group "$python" -m venv $venv ||
        fail "no .venv could be made" "look at the lines above"
fi
: >"$making"
rm -f "$venv"/.requirements*.lock

# uv itself comes by hash too: its lines of the lock are all that pip gets.
pinned=$venv/.uv.lock
awk '/^uv==/ { found = 1 } found { print; if ($0 !~ /\\$/) exit }' "$lock" >"$pinned"
visibly "installing uv" in_own_group $venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    --require-hashes --only-binary :all: -r "$pinned" ||
    fail "uv cannot be installed" "the Python package index must be reachable (a mirror: PIP_INDEX_URL)"
tell_uv
# Compiled once here, because some shells forbid Python to keep what it compiles: then every start would do it anew.
visibly "installing the packages of $lock" \
    in_own_group $venv/bin/python -m uv pip sync --python $venv/bin/python --require-hashes --compile-bytecode "$lock" ||
    fail "the packages cannot be installed" "the Python package index must be reachable (a mirror: PIP_INDEX_URL)"

printf '%s\n' "$root" >"$made_for"
cp "$lock" "$installed.new"
mv "$installed.new" "$installed"
rm -f "$making"
say "    done"
