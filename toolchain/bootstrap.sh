#!/bin/sh
# Creates .venv with exactly the packages of a lock: requirements.lock by default, for deploying; or the one named as
# argument, requirements-dev.lock, which contains all of the former and what tests need. The Makefile runs it before
# everything else; when .venv is current it takes a few milliseconds. It writes to standard error only, because
# `eval "$(make -s env)"` reads standard output. With --remove it removes .venv instead.
#
#   LETTA_PYTHON=PATH             use this Python instead of the first one found that is new enough
#   LETTA_NO_SYSTEM_PACKAGES=1    never install Debian packages, print what is missing instead
set -eu

cd "$(dirname "$0")/.."
root=$PWD
venv=.venv
lock=${1:-requirements.lock}
# A .venv with the packages for tests keeps them: otherwise `make up` and `make test` would undo each other's work whenever
# the locks change.
if [ "$lock" != --remove ] && [ -e "$venv/.requirements-dev.lock" ]; then lock=requirements-dev.lock; fi
installed=$venv/.$lock            # copy of the lock that .venv was created from, written last
making=$venv/.making              # exists while .venv is being created; left behind by an interrupted run
made_for=$venv/.made-for          # programs in a .venv contain its path, so a moved one does not work
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

# Runs a program with its output shown, and prints a line every ten seconds.
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

# Runs Python in a process group of its own, so that `stop` also ends what it has started.
in_own_group() {
    exec "$1" -c 'import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}

is_new_enough() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Sets `python` to the first one that is new enough and can create a .venv; `without_venv` to one that is only new enough.
find_python() {
    python='' without_venv=''
    for candidate in ${LETTA_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if is_new_enough "$candidate"; then
            if can_make_venv "$candidate"; then
                python=$candidate
                return 0
            fi
            without_venv=${without_venv:-$candidate}
        fi
    done
    return 1
}

install_python() {
    packages="python3 python3-venv"
    by_hand="as root: apt-get update && apt-get install $packages"
    if [ -n "$without_venv" ]; then
        what="$without_venv has no module ensurepip, which Debian keeps in a separate package"
    else
        what="no Python 3.11 or newer was found"
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "$what" "install Python 3.11 or newer, with venv" "or use another one: LETTA_PYTHON=/path/to/python make up"
    fi
    case ${LETTA_NO_SYSTEM_PACKAGES:-} in
        '' | 0 | no | false) ;;
        *) fail "$what, and LETTA_NO_SYSTEM_PACKAGES is set" "$by_hand" ;;
    esac
    if [ "$(id -u)" -ne 0 ]; then fail "$what, and you are not root" "$by_hand"; fi
    say "    installing Debian packages $packages: $what"
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    visibly "apt-get update" apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 update ||
        fail "the package lists cannot be downloaded" "$by_hand"
    # shellcheck disable=SC2086 # split into two words intentionally
    visibly "apt-get install $packages" \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --yes --no-install-recommends $packages ||
        fail "the packages cannot be installed" "$by_hand"
    find_python || fail "$what, and Debian's packages do not provide one" "install Python 3.11 or newer by hand"
}

is_current() {
    [ ! -e "$making" ] && cmp -s "$lock" "$installed" && [ "$(cat "$made_for" 2>/dev/null)" = "$root" ] &&
        [ -x $venv/bin/python ]
}

is_usable() {
    [ ! -e "$making" ] && [ -x $venv/bin/python ] && is_new_enough $venv/bin/python &&
        { [ ! -e "$made_for" ] || [ "$(cat "$made_for")" = "$root" ]; } &&
        $venv/bin/python -m pip --version >/dev/null 2>&1
}

# Only what is a Python environment, or was becoming one here; of a link, the link alone.
remove_venv() {
    if [ ! -L $venv ] && [ ! -e $venv/pyvenv.cfg ] && [ ! -e "$making" ] && [ ! -e "$made_for" ] &&
        [ -n "$(ls -A $venv 2>/dev/null)" ]; then
        fail "$root/$venv is not a Python environment, and is left as it is" "move it away, then run this again"
    fi
    rm -rf $venv
}

# uv reads neither pip's variables nor its files, so pass it their index and certificates.
configure_uv() {
    index=$($venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
    index=${PIP_INDEX_URL:-$index}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
}

if [ "$lock" = --remove ]; then
    remove_venv
    exit 0
fi
if is_current; then exit 0; fi

say "==> Python environment in $root/$venv"
if ! is_usable; then
    if [ -e "$venv" ]; then say "    creating it again: it is incomplete or was moved, or its Python is gone"; fi
    find_python || install_python
    say "    using $(command -v "$python"), $("$python" --version)"
    remove_venv
    mkdir $venv
    : >"$making"
    visibly "creating it" in_own_group "$python" -m venv $venv ||
        fail ".venv cannot be created" "see the lines above for the cause"
fi
: >"$making"
rm -f "$venv"/.requirements*.lock

# uv itself is installed by hash too: pip gets only its lines of the lock.
pinned=$venv/.uv.lock
awk '/^uv==/ { found = 1 } found { print; if ($0 !~ /\\$/) exit }' "$lock" >"$pinned"
visibly "installing uv" in_own_group $venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    --require-hashes --only-binary :all: -r "$pinned" ||
    fail "uv cannot be installed" "the Python package index must be reachable (a mirror: PIP_INDEX_URL)"
configure_uv
# Compiled once here, because where PYTHONDONTWRITEBYTECODE is set every start would compile them again.
visibly "installing the packages of $lock" \
    in_own_group $venv/bin/python -m uv pip sync --python $venv/bin/python --require-hashes --compile-bytecode "$lock" ||
    fail "the packages cannot be installed" "the Python package index must be reachable (a mirror: PIP_INDEX_URL)"

printf '%s\n' "$root" >"$made_for"
cp "$lock" "$installed.new"
mv "$installed.new" "$installed"
rm -f "$making"
say "    done"
