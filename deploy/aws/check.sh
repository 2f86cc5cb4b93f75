#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/aws/check.sh

Check deploy/aws/stack.yaml with cfn-lint and checkov. Whatever one of them finds is an error; what
is left aside stands in the template beside the resource, with the reason.

checkov lives in .venv-checkov (requirements/checkov.txt), which is made when it is missing.
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/python/set-up.sh dev
venv=.venv-checkov
pins=requirements/checkov.txt

exec 9< "$pins"
flock 9 # two runs at once install it once
if ! cmp -s "$pins" "$venv/.stroke-pins" || ! "$venv/bin/python" -c '' 2> /dev/null; then
  echo "check.sh: installing $pins into $venv (once; takes half a minute)" >&2
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$venv"
  .venv/bin/uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$pins" || {
    echo "check.sh: checkov could not be installed: is the package index reachable?" >&2
    exit 1
  }
  cp "$pins" "$venv/.stroke-pins"
fi
exec 9<&-

.venv/bin/cfn-lint deploy/aws/stack.yaml
# --skip-download: nothing but the template decides. A check that checkov cannot run is an error.
report=$(LOG_LEVEL=ERROR CKV_SKIP_PACKAGE_UPDATE_CHECK=true "$venv/bin/checkov" --framework cloudformation --compact --quiet --skip-download \
  --file deploy/aws/stack.yaml) || {
  echo "$report" >&2
  exit 1
}
grep -E '^Passed checks: [1-9][0-9]*, Failed checks: 0, ' <<< "$report" || {
  echo "check.sh: checkov ran no check: $report" >&2
  exit 1
}
