#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: ./run.sh [--port N] [OPTION OF `stroke serve`]...

Install what is missing into .venv (first start only), bring the database up to date and serve on
http://127.0.0.1:8000. With nothing set, predictions are kept in stroke.db (SQLite); README.md
lists the settings. Ctrl-C stops. Needs Python >= 3.11 (STROKE_PYTHON names another one).

  ./run.sh
  ./run.sh --port 8001
  MYSQL_HOST=db MYSQL_USER=stroke MYSQL_PASSWORD=... ./run.sh
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")"
host=${STROKE_HTTP_HOST:-127.0.0.1} port=${STROKE_HTTP_PORT:-8000}
arguments=("$@")
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --port) port=${2:-}; shift ;;
    --port=*) port=${1#*=} ;;
    --host) host=${2:-}; shift ;;
    --host=*) host=${1#*=} ;;
  esac
  (($#)) && shift
done
fail() { echo "run.sh: $*" >&2; exit 1; }

[[ $port =~ ^[0-9]{1,5}$ ]] || fail "--port needs a number, such as 8001"
[[ -w . ]] || fail "cannot write to $PWD: use a folder of your own, or change its permissions"
# A connection, not a bind: this must hold before there is a Python, and leaves no trace.
if (exec 3<> "/dev/tcp/$host/$port") 2> /dev/null; then
  fail "port $port is in use: stop what listens there, or use another: ./run.sh --port $((port + 1))"
fi

deploy/python/set-up.sh app

# It prints where the documentation page is, and what to try next.
exec .venv/bin/stroke serve --migrate ${arguments[@]+"${arguments[@]}"}
