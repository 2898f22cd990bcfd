#!/bin/sh
# Puts playwright-core, which drives Chromium for test_page.py, into FOLDER (default: where the test
# looks for it in the build tree). Needs npm and the network.
set -eu
folder=${1:-${top_builddir:-build}/tests/web}
mkdir -p "$folder"
npm install --prefix "$folder" --no-audit --no-fund --no-save playwright-core@1
