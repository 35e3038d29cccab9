#!/bin/sh
# Makes a virtual environment with the locked packages, or finds a Python for one.
#
#   make_venv.sh DIR [PYTHON]     make DIR or bring it up to date with its lock; silent when nothing is to do.
#                                 PYTHON: interpreter to use instead of the preferred one.
#   make_venv.sh --find X.Y...    print the first interpreter of these versions that works; status 1 if none does.
#
# Exit status 2: no fitting Python, or DIR is not ours to replace. 1: the installation failed.
set -u

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
# 3.11 first: the newest that has TensorFlow Addons.
PREFERRED='3.11 3.13 3.12 3.10 3.9'

say() { printf '%s\n' "$*" >&2; }

# Version X.Y of the interpreter $1. Empty if it does not run (a pyenv shim of a version that is switched off), or
# lacks one of the modules $2: by default those that making an environment takes (Debian packs them apart).
version_of() {
    "$1" -c "import sys, ${2:-ssl, venv, ensurepip}; print('%d.%d' % sys.version_info[:2])" 2>/dev/null </dev/null
}

# Where an interpreter of version $1 may be, best first, one a line.
candidates() {
    echo "$PATH" | tr ':' '\n' | while IFS= read -r dir; do echo "$dir/python$1"; done
    for path in "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1".*/bin/python; do echo "$path"; done
    echo "$PATH" | tr ':' '\n' | while IFS= read -r dir; do printf '%s\n' "$dir/python3" "$dir/python"; done
}

# Prints the first working interpreter of version $1; status 1 if there is none.
find_version() {
    candidates "$1" | while IFS= read -r candidate; do
        if [ -x "$candidate" ] && [ "$(version_of "$candidate")" = "$1" ]; then
            echo "$candidate"
            break
        fi
    done | grep .
}

find_first() {
    for version in "$@"; do
        find_version "$version" && return 0
    done
    return 1
}

lock_for() {
    case $1 in
        3.9 | 3.10 | 3.11) echo "$ROOT/requirements-tf2.15.lock" ;;
        3.12 | 3.13) echo "$ROOT/requirements-tf2.21.lock" ;;
        *) return 1 ;;
    esac
}

if [ "${1:-}" = --find ]; then
    shift
    find_first "$@"
    exit
fi
if [ $# -lt 1 ] || [ -z "$1" ]; then
    say "usage: $0 DIR [PYTHON]  |  $0 --find X.Y..."
    exit 2
fi

venv=$1
python=${2:-}
have=$(version_of "$venv/bin/python" pip)

if [ -n "$python" ]; then
    want=$(version_of "$python")
    if [ -z "$want" ]; then
        say "PYTHON=$python does not run, or cannot make virtual environments (on Debian and Ubuntu install python3-venv)."
        exit 2
    fi
else
    want=$have
fi
# A new environment is needed if there is none that runs and has pip, or it is of another version than asked for.
if [ -z "$have" ] || [ "$have" != "$want" ]; then
    if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
        say "$venv exists and is not a virtual environment: remove it, or choose another directory with VENV=."
        exit 2
    fi
    if [ -z "$python" ]; then
        # shellcheck disable=SC2086  # a list of words
        python=$(find_first $PREFERRED) || {
            say "No Python 3.9 to 3.13 that can make virtual environments was found on PATH or under pyenv."
            say "Install Python 3.11 (on Debian and Ubuntu with python3-venv; with pyenv: pyenv install 3.11), or name one: make PYTHON=/path/to/python3.11"
            exit 2
        }
        want=$(version_of "$python")
    fi
fi
lock=$(lock_for "$want") || {
    say "Python $want does not fit: install Python 3.9 to 3.13 (3.11 is best) and name it with PYTHON=, or use another VENV=."
    exit 2
}

if [ -z "$have" ] || [ "$have" != "$want" ]; then
    say "Creating $venv with Python $want ($python) ..."
    "$python" -m venv --clear "$venv" || {
        say "Could not create $venv with $python."
        exit 1
    }
elif cmp -s "$lock" "$venv/installed.lock"; then
    exit 0
fi

say "Installing ${lock##*/} into $venv (about 700 MB to download the first time) ..."
"$venv/bin/python" -m pip --disable-pip-version-check install -qq -r "$lock" || {
    say "The installation failed; pip's message is above. Often it is the network, a proxy (pip reads https_proxy) or a full disk."
    say "To see more: $venv/bin/python -m pip install -r $lock"
    exit 1
}
# Written last: an interrupted installation is taken up again by the next call.
cp "$lock" "$venv/installed.lock"
