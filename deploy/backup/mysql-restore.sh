#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/backup/mysql-restore.sh [NAME] [--replace] [--yes] [OPTION]...

Restore a backup that mysql-backup.sh made (the newest, or NAME) into a running MySQL container, after
its checksum was compared. Databases that are there with tables in them are kept, and nothing is done,
unless --replace says to drop them first.

Into another server than the one that was backed up, the rows come back as history: not written to
the binlog, their GTIDs taken over, so that the sinks, which have them, do not get them again. Into
the same server they are changes like any other: they flow to the sinks, which take them as updates.

  deploy/backup/mysql-restore.sh --list
  deploy/backup/mysql-restore.sh --dry-run                 check the newest; say what would happen
  deploy/backup/mysql-restore.sh stroke-mysql-20260131T020000Z --replace
  deploy/backup/mysql-restore.sh --target /mnt/backups --container mysql-new --yes

  --list                 the backups that there are, newest first
  --target, --container, --env-file, and all settings: as mysql-backup.sh
  --replace              drop the databases that the backup holds, first
  --yes                  do not ask
  --dry-run              fetch and check, restore nothing

At the end the copies are asked: the lake's catalog is rolled forward to the newest state of its table, and
MySQL continues above every id that any copy has seen (stroke lake roll-forward, stroke pipeline next-id).

Stop the service and the connectors first: deploy/stack.sh stop api connectors connect verify
HELP
}

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=deploy/backup/store.sh
. "$here/store.sh"
me=mysql-restore.sh
# So many ids are left out where a copy cannot be asked which ids it has seen.
margin=1000000
name='' dry_run='' replace='' yes='' list=''
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --target) export STROKE_BACKUP_TARGET; STROKE_BACKUP_TARGET=$(argument "$@"); shift ;;
    --container) export STROKE_BACKUP_CONTAINER; STROKE_BACKUP_CONTAINER=$(argument "$@"); shift ;;
    --env-file) env_file=$(argument "$@"); shift ;;
    --list) list=yes ;;
    --replace) replace=yes ;;
    --yes) yes=yes ;;
    --dry-run) dry_run=yes ;;
    -*) usage >&2; exit 2 ;;
    *) [[ -z $name ]] || { usage >&2; exit 2; }; name=$1 ;;
  esac
  shift
done
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read_settings
choose_target
if [[ -n $list ]]; then store_names; exit 0; fi

if [[ -z $name ]]; then
  name=$(store_names | head -1)
  [[ -n $name ]] || fail "there is no backup in $target"
fi
container=$(mysql_container)
manifest=$work/$name.json dump=$work/$name.sql.gz
of() { sed -nE "s/.*\"$1\": (\"([^\"]*)\"|([0-9]+)).*/\2\3/p" "$manifest"; }

fetch() {
  store_get "$name.json" "$manifest"
  store_get "$name.sql.gz" "$dump"
  [[ $(sha256sum "$dump" | cut -d' ' -f1) == "$(of sha256)" ]] ||
    fail "$name is not what was backed up: its checksum differs; take another (--list)"
}

asked() { in_mysql mysql -NBe "$1"; }

# NEW: knows none of the backup's transactions; SAME: knows all of them. Anything between is a server
# that a human should look at.
which_server() {
  local purged
  purged=$(of gtid_purged)
  asked "SELECT CASE WHEN '$purged' = '' THEN 'SAME'
    WHEN GTID_SUBSET('$purged', @@GLOBAL.gtid_executed) THEN 'SAME'
    WHEN GTID_SUBTRACT('$purged', @@GLOBAL.gtid_executed) = GTID_SUBTRACT('$purged', '') THEN 'NEW'
    ELSE 'MIXED' END"
}

tables_in() { asked "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '$1' AND table_name <> 'debezium_signal'"; }

fetch
server=$(which_server)
[[ $server != MIXED ]] ||
  fail "this server knows some of the backup's transactions, and not others: restore into a new server"
read -ra names <<< "$(of databases)"
for database in "${names[@]}"; do
  if [[ $(tables_in "$database") != 0 && -z $replace ]]; then
    if [[ -z $dry_run ]]; then
      fail "$database has tables already: --replace drops it first (stop what writes to it)"
    fi
    echo "mysql-restore.sh: $database has tables already: the restore will need --replace" >&2
  fi
