#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/connectors.sh --host ADDRESS [--dry-run]

Give Kafka Connect the connectors of the release that runs on a host, and show that all of them run.
HELP
}

me=connectors.sh
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
in_stack connectors stroke connectors apply
in_stack connectors stroke connectors status
