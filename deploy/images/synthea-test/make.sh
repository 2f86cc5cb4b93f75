#!/bin/sh
# Usage: make.sh SYNTHEA'S OPTIONS: make records, and write a tar of them, one bundle a file.
set -eu
java -Xmx1200m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Duser.timezone=UTC -cp '/jars/*' App \
  --exporter.baseDirectory=/tmp/out "$@" > /tmp/log 2>&1 || { tail -40 /tmp/log >&2; exit 1; }
exec tar -c --sort=name -C /tmp/out/fhir .
