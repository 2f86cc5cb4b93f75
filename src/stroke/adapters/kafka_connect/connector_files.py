"""ConnectorFiles: connectors/NAME.json, with its overlays applied and its placeholders filled.

A file is one object::

    {
      "name": "mssql-sink-predictions",
      "config": {"topics": "{topic}", "connection.password": "${env:SINK_PASSWORD}", ...},
      "overlays": {"format-avro": {"key": "another value", "key to leave out": null}}
    }

``{topic}`` is filled here; ``${env:...}`` and the like are left to the Connect worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stroke.application.pipeline.kafka_connect_model import ConnectorSpec
from stroke.application.pipeline.ports import ConnectorSpecs
from stroke.domain.errors import InvalidData

CLUSTER_ID: Final = "cluster_id"
_PLACEHOLDER: Final = re.compile(r"(?<!\$)\{([^{}]*)\}")
_PARTS: Final = frozenset({"name", "config", "overlays"})


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    config: dict[str, str]
    overlays: dict[str, dict[str, str | None]]


class ConnectorFiles(ConnectorSpecs):
    """The connectors of a ``folder``.

    ``overlays`` are applied in their order, each to the files that have it. ``values`` fill the
    placeholders, and so does ``{cluster_id}``, which is known only at ``load``.
    """

    def __init__(
        self, folder: Path, *, overlays: Collection[str] = (), values: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self.overlays = overlays
        self._values = values

    def names(self) -> dict[str, str]:
        """Return the name of each connector by the name of its file."""
        return {file: read.name for file, read in self._all().items()}

    def load(self, file: str, *, cluster_id: str) -> ConnectorSpec:
        """Return what the file says for the Kafka cluster with this id.

        Raises ``InvalidData`` for a file that is not there or not as it should be, for a
        placeholder without a value, and for a chosen overlay that no file of the folder has.
        """
        read = self._all()
        if file not in read:
            raise InvalidData(f"{self._path(file)} is not there")
        self._require_overlays(read)
        config: dict[str, str | None] = dict(read[file].config)
        for overlay in self.overlays:
            config.update(read[file].overlays.get(overlay, {}))
        values = {**self._values, CLUSTER_ID: cluster_id}
        filled = {
            key: self._filled(file, value, values)
            for key, value in config.items()
            if value is not None
        }
        return ConnectorSpec(file, read[file].name, filled)

    def _all(self) -> dict[str, _File]:
        found = sorted(self._folder.glob("*.json"))
        if not found:
            raise InvalidData(f"{self._folder} has no connectors: see STROKE_CONNECT_FOLDER")
        return {path.stem: _read(path) for path in found}

    def _path(self, file: str) -> Path:
        return self._folder / f"{file}.json"

    def _require_overlays(self, read: Mapping[str, _File]) -> None:
        """An overlay that is spelt otherwise in the files would leave, say, names unmasked."""
        known = {overlay for file in read.values() for overlay in file.overlays}
        if unknown := sorted(set(self.overlays) - known):
            raise InvalidData(f"no file of {self._folder} has the overlay {', '.join(unknown)}")

    def _filled(self, file: str, text: str, values: Mapping[str, str]) -> str:
        def fill(placeholder: re.Match[str]) -> str:
            if (value := values.get(placeholder.group(1))) is None:
                raise InvalidData(
                    f"{self._path(file)}: nothing fills the placeholder {placeholder.group(0)}: "
                    f"there are {', '.join(sorted(values))}"
                )
            return value

        return _PLACEHOLDER.sub(fill, text)


def _read(path: Path) -> _File:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidData(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidData(f"{path} is not JSON") from error
    if not isinstance(found, dict) or not {"name", "config"} <= found.keys() <= _PARTS:
        raise InvalidData(f"{path} must have name and config, perhaps overlays, and nothing else")
    name, overlays = found["name"], found.get("overlays", {})
    if not (isinstance(name, str) and name):
        raise InvalidData(f"{path}: name must be a text")
    _require_texts(path, "config", found["config"], (str,))
    if not isinstance(overlays, dict):
        raise InvalidData(f"{path}: overlays must be an object")
    for overlay, settings in overlays.items():
        _require_texts(path, f"overlays.{overlay}", settings, (str, type(None)))
    return _File(name, found["config"], overlays)


def _require_texts(path: Path, part: str, found: Any, allowed: tuple[type, ...]) -> None:
    """Connect's values are texts: the number 1 would never equal the "1" that Connect stores."""
    if not isinstance(found, dict):
        raise InvalidData(f"{path}: {part} must be an object")
    for key, value in found.items():
        if not isinstance(value, allowed):
            raise InvalidData(f'{path}: {part}.{key} must be a text: "1", "true"')
