"""The chart deploy/helm/stroke, rendered by Helm's own packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from components.containers import ROOT

CHART = ROOT / "deploy/helm/stroke"
# As the cluster of a user who has the Prometheus operator.
PROMETHEUS = "monitoring.coreos.com/v1/ServiceMonitor"

Resource = dict[str, Any]


class Chart:
    """Renders the chart with the program ``helm``. A refusal raises ``Refused``."""

    def __init__(self, helm: str, folder: Path) -> None:
        self._helm = helm
        self._folder = folder

    def render(self, *values: Path | dict[str, Any], has: str = PROMETHEUS) -> list[Resource]:
        """Return the resources for files, or maps, of values; the last ones win."""
        printed = self._run("template", "demo", str(CHART), "--api-versions", has, values=values)
        return [one for one in yaml.safe_load_all(printed) if one]

    def lint(self, *values: Path | dict[str, Any]) -> str:
        return self._run("lint", str(CHART), "--strict", values=values)

    def _run(self, *arguments: str, values: tuple[Path | dict[str, Any], ...]) -> str:
        files = [str(self._file(number, one)) for number, one in enumerate(values)]
        done = subprocess.run(
            [self._helm, *arguments, *(part for file in files for part in ("--values", file))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout

    def _file(self, number: int, values: Path | dict[str, Any]) -> Path:
        if isinstance(values, Path):
            return values
        path = self._folder / f"{number}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path


class Refused(Exception):
    """What Helm said."""


def of_kind(resources: list[Resource], kind: str) -> list[Resource]:
    return [one for one in resources if one["kind"] == kind]


def only(resources: list[Resource], kind: str, part: str = "") -> Resource:
    """Return the one resource of ``kind`` whose name ends with ``part``."""
    [found] = [one for one in of_kind(resources, kind) if one["metadata"]["name"].endswith(part)]
    return found


def pods(resources: list[Resource]) -> Iterator[Resource]:
    """Yield the spec of each pod that a resource makes."""
    for one in resources:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["spec"]["template"]["spec"]


def containers(resources: list[Resource]) -> Iterator[Resource]:
    for pod in pods(resources):
        yield from pod.get("initContainers", [])
        yield from pod["containers"]
