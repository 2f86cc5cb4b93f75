#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/python/set-up.sh app|train|pipeline|analytics|spark|dev
       deploy/python/set-up.sh infrastructure|checkov|evidently

Make .venv with the hashed pins of requirements/{app,train,pipeline,analytics,spark,dev}.txt and
stroke itself (editable): the service; what trains models; what runs the change-data pipeline; what
makes the tables of analyses; the same on Spark; all but Spark, and its tests. What configures hosts
(infrastructure), and tools with pins of their own for the same packages (checkov, evidently), go
into .venv-infrastructure and so on, without stroke itself.
Does nothing when they are installed already; a .venv that was interrupted, or moved, is made anew.

STROKE_PYTHON names the interpreter (default: the first Python from 3.11 on that is found).
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  app | train | pipeline | analytics | spark | dev) pins=$1 venv=.venv ;;
  infrastructure | checkov | evidently) pins=$1 venv=.venv-$1 ;;
  *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
home=$venv/.stroke-home       # where it was made: its scripts name this folder
unfinished=$venv/.stroke-unfinished
fail() { echo "stroke: $*" >&2; exit 1; }

is_at_least() { # PYTHON MINOR
  "$1" -c "import sys; sys.exit(sys.version_info < (3, $2))" > /dev/null 2>&1
}

find_python() {
  local candidate
  if [[ -n ${STROKE_PYTHON:-} ]]; then
    is_at_least "$STROKE_PYTHON" 11 || fail "STROKE_PYTHON is not a Python >= 3.11"
    echo "$STROKE_PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    if is_at_least "$candidate" 11; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python >= 3.11 found: install one (apt install python3 python3-venv) or set STROKE_PYTHON"
}

make_venv() {
  local python
  python=$(find_python)
  "$python" -c 'import venv, ensurepip' 2> /dev/null ||
    fail "Python's venv module is missing: apt install python3-venv"
  mkdir -p "$venv"
  touch "$unfinished"
  "$python" -m venv --clear "$venv" > /dev/null || fail "could not make $root/$venv"
  touch "$unfinished" # --clear took it away
}

# What is installed is told by a hash of all that decides it.
wanted() { # PINS
  { cat "requirements/$1.txt" pyproject.toml; "$venv/bin/python" --version; } | cksum
}

is_installed() {
  [[ -f $venv/.stroke-$pins && $(< "$venv/.stroke-$pins") == "$(wanted "$pins")" ]]
}

[[ -w . ]] || fail "cannot write to $root: use a folder of your own, or change its permissions"
if command -v flock > /dev/null; then
  exec 9< requirements/app.txt
  flock 9 # ./run.sh and ./test.sh at once: the second waits, and finds it done
fi
if [[ -e $unfinished || (-e $home && $(< "$home") != "$root") ]] ||
  [[ ! -e $venv/bin/pip ]] || ! "$venv/bin/python" -c '' > /dev/null 2>&1; then
  make_venv
elif is_installed; then
  exit 0
fi

trap 'echo "stroke: interrupted; run it again to start over" >&2; exit 130' INT TERM
echo "stroke: installing requirements/$pins.txt into $venv (once; takes a minute)" >&2
touch "$unfinished"
echo "$root" > "$home"
rm -f "$venv"/.stroke-{app,train,pipeline,analytics,spark,dev,infrastructure,checkov,evidently}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# uv takes seconds for what pip takes minutes. It knows pip's index, but not all that pip may be set
# to: what it cannot install pip is asked for.
pip install --require-hashes -r requirements/uv.txt 2> /dev/null || true
index=$(pip config list | sed -n "s/^[^=]*\.index-url='\(.*\)'$/\1/p" | tail -1)
if [[ -n $index ]]; then export UV_DEFAULT_INDEX=$index; fi
install() {
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" "$@" 2> /dev/null || pip install "$@"
}

build=()
if [[ $pins == spark ]]; then # pyspark comes as sources, which the pinned setuptools makes a wheel of
  pip install --require-hashes \
    -r <(awk '/^[a-z]/ { wanted = /^setuptools==/ } wanted' "requirements/$pins.txt") ||
    fail "setuptools could not be installed: is the package index reachable? Then run it again"
  build=(--no-build-isolation)
fi
install ${build[@]+"${build[@]}"} --require-hashes -r "requirements/$pins.txt" ||
  fail "the packages could not be installed: is the package index reachable? Then run it again"
if [[ $venv == .venv ]]; then
  install --no-deps --no-build-isolation -e . || fail "stroke itself could not be installed"
fi
# Every list of pins holds the app's, and that of dev holds all.
held=("$pins")
if [[ $venv == .venv ]]; then held+=(app); fi
if [[ $pins == spark ]]; then held=(app analytics spark); fi
if [[ $pins == dev ]]; then held=(app train pipeline analytics dev); fi
for list in "${held[@]}"; do wanted "$list" > "$venv/.stroke-$list"; done
rm -f "$unfinished"
