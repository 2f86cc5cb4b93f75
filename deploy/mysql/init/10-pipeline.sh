#!/bin/bash
# Accounts and schemas, on a new data directory: who changes the schema, where STROKE_SCHEMA_PASSWORD is
# set; what Debezium may do, and no more; and a schema of its own for the Iceberg catalog. It takes nothing
# away from anybody. Can be run by hand on an existing server:
#   STROKE_SCHEMA_USER=... STROKE_SCHEMA_PASSWORD=... STROKE_CDC_USER=... STROKE_CDC_PASSWORD=... \
#   STROKE_LAKE_JDBC_USER=... STROKE_LAKE_JDBC_PASSWORD=... MYSQL_ROOT_PASSWORD=... deploy/mysql/init/10-pipeline.sh
# Each password can also come from a file: NAME_FILE.
set -euo pipefail

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"; }

for name in MYSQL_ROOT_PASSWORD STROKE_SCHEMA_PASSWORD STROKE_CDC_PASSWORD STROKE_LAKE_JDBC_PASSWORD; do
  file=${name}_FILE
  if [[ -n ${!file:-} ]]; then printf -v "$name" '%s' "$(cat "${!file}")"; fi
done
database=${MYSQL_DATABASE:-stroke_predictions}
cdc_user=$(quoted "${STROKE_CDC_USER:-debezium}")
cdc_password=$(quoted "${STROKE_CDC_PASSWORD:?the password of the account that Debezium uses}")
lake_user=$(quoted "${STROKE_LAKE_JDBC_USER:-iceberg}")
lake_password=$(quoted "${STROKE_LAKE_JDBC_PASSWORD:?the password of the account of the Iceberg catalog}")
schema=
if [[ -n ${STROKE_SCHEMA_PASSWORD:-} ]]; then
  schema_user=$(quoted "${STROKE_SCHEMA_USER:-stroke_schema}")
  # As `stroke db grants migrations` prints it; it may give the service what a new table asks for.
  schema="
CREATE USER IF NOT EXISTS $schema_user@'%' IDENTIFIED BY $(quoted "$STROKE_SCHEMA_PASSWORD");
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER
  ON \`${database//_/\\_}\`.* TO $schema_user@'%' WITH GRANT OPTION;"
fi

MYSQL_PWD=${MYSQL_ROOT_PASSWORD:-} mysql -uroot << SQL
-- It names rows to send again (incremental snapshots); the migrations of the service know it, too.
CREATE TABLE IF NOT EXISTS \`$database\`.debezium_signal (
  id VARCHAR(42) PRIMARY KEY, type VARCHAR(32) NOT NULL, data TEXT NULL
);

-- With a binary log, only so may the migrations make the triggers that keep the audit trail as it is.
SET PERSIST log_bin_trust_function_creators = ON;
$schema

CREATE USER IF NOT EXISTS $cdc_user@'%' IDENTIFIED BY $cdc_password;
-- The binlog, and the lock that a consistent snapshot starts with.
GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD, SHOW DATABASES ON *.* TO $cdc_user@'%';
GRANT SELECT, LOCK TABLES ON \`${database//_/\\_}\`.* TO $cdc_user@'%';
-- The marks between which an incremental snapshot reads a chunk.
GRANT SELECT, INSERT, DELETE ON \`$database\`.debezium_signal TO $cdc_user@'%';

CREATE DATABASE IF NOT EXISTS iceberg_catalog DEFAULT CHARACTER SET latin1;
CREATE USER IF NOT EXISTS $lake_user@'%' IDENTIFIED BY $lake_password;
GRANT ALL ON \`iceberg\\_catalog\`.* TO $lake_user@'%';
SQL
