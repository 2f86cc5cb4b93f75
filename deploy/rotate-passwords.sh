#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/rotate-passwords.sh [NAME]...

Give accounts of MySQL new random passwords while the platform runs. No request is refused: MySQL takes
the old password of an account beside the new one until all parts use the new one.

  deploy/rotate-passwords.sh                   all that deploy/.env has
  deploy/rotate-passwords.sh MYSQL_PASSWORD    of the service alone

NAME is MYSQL_PASSWORD, STROKE_SCHEMA_PASSWORD, STROKE_CDC_PASSWORD or STROKE_LAKE_JDBC_PASSWORD. For each of them:

  1. make a password, and let MySQL take it (ALTER USER ... RETAIN CURRENT PASSWORD)
  2. write it into deploy/.env and into the file that containers mount; the API reads that file for each
     new connection, the parts of the pipeline are restarted
  3. run `stroke doctor`, and only if it finds no failure
  4. let MySQL forget the old password (ALTER USER ... DISCARD OLD PASSWORD)

A run that ends early leaves both passwords valid. Run it again: it goes on with the same new password.
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")"
tell() { echo "rotate-passwords.sh: $*" >&2; }
fail() { tell "$*"; exit 1; }
[[ -w .env ]] || fail "deploy/.env is not here, or cannot be written"

setting() { sed -n "s/^$1=//p" .env | tail -1 | sed -E "s/^'(.*)'$/\1/; s/^\"(.*)\"$/\1/"; }

names=("$@")
if ((${#names[@]} == 0)); then
  names=(MYSQL_PASSWORD STROKE_CDC_PASSWORD STROKE_LAKE_JDBC_PASSWORD)
  # Not every stack has an account of its own for the schema.
  if [[ -n $(setting STROKE_SCHEMA_PASSWORD) ]]; then names+=(STROKE_SCHEMA_PASSWORD); fi
fi
declare -A USER_OF=(
  [MYSQL_PASSWORD]="MYSQL_USER stroke"
  [STROKE_SCHEMA_PASSWORD]="STROKE_SCHEMA_USER stroke_schema"
  [STROKE_CDC_PASSWORD]="STROKE_CDC_USER debezium"
  [STROKE_LAKE_JDBC_PASSWORD]="STROKE_LAKE_JDBC_USER iceberg"
)

account() { # NAME; prints 'USER'@'%'
  local variable fallback user
  read -r variable fallback <<< "${USER_OF[$1]}"
  user=$(setting "$variable")
  user=${user:-$fallback}
  [[ $user =~ ^[A-Za-z0-9_.-]+$ ]] || fail "$variable is no name that can be changed here: $user"
  printf "'%s'@'%%'" "$user"
}

as_root() { ./stack.sh mysql -N; } # statements on stdin: no password is on a command line

logs_in() { # NAME PASSWORD
  local user
  user=$(account "$1")
  user=${user#\'}
  printf '[client]\nuser=%s\npassword=%s\nprotocol=tcp\nhost=127.0.0.1\n' "${user%%\'*}" "$2" |
    docker compose -f compose.yaml exec -T mysql mysql --defaults-extra-file=/dev/stdin -N -e 'SELECT 1' \
      > /dev/null 2>&1
}

replace() { # NAME PASSWORD: in .env, which is never there by half
  local partial
  partial=$(mktemp .env.XXXXXX)
  # The value goes through the environment: a command line would show it.
  VALUE=$2 awk -v name="$1" 'index($0, name "=") == 1 { print name "=" ENVIRON["VALUE"]; next } { print }' \
    .env > "$partial"
  chmod --reference=.env "$partial"
  mv "$partial" .env
}

for name in "${names[@]}"; do
  [[ -n ${USER_OF[$name]:-} ]] || { usage >&2; exit 2; }
  grep -q "^$name=." .env || fail "$name does not stand in deploy/.env"
  held=$(setting "$name") elsewhere=$(HELD=$(setting "$name") awk -F= -v name="$name" \
    '$1 != name && $1 !~ /^#/ && index($0, ENVIRON["HELD"]) { print $1 }' .env | xargs)
  [[ -z $elsewhere || ${#held} -lt 8 ]] ||
    fail "$elsewhere of deploy/.env holds the password of $name as well: write \${$name} there"
  [[ -z ${!name:-} ]] || fail "$name is set in the environment, which comes before deploy/.env: unset it"
done

umask 077
for name in "${names[@]}"; do
  next=.env.next.$name # kept until all is done, so that a second run goes on with it
  [[ -s $next ]] || od -An -N 16 -tx1 /dev/urandom | tr -d ' \n' > "$next"
  password=$(< "$next")
  if ! logs_in "$name" "$password"; then
    printf "ALTER USER %s IDENTIFIED BY '%s' RETAIN CURRENT PASSWORD;\n" "$(account "$name")" "$password" |
      as_root || fail "MySQL did not take a new password for $(account "$name") (above); nothing has changed"
    logs_in "$name" "$password" || fail "MySQL does not take the new password of $(account "$name")"
  fi
  replace "$name" "$password"
  tell "$name: MySQL takes the new password and the old one"
done
./secrets.sh --take-up || fail "not all parts took up the new passwords: both are valid; run this again"
./stack.sh doctor || fail "the doctor found a failure (above): the old passwords stay valid; mend it, then run this again"
for name in "${names[@]}"; do
  printf 'ALTER USER %s DISCARD OLD PASSWORD;\n' "$(account "$name")" | as_root
  rm -f ".env.next.$name"
  tell "$name: the old password is no longer valid"
done
