#!/bin/bash
# The official image's contract: on an empty data directory, make root's account, a database and
# its user from MYSQL_ROOT_PASSWORD | MYSQL_ALLOW_EMPTY_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE,
# MYSQL_USER and MYSQL_PASSWORD (each also as NAME_FILE), then run /docker-entrypoint-initdb.d/*.
set -euo pipefail

[[ $1 == -* ]] && set -- mysqld "$@"
[[ $1 == mysqld ]] || exec "$@"

SOCKET=/var/run/mysqld/mysqld.sock
log() { echo "$(date -u +%FT%TZ) [entrypoint] $*"; }
as_root() { mysql --no-defaults --socket="$SOCKET" -uroot --comments "$@"; }

# A value inside a quoted SQL string.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

read_secrets_from_files() {
  local name file
  for name in MYSQL_ROOT_PASSWORD MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD; do
    file=${name}_FILE
    if [[ -n ${!file:-} ]]; then export "$name=$(cat "${!file}")"; fi
  done
}

wait_for_server() { # PID
  local _
  for _ in {1..480}; do
    if mysqladmin --no-defaults --socket="$SOCKET" -uroot ping > /dev/null 2>&1; then return; fi
    kill -0 "$1" 2> /dev/null || { log "the temporary server ended"; exit 1; }
    sleep 0.25
  done
  log "the temporary server does not answer"
  exit 1
}

accounts() {
  local host=${MYSQL_ROOT_HOST-%} password
  password=$(quoted "${MYSQL_ROOT_PASSWORD:-}")
  echo "SET @@SESSION.SQL_LOG_BIN=0;"
  if [[ -n $host && $host != localhost ]]; then
    echo "CREATE USER 'root'@$(quoted "$host") IDENTIFIED BY $password;"
    echo "GRANT ALL ON *.* TO 'root'@$(quoted "$host") WITH GRANT OPTION;"
  fi
  if [[ -n ${MYSQL_DATABASE:-} ]]; then
    echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
  fi
  if [[ -n ${MYSQL_USER:-} && -n ${MYSQL_PASSWORD:-} ]]; then
    echo "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "$MYSQL_PASSWORD");"
    if [[ -n ${MYSQL_DATABASE:-} ]]; then
      echo "GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO $(quoted "$MYSQL_USER")@'%';"
    fi
  fi
  echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $password;"
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    # shellcheck disable=SC1090
    case $file in
      *.sh) log "running $file"; if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) log "running $file"; as_root ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} < "$file" ;;
      *.sql.gz) log "running $file"; gunzip -c "$file" | as_root ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} ;;
    esac
  done
}

initialise() {
  if [[ -z ${MYSQL_ROOT_PASSWORD:-} && -z ${MYSQL_ALLOW_EMPTY_PASSWORD:-} ]]; then
    log "set MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD"
    exit 1
  fi
  log "initialising the data directory"
  "$@" --initialize-insecure
  "$@" --skip-networking --mysqlx=OFF &
  local server=$!
  wait_for_server "$server"
  accounts | as_root
  export MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-}
  run_init_files
  mysqladmin --no-defaults --socket="$SOCKET" -uroot shutdown
  unset MYSQL_PWD
  wait "$server"
  log "initialised"
}

read_secrets_from_files
# Another account than root has no right to, and needs none.
if [[ $(id -u) == 0 ]]; then chown mysql:mysql /var/lib/mysql /var/run/mysqld; fi
[[ -d /var/lib/mysql/mysql ]] || initialise "$@"
unset MYSQL_ROOT_PASSWORD MYSQL_PASSWORD
exec "$@"
