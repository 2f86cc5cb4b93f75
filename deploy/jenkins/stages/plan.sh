#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/plan.sh --environment NAME [--output FILE] [--parameter NAME=VALUE]... [--dry-run]

Show what deploy/aws/deploy.sh would change for an environment, and keep it in FILE (build/plan.txt) for
whoever approves it. A new stack's first plan needs parameters, later ones keep what the stack has.
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
environment='' output=build/plan.txt options=()
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --environment) environment=${2:?--environment needs a name}; shift ;;
    --output) output=${2:?--output needs a file}; shift ;;
    --parameter) options+=(--parameter "${2:?--parameter needs NAME=VALUE}"); shift ;;
    --dry-run) options+=(--dry-run) ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[[ -n $environment ]] || { usage >&2; exit 2; }
mkdir -p "$(dirname "$output")"
deploy/aws/deploy.sh plan --environment "$environment" ${options[@]+"${options[@]}"} | tee "$output"
