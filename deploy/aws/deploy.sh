#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/aws/deploy.sh plan|apply|destroy|outputs [OPTION]...

Plan a change of the stack (deploy/aws/stack.yaml), show it, apply exactly what was planned, remove
the stack, or tell what it made. No change is a success.

  deploy/aws/deploy.sh plan --environment test --parameter AdminCidr=203.0.113.7/32
  deploy/aws/deploy.sh apply --environment test
  deploy/aws/deploy.sh outputs --environment test --env

  --environment NAME       test or production: deploy/aws/environments/NAME.json
  --stack-name NAME        default: stroke-ENVIRONMENT
  --region NAME            default: AWS_REGION or AWS_DEFAULT_REGION
  --dry-run                change nothing: plan only checks the parameters, apply and destroy only
                           tell what they would do
  --yes                    apply, destroy: do not ask
plan:
  --parameter NAME=VALUE   beside those of the environment's file (any number of times); what
                           neither names stays as it is, and has its default in a new stack
  --expires DATE           when clean-up.sh may remove the stack (YYYY-MM-DD or never); by default
                           a new stack's is LifetimeDays of its environment from today
  --template FILE          default: deploy/aws/stack.yaml; the one of an earlier version to go back
apply:
  --change-set NAME        the change set that plan named, and no other; default: the newest
outputs:
  --json | --env           as JSON, or as lines for deploy/.env

Credentials are found as every AWS tool finds them. AWS_ENDPOINT_URL names another endpoint.
Exit status: 0 done, 1 it failed, 2 wrong use.
HELP
}

if (($# == 0)); then usage >&2; exit 2; fi
for argument; do
  if [[ $argument == -h || $argument == --help ]]; then usage; exit 0; fi
done
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/python/set-up.sh infrastructure
root=$PWD
cd "$here" # --template is a path from there
PYTHONPATH=$root/deploy/aws exec "$root"/.venv-infrastructure/bin/python -m stacks "$@"