done

filter=(cat)
what="as history: its GTIDs are taken over, and nothing of it goes to the binlog"
if [[ $server == SAME ]]; then
  # The server would refuse transactions that it has, and the sinks are to follow.
  filter=(env LC_ALL=C sed -e '/^SET @@GLOBAL.GTID_PURGED=/ { :a; /;$/! { N; ba }; d }'
    -e '/^SET @@SESSION.SQL_LOG_BIN *= *0;$/d')
  what="as new changes, which flow to the sinks"
fi
echo "mysql-restore.sh: $name of $(of made_at), binlog $(of binlog_file) $(of binlog_position)," \
  "${names[*]}, into $container $what" >&2
if [[ -n $dry_run ]]; then exit 0; fi
if [[ -z $yes ]]; then
  read -rp "Restore? (yes/no) " answer || fail "nobody answers: --yes"
  [[ $answer == yes ]] || fail "nothing was done"
fi
# The id that MySQL gives next. A backup knows an older one: an id that copies know as another
# patient's must not be given once more.
given=${names[0]}
next_id() {
  asked "SET SESSION information_schema_stats_expiry = 0; SELECT COALESCE(MAX(auto_increment), 0)
    FROM information_schema.tables WHERE table_schema = '$given' AND table_name = 'predictions'"
}
silent=
if [[ $server == NEW ]]; then silent="SET SESSION sql_log_bin = 0; "; fi
continue_at() { # ID; does nothing where MySQL is above it, or has no such table
  local now
  now=$(next_id)
  if ((now > 0 && now < $1)); then
    asked "${silent}ALTER TABLE \`$given\`.predictions AUTO_INCREMENT = $1"
  fi
}

# A command of the pipeline, with what the stopped container of its connectors was given.
stroke() {
  local connectors network
  connectors=$(container_of connectors --all)
  [[ -n $connectors ]] || return 1
  docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$connectors" |
    grep -v '^$' > "$work/environment"
  network=$(docker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}' \
    "$connectors" | head -1)
  timeout 600 docker run --rm --network "$network" --env-file "$work/environment" --tmpfs /tmp \
    --volumes-from "$connectors:ro" "$(docker inspect -f '{{.Image}}' "$connectors")" "$@"
}

before=$(next_id)
if [[ -n $replace ]]; then
  for database in "${names[@]}"; do
    # As the rows: a new server's binlog does not tell of what it is made from.
    asked "${silent}DROP DATABASE IF EXISTS \`$database\`"
  done
fi
zcat "$dump" | "${filter[@]}" | in_mysql mysql --binary-mode 2> "$work/said" || {
  tail -3 "$work/said" >&2
  fail "the restore stopped half-way (above): mend the cause, then again with --replace"
}
continue_at "$before"
if [[ -z $(container_of connectors --all) ]]; then
  echo "mysql-restore.sh: restored $name; no container of the stack's connectors is here, so that no copy was asked." \
    "Where there are copies: stroke lake roll-forward --yes, stroke pipeline next-id --yes, and then start the API" >&2
  exit 0
fi
# Where another account owns the schema, a new server gave the service's no right to the tables that came
# just now. A table that the backup does not have yet gets its rights from the next upgrade.
if docker exec "${container:?}" test -s /run/secrets/STROKE_SCHEMA_PASSWORD; then
  user=$(docker exec "$container" printenv MYSQL_USER)
  { echo "$silent"; stroke db grants service --user "${user:-stroke}"; } |
    in_mysql mysql --force 2> "$work/said" || true
fi
# What the sink wrote since the backup belongs to the lake, although the restored catalog does not
# know it; and every copy is asked for the ids that it has seen.
safe=yes
stroke lake roll-forward --yes || safe=
stroke pipeline next-id --yes || safe=
if [[ -z $safe ]]; then
  continue_at $(($(next_id) + margin))
  echo "mysql-restore.sh: restored $name, but not every copy could be asked (above). MySQL gives ids a margin of $margin" \
    "higher. Before you start the connectors: stroke lake roll-forward --yes, stroke pipeline next-id --yes" >&2
  exit 0
fi
echo "mysql-restore.sh: restored $name; stroke pipeline verify compares it with the copies, and" \
  "stroke pipeline bring-back --dry-run lists the rows that only they have"
