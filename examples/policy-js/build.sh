#!/bin/sh
# Makes night-guard.wasm; installs the tools that package-lock.json pins before, if
# they are not there.
set -e
cd "$(dirname "$0")"
installed=node_modules/.package-lock.json
if [ ! -e $installed ] || [ package-lock.json -nt $installed ]; then
    npm ci --ignore-scripts --no-audit --no-fund
fi
node build.mjs
