#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/backup/mysql-backup.sh [--target TARGET] [--container NAME] [--env-file FILE] [--dry-run]

Dump the service's database and the Iceberg catalog of a running MySQL container, at one moment of its
binlog and without stopping writers, and keep the dump in TARGET: a folder, or s3://BUCKET/PREFIX.

A backup is two files: stroke-mysql-TIME.sql.gz and, written last, stroke-mysql-TIME.json with its
sha256, the binlog position and GTIDs that it stands for, and the server's version. What has no .json is
no backup. In S3 both are encrypted at rest (SSE). Accounts are not in it: deploy/mysql/init makes them.

  deploy/backup/mysql-backup.sh                                of the stack on this host, to S3
  deploy/backup/mysql-backup.sh --target /mnt/backups
  deploy/backup/mysql-restore.sh --list

Settings come from the environment, else from FILE (deploy/.env, on a configured host
/etc/stroke/stroke.env):

STROKE_BACKUP_TARGET     as --target (default: s3://$S3_BUCKET/backups/mysql)
STROKE_BACKUP_CONTAINER  as --container (default: the service mysql of the compose project)
STROKE_BACKUP_DATABASES  which databases (default: $MYSQL_DATABASE and iceberg_catalog)
STROKE_BACKUP_ENDPOINT   of an S3 other than AWS's, as this host reaches it (STROKE_LAKE_ENDPOINT; where that
                         is a container of the stack, the port that it publishes)
STROKE_BACKUP_SSE        AES256 (default) or aws:kms; STROKE_BACKUP_KMS_KEY names the key
STROKE_BACKUP_KEEP_DAYS  older backups are removed (30), but never ...
STROKE_BACKUP_KEEP_LEAST ... the newest ones (7)
STROKE_BACKUP_METRICS    a file for node exporter's textfile collector
HELP
}

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=deploy/backup/store.sh
. "$here/store.sh"
me=mysql-backup.sh
dry_run=
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --target) export STROKE_BACKUP_TARGET; STROKE_BACKUP_TARGET=$(argument "$@"); shift ;;
    --container) export STROKE_BACKUP_CONTAINER; STROKE_BACKUP_CONTAINER=$(argument "$@"); shift ;;
    --env-file) env_file=$(argument "$@"); shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
read_settings
choose_target
container=$(mysql_container)
read -ra databases <<< "$(setting STROKE_BACKUP_DATABASES "$(setting MYSQL_DATABASE stroke_predictions) iceberg_catalog")"
keep_days=$(setting STROKE_BACKUP_KEEP_DAYS 30)
keep_least=$(setting STROKE_BACKUP_KEEP_LEAST 7)
[[ $keep_days =~ ^[1-9][0-9]*$ ]] || fail "STROKE_BACKUP_KEEP_DAYS is no number of days: $keep_days"
[[ $keep_least =~ ^[1-9][0-9]*$ ]] || fail "STROKE_BACKUP_KEEP_LEAST is no number of backups: $keep_least"

# One transaction sees one state of all tables; --source-data notes which, as a position in the
# binlog, and --set-gtid-purged as GTIDs (AUTO: where the server has them, and ours has). What they
# mean for a restore: docs/decisions/0031.
dump() {
  in_mysql mysqldump --single-transaction --quick --source-data=2 --set-gtid-purged=AUTO \
    --routines --triggers --events --hex-blob --no-tablespaces --databases "${databases[@]}"
}

# "NAME": VALUE of the manifest, from the first lines of the dump.
position() { # DUMP; prints FILE POSITION
  first_bytes 65536 "$1" |
    sed -nE "s/^-- CHANGE (REPLICATION SOURCE|MASTER) TO (SOURCE|MASTER)_LOG_FILE='([^']+)', (SOURCE|MASTER)_LOG_POS=([0-9]+);.*/\3 \5/p" |
    head -1
}

