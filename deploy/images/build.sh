#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/images/build.sh [--tag] NAME [TARGET]

Build the image of the folder deploy/images/NAME (up to the stage TARGET; without one up to the stage
NAME, or else the last) and print its tag, stroke-NAME[-TARGET]:HASH. HASH covers every file that the
build can see, so an unchanged image is not built again. Output of the build goes to stderr when it
fails.

  deploy/images/build.sh api
  docker run --rm -p 8000:8000 "$(deploy/images/build.sh api)"

A build removes older images of the same name. Three newest ones stay, and all that were asked for in
the last STROKE_IMAGE_HOURS hours (3): another checkout or a test run may be using them.

  --tag  print the tag that it has or would get, and build nothing

STROKE_BUILD_LOG names a file for the build's output while it goes on.
STROKE_BASE_IMAGE names another base image than the Debian of deploy/images/make-base.sh.
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') usage >&2; exit 2 ;;
esac
only_tag=
if [[ $1 == --tag ]]; then only_tag=yes; shift; fi
name=${1:?a name} target=${2:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[[ -f $here/$name/Dockerfile ]] || { echo "build.sh: no image is called $name" >&2; exit 2; }
docker version > /dev/null 2>&1 || {
  echo "build.sh: no Docker engine: run deploy/images/ensure-docker.sh" >&2
  exit 1
}

# An image that needs more than its folder lists the paths, from the root, in its file `inputs`.
context=$here/$name
inputs=(.)
if [[ -f $here/$name/inputs ]]; then
  context=$root
  mapfile -t inputs < "$here/$name/inputs"
  inputs+=("deploy/images/$name" .dockerignore)
fi
hash=$(cd "$context" && find "${inputs[@]}" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -zu |
  xargs -0 sha256sum | { cat; echo "$target ${STROKE_BASE_IMAGE:-}"; } | sha256sum | cut -c1-16)
tag=stroke-$name${target:+-$target}:$hash
if [[ -n $only_tag ]]; then echo "$tag"; exit 0; fi

exec 9> "${TMPDIR:-/tmp}/stroke-image-$name.lock"
flock 9 # two test runs at once build it once
if docker image inspect "$tag" > /dev/null 2>&1; then
  docker tag "$tag" "$tag" # notes the time: it was asked for
else
  suite=$(sed -n 's/^ARG BASE=debian:\([a-z]*\)-slim$/\1/p' "$here/$name/Dockerfile")
  base=${STROKE_BASE_IMAGE:-$("$here/make-base.sh" "$suite" "stroke-base:$suite")}
  log=${STROKE_BUILD_LOG:-}
  if [[ -z $log ]]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
  fi
  # Without BuildKit the engine builds every stage before the one that is wanted.
  stage=${target:-$(sed -n "s/^FROM .* AS \($name\)$/\1/p" "$here/$name/Dockerfile")}
  echo "build.sh: building $tag" >&2
  DOCKER_BUILDKIT=0 docker build --build-arg BASE="$base" ${stage:+--target "$stage"} \
    -f "$here/$name/Dockerfile" -t "$tag" "$context" > "$log" 2>&1 9>&- || {
    tail -40 "$log" >&2
    echo "build.sh: the image $name could not be built (see above)" >&2
    exit 1
  }
  # Not by the age of the image alone: one that was built from cached layers is as old as those.
  since=$(date -u -d "${STROKE_IMAGE_HOURS:-3} hours ago" +%Y-%m-%dT%H:%M:%S.%N 2> /dev/null) || since=
  docker images "${tag%:*}" --format '{{.Repository}}:{{.Tag}}' | grep -vxF "$tag" | tail -n +3 |
    while read -r older; do
      asked=$(docker image inspect -f '{{json .Metadata.LastTagTime}}' "$older" 2> /dev/null) || continue
      if [[ $asked < \"$since ]]; then docker rmi "$older" > /dev/null 2>&1 || true; fi
    done || true
fi
echo "$tag"
