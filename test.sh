#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: ./test.sh [--only-check | --soak [AREA]...] [PYTEST ARGUMENT]...

Install what the tests need (development pins into .venv; a Docker engine and `docker compose` where
they are missing and can be installed), check the code (ruff, mypy, import contracts, secrets) and run the gate:
the tests that every change must pass, in half an hour. The soak adds what takes longer: recoveries
from faults, a second platform, whole hosts, large sizes.

  ./test.sh                       the gate, as CI runs it
  ./test.sh tests/unit            the fast tests only (needs no Docker engine)
  ./test.sh --soak                everything: the gate and the soak
  ./test.sh --soak pipeline spark everything in these areas (CONTRIBUTING.md says which to run when)
  ./test.sh -k group_commit       pytest's own options
  ./test.sh -n 0 -x               one test after the other (the gate has three workers otherwise)
  ./test.sh --only-check          the code checks only (= make check)

Areas: unit, service, models, pipeline, analyses, spark, deploy.
The run ends with a table of seconds per module, and keeps it in build/test-report.
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")"
only_check=
soak=()
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  --only-check) only_check=yes; shift ;;
  --soak)
    shift
    areas=
    while [[ ${1:-} =~ ^[a-z]+$ ]]; do areas+=${areas:+,}$1; shift; done
    soak=("--soak=${areas:-all}")
    ;;
  --soak=*) soak=("$1"); shift ;;
esac

check() {
  local bin=.venv/bin types failed=
  "$bin/ruff" check --quiet
  "$bin/ruff" format --check --quiet || {
    echo "test.sh: not formatted: make fmt" >&2
    return 1
  }
  "$bin/mypy" --no-error-summary & # takes longest, on one core
  types=$!
  "$bin/lint-imports" > .venv/lint-imports.log || { cat .venv/lint-imports.log >&2; failed=yes; }
  deploy/python/scan-secrets.sh || failed=yes
  if command -v shellcheck > /dev/null; then
    git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --external-sources || failed=yes
  fi
  wait "$types" || failed=yes
  [[ -z $failed ]]
}

# Only tests/unit does without real components.
needs_engine() {
  local argument paths=0
  for argument in "$@"; do
    case $argument in
      tests/unit*) paths=1 ;;
      tests | tests/*) return 0 ;;
    esac
  done
  ((paths == 0))
}

# shellcheck disable=SC2317  # called by the trap
remove_containers() { # left by a pytest that was killed; otherwise there are none
  local mine="label=stroke.test-run=$STROKE_TEST_RUN" left
  left=$(docker ps -aq --filter "$mine" 2> /dev/null) || return 0
  [[ -z $left ]] || xargs docker rm -fv <<< "$left" > /dev/null
  docker network ls -q --filter "$mine" | xargs -r docker network rm > /dev/null
  docker volume ls -q --filter "$mine" | xargs -r docker volume rm > /dev/null
}

# Some machines set it. Each of the hundreds of processes that tests start would compile anew all
# that it imports, which takes longer than the rest of its start.
unset PYTHONDONTWRITEBYTECODE
deploy/python/set-up.sh dev
check
if [[ -n $only_check ]]; then exit 0; fi
if needs_engine "$@"; then
  deploy/images/ensure-docker.sh || {
    echo "test.sh: tests/integration needs a Docker engine (above); ./test.sh tests/unit does not" >&2
    exit 1
  }
fi

export STROKE_TEST_RUN=$$-$RANDOM
trap remove_containers EXIT
status=0
# While the tests of the platform wait for it, the others run (tests/runner/workers.py). Modules of
# the soak have platforms of their own, and a third worker would start a third one.
workers=3
if ((${#soak[@]} > 0)) || [[ $* == *tests/* ]]; then workers=2; fi
.venv/bin/pytest --numprocesses "$workers" "${soak[@]}" "$@" || status=$?
exit "$status"
