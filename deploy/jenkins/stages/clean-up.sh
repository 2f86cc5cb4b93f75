#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/clean-up.sh [--keep-days N] [--dry-run]

Clean the machine that builds: containers, networks and volumes that a killed test run left more than a
day ago, and the project's images that are older than N days (14) and that nothing runs.
Stacks in AWS are deploy/aws/clean-up.sh's.
HELP
}

keep_days=14 dry_run=''
fail() { echo "clean-up.sh: $*" >&2; exit 1; }
run() { if [[ -n $dry_run ]]; then echo "would run: $*"; else "$@"; fi; }
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --keep-days) keep_days=${2:?--keep-days needs a number}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[[ $keep_days =~ ^[1-9][0-9]*$ ]] || fail "not a number of days: $keep_days"
docker version > /dev/null 2>&1 || fail "no Docker engine answers"

run docker container prune --force --filter label=stroke.test-run --filter until=24h
run docker network prune --force --filter label=stroke.test-run --filter until=24h
limit=$(date -u -d "$keep_days days ago" +%Y-%m-%dT%H:%M:%S)
docker images --filter 'reference=stroke-*' --format '{{.Repository}}:{{.Tag}}' | sort -u |
  while IFS= read -r image; do
    if [[ $image == stroke-base:* || $(docker image inspect -f '{{.Created}}' "$image") > $limit ]]; then
      continue
    fi
    # It refuses what a container uses, and that is right.
    run docker rmi "$image" || echo "clean-up.sh: $image is in use, and stays" >&2
  done
