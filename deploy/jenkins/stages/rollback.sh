#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/rollback.sh --host ADDRESS --release NAME [--dry-run]

Go back on a host from the release NAME to the one that ran before, with its images, and wait until all
is healthy. Does nothing when NAME is not what is current there: a deployment that failed before it
changed anything has nothing to take back. The schema stays: migrations only widen or add.
HELP
}

me=rollback.sh
# shellcheck source=deploy/jenkins/stages/remote.sh
. "$(dirname "${BASH_SOURCE[0]}")/remote.sh"
release=''
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --host) host=$(argument "$@"); shift ;;
    --release) release=$(argument "$@"); shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
require_host
[[ $release =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "which release failed? --release NAME"
on_host sudo stroke-release rollback "$release"
