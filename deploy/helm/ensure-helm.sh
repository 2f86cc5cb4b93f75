#!/bin/bash
set -euo pipefail

HELM=v3.22.0
KUBERNETES=1.37 # what this Helm is made for: k8s.io v0.37 in render/go.mod

usage() {
  cat << HELP
Usage: deploy/helm/ensure-helm.sh

Print the path of a program that renders and lints charts as Helm $HELM does: helm itself where the
one on PATH is of that version, else deploy/helm/render, which is Helm's own packages without what
talks to clusters. It is built once, from the hashed pins of render/go.sum, and kept by version in
\${XDG_CACHE_HOME:-~/.cache}/stroke. Building needs Go and the Go module proxy.

  "\$(deploy/helm/ensure-helm.sh)" template stroke deploy/helm/stroke --values my.yaml
HELP
}

fail() { echo "ensure-helm.sh: $*" >&2; exit 1; }

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac
if found=$(command -v helm) && [[ $("$found" version --template '{{.Version}}') == "$HELM" ]]; then
  echo "$found"
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$(cd "$here/render" && cat main.go go.mod go.sum ../ensure-helm.sh | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/stroke
program=$cache/helm-$HELM-$pins
mkdir -p "$cache"
exec 9> "$program.lock"
flock 9 # two test runs at once build it once
if [[ ! -x $program ]]; then
  command -v go > /dev/null ||
    fail "neither helm $HELM nor Go is here: install helm $HELM, or Go (render/go.mod says which)"
  echo "ensure-helm.sh: building Helm $HELM (once; takes minutes)" >&2
  # Without optimisations it is built in two thirds of the time.
  (cd "$here/render" && nice -n 19 go build -mod=readonly -buildvcs=false -trimpath \
    -gcflags='all=-N -l' -o "$program.partial" -ldflags="-s -w \
    -X helm.sh/helm/v3/internal/version.version=$HELM \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=${KUBERNETES%.*} \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=${KUBERNETES#*.} \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=${KUBERNETES%.*} \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=${KUBERNETES#*.}" . 9>&-) >&2 ||
    fail "Helm $HELM could not be built (above): is the Go module proxy reachable?"
  mv "$program.partial" "$program"
fi
echo "$program"
