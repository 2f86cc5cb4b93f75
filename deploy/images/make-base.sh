#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/images/make-base.sh SUITE TAG

Make the local base image TAG of the Debian release SUITE (trixie, sid), if it is not there, and
print TAG: the official debian:SUITE-slim where it can be pulled, else one made of Debian's packages
from this machine's mirror (needs mmdebstrap; as root it is installed).

A machine's own certificate authorities (/usr/local/share/ca-certificates) and proxy settings go
into TAG, which stays on this machine, so that no Dockerfile has to know of them.
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
[[ $# == 2 ]] || { usage >&2; exit 2; }
suite=$1 tag=$2
fail() { echo "make-base.sh: $*" >&2; exit 1; }

exec 9> "${TMPDIR:-/tmp}/stroke-base-$suite.lock"
flock 9
if docker image inspect "$tag" > /dev/null 2>&1; then
  echo "$tag"
  exit 0
fi

shopt -s nullglob
authorities=(/usr/local/share/ca-certificates/*.crt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What tools with their own list of authorities must be told, and how to get out.
environment() {
  local name bundle=/etc/ssl/certs/ca-certificates.crt
  if ((${#authorities[@]})); then
    for name in SSL_CERT_FILE REQUESTS_CA_BUNDLE PIP_CERT CURL_CA_BUNDLE; do
      echo "ENV $name=$bundle"
    done
  fi
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [[ -n ${!name:-} ]]; then echo "ENV $name=${!name}"; fi
  done
}

from_official() { # IMAGE
  {
    echo "FROM $1"
    environment
    if ((${#authorities[@]})); then
      echo "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ca-certificates > /dev/null && rm -rf /var/lib/apt/lists/*"
      echo "COPY *.crt /usr/local/share/ca-certificates/"
      echo "RUN update-ca-certificates > /dev/null"
      cp "${authorities[@]}" "$work"
    fi
  } > "$work/Dockerfile"
  DOCKER_BUILDKIT=0 docker build -q -t "$tag" "$work" > "$work/log" 2>&1 9>&- || {
    tail -20 "$work/log" >&2
    fail "the base image could not be made from $1"
  }
}

# shellcheck disable=SC2016  # the hooks' $1 is mmdebstrap's
from_packages() {
  if ! command -v mmdebstrap > /dev/null; then
    if ! command -v apt-get > /dev/null || [[ $(id -u) != 0 ]]; then
      fail "debian:$suite-slim cannot be pulled, and mmdebstrap is missing: apt install mmdebstrap"
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends mmdebstrap; } > "$work/log" 2>&1 ||
      { tail -5 "$work/log" >&2; fail "mmdebstrap could not be installed"; }
  fi
  # No man pages, documents or translations, as in the official slim image; the empty man1 is for
  # packages whose alternatives point there (openjdk).
  local options=(--quiet --variant=minbase --include=ca-certificates
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*'
    --dpkgopt='path-include=/usr/share/doc/*/copyright'
    --dpkgopt='path-exclude=/usr/share/locale/*'
    --customize-hook='mkdir -p "$1/usr/share/man/man1"')
  # A mirror may keep a copy of the rolling suite for longer than its signature says. The option
  # stays in the image, for the Dockerfiles that install from there.
  if [[ $suite == sid ]]; then options+=(--aptopt='Acquire::Check-Valid-Until "false"'); fi
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if [[ -r $keyring ]]; then options+=(--keyring="$keyring"); fi
  if ((${#authorities[@]})); then
    options+=(--customize-hook='mkdir -p "$1/usr/local/share/ca-certificates"'
      --customize-hook='cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/"'
      --customize-hook='chroot "$1" update-ca-certificates > /dev/null 2>&1')
  fi
  local changes=(-c 'CMD ["bash"]') line
  while IFS= read -r line; do changes+=(-c "$line"); done < <(environment)
  mmdebstrap "${options[@]}" "$suite" "$work/root.tar" > "$work/log" 2>&1 ||
    { tail -5 "$work/log" >&2; fail "Debian $suite could not be assembled from packages"; }
  docker import "${changes[@]}" "$work/root.tar" "$tag" > /dev/null
}

official=debian:$suite-slim
echo "make-base.sh: making $tag" >&2
if docker image inspect "$official" > /dev/null 2>&1 ||
  timeout 300 docker pull -q "$official" > /dev/null 2>&1; then
  from_official "$official"
else
  from_packages
fi
echo "$tag"
