#!/bin/bash
# The official image's contract: on an empty data directory, make the superuser and a database from
# POSTGRES_PASSWORD | POSTGRES_HOST_AUTH_METHOD=trust, POSTGRES_USER and POSTGRES_DB (each also as
# NAME_FILE), then run /docker-entrypoint-initdb.d/*.
set -euo pipefail

[[ $1 == -* ]] && set -- postgres "$@"
[[ $1 == postgres ]] || exec "$@"

log() { echo "$(date -u +%FT%TZ) [entrypoint] $*"; }

read_secrets_from_files() {
  local name file
  for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB; do
    file=${name}_FILE
    if [[ -n ${!file:-} ]]; then export "$name=$(cat "${!file}")"; fi
  done
}

run_init_files() { # USER DATABASE
  local file
  local as_user=(psql -v ON_ERROR_STOP=1 --no-psqlrc -q -U "$1" -d "$2")
  for file in /docker-entrypoint-initdb.d/*; do
    # shellcheck disable=SC1090
    case $file in
      *.sh) log "running $file"; if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) log "running $file"; "${as_user[@]}" -f "$file" ;;
      *.sql.gz) log "running $file"; gunzip -c "$file" | "${as_user[@]}" ;;
    esac
  done
}

initialise() {
  local user=${POSTGRES_USER:-postgres} method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  local database=${POSTGRES_DB:-$user}
  if [[ -z ${POSTGRES_PASSWORD:-} && $method != trust ]]; then
    log "set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust"
    exit 1
  fi
  log "initialising the data directory"
  # Moved once it is complete, PG_VERSION last: a start that was killed half-way begins anew.
  local fresh=$PGDATA/initialising
  if [[ -d $fresh ]]; then find "$PGDATA" -mindepth 1 -delete; fi
  initdb -D "$fresh" --username="$user" --encoding=UTF8 --auth-local=trust \
    --auth-host=scram-sha-256 --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") > /dev/null
  printf 'host all all all %s\n' "$method" >> "$fresh/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$fresh/postgresql.conf"
  pg_ctl -D "$fresh" -o "-c listen_addresses=''" -w -s -l /dev/null start
  if [[ $database != postgres ]]; then
    psql -q --no-psqlrc -v ON_ERROR_STOP=1 -U "$user" -d postgres -v name="$database" \
      <<< 'CREATE DATABASE :"name"'
  fi
  run_init_files "$user" "$database"
  pg_ctl -D "$fresh" -m fast -w -s stop
  find "$fresh" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
  mv "$fresh/PG_VERSION" "$PGDATA"
  rmdir "$fresh"
  log "initialised"
}

read_secrets_from_files
[[ -s $PGDATA/PG_VERSION ]] || initialise
unset POSTGRES_PASSWORD
exec "$@"
