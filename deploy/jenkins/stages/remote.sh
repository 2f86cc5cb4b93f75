# shellcheck shell=bash
# What the stages share that reach a host by SSH. To be sourced; it runs nothing.
#
# The key comes from the agent (ssh-agent; in Jenkins the credential mlops-ssh-key) or is named by
# STROKE_SSH_KEY. The host's own key must be known: STROKE_KNOWN_HOSTS names another file of keys.

dry_run=${dry_run:-}
host='' user=${STROKE_SSH_USER:-admin}

fail() { echo "${me:-remote.sh}: $*" >&2; exit 1; }
run() { if [[ -n $dry_run ]]; then echo "would run: $*"; else "$@"; fi; }

argument() { # OPTION VALUE...
  [[ -n ${2:-} ]] || fail "$1 needs a value"
  echo "$2"
}

require_host() {
  [[ $host =~ ^[A-Za-z0-9][A-Za-z0-9.:-]*$ ]] || fail "which host? --host ADDRESS"
  [[ $user =~ ^[a-z_][a-z0-9_-]*$ ]] || fail "not a user: $user"
}

on_host() { # COMMAND; what is quoted in it is the caller's business
  ssh_to_host -n "$*"
}

into_host() { # COMMAND, which reads what comes in
  ssh_to_host "$*"
}

ssh_to_host() { # [OPTION] COMMAND
  local options=(-o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=yes)
  if [[ -n ${STROKE_KNOWN_HOSTS:-} ]]; then options+=(-o UserKnownHostsFile="$STROKE_KNOWN_HOSTS"); fi
  if [[ -n ${STROKE_SSH_KEY:-} ]]; then options+=(-i "$STROKE_SSH_KEY" -o IdentitiesOnly=yes); fi
  if [[ $1 == -n ]]; then options+=(-n); shift; fi
  if [[ -n $dry_run ]]; then
    echo "would run on $host: $1"
  else
    # shellcheck disable=SC2029  # expanded here, on purpose
    ssh "${options[@]}" "$user@$host" "$1"
  fi
}

# A command in one of the stack's containers.
in_stack() { # SERVICE COMMAND
  on_host sudo stroke-release compose exec -T "$@"
}
