#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/make-env.sh

Write deploy/.env from deploy/.env.example, with a random password wherever one is needed, readable
by you alone. A secret that somebody else gives you, such as an OpenID provider's, is a comment there:
fill it in yourself. Where deploy/.env is there, it gets what only an older one lacks: the first keys of the API
(deploy/first-keys.sh).
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ -e .env ]]; then exec ./first-keys.sh .env; fi

random() { od -An -N 16 -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
partial=$(mktemp .env.XXXXXX)
trap 'rm -f "$partial"' EXIT
while IFS= read -r line; do
  if [[ $line =~ ^[A-Z0-9_]*(PASSWORD|SECRET|TOKEN)=$ ]]; then line+=$(random); fi
  printf '%s\n' "$line"
done < .env.example > "$partial"
mv "$partial" .env
echo "make-env.sh: wrote deploy/.env with random passwords" >&2
./first-keys.sh .env
