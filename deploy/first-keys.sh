#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/first-keys.sh FILE [OTHER]...

Write the first keys of the API, STROKE_ADMIN_KEY and STROKE_METRICS_KEY, into the settings FILE, which only
its owner can read then. A key that FILE or OTHER has stays; a FILE with both is not touched. Where
the last STROKE_INSECURE of all is true, the API serves everybody, and no key is made.

The API stores the keys when it starts (`stroke serve`), and asks everybody for a key from then on.

  deploy/first-keys.sh deploy/.env
HELP
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') usage >&2; exit 2 ;;
esac
file=$(readlink -m "$1")

value() { # NAME FILE...; the last one counts, as compose reads them, without quotes
  local name=$1 each
  shift
  for each in "$@"; do
    if [[ -r $each ]]; then sed -n "s/^$name=//p" "$each"; fi
  done | tail -1 | sed "s/^['\"]//; s/['\"][[:space:]]*\$//; s/[[:space:]]*\$//"
}

insecure=$(value STROKE_INSECURE "$@")
case ${STROKE_INSECURE:-$insecure} in
  1 | [Tt][Rr][Uu][Ee] | [Yy] | [Yy][Ee][Ss] | [Oo][Nn] | [Tt]) exit 0 ;;
esac
names=()
for name in STROKE_ADMIN_KEY STROKE_METRICS_KEY; do
  if [[ -z $(value "$name" "$@") && -z ${!name:-} ]]; then names+=("$name"); fi
done
if ((${#names[@]} == 0)); then exit 0; fi

# As `stroke keys create` makes them: 64 random bits name the key, 256 prove it.
key() {
  printf 'stroke_%s_%s' "$(od -An -N 8 -tx1 /dev/urandom | tr -d ' \n')" \
    "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')"
}

# Another name first, so that no moment leaves a half or a readable file.
umask 077
partial=$(mktemp "$file.XXXXXX")
trap 'rm -f "$partial"' EXIT
if [[ -e $file ]]; then cat "$file" > "$partial"; fi
if [[ -s $partial && -n $(tail -c 1 "$partial") ]]; then echo >> "$partial"; fi
for name in "${names[@]}"; do
  line=$name=$(key)
  if grep -q "^$name=" "$partial"; then
    sed -i "s/^$name=.*/$line/" "$partial"
  else
    echo "$line" >> "$partial"
  fi
done
chmod 600 "$partial"
if [[ -e $file && $(id -u) == 0 ]]; then chown --reference="$file" "$partial"; fi
mv "$partial" "$file"
echo "first-keys.sh: wrote ${names[*]} into $file: the API asks for a key from its next start on" >&2
