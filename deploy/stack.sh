#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/stack.sh COMMAND [OPTION]...

`docker compose` on deploy/compose.yaml, with images that are here already or can be made here:
the Debian base is pulled or assembled (deploy/images/make-base.sh), and MySQL is the official image
or, where that cannot be pulled, its stand-in. Other commands go to `docker compose` as they are.

  deploy/stack.sh up            build what changed, start, wait until all is healthy
  deploy/stack.sh down          stop and remove the containers; data stay in volumes
  deploy/stack.sh logs          follow the logs
  deploy/stack.sh ps
  deploy/stack.sh images        build what changed; print which image each part runs
  deploy/stack.sh doctor        examine it end to end (`stroke doctor`, whose options it takes)
  deploy/stack.sh run --rm --no-deps api db status
  deploy/stack.sh exec connectors stroke connectors status
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
can_be_pulled() { timeout 300 docker pull -q "$1" > /dev/null 2>&1; }

# One hash, one image: unchanged parts are not built again.
choose_images() {
  local mysql
  mysql=$(setting STROKE_MYSQL_IMAGE)
  if ! is_here "${mysql:=mysql:9.7}" && ! can_be_pulled "$mysql"; then
    echo "stack.sh: $mysql cannot be pulled: using the stand-in" >&2
    mysql=$(images/build.sh mysql-standin)
  fi
  export STROKE_MYSQL_IMAGE=$mysql
  STROKE_KAFKA_IMAGE=$(images/build.sh kafka)
  STROKE_REGISTRY_IMAGE=$(images/build.sh schema-registry)
  STROKE_API_IMAGE=$(images/build.sh api)
  STROKE_PIPELINE_IMAGE=$(images/build.sh api pipeline)
  export STROKE_KAFKA_IMAGE STROKE_REGISTRY_IMAGE STROKE_API_IMAGE STROKE_PIPELINE_IMAGE
  if [[ $(setting COMPOSE_PROFILES) == *local* ]]; then
    STROKE_S3_IMAGE=$(images/build.sh moto)
    STROKE_POSTGRESQL_IMAGE=$(images/build.sh postgresql)
    export STROKE_S3_IMAGE STROKE_POSTGRESQL_IMAGE
  fi
  if [[ $(setting COMPOSE_PROFILES) == *spark* ]]; then
    STROKE_SPARK_IMAGE=$(images/build.sh spark)
    STROKE_PYSPARK_IMAGE=$(images/build.sh spark pyspark)
    export STROKE_SPARK_IMAGE STROKE_PYSPARK_IMAGE
  fi
  if [[ $(setting COMPOSE_PROFILES) == *edge* ]]; then
    STROKE_EDGE_IMAGE=$(images/build.sh edge)
    export STROKE_EDGE_IMAGE
  fi
  if [[ $(setting COMPOSE_PROFILES) == *monitoring* ]]; then
    STROKE_PROMETHEUS_IMAGE=$(setting STROKE_PROMETHEUS_IMAGE)
    : "${STROKE_PROMETHEUS_IMAGE:=$(images/build.sh prometheus)}"
    export STROKE_PROMETHEUS_IMAGE
  fi
}

case $command in
  up)
    choose_images
    exec "${COMPOSE[@]}" up --detach --no-build --wait "$@"
    ;;
  images)
    choose_images
    env | sed -n '/^STROKE_[A-Z0-9_]*_IMAGE=/p' | { grep -v '^STROKE_BASE_IMAGE=' || true; } | LC_ALL=C sort
    ;;
  doctor)
    # In a container of its own: the one that heals the connectors may be what is ill.
    choose_images
    exec "${COMPOSE[@]}" run --rm --no-deps -T --entrypoint stroke connectors doctor "$@"
    ;;
  run)
    choose_images
    exec "${COMPOSE[@]}" run "$@"
    ;;
  logs) exec "${COMPOSE[@]}" logs --follow "$@" ;;
  *) exec "${COMPOSE[@]}" "$command" "$@" ;;
esac
