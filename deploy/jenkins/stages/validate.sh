#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/validate.sh --host ADDRESS [--dry-run]

Run `stroke doctor` on a host: every part of the stack, end to end. The exit code is its own.
HELP
}

me=validate.sh
# shellcheck source=deploy/jenkins/stages/remote.sh
. "$(dirname "${BASH_SOURCE[0]}")/remote.sh"
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --host) host=$(argument "$@"); shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
require_host
in_stack connectors stroke doctor
