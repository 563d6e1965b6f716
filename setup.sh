#!/bin/sh
# Creates the virtual environment $1 and installs $2 ("." or ".[dev]") into it, with PyTorch's CPU build.
# The build comes from TORCH_INDEX if that is reachable, and else from pip's usual indexes. constraints.txt excludes
# CUDA builds, which would add gigabytes for a GPU that Parley does not use.
set -eu
venv=$1
what=$2

find_python() {
    for python in python3.11 python3 python3.12 python3.13 python3.14; do
        if "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "Parley needs Python 3.11 or newer with the venv module (on Debian and Ubuntu: apt install python3-venv)." >&2
    return 1
}

has_torch() {
    "$venv/bin/python" -c 'from importlib.metadata import version; import sys
sys.exit("torch==" + version("torch").partition("+")[0] != sys.argv[1])' "$1" 2>/dev/null
}

is_reachable() {
    "$venv/bin/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=3)' "$1" 2>/dev/null
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "Setting up Parley in $venv with $python; the first time takes a few minutes."
    "$python" -m venv --clear "$venv"
fi
torch=$(grep '^torch==' constraints.txt)
if ! has_torch "$torch" && is_reachable "$TORCH_INDEX/torch/"; then
    echo "Installing $torch (CPU, about 200 MB) ..."
    pip install --no-deps --index-url "$TORCH_INDEX" "$torch"
fi
echo "Installing Parley and its dependencies ..."
pip install --constraint constraints.txt --editable "$what" || {
    echo "The set-up failed; pip gives the reason above. If versions conflict, only the CUDA build of torch was found:" >&2
    echo "make $TORCH_INDEX reachable, or set TORCH_INDEX=URL to a mirror of it." >&2
    exit 1
}
