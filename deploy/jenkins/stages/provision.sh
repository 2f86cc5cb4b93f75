#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/provision.sh --environment NAME [--output FOLDER] [--dry-run]

Apply with deploy/aws/deploy.sh, without asking again, the change set that plan.sh wrote into
FOLDER/plan.txt (build), and no other: what was approved is what is done. A plan that somebody made
since takes its place, and then this fails: plan and approve again. At the end FOLDER holds the address of
the host (in the file host) and what the stack needs to know (settings.env).
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
environment='' output=build dry_run=''
fail() { echo "provision.sh: $*" >&2; exit 1; }
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --environment) environment=${2:?--environment needs a name}; shift ;;
    --output) output=${2:?--output needs a folder}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[[ $environment =~ ^[a-z][a-z0-9-]*$ ]] || fail "which environment? --environment NAME"
if [[ -n $dry_run ]]; then
  echo "would run: deploy/aws/deploy.sh apply --environment $environment, and write its outputs into $output"
  exit 0
fi
[[ -r $output/plan.txt ]] || fail "$output/plan.txt is missing: deploy/jenkins/stages/plan.sh writes it"
# A plan without changes names none.
planned=$(sed -nE 's/.*--change-set (plan-[A-Za-z0-9-]+).*/\1/p' "$output/plan.txt" | tail -1)
deploy/aws/deploy.sh apply --environment "$environment" ${planned:+--change-set "$planned"} --yes
deploy/aws/deploy.sh outputs --environment "$environment" --env > "$output/settings.env"
address=$(deploy/aws/deploy.sh outputs --environment "$environment" --json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["HostAddress"])') ||
  fail "deploy/aws/deploy.sh outputs no HostAddress"
echo "$address" > "$output/host"
echo "provision.sh: the host is $address"
