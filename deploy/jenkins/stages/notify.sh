#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/notify.sh --status STATUS --message TEXT [--dry-run]

Tell people: TEXT goes as {"text": ..., "status": ...} to the webhook that STROKE_NOTIFY_URL names (chat
systems take that form). Without one, it is printed. STATUS: success, failure,
unstable, aborted, rolled-back, rollback-failed.
HELP
}

status='' message='' dry_run=''
fail() { echo "notify.sh: $*" >&2; exit 1; }
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --status) status=${2:?--status needs a value}; shift ;;
    --message) message=${2:?--message needs a value}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[[ $status =~ ^(success|failure|unstable|aborted|rolled-back|rollback-failed)$ ]] || fail "not a status: $status"
[[ -n $message ]] || fail "which message? --message TEXT"
echo "notify.sh: $status: $message"
if [[ -n $dry_run || -z ${STROKE_NOTIFY_URL:-} ]]; then exit 0; fi
body=$(python3 -c 'import json, sys; print(json.dumps({"text": sys.argv[2], "status": sys.argv[1]}))' \
  "$status" "$message")
# The address is a secret: it stands in no argument that others on this machine could list.
curl --silent --show-error --fail --max-time 20 --retry 3 --header 'Content-Type: application/json' \
  --data "$body" --output /dev/null --config - <<< "url = \"$STROKE_NOTIFY_URL\"" ||
  fail "the webhook did not take it"
