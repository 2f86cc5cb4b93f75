#!/bin/sh
# Put the webhook's address where alertmanager.yml looks for it and become Alertmanager. POSIX sh,
# for the official image has no bash.
set -eu

config=/etc/stroke/alertmanager.yml
umask 077
if [ -s "${STROKE_ALERT_WEBHOOK_URL_FILE:-}" ]; then
  STROKE_ALERT_WEBHOOK_URL=$(cat "$STROKE_ALERT_WEBHOOK_URL_FILE")
fi
if [ -n "${STROKE_ALERT_WEBHOOK_URL:-}" ]; then
  printf '%s' "$STROKE_ALERT_WEBHOOK_URL" > /tmp/webhook
else
  echo "alertmanager.sh: STROKE_ALERT_WEBHOOK_URL is not set: nobody is told of alerts" >&2
  sed 's/^  receiver: webhook$/  receiver: nobody/' "$config" > /tmp/alertmanager.yml
  config=/tmp/alertmanager.yml
fi
unset STROKE_ALERT_WEBHOOK_URL
exec /bin/alertmanager --config.file="$config" --storage.path=/alertmanager \
  --web.listen-address=:9093 --cluster.listen-address=
