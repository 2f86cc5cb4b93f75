#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/secrets.sh [--take-up] [OPTION OF docker compose]...

Write each secret of compose.yaml (x-secrets) into a file of its own, with the value that the settings
give it: deploy/.env, or what --env-file names. Containers mount these files, so that no secret is in
their environment. stack.sh and stroke-release run it; run it by hand, or `make env`, before you call
`docker compose up` yourself.

  deploy/secrets.sh
  deploy/secrets.sh --env-file /etc/stroke/stroke.env

  --take-up  restart each running service that read a secret when it started, if the secret has changed
             since. The API reads MySQL's password anew for each connection, and goes on.

STROKE_SECRETS_FOLDER  where the files are (.secrets beside compose.yaml); only its owner can enter it
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
take_up=
if [[ ${1:-} == --take-up ]]; then take_up=yes; shift; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v python3 > /dev/null || { echo "secrets.sh: python3 is missing: apt install python3" >&2; exit 1; }
options=(-f "$here/compose.yaml" "$@")
compose() { docker compose "${options[@]}" --profile '*' "$@"; }

wait_until_healthy() { # SERVICE CONTAINER
  local state deadline=$((SECONDS + 300))
  while true; do
    state=$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$2")
    case $state in
      healthy | running) return ;;
      exited | dead | paused) echo "secrets.sh: $1 is $state after its restart" >&2; exit 1 ;;
    esac
    if ((SECONDS >= deadline)); then echo "secrets.sh: $1 is still $state, 300 s after its restart" >&2; exit 1; fi
    sleep 1
  done
}

# Compose says what each value is, with quotes, defaults and the caller's environment as it reads them.
rendered=$(compose config --format json)
python3 "$here/secret_files.py" write <<< "$rendered"
if [[ -z $take_up ]]; then exit 0; fi

mapfile -t services < <(python3 "$here/secret_files.py" services <<< "$rendered")
running=$(compose ps --services --status running)
restarted=()
for service in "${services[@]}"; do
  if grep -qxF "$service" <<< "$running"; then restarted+=("$service"); fi
done
if ((${#restarted[@]})); then
  echo "secrets.sh: a secret changed; restarting ${restarted[*]}" >&2
  compose restart "${restarted[@]}"
  # Not `up --wait`: it looks for the images that the settings name, and what runs may have been started with
  # others (stack.sh names those that it built).
  for service in "${restarted[@]}"; do
    for container in $(compose ps --quiet "$service"); do wait_until_healthy "$service" "$container"; done
  done
fi
python3 "$here/secret_files.py" taken-up <<< "$rendered"
