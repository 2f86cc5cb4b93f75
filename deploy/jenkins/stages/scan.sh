#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/scan.sh [--only PART]... [--images FILE] [--dry-run]

Look for what must not be released. Every part that finds something is shown; the exit code is 1 then.
(What bandit looks for in Python code is a part of `make check`: ruff's rules S.)

  dockerfiles   hadolint: mistakes in deploy/images/*/Dockerfile
  secrets       detect-secrets: keys and passwords in any file that git tracks
  dependencies  pip-audit: known vulnerabilities of the pinned packages (needs the index that lists them)
  images        known vulnerabilities in the images that FILE names (build/release/images.env): trivy,
                which must be installed; high and critical ones that have a fix

  deploy/jenkins/stages/scan.sh --only dockerfiles --only secrets      needs no network
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
parts=() images=build/release/images.env dry_run=''
fail() { echo "scan.sh: $*" >&2; exit 1; }
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --only) parts+=("${2:?--only needs a part}"); shift ;;
    --images) images=${2:?--images needs a file}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if ((${#parts[@]} == 0)); then parts=(dockerfiles secrets dependencies images); fi
tools=.venv-infrastructure/bin

scan_dockerfiles() {
  # Versions of Debian's packages are the base image's: pinned by its date, not one by one (DL3008).
  # The base is a parameter (DL3006), and what is `cd` there is one line long (DL3003).
  "$tools/hadolint" --no-color --failure-threshold warning --ignore DL3008 --ignore DL3006 --ignore DL3003 deploy/images/*/Dockerfile
}

scan_secrets() {
  deploy/python/scan-secrets.sh "$tools"
}

scan_dependencies() {
  local list
  for list in app pipeline; do
    .venv/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
      -r "requirements/$list.txt"
  done
}

scan_images() {
  command -v trivy > /dev/null || fail "trivy is missing: install it on the agent (deploy/jenkins/README.md)"
  [[ -r $images ]] || fail "$images is missing: deploy/jenkins/stages/build.sh writes it"
  local image
  while IFS= read -r image; do
    trivy image --quiet --exit-code 1 --severity HIGH,CRITICAL --ignore-unfixed "$image"
  done < <(sed -n 's/^[A-Z0-9_]*_IMAGE=//p' "$images" | sort -u)
}

if [[ -n $dry_run ]]; then echo "would scan: ${parts[*]}"; exit 0; fi
deploy/python/set-up.sh infrastructure
bad=()
for part in "${parts[@]}"; do
  declare -F "scan_$part" > /dev/null || fail "there is no part $part"
  # In a shell of its own: set -e holds there, and the other parts are run, too.
  set +e
  (set -e; "scan_$part")
  code=$?
  set -e
  if ((code)); then bad+=("$part"); else echo "scan.sh: $part: nothing found"; fi
done
if ((${#bad[@]})); then fail "to be looked at: ${bad[*]} (above)"; fi
