#!/bin/bash
# Takes the right to the whole database away from the service's account, which the image of MySQL gave it,
# where another account changes the schema (STROKE_SCHEMA_PASSWORD). On a new data directory, the first
# `stroke serve --migrate` or `stroke db upgrade` gives it what its tables need. On an existing server, run
# `stroke db upgrade` as that other account first (docs/operations.md), then by hand:
#   STROKE_SCHEMA_PASSWORD=... MYSQL_USER=... MYSQL_ROOT_PASSWORD=... deploy/mysql/init/20-service.sh
# Each password can also come from a file: NAME_FILE.
set -euo pipefail

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

for name in MYSQL_ROOT_PASSWORD STROKE_SCHEMA_PASSWORD; do
  file=${name}_FILE
  if [[ -n ${!file:-} ]]; then printf -v "$name" '%s' "$(cat "${!file}")"; fi
done
if [[ -n ${STROKE_SCHEMA_PASSWORD:-} ]]; then
  database=${MYSQL_DATABASE:-stroke_predictions}
  service=$(quoted "${MYSQL_USER:-stroke}")
  # The name as a pattern, as images write it, and as it is: a right is taken as it was given. What was given
  # table by table stays.
  MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-} mysql -uroot << SQL
REVOKE IF EXISTS ALL ON \`${database//_/\\_}\`.* FROM $service@'%';
REVOKE IF EXISTS ALL ON \`$database\`.* FROM $service@'%';
SQL
fi
