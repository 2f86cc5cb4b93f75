# ruff: noqa: INP001 -- a script of its own
"""Print the bill of materials (CycloneDX JSON) of a Docker image, by looking into it.

``sbom_of_image.py IMAGE``: its Debian packages as dpkg lists them, its Python distributions by
their metadata, its jars by their names. Runs in .venv-infrastructure (stages/sbom.sh).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

# One line each: kind, name, version. The image's own shell is all that this needs.
_LOOK = r"""
dpkg-query -W -f 'deb\t${Package}\t${Version}\n' 2> /dev/null
find / -xdev -name METADATA -path '*.dist-info/*' 2> /dev/null | while read -r file; do
  sed -n -e 's/^Name: //p' -e 's/^Version: //p' -e '/^$/q' "$file" | head -2 | tr '\n' '\t' |
    sed 's/^/pypi\t/'; echo
done
find / -xdev -name '*.jar' -type f 2> /dev/null | sed 's#.*/#maven\t#'
exit 0
"""
_JAR = re.compile(r"^(?P<name>.+?)-(?P<version>\d[\w.+-]*)\.jar$")


def main(image: str) -> None:
    """Print the bill. The exit code is 1 where the image cannot be run."""
    command = ["docker", "run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "sh"]
    looked = subprocess.run(  # noqa: S603 -- the image's name is one argument, not a shell's
        [*command, image, "-c", _LOOK], capture_output=True, text=True, check=False
    )
    if looked.returncode != 0:
        sys.exit(f"sbom_of_image.py: {image} cannot be run: {looked.stderr.strip()[-300:]}")
    bom = Bom(components=sorted(set(_components(looked.stdout))))
    name, _, version = image.partition(":")
    bom.metadata.component = Component(name=name, version=version, type=ComponentType.CONTAINER)
    print(JsonV1Dot6(bom).output_as_string(indent=1))  # noqa: T201


def _components(lines: str) -> Iterator[Component]:
    for line in lines.splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "maven":
            jar = _JAR.match(rest)
            name, version = (jar["name"], jar["version"]) if jar else (rest, "")
        else:
            name, _, version = rest.strip().partition("\t")
        if name:
            purl = PackageURL(kind, "debian" if kind == "deb" else None, name, version or None)
            yield Component(name=name, version=version, purl=purl, bom_ref=str(purl))


if __name__ == "__main__":
    main(sys.argv[1])
