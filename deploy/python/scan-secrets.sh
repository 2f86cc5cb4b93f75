#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/python/scan-secrets.sh [BIN]

Look for keys and passwords in every file that git tracks, with the detect-secrets of the folder BIN
(.venv/bin). Whatever is found is named by file and line, without its text; the exit code is 1 then.
A line that only looks like a secret ends in `pragma: allowlist secret`.
HELP
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=${1:-.venv/bin}
# Pins and hashes of jars are random on purpose; so are the tests' own passwords.
found=$(git ls-files -z -- ':!requirements' ':!*.sha256' ':!deploy/images/moto/requirements.txt' \
  ':!tests' ':!*.ipynb' | xargs -0 "$bin/detect-secrets" scan --no-verify \
  --exclude-lines '(pragma: allowlist secret|//me:secret@)' --disable-plugin HexHighEntropyString \
  --disable-plugin Base64HighEntropyString --disable-plugin KeywordDetector)
python3 -c '
import json, sys
found = json.load(sys.stdin)["results"]
for name, hits in sorted(found.items()):
    for hit in hits:
        print("scan-secrets.sh: " + name + ":" + str(hit["line_number"]) + ": " + hit["type"], file=sys.stderr)
sys.exit(bool(found))' <<< "$found"
