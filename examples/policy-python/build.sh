#!/bin/sh
# Makes night-guard.wasm; installs the tools that requirements.txt pins before, if
# they are not there.
set -e
cd "$(dirname "$0")"
installed=.venv/installed
if [ ! -e $installed ] || [ requirements.txt -nt $installed ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check \
        --only-binary :all: --require-hashes -r requirements.txt
    touch $installed
fi
# Without --stub-wasi it would import WASI, which the host refuses.
.venv/bin/componentize-py --wit-path wit --world night-guard \
    componentize --stub-wasi night_guard --output night-guard.wasm
