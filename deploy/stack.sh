#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/stack.sh COMMAND [OPTION]...

`docker compose` on deploy/compose.yaml, with images that are here already or can be made here:
the Debian base is pulled or assembled (deploy/images/make-base.sh), and MySQL is the official image
or, where that cannot be pulled, its stand-in. Other commands go to `docker compose` as they are.

  deploy/stack.sh up            build what changed, start, wait until all is healthy. Where an image cannot
                                be had, all the rest starts, and the exit code is 1
  deploy/stack.sh down          stop and remove the containers of all profiles; data stay in volumes
  deploy/stack.sh logs          follow the logs
  deploy/stack.sh ps
  deploy/stack.sh images        build what changed; print which image each part runs
  deploy/stack.sh pin           write the digests of the images that are pulled into deploy/.env
  deploy/stack.sh mysql         MySQL's client, as root; what follows goes to it (-e 'SHOW PROCESSLIST')
  deploy/stack.sh key           print the API's first key, with which everything can be done
  deploy/stack.sh doctor        examine it end to end (`stroke doctor`, whose options it takes)
  deploy/stack.sh run --rm --no-deps api db status
  deploy/stack.sh exec connectors stroke connectors status

STROKE_BUILD_JOBS  how many images are built side by side (4)
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') usage >&2; exit 2 ;;
esac
command=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
"$here/images/ensure-docker.sh"
"$here/make-env.sh"
COMPOSE=(docker compose -f "$here/compose.yaml")

# From deploy/.env, unless the environment says otherwise.
setting() {
  local name=$1 value=${!1:-}
  if [[ -z $value && -e .env ]]; then value=$(sed -n "s/^$name=//p" .env | tail -1); fi
  echo "$value"
}

is_here() { docker image inspect "$1" > /dev/null 2>&1; }
tell() { echo "stack.sh: $*" >&2; }

# Of an image that is pulled: whether it is here in the end. One line of the registry's says why not.
not_built=
why_not=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$why_not" "$work"' EXIT
is_had() { # IMAGE
  if is_here "$1"; then return; fi
  tell "pulling $1"
  timeout 300 docker pull -q "$1" > /dev/null 2> "$why_not"
}

active_services() { docker compose -f "$here/compose.yaml" config --services; }
all_services() { docker compose --profile '*' -f "$here/compose.yaml" config --services; }

# What is built here: the setting that names the image, its folder, its stage, and a service that runs it.
BUILT=(
  "STROKE_KAFKA_IMAGE kafka - kafka"
  "STROKE_REGISTRY_IMAGE schema-registry - schema-registry"
  "STROKE_API_IMAGE api - api"
  "STROKE_PIPELINE_IMAGE api pipeline connectors"
  "STROKE_S3_IMAGE moto - s3"
  "STROKE_POSTGRESQL_IMAGE postgresql - sql-sink"
  "STROKE_SPARK_IMAGE spark - spark-master"
  "STROKE_PYSPARK_IMAGE spark pyspark jupyter"
  "STROKE_PROMETHEUS_IMAGE prometheus - prometheus"
  "STROKE_EDGE_IMAGE edge - edge"
)

# Images of one folder share their first stages, so they are built one after the other.
build_folder() { # FOLDER LINE...
  local folder=$1 line name stage
  shift
  for line in "$@"; do
    read -r name _ stage _ <<< "$line"
    [[ $stage != - ]] || stage=
    if STROKE_BUILD_LOG=$work/$folder.log images/build.sh "$folder" ${stage:+"$stage"} \
      > "$work/$name.tag" 2> "$work/$name.said"; then continue; fi
    mv "$work/$name.tag" "$work/$name.failed"
  done
}

# Each step that a build has reached since we last looked.
show_progress() {
  local log folder step
  for log in "$work"/*.log; do
    [[ -e $log ]] || continue
    folder=${log##*/}
    folder=${folder%.log}
    step=$(grep -aoE '^Step [0-9]+/[0-9]+ : .{0,60}' "$log" | tail -1) || continue
    if [[ $step != "${reached[$folder]:-}" ]]; then
      reached[$folder]=$step
      tell "$folder: ${step#Step } ($((SECONDS / 60)) min $((SECONDS % 60)) s)"
    fi
  done
}

