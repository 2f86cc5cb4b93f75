#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/aws/check.sh

Check deploy/aws/stack.yaml with cfn-lint and checkov. Whatever one of them finds is an error; what
is left aside stands in the template beside the resource, with the reason.

checkov lives in .venv-checkov (deploy/python/set-up.sh checkov), which is made when it is missing.
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/python/set-up.sh dev
deploy/python/set-up.sh checkov

.venv/bin/cfn-lint deploy/aws/stack.yaml
# --skip-download: nothing but the template decides. A check that checkov cannot run is an error.
report=$(LOG_LEVEL=ERROR CKV_SKIP_PACKAGE_UPDATE_CHECK=true .venv-checkov/bin/checkov --framework cloudformation --compact --quiet --skip-download \
  --file deploy/aws/stack.yaml) || {
  echo "$report" >&2
  exit 1
}
grep -E '^Passed checks: [1-9][0-9]*, Failed checks: 0, ' <<< "$report" || {
  echo "check.sh: checkov ran no check: $report" >&2
  exit 1
}
