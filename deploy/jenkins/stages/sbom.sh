#!/bin/bash
set -euo pipefail

usage() {
  cat << 'HELP'
Usage: deploy/jenkins/stages/sbom.sh [--images FILE] [--output FOLDER] [--dry-run]

Write bills of materials (CycloneDX, JSON) into FOLDER (build/sbom): one of the wheel with the pinned
Python packages and their hashes (python.cdx.json), and one for each image that FILE (build/release/images.env) names, with its Debian
packages, Python distributions and jars as they are in the image.
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
images=build/release/images.env output=build/sbom dry_run=''
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --images) images=${2:?--images needs a file}; shift ;;
    --output) output=${2:?--output needs a folder}; shift ;;
    --dry-run) dry_run=yes ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [[ -n $dry_run ]]; then
  echo "would write bills of materials of requirements/app.txt and the images of $images into $output"
  exit 0
fi
[[ -r $images ]] || { echo "sbom.sh: $images is missing: deploy/jenkins/stages/build.sh writes it" >&2; exit 1; }
deploy/python/set-up.sh infrastructure
mkdir -p "$output"
python=.venv-infrastructure/bin/python
# Of the wheel: stroke itself with what its pins install.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/stroke/__init__.py)
"$python" -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type library \
  --output-reproducible --of JSON -o "$output/python.cdx.json" requirements/app.txt
"$python" -c '
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
bill = json.loads(file.read_text())
bill["metadata"]["component"]["version"] = sys.argv[2]
file.write_text(json.dumps(bill, indent=2) + "\n")' "$output/python.cdx.json" "${version:?}"
while IFS= read -r image; do
  "$python" deploy/jenkins/sbom_of_image.py "$image" > "$output/${image//[:\/]/-}.cdx.json"
  echo "sbom.sh: $output/${image//[:\/]/-}.cdx.json"
done < <(sed -n 's/^[A-Z0-9_]*_IMAGE=//p' "$images" | sort -u)
