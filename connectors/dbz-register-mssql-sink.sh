#!/bin/bash
# An older name of `stroke connectors apply sqlserver-sink`; kept until the next major release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stroke=$root/.venv/bin/stroke
[[ -x $stroke ]] || stroke=stroke
export STROKE_CONNECT_FOLDER=${STROKE_CONNECT_FOLDER:-$root/connectors}
exec "$stroke" connectors apply sqlserver-sink "$@"
