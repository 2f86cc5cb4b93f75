# shellcheck shell=bash
# Where backups are kept: a folder, or S3 through the aws command. To be sourced; it runs nothing.

fail() { echo "${me:-store.sh}: $*" >&2; exit 1; }

argument() { # OPTION VALUE...
  [[ -n ${2:-} ]] || fail "$1 needs a value"
  echo "$2"
}

env_file=
default_env_file() {
  local file
  for file in /etc/stroke/stroke.env "${here:?}/../.env"; do
    if [[ -r $file ]]; then echo "$file"; return; fi
  done
}

read_settings() {
  if [[ -n $env_file && ! -r $env_file ]]; then fail "$env_file cannot be read"; fi
  env_file=${env_file:-$(default_env_file)}
}

# From the environment, else from the file. The file is data: nothing in it is run.
setting() { # NAME DEFAULT
  local value=${!1:-}
  if [[ -z $value && -n $env_file ]]; then
    value=$(sed -n "s/^$1=//p" "$env_file" | tail -1)
    if [[ $value == \'*\' ]]; then value=${value:1:-1}; fi
  fi
  echo "${value:-$2}"
}

choose_target() {
  target=$(setting STROKE_BACKUP_TARGET '')
  local bucket
  bucket=$(setting S3_BUCKET '')
  if [[ -z $target && -n $bucket ]]; then target=s3://$bucket/backups/mysql; fi
  target=${target%/}
  case $target in
    s3://*) command -v aws > /dev/null || fail "the aws command is missing: apt install awscli" ;;
    /*) [[ -d $target && -w $target ]] || fail "$target is no folder that can be written" ;;
    *) fail "no target: --target s3://BUCKET/PREFIX or a folder's whole path" ;;
  esac
}

# The project of the stack whose containers these scripts look for.
project() { setting COMPOSE_PROJECT_NAME stroke; }

container_of() { # SERVICE [OPTION]; prints nothing where there is none
  docker ps "${@:2}" -q --filter "label=com.docker.compose.service=$1" \
    --filter "label=com.docker.compose.project=$(project)" \
    --filter "label=com.docker.compose.oneoff=False" | head -1
}

# The S3 as this host reaches it. STROKE_LAKE_ENDPOINT may name a container of the stack, which only
# containers find: this host reaches the port that it publishes.
endpoint_here() {
  local named published inside
  named=$(setting STROKE_BACKUP_ENDPOINT '')
  if [[ -n $named ]]; then echo "$named"; return; fi
  named=$(setting STROKE_LAKE_ENDPOINT '')
  if [[ $named =~ ^(https?)://([A-Za-z0-9_-]+):([0-9]+)/?$ ]]; then
    inside=$(container_of "${BASH_REMATCH[2]}" 2> /dev/null || true)
    if [[ -n $inside ]]; then
      published=$(docker port "$inside" "${BASH_REMATCH[3]}/tcp" 2> /dev/null | head -1 || true)
      if [[ -n $published ]]; then named=${BASH_REMATCH[1]}://${published/0.0.0.0/127.0.0.1}; fi
    fi
  fi
  echo "$named"
}

aws_() {
  local options=() endpoint name value
  endpoint=$(endpoint_here)
  if [[ -n $endpoint ]]; then options+=(--endpoint-url "$endpoint"); fi
  (
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do # without them: the instance's role
      value=$(setting $name '')
      if [[ -n $value ]]; then export "$name=$value"; fi
    done
    AWS_DEFAULT_REGION=$(setting AWS_REGION us-east-1)
    export AWS_DEFAULT_REGION AWS_PAGER=
    if [[ -n $endpoint ]]; then # not every S3 takes the checksums that AWS's wants since 2025
      export AWS_REQUEST_CHECKSUM_CALCULATION=when_required
      export AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
    fi
    if [[ $(setting STROKE_LAKE_PATH_STYLE false) == true ]]; then
      printf '[default]\ns3 =\n  addressing_style = path\n' > "${work:?}/aws-config"
      export AWS_CONFIG_FILE=$work/aws-config
    fi
    aws "${options[@]}" "$@"
  )
}

store_put() { # FILE
  case $target in
    s3://*)
      local sse=(--sse "$(setting STROKE_BACKUP_SSE AES256)") key
      key=$(setting STROKE_BACKUP_KMS_KEY '')
      if [[ -n $key ]]; then sse+=(--sse-kms-key-id "$key"); fi
      aws_ s3 cp --only-show-errors "${sse[@]}" "$1" "$target/${1##*/}" ||
        fail "${1##*/} could not be stored in $target"
      ;;
    *)
      # Under its name only when all of it is on the disk.
      cp "$1" "$target/.${1##*/}.partial"
      sync "$target/.${1##*/}.partial"
      mv "$target/.${1##*/}.partial" "$target/${1##*/}"
      ;;
  esac
}

store_get() { # NAME FILE
  case $target in
    s3://*) aws_ s3 cp --only-show-errors "$target/$1" "$2" ;;
    *) cp "$target/$1" "$2" ;;
  esac || fail "there is no $target/$1"
}

store_remove() { # NAME
  case $target in
    s3://*) aws_ s3 rm --only-show-errors "$target/$1" ;;
    *) rm -f "${target:?}/$1" ;;
  esac || fail "$target/$1 could not be removed"
}

# The names of whole backups, newest first.
store_names() {
  local listed
  case $target in
    s3://*)
      listed=$(aws_ s3 ls "$target/" 2> "${work:?}/listing") || {
        # An empty prefix is an error, too, but says nothing.
        [[ ! -s $work/listing ]] || { cat "$work/listing" >&2; fail "$target cannot be listed"; }
      }
      ;;
    *) listed=$(ls -1 "$target") ;;
  esac
  sed -nE 's/.*(stroke-mysql-[0-9]{8}T[0-9]{6}Z)\.json$/\1/p' <<< "$listed" | LC_ALL=C sort -r
}

mysql_container() {
  local named found
  named=$(setting STROKE_BACKUP_CONTAINER '')
  if [[ -z $named ]]; then
    found=$(container_of mysql)
    [[ -n $found ]] || fail "the stack's MySQL does not run: start it, or name a container (--container)"
    named=$found
  fi
  docker inspect "$named" > /dev/null 2>&1 || fail "there is no container $named"
  echo "$named"
}

first_bytes() { # COUNT DUMP
  { zcat "$2" 2> /dev/null || true; } | head -c "$1" # zcat minds that nobody reads on
}

# A command in MySQL's container, as root. The password is the container's own, and stays in it.
in_mysql() { # PROGRAM ARGUMENT...
  # shellcheck disable=SC2016  # the container's variables
  docker exec -i "${container:?}" sh -c \
    'MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-$(cat "$MYSQL_ROOT_PASSWORD_FILE")} exec "$0" -uroot "$@"' "$@"
}
