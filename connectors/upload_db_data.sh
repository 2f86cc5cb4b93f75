#!/bin/bash
# The name that people know for: stroke db import
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stroke=$root/.venv/bin/stroke
[[ -x $stroke ]] || stroke=stroke
exec "$stroke" db import "$@"
