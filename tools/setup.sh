#!/usr/bin/env bash
# Everything that demo and tests need, into .venv; nothing to do if the lock files have not changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
proxy=configurable-http-proxy@5.3.0
lock=$(cat constraints.txt pyproject.toml tools/setup.sh | sha256sum | cut -c1-16)
stamp="$venv/.axonlab-$lock"
[ -e "$stamp" ] && exit 0

say() { echo "[set-up] $*" >&2; }
started=$SECONDS

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    say "Axonlab needs Python 3.11 or newer; $python is $("$python" --version 2>&1 || echo missing). Set PYTHON=/path/to/python3."
    exit 2
}
if [ ! -x "$venv/bin/pip" ]; then
    say "making $venv"
    if ! "$python" -m venv "$venv" >"${TMPDIR:-/tmp}/axonlab-venv.log" 2>&1; then
        # Debian and Ubuntu ship venv as a package of its own.
        rm -rf "$venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "installing python3-venv"
            apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
        fi
        "$python" -m venv "$venv" || {
            say "python3 cannot make a virtual environment here. On Debian or Ubuntu: sudo apt install python3-venv"
            exit 2
        }
    fi
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check install -q -q "$@"; }

say "installing torch ($(grep -m1 '^torch==' constraints.txt)), some minutes on a first run"
pip "$(grep -m1 '^torch==' constraints.txt)"
say "installing everything else"
# The pins are complete, so nothing has to be resolved: quick, and the same with every version of pip.
pip --no-deps -r constraints.txt
pip --no-deps -e .
say "installing the hub's proxy ($proxy)"
PATH="$PWD/$venv/bin:$PATH" npm install --global --silent --no-fund --no-audit --no-update-notifier --prefix "$venv" "$proxy" >/dev/null
# For tests/browser alone, which skip without it.
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Chromium, for the browser tests"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } \
        >/dev/null 2>&1 || say "Chromium cannot be installed here: the browser tests will be skipped"
fi
rm -f "$venv"/.axonlab-*
touch "$stamp"
say "ready after $((SECONDS - started)) s"
