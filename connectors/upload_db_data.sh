#!/bin/bash
# An older name of `stroke db import`; kept until the next major release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stroke=$root/.venv/bin/stroke
[[ -x $stroke ]] || stroke=stroke
exec "$stroke" db import "$@"
