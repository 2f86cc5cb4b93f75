#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/ansible/configure.sh [--inventory FILE | --host ADDRESS] [--user NAME] [--settings FILE]
                                   [--dry-run] [ANSIBLE OPTION]...

Configure hosts for the stack: Docker, the service account, settings with secrets, systemd units,
backups, firewall, updates, node exporter. Running it again changes nothing that is as it should be.

  deploy/ansible/configure.sh                          the hosts of deploy/ansible/inventory.yml
  deploy/ansible/configure.sh --dry-run                say what would change
  deploy/ansible/configure.sh --host 192.0.2.7 --user admin -e stroke_ssh_networks=192.0.2.0/24

FILE holds further lines for the hosts' settings, as deploy/aws/deploy.sh outputs --env prints them.
Options that are not its own go to ansible-playbook. A list in -e NAME=... is separated by commas.
Secrets come from the environment (MYSQL_ROOT_PASSWORD, ...) or from AWS Secrets Manager
(stroke_secret_id): deploy/ansible/roles/settings/defaults/main.yml says which, and what else can be set.
A host's key must be known: ssh-keyscan is not trust; STROKE_KNOWN_HOSTS names another file for keys.
HELP
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fail() { echo "configure.sh: $*" >&2; exit 1; }
inventory=$here/inventory.yml host='' user=admin options=()
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --inventory) inventory=${2:?--inventory needs a file}; shift ;;
    --host) host=${2:?--host needs an address}; shift ;;
    --user) user=${2:?--user needs a name}; shift ;;
    --settings)
      [[ -r ${2:-} ]] || fail "--settings needs a file that can be read"
      options+=(-e "stroke_settings_file=$(readlink -f "$2")")
      shift
      ;;
    # Without secrets in what is shown: no --diff.
    --dry-run) options+=(--check) ;;
    *) options+=("$1") ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ -n $host ]]; then
  [[ $host =~ ^[A-Za-z0-9.:_-]+$ && $user =~ ^[a-z_][a-z0-9_-]*$ ]] || fail "not a host or a user: $host, $user"
  inventory=$work/inventory.yml
  printf 'stroke: {hosts: {"%s": {ansible_user: "%s"}}}\n' "$host" "$user" > "$inventory"
fi
[[ -r $inventory ]] || fail "$inventory is missing: copy inventory.example.yml, or name a --host"
"$here/../python/set-up.sh" infrastructure
if [[ -n ${STROKE_KNOWN_HOSTS:-} ]]; then
  export ANSIBLE_SSH_COMMON_ARGS="-o UserKnownHostsFile=$STROKE_KNOWN_HOSTS"
fi
export ANSIBLE_CONFIG=$here/ansible.cfg
"$here/../../.venv-infrastructure/bin/ansible-playbook" --inventory "$inventory" \
  ${options[@]+"${options[@]}"} "$here/site.yml"
