#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/build.sh [--output FOLDER] [--dry-run]

Build the images of a release, those of them that changed, and write which they are into
FOLDER/images.env (build/release). Their tags are hashes of all that they are made of.

STROKE_RELEASE_PROFILES  the compose profiles that the host runs (none): their images are built, too
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
output=build/release dry_run=''
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --output) output=${2:?--output needs a folder}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
# Not what deploy/.env says, which is for this machine.
export COMPOSE_PROFILES=${STROKE_RELEASE_PROFILES:-none}
if [[ -n $dry_run ]]; then
  echo "would run: deploy/stack.sh images (profiles: $COMPOSE_PROFILES), into $output/images.env"
  exit 0
fi
mkdir -p "$output"
deploy/stack.sh images > "$output/images.env.partial"
mv "$output/images.env.partial" "$output/images.env"
cat "$output/images.env"
