#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/deploy.sh --host ADDRESS --release NAME [--from FOLDER] [--dry-run]

Bring a release to a host that deploy/ansible configured, and start it there: the images of
FOLDER/images.env (build/release) that the host lacks, by SSH and without a registry, and of deploy/
what compose mounts. It returns when all is healthy. Older releases than the newest five are removed.

  deploy/jenkins/stages/deploy.sh --host 192.0.2.7 --release 2026-01-31-4f2a9c1
  deploy/jenkins/stages/rollback.sh --host 192.0.2.7 --release 2026-01-31-4f2a9c1

STROKE_SSH_USER (admin), STROKE_SSH_KEY, STROKE_KNOWN_HOSTS   how to reach it
HELP
}

stages=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
me=deploy.sh
# shellcheck source=deploy/jenkins/stages/remote.sh
. "$stages/remote.sh"
cd "$stages/../../.."
release='' from=build/release compose=deploy
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --host) host=$(argument "$@"); shift ;;
    --release) release=$(argument "$@"); shift ;;
    --from) from=$(argument "$@"); shift ;;
    --compose) compose=$(argument "$@"); shift ;; # another folder with a compose.yaml, for tests
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
require_host
[[ $release =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "which release? --release NAME (letters, digits, . _ -)"
[[ -n $dry_run || -r $from/images.env ]] || fail "$from/images.env is missing: deploy/jenkins/stages/build.sh writes it"

ship_images() {
  local image missing=()
  while IFS= read -r image; do
    if ! on_host "sudo docker image inspect $image > /dev/null 2>&1"; then missing+=("$image"); fi
  done < <(sed -n 's/^[A-Z0-9_]*_IMAGE=\([A-Za-z0-9./:@_-]*\)$/\1/p' "$from/images.env" | sort -u)
  if ((${#missing[@]} == 0)); then return; fi
  echo "deploy.sh: sending ${missing[*]}"
  docker save "${missing[@]}" | gzip -1 | into_host "gunzip | sudo docker load --quiet"
}

ship_files() {
  local folder=/opt/stroke/releases/$release
  # Secrets of this machine (.env, .secrets), what builds images and what configures hosts stay here.
  tar -C "$compose" --exclude=./.env --exclude='./.env.*' --exclude=./.secrets --exclude=./images \
    --exclude=./ansible --exclude=./aws \
    --exclude=./jenkins --exclude=./helm --exclude=./python --exclude=./host --exclude=./backup \
    --owner=root --group=root --mode=u=rwX,go=rX -cf - . |
    into_host "sudo rm -rf $folder.partial && sudo mkdir -p $folder.partial && sudo tar -xf - -C $folder.partial"
  into_host "sudo tee $folder.partial/images.env > /dev/null" < "$from/images.env"
  # The same release again: what is the same stays, what differs is replaced.
  on_host "sudo chmod 755 $folder.partial && sudo rm -rf $folder && sudo mv -T $folder.partial $folder"
}

if [[ -n $dry_run ]]; then
  echo "would send to $host: the images of $from/images.env that it lacks, and $compose as release $release"
else
  ship_images
  ship_files
fi
on_host sudo stroke-release install "$release"
on_host sudo stroke-release prune 5
