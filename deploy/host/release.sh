#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: stroke-release COMMAND [OPTION]... (in the repository: deploy/host/release.sh)

Which release of the stack this host runs. A release is the folder releases/NAME in STROKE_HOME, with
compose.yaml, what it mounts, and images.env, which names the images; `current` and `previous` are
links to two of them. Settings and secrets are no part of a release: they are in STROKE_ENV. The first keys
of the API are in keys.env in STROKE_HOME, unless STROKE_ENV has them; the first start makes them.

  stroke-release install NAME   make NAME current, start it, wait until all is healthy
  stroke-release rollback [NAME]  go back to the release that ran before (if NAME is current)
  stroke-release up             start what is current (what the systemd unit does at boot)
  stroke-release stop           stop it, in the order of its dependencies; data stay
  stroke-release current        print the name of what is current
  stroke-release list           print all releases, newest first
  stroke-release prune [N]      remove all but the newest N (5), and images that no release names
  stroke-release compose ...    docker compose on what is current

  --dry-run   print what install, rollback, up, stop or prune would do, and do nothing

STROKE_HOME   where releases are (/opt/stroke)
STROKE_ENV    the settings (/etc/stroke/stroke.env)
STROKE_UNIT   the systemd unit that owns the stack (stroke.service); empty: no unit
HELP
}

home=${STROKE_HOME:-/opt/stroke}
settings=${STROKE_ENV:-/etc/stroke/stroke.env}
unit=${STROKE_UNIT-stroke.service}
dry_run=
fail() { echo "stroke-release: $*" >&2; exit 1; }
tell() { if [[ -z $dry_run ]]; then echo "stroke-release: $*"; fi; }
run() { if [[ -n $dry_run ]]; then echo "would run: $*"; else "$@"; fi; }

arguments=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --dry-run) dry_run=yes ;;
    *) arguments+=("$argument") ;;
  esac
  # What follows is for docker compose, whatever it looks like.
  if [[ ${arguments[0]:-} == compose ]]; then arguments=("$@"); break; fi
done
set -- ${arguments[@]+"${arguments[@]}"}
command=${1:-}
[[ -n $command ]] || { usage >&2; exit 2; }
shift

name_of() { # LINK; nothing when there is no such release
  local target
  target=$(readlink "$home/$1" 2> /dev/null) || return 0
  basename "$target"
}

