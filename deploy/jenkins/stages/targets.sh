#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/targets.sh (--host ADDRESS | --url URL) [--within SECONDS] [--dry-run]

Wait until every target of Prometheus is up, and print them. Prometheus is asked from the host itself
(on 127.0.0.1:9090, its port in the stack), or at URL. After SECONDS (120) the exit code is 1, as it
is for a Prometheus without any target.
HELP
}

me=targets.sh
# shellcheck source=deploy/jenkins/stages/remote.sh
. "$(dirname "${BASH_SOURCE[0]}")/remote.sh"
url='' within=120
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --host) host=$(argument "$@"); shift ;;
    --url) url=$(argument "$@"); shift ;;
    --within) within=$(argument "$@"); shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [[ -z $url ]]; then require_host; fi
[[ $within =~ ^[0-9]+$ ]] || fail "not a number of seconds: $within"

# shellcheck disable=SC2016  # Python's own
FETCH='import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1] + "/api/v1/targets", timeout=10).read().decode())'
SHOW='
import json, sys
targets = json.load(sys.stdin)["data"]["activeTargets"]
for each in sorted(targets, key=lambda each: each["scrapePool"]):
    print(each["health"].ljust(8), each["scrapePool"].ljust(24), each["scrapeUrl"], each["lastError"])
sys.exit(not targets or any(each["health"] != "up" for each in targets))'

targets() {
  if [[ -n $url ]]; then
    python3 -c "$FETCH" "$url"
  else
    on_host "python3 -c '$FETCH' http://127.0.0.1:${STROKE_PORT_PROMETHEUS:-9090}"
  fi
}

if [[ -n $dry_run ]]; then
  echo "would ask ${url:-$host} for Prometheus' targets, for up to $within s"
  exit 0
fi
deadline=$((SECONDS + within))
until shown=$(targets 2>&1 | python3 -c "$SHOW" 2>&1); do
  if ((SECONDS >= deadline)); then
    tail -20 <<< "$shown" >&2
    fail "not every target is up after $within s (above)"
  fi
  sleep 2
done
echo "$shown"
