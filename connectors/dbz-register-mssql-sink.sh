#!/bin/bash
# The name that people know for: stroke connectors apply sqlserver-sink
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stroke=$root/.venv/bin/stroke
[[ -x $stroke ]] || stroke=stroke
export STROKE_CONNECT_FOLDER=${STROKE_CONNECT_FOLDER:-$root/connectors}
exec "$stroke" connectors apply sqlserver-sink "$@"
