#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/upgrade.sh [--dry-run]

Bring the stack of this checkout, running or not, to the version that is checked out:

  1. pull MySQL's image, build what changed
  2. migrate the schema, with the new version's own `stroke db upgrade`
  3. start the new API beside the old one; only when it is ready does it take the old one's place,
     which its clients see as a pause of seconds
  4. start again what else changed, and wait until all is healthy
  5. apply the connectors, and run `stroke doctor`; its exit code is the script's

A step that fails ends the upgrade and says how to go back; what ran before step 3 ends still runs.
Make a backup first: deploy/backup/mysql-backup.sh --help

  --dry-run  build the images, and print what would change; what runs is not touched
HELP
}

dry_run=
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  --dry-run) dry_run=yes ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
COMPOSE=(docker compose -f "$here/compose.yaml")
READY_WITHIN=120
tell() { echo "upgrade.sh: $*" >&2; }
fail() { tell "$*"; exit 1; }

new_images() {
  local images
  images=$("$here/stack.sh" images)
  mapfile -t images <<< "$images"
  export "${images[@]}"
  case $STROKE_MYSQL_IMAGE in
    stroke-*) ;; # the stand-in, which was built
    *) timeout 300 docker pull -q "$STROKE_MYSQL_IMAGE" > /dev/null || tell "$STROKE_MYSQL_IMAGE cannot be pulled: it stays as it is here" ;;
  esac
}

image_that_runs() { # SERVICE; nothing where none runs
  local container
  container=$("${COMPOSE[@]}" ps --quiet "$1" 2> /dev/null) || return 0
  if [[ -n $container ]]; then docker inspect --format '{{.Config.Image}}' "$container"; fi
}

wanted_images() { # lines of SERVICE IMAGE
  "${COMPOSE[@]}" config --format json | python3 -c '
import json, sys
for name, service in sorted(json.load(sys.stdin)["services"].items()):
    print(name, service["image"])'
}

show_changes() {
  local service image before
  while read -r service image; do
    before=$(image_that_runs "$service")
    if [[ $before != "$image" ]]; then echo "$service: ${before:-nothing} -> $image"; fi
  done < <(wanted_images)
}

# A container of the new API's image on the stack's network, which no client reaches.
new_api() { "${COMPOSE[@]}" run --rm --no-deps -T api "$@"; }

revision() { # what is stored, as the new version sees it
  { new_api db status --json || true; } | sed -n 's/.*"revision": "\{0,1\}\([a-z0-9]*\).*/\1/p'
}

show_schema() {
  if [[ -z $(image_that_runs mysql) ]]; then echo "schema: MySQL does not run, so it is not known"; return; fi
  echo "schema: $(revision) -> $(new_api db status --json | sed -n 's/.*"head": "\([a-z0-9]*\)".*/\1/p' || true)"
}

health() { docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$1" 2> /dev/null || echo gone; }

# The new API must be ready on the real database before the old one goes.
try_new_api() {
  candidate="$("${COMPOSE[@]}" config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')-api-next"
  docker rm --force "$candidate" > /dev/null 2>&1 || true # of an upgrade that was killed
  trap 'docker rm --force "$candidate" > /dev/null 2>&1 || true' EXIT
  "${COMPOSE[@]}" run --detach --no-deps --name "$candidate" api serve > /dev/null
  local deadline=$((SECONDS + READY_WITHIN))
  until [[ $(health "$candidate") == 'running healthy' ]]; do
    if ((SECONDS >= deadline)) || [[ $(health "$candidate") != running* ]]; then
      docker logs --tail 15 "$candidate" >&2 || true
      fail "the new API does not become ready (above); the old one was not touched. $1"
    fi
    sleep 1
  done
  docker rm --force "$candidate" > /dev/null
}

new_images
if [[ -n $dry_run ]]; then
  show_changes
  show_schema
  exit 0
fi
changes=$(show_changes)
tell "${changes:-all images are as they were}"
old_image=$(image_that_runs api)
"${COMPOSE[@]}" up --detach --no-build --wait mysql
before=$(revision)
new_api db upgrade
back='To go back: check the old version out, then deploy/stack.sh up'
if [[ $(revision) != "$before" ]]; then
  back="To go back: deploy/stack.sh run --rm --no-deps api db downgrade ${before:-base} --yes, check the old version out, then deploy/stack.sh up"
fi
tell 'trying the new API beside the old one'
try_new_api "$back"
"${COMPOSE[@]}" up --detach --no-build --no-deps --wait api ||
  fail "the new API did not become healthy (the old image: ${old_image:-none}). $back"
tell 'starting again what else changed'
"$here/stack.sh" up || fail "not all became healthy: deploy/stack.sh ps. $back"
"$here/stack.sh" exec -T connectors stroke connectors apply || fail "the connectors do not run. $back"
exec "$here/stack.sh" doctor
