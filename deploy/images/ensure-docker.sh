#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/images/ensure-docker.sh

Make sure that a Docker engine answers and that `docker compose` is version 2. Where they do not, and
this is Debian (or Ubuntu) and you are root, install the distribution's and start the engine, with
systemd or without. Says nothing when all is well; one line says what is missing otherwise.

DOCKER_DATA_ROOT  where an engine that this script starts keeps its data
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') ;;
  *) usage >&2; exit 2 ;;
esac

answers() { docker version > /dev/null 2>&1; }
PLUGINS=/usr/local/lib/docker/cli-plugins
composes() { docker compose version > /dev/null 2>&1; }
fail() { echo "ensure-docker.sh: $*" >&2; exit 1; }

if answers && composes; then exit 0; fi
if [[ $(id -u) != 0 ]]; then
  if answers; then fail "docker compose is missing: install it (as root: apt install docker-compose)"; fi
  if command -v docker > /dev/null; then
    fail "the Docker engine does not answer: start it, or join its group (usermod -aG docker $USER)"
  fi
  fail "no Docker engine, and not root: install one (as root: apt install docker.io)"
fi
command -v apt-get > /dev/null || fail "no Docker engine, and no apt-get: install one by hand"

exec 9> /run/ensure-docker.lock
flock 9 # two runs at once install it once
log=$(mktemp)
trap 'rm -f "$log" ${no_start:+/usr/sbin/policy-rc.d}' EXIT

install_packages() {
  local packages=() package
  command -v dockerd > /dev/null || packages+=(docker.io)
  command -v iptables > /dev/null || packages+=(iptables)
  command -v docker > /dev/null || packages+=(docker-cli) # apart from docker.io since trixie
  if ((${#packages[@]} == 0)); then return; fi
  echo "ensure-docker.sh: installing ${packages[*]}" >&2
  if [[ ! -d /run/systemd/system && ! -e /usr/sbin/policy-rc.d ]]; then
    no_start=yes # without an init system the package's attempt to start it would fail
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get update -qq > "$log" 2>&1 || { tail -3 "$log" >&2; fail "apt-get update failed (above)"; }
  for package in "${packages[@]}"; do
    if [[ $package == docker-cli ]] && ! apt-cache show docker-cli > /dev/null 2>&1; then continue; fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" \
      > "$log" 2>&1 || { tail -5 "$log" >&2; fail "$package could not be installed (above)"; }
  done
}

start_by_hand() {
  local arguments=() device mtu
  mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup 2> /dev/null || true
  if [[ -n ${DOCKER_DATA_ROOT:-} ]]; then arguments+=(--data-root "$DOCKER_DATA_ROOT"); fi
  # A container's packets must not be larger than what the machine's own link carries.
  device=$(ip -o route show default 2> /dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -1)
  mtu=$(cat "/sys/class/net/${device:-none}/mtu" 2> /dev/null || echo 1500)
  if ((mtu < 1500)); then arguments+=(--mtu "$mtu"); fi
  if [[ -e /var/run/docker.pid ]] && ! kill -0 "$(< /var/run/docker.pid)" 2> /dev/null; then
    rm -f /var/run/docker.pid # of an engine that was killed
  fi
  setsid nohup dockerd ${arguments[@]+"${arguments[@]}"} >> /var/log/dockerd.log 2>&1 < /dev/null 9>&- &
}

# Version 2 is a plug-in of the command line. Debian has it since trixie; what it builds on is older.
install_compose() {
  echo "ensure-docker.sh: installing docker compose" >&2
  apt-get update -qq > "$log" 2>&1 || { tail -3 "$log" >&2; fail "apt-get update failed (above)"; }
  local offered work mirror apt
  offered=$(apt-cache policy docker-compose | awk '/Candidate/ { print $2 }')
  if [[ -n $offered && $offered != "(none)" && $offered != 1.* ]]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose \
      > "$log" 2>&1 || { tail -5 "$log" >&2; fail "docker-compose could not be installed (above)"; }
    return
  fi
  # From the same mirror's trixie, into lists of its own: the machine's sources stay as they are.
  # shellcheck disable=SC2016  # apt's own placeholder
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -E '/debian/?$' | head -1)
  [[ -n $mirror ]] || fail "docker compose is missing, and no Debian mirror is configured"
  work=$(mktemp -d)
  mkdir -p "$work"/{lists/partial,cache/archives/partial,parts}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" \
    > "$work/parts/trixie.list"
  apt=(apt-get -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache"
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts"
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  { "${apt[@]}" update -qq && (cd "$work" && "${apt[@]}" download -qq docker-compose) &&
    dpkg -x "$work"/docker-compose_*.deb "$work/x"; } > "$log" 2>&1 ||
    { tail -5 "$log" >&2; fail "docker-compose could not be fetched (above)"; }
  install -d "$PLUGINS"
  install -m 755 "$work/x/usr/libexec/docker/cli-plugins/docker-compose" "$PLUGINS/"
  rm -rf "$work"
}

if ! answers; then install_packages; fi
if ! composes; then install_compose; fi
composes || fail "docker compose does not run, although it is installed"
if ! answers; then
  if [[ -d /run/systemd/system ]]; then systemctl start docker || true; else start_by_hand; fi
  for _ in {1..120}; do
    if answers; then exit 0; fi
    sleep 0.5
  done
  tail -3 /var/log/dockerd.log >&2 2> /dev/null || true
  fail "the Docker engine does not start (see /var/log/dockerd.log or journalctl -u docker)"
fi