build_images() { # LINE...: of BUILT; sets what could be built
  local line name folder stage tag waiting=() jobs=${STROKE_BUILD_JOBS:-4} started
  declare -A lines=() reached=()
  for line in "$@"; do
    read -r name folder stage _ <<< "$line"
    [[ $stage != - ]] || stage=
    tag=$(images/build.sh --tag "$folder" ${stage:+"$stage"})
    is_here "$tag" || waiting+=("$folder${stage:+ ($stage)}")
    lines[$folder]+="$line"$'\n'
  done
  if ((${#waiting[@]})); then
    tell "to be built: $(printf '%s, ' "${waiting[@]}" | sed 's/, $//'); up to $jobs at a time. The first time" \
      "takes a quarter of an hour on two cores, later ones what changed"
  fi
  for folder in "${!lines[@]}"; do
    while started=$(jobs -rp | wc -l) && ((started >= jobs)); do sleep 1; show_progress; done
    mapfile -t group <<< "${lines[$folder]%$'\n'}"
    build_folder "$folder" "${group[@]}" &
  done
  while [[ -n $(jobs -rp) ]]; do sleep 1; if ((SECONDS % 5 == 0)); then show_progress; fi; done
  wait
  for line in "$@"; do
    read -r name folder _ <<< "$line"
    if [[ -s $work/$name.tag ]]; then
      export "$name=$(< "$work/$name.tag")"
    else
      cat "$work/$name.said" >&2
      # A name that no image has: the service is left out below.
      export "$name=not-built/$folder"
      not_built=yes
    fi
  done
  if [[ -n $not_built && $command != up ]]; then exit 1; fi
}

# One hash, one image: unchanged parts are not built again.
choose_images() {
  local mysql line name folder stage service wanted=() services
  services=$(active_services)
  mysql=$(setting STROKE_MYSQL_IMAGE)
  if ! is_had "${mysql:=mysql:9.7}"; then
    tell "$mysql cannot be pulled: using the stand-in"
    mysql=$(images/build.sh mysql-standin)
  fi
  export STROKE_MYSQL_IMAGE=$mysql
  for line in "${BUILT[@]}"; do
    read -r name folder stage service <<< "$line"
    grep -qxF "$service" <<< "$services" || continue
    # Prometheus may be another one than ours.
    if [[ $name == STROKE_PROMETHEUS_IMAGE && -n $(setting "$name") ]]; then
      export "$name=$(setting "$name")"
      continue
    fi
    wanted+=("$line")
  done
  build_images "${wanted[@]}"
}

# Services whose image is not here, and cannot be had, do not start, nor does what needs them. All others
# do: left-out.yaml takes the former out of every profile.
leave_out_what_cannot_start() {
  local service image needs
  docker compose -f "$here/compose.yaml" config --format json > "$work/config.json"
  : > "$work/missing"
  while read -r service image; do
    if is_had "$image"; then continue; fi
    echo "$service" >> "$work/missing"
    if [[ $image == not-built/* ]]; then
      tell "$service does not start: its image could not be built (above). Mend the cause, which is often" \
        "a network that is away, then run deploy/stack.sh up again"
    else
      tell "$service does not start: its image $image is not here and cannot be pulled:" \
        "$(tail -1 "$why_not")"
      tell "  reach a registry and run deploy/stack.sh up again; or carry the image here (docker save," \
        "docker load); or name another with STROKE_$(tr 'a-z-' 'A-Z_' <<< "$service")_IMAGE in deploy/.env"
    fi
  done < <(python3 -c '
import json, sys
for name, service in json.load(open(sys.argv[1]))["services"].items():
    print(name, service["image"])' "$work/config.json")
  [[ -s $work/missing ]] || return 0
  python3 -c '
import json, sys
services = json.load(open(sys.argv[1]))["services"]
missing = set(open(sys.argv[2]).read().split())
while True:
    held_up = {
        name: need
        for name, service in services.items() if name not in missing
        for need, how in (service.get("depends_on") or {}).items()
        if how.get("required", True) and need in missing
    }
    if not held_up:
        break
    for name, need in sorted(held_up.items()):
        print(f"stack.sh: {name} does not start: it needs {need}", file=sys.stderr)
    missing |= held_up.keys()
print("services:")
for name in sorted(missing):
    print(f"  {name}: {{profiles: !override [cannot-start]}}")' \
    "$work/config.json" "$work/missing" > "$work/left-out.yaml"
  COMPOSE+=(-f "$work/left-out.yaml")
}

# Of a profile that was taken out of the settings.
remove_what_is_no_longer_wanted() {
  local there service surplus=()
  there=$(docker compose --profile '*' -f "$here/compose.yaml" ps --all --services)
  while read -r service; do
    if grep -qxF "$service" <<< "$there"; then surplus+=("$service"); fi
  done < <(grep -vxF -e "$(active_services)" <<< "$(all_services)")
  if ((${#surplus[@]})); then
    tell "no profile of deploy/.env names ${surplus[*]} any more: removing, their data stay"
    docker compose --profile '*' -f "$here/compose.yaml" rm --stop --force "${surplus[@]}" > /dev/null
  fi
}

# Name the image in .env with the digest that this registry gave it. What is made here has none.
pin_image() { # NAME IMAGE
  local name=$1 image=$2 digest
  if [[ -z $image || $image == *@sha256:* ]]; then return; fi # not in use, or pinned already
  if ! is_had "$image"; then tell "$image cannot be pulled: $(tail -1 "$why_not")"; return; fi
  digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image" |
    { grep -F "${image%:*}@" || true; } | head -1)
  if [[ -z $digest ]]; then return; fi
  image=$image@${digest#*@}
  if grep -q "^$name=" .env; then sed -i "s|^$name=.*|$name=$image|" .env; else echo "$name=$image" >> .env; fi
  tell "$name=$image"
}

pin() {
  local name service
  choose_images
  docker compose -f "$here/compose.yaml" config --format json > "$work/config.json"
  while read -r name service; do
    pin_image "$name" "$(python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))["services"].get(sys.argv[2], {}).get("image", ""))' \
      "$work/config.json" "$service")"
  done << 'PULLED'
STROKE_MYSQL_IMAGE mysql
STROKE_GRAFANA_IMAGE grafana
STROKE_ALERTMANAGER_IMAGE alertmanager
STROKE_PROMETHEUS_IMAGE prometheus
PULLED
  pin_image STROKE_BASE_IMAGE "$(setting STROKE_BASE_IMAGE)"
}

case $command in
  up)
    "$here/secrets.sh"
    choose_images
    leave_out_what_cannot_start
    remove_what_is_no_longer_wanted
    "${COMPOSE[@]}" up --detach --no-build --wait "$@"
    "$here/secrets.sh" --take-up
    if [[ -s $work/left-out.yaml ]]; then
      sed -nE 's/^  ([a-z0-9-]+):.*/\1/p' "$work/left-out.yaml" > "$work/left-out"
      # Services that were named and run are all that was asked for.
      if [[ -n $* && -z $(printf '%s\n' "$@" | grep -xF -f "$work/left-out") && $1 != -* ]]; then exit 0; fi
      tell "the rest runs; without: $(xargs < "$work/left-out")"
      exit 1
    fi
    ;;
  down) "${COMPOSE[@]}" --profile '*' down --remove-orphans "$@" ;;
  pin) pin ;;
  key) setting STROKE_ADMIN_KEY ;;
  mysql)
    terminal=()
    if [[ ! -t 0 || ! -t 1 ]]; then terminal=(-T); fi
    # The password is the container's own, and on no command line.
    # shellcheck disable=SC2016  # the container's variables
    "${COMPOSE[@]}" exec ${terminal[@]+"${terminal[@]}"} mysql sh -c \
      'MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-$(cat "$MYSQL_ROOT_PASSWORD_FILE")} exec mysql -uroot "$@"' mysql "$@"
    ;;
  images)
    "$here/secrets.sh"
    choose_images
    env | sed -n '/^STROKE_[A-Z0-9_]*_IMAGE=/p' | { grep -v '^STROKE_BASE_IMAGE=' || true; } | LC_ALL=C sort
    ;;
  doctor)
    # In a container of its own: the one that heals the connectors may be what is ill.
    "$here/secrets.sh"
    choose_images
    "${COMPOSE[@]}" run --rm --no-deps -T --entrypoint stroke connectors doctor "$@"
    ;;
  run)
    "$here/secrets.sh"
    choose_images
    "${COMPOSE[@]}" run "$@"
    ;;
  logs) "${COMPOSE[@]}" logs --follow "$@" ;;
  *) "${COMPOSE[@]}" "$command" "$@" ;;
esac