check_release() { # NAME
  [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "not the name of a release: $1"
  local file
  for file in compose.yaml images.env; do
    [[ -r $home/releases/$1/$file ]] || fail "no such release: $home/releases/$1/$file is missing"
  done
}

compose() {
  export STROKE_SECRETS_FOLDER=$home/.secrets
  [[ -n $dry_run || -e $home/current/compose.yaml ]] ||
    fail "nothing is installed: stroke-release install NAME"
  [[ -n $dry_run || -r $settings ]] || fail "$settings cannot be read: run it as the user that owns it, or as root"
  # The folder is given through the link, so that `up` does not make all anew for a new path
  # (MySQL mounts a part of it). Whoever mounts what did change is restarted: see `start`.
  local files
  mapfile -t files < <(settings_files)
  run docker compose --project-directory "$home/current" --file "$home/current/compose.yaml" \
    "${files[@]}" "$@"
}

settings_files() { # as options of compose, one a line; the last file counts
  if [[ -r $home/keys.env ]]; then printf '%s\n' --env-file "$home/keys.env"; fi
  printf '%s\n' --env-file "$settings" --env-file "$home/current/images.env"
}

# Of a release whose API asks for keys.
first_keys() {
  [[ -x $home/current/first-keys.sh ]] || return 0
  run "$home/current/first-keys.sh" "$home/keys.env" "$settings"
  if [[ -z $dry_run && -e $home/keys.env && $(id -u) == 0 ]]; then chown --reference="$settings" "$home/keys.env"; fi
}

link() { # NAME AS: never a moment without the link
  run ln -sfn "releases/$1" "$home/.$2.new"
  run mv -T "$home/.$2.new" "$home/$2"
}

# Through the unit where there is one, so that a shutdown of the host stops what was started here.
activate() {
  if [[ -n $unit ]] && systemctl cat "$unit" > /dev/null 2>&1; then
    run systemctl reload-or-restart "$unit" || {
      journalctl --no-pager --unit "$unit" --lines 15 --output cat >&2 || true
      fail "$(name_of current) did not become healthy (above); stroke-release rollback goes back"
    }
  else
    start
  fi
}

mounted_files() { # a hash of all but what compose itself compares
  (cd "$home/current/" && find . -type f ! -name compose.yaml ! -name images.env -print0 |
    LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum)
}

services_that_mount() {
  compose config --format json | python3 -c '
import json, sys
for name, service in json.load(sys.stdin)["services"].items():
    if any(mount.get("source", "").startswith(sys.argv[1]) for mount in service.get("volumes", [])):
        print(name)' "$home/"
}

# The files of secrets that a release mounts; one of an older version mounts none. The folder belongs to
# the account that the settings belong to, whoever runs this.
secrets() { # [--take-up]
  [[ -x $home/current/secrets.sh ]] || return 0
  export STROKE_SECRETS_FOLDER=$home/.secrets
  if [[ -z $dry_run && ! -d $STROKE_SECRETS_FOLDER ]]; then
    mkdir -m 700 "$STROKE_SECRETS_FOLDER"
    if [[ $(id -u) == 0 ]]; then chown --reference="$settings" "$STROKE_SECRETS_FOLDER"; fi
  fi
  local files
  mapfile -t files < <(settings_files)
  run "$home/current/secrets.sh" "$@" --project-directory "$home/current" "${files[@]}"
}

start() {
  first_keys
  secrets
  compose up --detach --no-build --remove-orphans --wait
  if [[ -n $dry_run ]]; then return; fi
  local now changed
  now=$(mounted_files)
  if [[ -e $home/.mounted && $(< "$home/.mounted") != "$now" ]]; then
    mapfile -t changed < <(services_that_mount)
    if ((${#changed[@]})); then
      compose restart "${changed[@]}"
      compose up --detach --no-build --wait
    fi
  fi
  # Not into a file that root may have written: the service account could not change that.
  echo "$now" > "$home/.mounted.new"
  mv -f "$home/.mounted.new" "$home/.mounted"
  secrets --take-up
}

install_release() { # NAME
  check_release "$1"
  local before
  before=$(name_of current)
  if [[ -n $before && $before != "$1" ]]; then link "$before" previous; fi
  link "$1" current
  activate
  tell "$1 runs${before:+ (before: $before)}"
}

rollback() { # [NAME]
  local before failed
  before=$(name_of previous)
  failed=$(name_of current)
  # A release that never became current took nothing's place.
  if [[ -n ${1:-} && $failed != "$1" ]]; then
    echo "stroke-release: $1 is not current; ${failed:-nothing} stays"
    return
  fi
  [[ -n $before ]] || fail "there is no release to go back to"
  check_release "$before"
  link "$before" current
  # Back twice is where we are: the failed one is not what a next rollback should take.
  run rm -f "$home/previous"
  activate
  tell "back to $before from $failed"
}

releases() { ls -1t "$home/releases" 2> /dev/null || true; }

images_of_releases() { cat "$home"/releases/*/images.env 2> /dev/null | sed -n 's/^[A-Z0-9_]*_IMAGE=//p'; }

prune() { # N
  [[ $1 =~ ^[1-9][0-9]*$ ]] || fail "how many are to stay? $1"
  local name
  while IFS= read -r name; do
    if [[ $name == "$(name_of current)" || $name == "$(name_of previous)" ]]; then continue; fi
    run rm -rf "${home:?}/releases/$name"
  done < <(releases | tail -n +"$(($1 + 1))")
  # Ours alone: other images on this host are not our business.
  docker images --filter 'reference=stroke-*' --format '{{.Repository}}:{{.Tag}}' |
    { grep -vxF -e "$(images_of_releases)" || true; } | { grep -v '^stroke-base:' || true; } |
    while IFS= read -r name; do
      run docker rmi "$name" || echo "stroke-release: $name is in use, and stays" >&2
    done
}

case $command in
  install | rollback | prune)
    if [[ -z $dry_run ]]; then
      exec 9> "$home/.lock" || fail "$home cannot be written: run it as root"
      flock -n 9 || fail "another installation is under way"
    fi
    ;;
esac
case $command in
  install) [[ $# == 1 ]] || { usage >&2; exit 2; }; install_release "$1" ;;
  rollback) rollback "${1:-}" ;;
  up) start ;;
  stop) compose stop ;;
  current) name_of current ;;
  list) releases ;;
  prune) prune "${1:-5}" ;;
  compose) compose "$@" ;;
  *) usage >&2; exit 2 ;;
esac
