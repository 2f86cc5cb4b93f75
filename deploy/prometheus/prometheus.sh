#!/bin/sh
# Write the lists of exporters from the environment and become Prometheus. POSIX sh, for the
# official image has no bash.
#
#   STROKE_NODE_EXPORTERS    host:9100,...   node exporters (deploy/ansible installs them)
#   STROKE_MYSQL_EXPORTERS   host:9104,...   MySQL exporters
#   STROKE_METRICS_DAYS      how long metrics are kept (default 30)
set -eu

targets() { # NAME LIST
  list=$(printf '%s' "$2" | sed 's/[[:space:]]//g; s/,\{1,\}/,/g; s/^,//; s/,$//; s/,/","/g')
  printf '[{"targets": [%s]}]\n' "${list:+\"$list\"}" > "/tmp/targets/$1.json"
}

mkdir -p /tmp/targets
targets node "${STROKE_NODE_EXPORTERS:-}"
targets mysql "${STROKE_MYSQL_EXPORTERS:-}"
exec /bin/prometheus --config.file=/etc/stroke/prometheus.yml --storage.tsdb.path=/prometheus \
  --storage.tsdb.retention.time="${STROKE_METRICS_DAYS:-30}d" --storage.tsdb.wal-compression \
  --web.listen-address=:9090
