#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/aws/clean-up.sh [--dry-run | --delete] [--region NAME]

List the stacks of this project whose tag ExpiresAt is past. A stack without that tag, with `never`,
or protected from termination is left alone. It says what a stack keeps when it is removed.

  --dry-run   only list (the default)
  --delete    remove them
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/python/set-up.sh infrastructure
PYTHONPATH=deploy/aws exec .venv-infrastructure/bin/python -m stacks clean-up "$@"