gtids() { # DUMP; on one line, without the comment that only some versions run
  first_bytes 1048576 "$1" | awk '
    /^SET @@GLOBAL.GTID_PURGED=/ { found = 1 }
    found == 1 { printf "%s", $0; if (/;$/) found = 2 }' |
    sed -nE "s/.*'([0-9a-zA-Z:,_-]*)';$/\1/p"
}

manifest() { # DUMP NAME
  local at=$1 file place version uuid
  read -r file place <<< "$(position "$at")"
  [[ -n $file && -n $place ]] || fail "the dump names no binlog position: is the binlog on (--log-bin)?"
  version=$(in_mysql mysql -NBe 'SELECT VERSION()')
  uuid=$(in_mysql mysql -NBe 'SELECT @@server_uuid')
  printf '{"name": "%s", "made_at": "%s", "databases": "%s", "bytes": %s, "sha256": "%s",' \
    "$2" "$made_at" "${databases[*]}" "$(stat -c %s "$at")" "$(sha256sum "$at" | cut -d' ' -f1)"
  printf ' "server_version": "%s", "server_uuid": "%s",' "$version" "$uuid"
  printf ' "binlog_file": "%s", "binlog_position": %s, "gtid_purged": "%s"}\n' \
    "$file" "$place" "$(gtids "$at")"
}

remove_old() {
  local oldest name
  oldest=stroke-mysql-$(date -u -d "$keep_days days ago" +%Y%m%dT%H%M%SZ)
  while IFS= read -r name; do
    if [[ $name > $oldest ]]; then continue; fi
    # The manifest first: half a backup must not look like one.
    store_remove "$name.json"
    store_remove "$name.sql.gz"
    echo "mysql-backup.sh: removed $name (older than $keep_days days)"
  done < <(store_names | tail -n +"$((keep_least + 1))")
}

metrics() { # BYTES
  local file
  file=$(setting STROKE_BACKUP_METRICS '')
  if [[ -z $file ]]; then return; fi
  {
    echo '# HELP stroke_backup_last_success_timestamp_seconds When MySQL was last backed up.'
    echo '# TYPE stroke_backup_last_success_timestamp_seconds gauge'
    echo "stroke_backup_last_success_timestamp_seconds $(date +%s)"
    echo '# HELP stroke_backup_size_bytes Size of the last backup, compressed.'
    echo '# TYPE stroke_backup_size_bytes gauge'
    echo "stroke_backup_size_bytes $1"
  } > "$file.partial"
  chmod 644 "$file.partial"
  mv "$file.partial" "$file"
}

umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What a backup needs of others is asked for first: a dry run that is content must be right.
for database in "${databases[@]}"; do
  found=$(in_mysql mysql -NBe "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '$database'") ||
    fail "MySQL in $container does not answer"
  [[ $found == 1 ]] || fail "MySQL in $container has no database $database (STROKE_BACKUP_DATABASES)"
done
store_names > /dev/null
if [[ -n $dry_run ]]; then
  echo "would dump ${databases[*]} of $container to $target and remove what is older than" \
    "$keep_days days, except the newest $keep_least"
  exit 0
fi
made_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
name=stroke-mysql-$(date -u -d "$made_at" +%Y%m%dT%H%M%SZ)
dump 2> "$work/said" | gzip > "$work/$name.sql.gz" || {
  tail -3 "$work/said" >&2
  fail "the dump failed (above); nothing was kept"
}
zcat "$work/$name.sql.gz" | tail -c 200 | grep -q '^-- Dump completed' ||
  fail "the dump has no end; nothing was kept"
manifest "$work/$name.sql.gz" "$name" > "$work/$name.json"
store_put "$work/$name.sql.gz"
store_put "$work/$name.json"
remove_old
metrics "$(stat -c %s "$work/$name.sql.gz")"
echo "mysql-backup.sh: $target/$name ($(stat -c %s "$work/$name.sql.gz") bytes, binlog $(position "$work/$name.sql.gz"))"
